"""The program ``walrus-devnet``: runs a devnet, copies its chain, audits it.

Each command tells its exit codes in its help text; they are part of its interface.
"""

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
import yaml

from walrus_sui.devnet import node
from walrus_sui.devnet.config import ConfigError, DevnetConfig, load
from walrus_sui.devnet.ledger.records import GenesisError
from walrus_sui.devnet.server.grpc_server import PortError
from walrus_sui.devnet.storage import archive, audit, genesis_text
from walrus_sui.devnet.storage.schema import DATABASE, StoreError
from walrus_sui.devnet.writing import EngineStopped
from walrus_sui.program import VersionOption
from walrus_sui.telemetry import names, setup

EXIT_CONFIG: Final = 2
EXIT_DATA: Final = 3
EXIT_PORT: Final = 4
EXIT_DISK: Final = 5
EXIT_FINDINGS: Final = 6

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An embedded Sui chain with Walrus.",
)
_DEFAULTS: Final = node.Listen()


@app.callback()
def _program(*, _version: VersionOption = False) -> None:
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
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="/metrics alone, beside the faucet's port; 0: any.")
    ] = _DEFAULTS.metrics_port,
) -> None:
    """Run a devnet until SIGTERM. The ports in use stand in endpoints.json in the data directory.

    Exit codes: 0 stopped in good order, 1 an unexpected error, 2 wrong usage or configuration, 3 the data directory
    cannot be used, 4 a port cannot be listened on, 5 the disk failed while running.
    """
    listen = node.Listen(listen_host, rpc_port, tls_port, faucet_port, advertise_host, metrics_port)
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


_DataOption = Annotated[Path, typer.Option(help="Data directory.")]


@app.command()
def export(
    target: Annotated[Path, typer.Argument(help="File to write, or a directory to put one into.")],
    *,
    data: _DataOption,
    history: Annotated[bool, typer.Option(help="Take old checkpoints and transactions along.")] = True,
) -> None:
    """Copy a chain into one file. Its devnet may run meanwhile; the copy is of one moment.

    Exit codes: 0 done, 2 wrong usage, 3 the data directory cannot be read or the file cannot be written.
    """
    with _storage_errors(data):
        written = archive.export(data, target, history=history)
    typer.echo(f"{written}: {written.stat().st_size} bytes")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What `export` wrote.")],
    *,
    data: Annotated[Path, typer.Option(help="Data directory to make; it must have no ledger.")],
    config: Annotated[Path | None, typer.Option(help="Write the configuration that `run` needs for it here.")] = None,
    check: Annotated[bool, typer.Option(help="Verify the file first.")] = True,
) -> None:
    """Make a data directory from an export: the same chain id, objects and digests.

    Exit codes: 0 done, 2 wrong usage, 3 the file or the directory cannot be used, 6 the file is damaged.
    """
    with _storage_errors(file):
        if check:
            _tell(audit.audit(file))
        genesis = archive.bring_in(file, data)
        if config is not None:
            config.write_text(yaml.safe_dump(genesis_text.to_mapping(genesis), sort_keys=False), encoding="utf-8")
    typer.echo(f"{data}: ready for `walrus-devnet run` with the genesis of its chain")


@app.command()
def verify(
    *,
    data: _DataOption,
    replay: Annotated[bool, typer.Option("--replay", help="Run everything since genesis again.")] = False,
) -> None:
    """Audit a chain: digests, signatures, object versions, the live objects, the money, the journal.

    The devnet may run meanwhile. Each thing that is wrong is a sentence on standard error.

    Exit codes: 0 all is well, 2 wrong usage, 3 the data directory cannot be read, 6 something is wrong.
    """
    with _storage_errors(data):
        _tell(audit.audit(data / DATABASE, replay=replay))


def _tell(report: audit.Report) -> None:
    """Prints what an audit saw; ends the program if it found something."""
    for finding in report.findings:
        typer.echo(f"walrus-devnet: {finding}", err=True)
    if len(report.findings) >= audit.MAX_FINDINGS:
        typer.echo("walrus-devnet: there may be more; the audit ended here", err=True)
    summary = (
        f"chain {report.chain_id}: checkpoints {report.first} to {report.head}, {report.transactions} transactions, "
        f"{report.objects} live objects"
    )
    typer.echo(f"{summary}: {len(report.findings) or 'nothing'} wrong")
    if report.findings:
        raise typer.Exit(EXIT_FINDINGS)


@contextlib.contextmanager
def _storage_errors(where: Path) -> Iterator[None]:
    try:
        yield
    except (StoreError, OSError, sqlite3.DatabaseError) as error:
        _fail(EXIT_DATA, f"{where}: {error}")


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
