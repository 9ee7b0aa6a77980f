"""The program `walrus-node`.

Exit codes of `run`: 0 stopped by SIGTERM or SIGINT, 1 an unexpected error, 2 wrong usage, configuration or keys, 3 the
store cannot be opened or written, 4 the data directory belongs to another network or node, 5 the chain's events cannot
follow those that are stored. Those of `db` are in `walrus_node.db`.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import Annotated, Final

import typer

from walrus_node import config as configs
from walrus_node import db, key_files
from walrus_node.config import NodeConfig
from walrus_node.errors import ConfigError, WalrusNodeError
from walrus_node.key_files import NodeKeys
from walrus_sui.program import VersionOption
from walrus_sui.telemetry import names, setup

_UNEXPECTED: Final = 1

_log = logging.getLogger(__name__)

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A Walrus storage node."
)


app.add_typer(db.app, name="db")


@app.callback()
def _program(*, _version: VersionOption = False) -> None:
    """A Walrus storage node."""


@app.command()
def run(
    *,
    config: Annotated[Path, typer.Option(help="Configuration file (YAML).")],
    slow_disk: Annotated[
        Path | None, typer.Option(help="For tests: a file with the milliseconds that each write takes longer.")
    ] = None,
    enable_faults: Annotated[
        Path | None, typer.Option(help="For tests: a file that says how the node's answers are to deviate.")
    ] = None,
) -> None:
    """Run a storage node until SIGTERM."""
    try:
        loaded = configs.load(config)
        keys = key_files.load_keys(loaded.keys)
    except ConfigError as error:
        typer.echo(f"walrus-node: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    telemetry = setup(
        names.SERVICE_NODE,
        log_format=loaded.telemetry.log_format,
        log_level=loaded.telemetry.log_level,
        otlp_endpoint=loaded.telemetry.otlp_endpoint,
        attributes={names.ATTR_NODE_NAME: loaded.name},
    )
    try:
        code = asyncio.run(_serve(loaded, keys, slow_disk=slow_disk, faults=enable_faults))
    finally:
        telemetry.shutdown()
    raise typer.Exit(code)


async def _serve(config: NodeConfig, keys: NodeKeys, *, slow_disk: Path | None, faults: Path | None) -> int:
    from walrus_node.node import Knobs, Node  # noqa: PLC0415 - heavy imports come after the configuration is known to be right

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        node = await Node.open(config, keys, knobs=Knobs(slow_disk, faults))
        await node.run(stop)
    except WalrusNodeError as error:
        _log.error("the node ends: %s", error, extra={"exit_code": error.exit_code})
        return error.exit_code
    except Exception:
        _log.exception("the node ends because of an unexpected error")
        return _UNEXPECTED
    return 0


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
