"""Commands of `walrusctl` that need no Kubernetes: `admin`, `blob`, `challenges`, `devnet` and `local`.

`register` mounts them on an application that knows where the gateway is (walrusctl finds it through kubectl); `app` is
the same for the local network and for `--gateway URL` alone: `python -m walrus_client.cli`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated

import typer

from walrus_client.cli import admin, blob, challenges, devnet, local
from walrus_client.cli.blob import GatewayResolver

__all__ = ["GatewayResolver", "app", "register"]

_chosen: dict[str, str | None] = {"gateway": None}


def register(
    application: typer.Typer, gateway: GatewayResolver, source: challenges.ChallengeSource | None = None
) -> None:
    """Adds the groups `admin`, `blob`, `challenges`, `devnet` and `local`.

    Args:
        application: Where to.
        gateway: Opens the way to the gateway for the length of a command and gives its URL.
        source: Knows what nodes found of each other by challenges.
    """
    application.add_typer(admin.commands(), name="admin")
    application.add_typer(blob.commands(gateway), name="blob")
    application.add_typer(challenges.commands(source), name="challenges")
    application.add_typer(devnet.commands(), name="devnet")
    application.add_typer(local.commands(), name="local")


@contextlib.contextmanager
def _gateway() -> Iterator[str]:
    url = _chosen["gateway"]
    if url is not None:
        yield url
        return
    with local.local_gateway() as found:
        yield found


def _application() -> typer.Typer:
    application = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

    @application.callback()
    def program(
        gateway: Annotated[
            str | None,
            typer.Option(envvar="WALRUS_GATEWAY", help="URL of the gateway; the local network's by default."),
        ] = None,
    ) -> None:
        """Store and read blobs, run a local network."""
        _chosen["gateway"] = gateway

    register(application, _gateway)
    return application


app = _application()
