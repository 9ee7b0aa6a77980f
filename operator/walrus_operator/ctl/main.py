"""Entry points `walrusctl` and `kubectl-walrus`, which kubectl finds on PATH and runs as `kubectl walrus ...`.

Exit codes: 0 done, 1 failed (or the network is not Ready, or its rollout is stuck), 2 wrong usage, 3 not found, 4 not available just now.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from walrus_client import cli
from walrus_operator.ctl import findings, network
from walrus_operator.ctl.target import Target
from walrus_sui.program import VersionOption

_target = Target()


def application() -> typer.Typer:
    """All commands."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Look at Walrus networks, store and read blobs. The network is found through kubectl's configuration.",
    )

    @app.callback()
    def program(
        *,
        namespace: Annotated[
            str | None,
            typer.Option("--namespace", "-n", envvar="WALRUS_NAMESPACE", help="Namespace; the context's by default."),
        ] = None,
        network_name: Annotated[
            str | None,
            typer.Option("--network", envvar="WALRUS_NETWORK", help="WalrusNetwork; the only one by default."),
        ] = None,
        gateway: Annotated[
            str | None,
            typer.Option(envvar="WALRUS_GATEWAY", help="URL of a gateway; no Kubernetes is needed then."),
        ] = None,
        context: Annotated[
            str | None, typer.Option(help="Context of the kubeconfig file; the current one by default.")
        ] = None,
        kubeconfig: Annotated[
            str | None, typer.Option(envvar="KUBECONFIG", help="Kubeconfig file; kubectl's own by default.")
        ] = None,
        _version: VersionOption = False,
    ) -> None:
        _target.namespace, _target.network, _target.gateway = namespace, network_name, gateway
        _target.context = context
        if kubeconfig is not None:
            os.environ["KUBECONFIG"] = kubeconfig  # kubectl, which opens the way to gateways, reads it there too
        # The library warns of an absent kubeconfig in words of its own, twice; ours say what to do.
        logging.getLogger("kubernetes").setLevel(logging.ERROR)

    cli.register(app, _target.gateway_url, lambda epoch: findings.find(_target, epoch))
    app.add_typer(network.commands(_target), name="network")
    return app


def main() -> None:
    """Runs the program."""
    application()()


def kubectl_plugin() -> None:
    """Runs the program as `kubectl walrus`."""
    application()(args=flags_first(sys.argv[1:]), prog_name="kubectl walrus")


_KUBECTLS_OWN = ("--namespace", "--context", "--kubeconfig")
"""Flags that every command of kubectl takes, wherever they stand."""


def flags_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with kubectl's own flags in front, where the program expects them; what follows `--` is left alone."""
    front: list[str] = []
    rest: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        name, has_value, value = word.partition("=")
        if word == "--":
            return [*front, *rest, word, *left]
        if word.startswith("-n") and not word.startswith("--"):
            name, has_value, value = "--namespace", word[2:], word[2:].removeprefix("=")
        if name not in _KUBECTLS_OWN:
            rest.append(word)
        elif has_value:
            front += [name, value]
        else:
            front += [name, *left[:1]]
            left = left[1:]
    return [*front, *rest]


if __name__ == "__main__":
    main()
