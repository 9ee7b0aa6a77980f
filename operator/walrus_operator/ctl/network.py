"""`walrusctl network status` and `walrusctl network plan`."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from walrus_client.cli.output import EXIT_FAILED, Output, show
from walrus_operator.ctl.target import Target


def commands(target: Target) -> typer.Typer:
    """The `network` group."""
    app = typer.Typer(no_args_is_help=True, help="Look at a network on Kubernetes.")

    @app.callback()
    def group() -> None:
        """Look at a network on Kubernetes."""

    @app.command()
    def status(
        ctx: typer.Context,
        *,
        output: Annotated[Output, typer.Option("--output", "-o", help="Form of the result.")] = Output.TEXT,
    ) -> None:
        """One page: health, epoch, shards, conditions, nodes, events, what is missing. Exit code 1 while it is not Ready."""
        from walrus_operator.ctl import cluster, page  # noqa: PLC0415  (the Kubernetes client takes a second to import)

        namespace, name = target.resolve()
        objects = cluster.network_objects(namespace, name, target.context)
        recent = cluster.events(namespace, target.context)
        found = page.document(*objects, recent, now=datetime.now(UTC))
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        width = max(shutil.get_terminal_size((140, 40)).columns, 80)
        program = ctx.find_root().info_name or "walrusctl"
        text = page.render(found, width=width, colour=colour, program=program)
        show(found, text if output is Output.TEXT else "", output)
        if found["ready"] != "True":
            raise typer.Exit(EXIT_FAILED)

    @app.command()
    def plan(
        *,
        output: Annotated[Output, typer.Option("--output", "-o", help="Form of the result.")] = Output.TEXT,
    ) -> None:
        """What restarts next, step by step, and which gate holds whom. Exit code 1 while a rollout is stuck."""
        from walrus_operator.ctl import cluster, plan_page  # noqa: PLC0415  (the Kubernetes client is slow to import)

        namespace, name = target.resolve()
        network, _, _ = cluster.network_objects(namespace, name, target.context)
        found = plan_page.document(network)
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        width = shutil.get_terminal_size((140, 40)).columns
        text = plan_page.render(found, width=max(width, 80), colour=colour) if output is Output.TEXT else ""
        show(found, text, output)
        if found["stuck"]:
            raise typer.Exit(EXIT_FAILED)

    return app
