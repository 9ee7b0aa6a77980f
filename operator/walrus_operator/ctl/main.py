"""Entry point `walrusctl`.

Exit codes: 0 done, 1 failed (or the network is not Ready, or its rollout is stuck), 2 wrong usage, 3 not found, 4 not available just now.
"""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from walrus_client import cli
from walrus_operator.ctl import network
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
        _version: VersionOption = False,
    ) -> None:
        _target.namespace, _target.network, _target.gateway = namespace, network_name, gateway
        # The library warns of an absent kubeconfig in words of its own, twice; ours say what to do.
        logging.getLogger("kubernetes").setLevel(logging.ERROR)

    cli.register(app, _target.gateway_url)
    app.add_typer(network.commands(_target), name="network")
    return app


def main() -> None:
    """Runs the program."""
    application()()


if __name__ == "__main__":
    main()
