"""`walrus-node db`: looks into the folder of a stopped node, and takes rotten things out of it.

DATA_DIR is `data_dir` of the node's configuration. All but `repair` open the database for reading only, and while they
read no node can start on it; a running node's folder is refused.

Exit codes: 0 all is well (`repair`: nothing rotten is left), 1 an unexpected error, 2 wrong usage or there is no database,
3 the database cannot be opened or is in use, 6 something stored is rotten or unreadable, 7 nothing is rotten, but certified
blobs lack something, which the node will recover at its next start.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from walrus_client.compute import Compute
from walrus_codec import blob_id as blob_ids
from walrus_codec.errors import CodecError
from walrus_node.errors import ConfigError, WalrusNodeError
from walrus_node.scrub import offline
from walrus_node.scrub.offline import Verdict
from walrus_node.scrub.rules import Fault, Kind
from walrus_node.scrub.scrubber import remove
from walrus_node.store.rocks import RocksStore
from walrus_node.store.storage import Storage

EXIT_ROTTEN: Final = 6
EXIT_LACKING: Final = 7
_DATABASE = "db"

app = typer.Typer(no_args_is_help=True, help="Look into a stopped node's folder: check, repair, stats, export.")

DataDir = Annotated[Path, typer.Argument(help="The node's data_dir; it holds the folder db.")]


@app.command()
def check(data_dir: DataDir) -> None:
    """Verify every sliver against its metadata, these against their blob ids, and certified blobs for gaps.

    Exit codes: 0 all is well, 6 something is rotten, 7 certified blobs lack something.
    """
    raise typer.Exit(_run(data_dir, _check, read_only=True))


@app.command()
def repair(data_dir: DataDir) -> None:
    """Count what is stored anew, and take rotten metadata and slivers out: the node recovers them at its next start.

    Exit codes: 0 nothing rotten is left, 6 something rotten could not be taken out.
    """
    raise typer.Exit(_run(data_dir, _repair, read_only=False))


@app.command()
def stats(
    data_dir: DataDir,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Count keys and bytes of every column family, and so of every shard."""
    kv = _open(data_dir, read_only=True)
    try:
        found = offline.stats(kv)
    except WalrusNodeError as error:
        _fail(error)
    finally:
        kv.close()
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in found]))
        return
    typer.echo(f"{'family':<20} {'status':<14} {'keys':>10} {'bytes':>16}")
    for entry in found:
        typer.echo(f"{entry.family:<20} {entry.status:<14} {entry.keys:>10} {entry.size:>16}")


@app.command()
def export(
    data_dir: DataDir,
    target: Annotated[Path, typer.Argument(help="Folder to write to.")],
    *,
    blob: Annotated[list[str] | None, typer.Option(help="Blob id; may be given several times. All without it.")] = None,
) -> None:
    """Write metadata and slivers to files in their BCS forms (docs/formats.md), as they are stored.

    Exit codes: 0 all was written, 6 something could not be read or is not stored.
    """
    try:
        chosen = [blob_ids.parse(text) for text in blob or []]
    except CodecError as error:
        _fail(ConfigError(str(error)))

    async def write(storage: Storage, _compute: Compute) -> int:
        files, problems = await offline.export(storage, target, chosen)
        for problem in problems:
            typer.echo(problem, err=True)
        typer.echo(f"{files} files written to {target}")
        return EXIT_ROTTEN if problems else 0

    raise typer.Exit(_run(data_dir, write, read_only=True))


async def _check(storage: Storage, compute: Compute) -> int:
    verdict = await _examine(storage, compute, lambda _fault: None)
    return EXIT_ROTTEN if verdict.rotten or verdict.records else EXIT_LACKING if verdict.lacking else 0


async def _repair(storage: Storage, compute: Compute) -> int:
    found: list[Fault] = []
    if recounted := await storage.recount():
        typer.echo(f"{recounted} counts of what is stored were wrong and are right now")
    verdict = await _examine(storage, compute, found.append)
    rotten = [fault for fault in found if fault.kind is Kind.ROTTEN]
    removed = sum([await remove(storage, fault) for fault in rotten])
    await storage.sync()
    typer.echo(f"{removed} of {len(rotten)} rotten things taken out; the node recovers them at its next start")
    if verdict.records:
        typer.echo("records cannot be repaired: wipe the folder, and the node recovers everything", err=True)
    return EXIT_ROTTEN if verdict.records or removed < len(rotten) else 0


async def _examine(storage: Storage, compute: Compute, note: Callable[[Fault], None]) -> Verdict:
    """Checks, and prints a line for each fault."""

    def fault(found: Fault) -> None:
        typer.echo(f"{found.kind.value}: blob {blob_ids.to_text(found.blob_id)} {found.place}: {found.why}")
        note(found)

    verdict = await offline.check(storage, compute, fault=fault, record=lambda why: typer.echo(f"record: {why}"))
    counts = verdict.counts
    typer.echo(
        f"{counts.blobs} blobs, {counts.slivers} slivers, {counts.size} bytes verified: "
        f"{verdict.rotten} rotten, {verdict.lacking} lacking, {verdict.records} records damaged"
    )
    return verdict


def _run(data_dir: Path, work: Callable[[Storage, Compute], Awaitable[int]], *, read_only: bool) -> int:
    async def with_storage() -> int:
        storage = await Storage.over(_open(data_dir, read_only=read_only))
        compute = Compute(inline_limit_s=float("inf"))
        try:
            return await work(storage, compute)
        finally:
            await compute.close()
            await storage.close()

    try:
        return asyncio.run(with_storage())
    except WalrusNodeError as error:
        _fail(error)


def _open(data_dir: Path, *, read_only: bool) -> RocksStore:
    folder = data_dir / _DATABASE
    try:
        if not (folder / "CURRENT").exists():
            raise ConfigError(f"there is no database in {folder}: name the node's data_dir")
        return RocksStore(folder, read_only=read_only)
    except WalrusNodeError as error:
        _fail(error)


def _fail(error: WalrusNodeError) -> NoReturn:
    typer.echo(f"walrus-node: {error}", err=True)
    raise typer.Exit(error.exit_code)
