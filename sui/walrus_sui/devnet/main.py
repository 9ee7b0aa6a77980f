"""The program ``walrus-devnet``.

``run`` tells its exit codes in its help text; they are part of its interface.
"""

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from walrus_sui.devnet import node
from walrus_sui.devnet.config import ConfigError, DevnetConfig, load
from walrus_sui.devnet.engine import EngineStopped
from walrus_sui.devnet.ledger.records import GenesisError
from walrus_sui.devnet.server.grpc_server import PortError
from walrus_sui.devnet.storage.schema import StoreError
from walrus_sui.telemetry import names, setup

EXIT_CONFIG: Final = 2
EXIT_DATA: Final = 3
EXIT_PORT: Final = 4
EXIT_DISK: Final = 5

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An embedded Sui chain with Walrus.",
)
_DEFAULTS: Final = node.Listen()


@app.callback()
def _program() -> None:
    """An embedded Sui chain with the Walrus, WAL and exchange contracts."""


@app.command()
def run(
    *,
    config: Annotated[Path, typer.Option(help="Configuration file (YAML).")],
    data: Annotated[Path, typer.Option(help="Data directory; made when absent.")],
    listen_host: Annotated[str, typer.Option(help="Address to listen on.")] = _DEFAULTS.host,
    advertise_host: Annotated[
        str | None, typer.Option(help="Host name in /v1/network-config; by default the one the asker used.")
    ] = None,
    rpc_port: Annotated[int, typer.Option(min=0, max=65535, help="Plaintext gRPC; 0: any.")] = _DEFAULTS.rpc_port,
    tls_port: Annotated[int, typer.Option(min=0, max=65535, help="gRPC over TLS; 0: any.")] = _DEFAULTS.tls_port,
    faucet_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Faucet and configuration; 0: any.")
    ] = _DEFAULTS.faucet_port,
) -> None:
    """Run a devnet until SIGTERM. The ports in use stand in endpoints.json in the data directory.

    Exit codes: 0 stopped in good order, 1 an unexpected error, 2 wrong usage or configuration, 3 the data directory
    cannot be used, 4 a port cannot be listened on, 5 the disk failed while running.
    """
    listen = node.Listen(listen_host, rpc_port, tls_port, faucet_port, advertise_host)
    try:
        loaded = load(config)
    except ConfigError as error:
        _fail(EXIT_CONFIG, str(error))
    settings = loaded.run.telemetry
    telemetry = setup(
        names.SERVICE_DEVNET,
        log_format=settings.log_format,
        log_level=settings.log_level,
        otlp_endpoint=settings.otlp_endpoint,
    )
    try:
        asyncio.run(_until_signal(loaded, data, listen))
    except (GenesisError, ConfigError) as error:
        _fail(EXIT_CONFIG, f"{config}: {error}")
    except (StoreError, OSError) as error:
        _fail(EXIT_DATA, f"{data}: {error}")
    except PortError as error:
        _fail(EXIT_PORT, str(error))
    except EngineStopped as error:
        _fail(EXIT_DISK, str(error))
    finally:
        telemetry.shutdown()


async def _until_signal(config: DevnetConfig, data: Path, listen: node.Listen) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await node.run(config, data, listen, stop=stop)


def _fail(code: int, message: str) -> NoReturn:
    typer.echo(f"walrus-devnet: {message}", err=True)
    raise typer.Exit(code)


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
