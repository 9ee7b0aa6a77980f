"""The program `walrus-gateway`.

Exit codes of `run`: 0 stopped by SIGTERM or SIGINT, 1 an unexpected error, 2 wrong usage, configuration or key,
4 a port cannot be listened on.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from walrus_client.errors import ConfigError, PortError
from walrus_client.gateway.config import GatewayConfig, load
from walrus_client.gateway.server import serve
from walrus_sui.errors import KeyFileError
from walrus_sui.keys import SuiKey
from walrus_sui.program import VersionOption
from walrus_sui.telemetry import names, setup

EXIT_CONFIG = 2
EXIT_PORT = 4

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _program(*, _version: VersionOption = False) -> None:
    """HTTP publisher and aggregator of a Walrus network."""


@app.command()
def run(config: Annotated[Path, typer.Option(help="Configuration file (YAML).")]) -> None:
    """Serve until SIGTERM."""
    try:
        settings = load(config)
        key = SuiKey.load(settings.key_file)
    except (ConfigError, KeyFileError) as error:
        _fail(EXIT_CONFIG, str(error))
    telemetry = setup(
        names.SERVICE_GATEWAY,
        log_format=settings.telemetry.log_format,
        log_level=settings.telemetry.log_level,
        otlp_endpoint=settings.telemetry.otlp_endpoint,
    )
    try:
        asyncio.run(_until_signal(settings, key))
    except PortError as error:
        _fail(EXIT_PORT, str(error))
    finally:
        telemetry.shutdown()


async def _until_signal(config: GatewayConfig, key: SuiKey) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(config, key, stop)


def _fail(code: int, message: str) -> NoReturn:
    typer.echo(f"walrus-gateway: {message}", err=True)
    raise typer.Exit(code)


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
