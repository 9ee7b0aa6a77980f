"""`walrusctl blob store|read|status|id`."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from walrus_client.cli import files, storing
from walrus_client.cli.gateway_api import GatewayApi
from walrus_client.cli.output import (
    EXIT_CODES,
    EXIT_USAGE,
    CommandError,
    Output,
    errors_explained,
    fail,
    note,
    second_interrupt_ends,
    show,
)
from walrus_client.cli.progress import bar

GatewayResolver = Callable[[], AbstractContextManager[str]]
"""Gives the URL of the gateway for as long as a command needs it (a port-forward ends with the block)."""

FROST_PER_WAL = 1_000_000_000

_OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the result.")]
_BlobIdArgument = Annotated[str, typer.Argument(metavar="BLOB_ID", help="43 characters of URL-safe base64.")]
_FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A file or pipe; - is standard input.")]

_DASHED_ID = re.compile(r"-[A-Za-z0-9_-]{42}")


class _BlobIdCommand(TyperCommand):
    """A command that takes a blob id, one in sixty-four of which begins with a dash and looks like an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        dashed = [argument for argument in args if _DASHED_ID.fullmatch(argument)]
        if dashed:
            args = [*(argument for argument in args if argument not in dashed), "--", *dashed]
        return super().parse_args(ctx, args)


def commands(gateway: GatewayResolver) -> typer.Typer:
    """The `blob` group.

    Args:
        gateway: Where the gateway is; asked only by commands that need one.
    """
    app = typer.Typer(no_args_is_help=True, help="Store and read blobs.", epilog=EXIT_CODES)

    @app.command()
    def store(
        context: typer.Context,
        paths: Annotated[
            list[Path],
            typer.Argument(metavar="FILE...", help="Files or pipes; - is standard input.", show_default=False),
        ],
        *,
        epochs: Annotated[int, typer.Option(min=1, help="For how many epochs, the current one included.")] = 1,
        permanent: Annotated[bool, typer.Option("--permanent", help="Nobody can delete it before its end.")] = False,
        force: Annotated[bool, typer.Option("--force", help="Store it even when it is there already.")] = False,
        send_to: Annotated[str | None, typer.Option(help="Sui address that gets the Blob object.")] = None,
        encoding: Annotated[str | None, typer.Option(help="rs2 or isal; the network's by default.")] = None,
        output: _OutputOption = Output.TEXT,
    ) -> None:
        """Store a file; prints its blob id. With -o json the gateway's answer as it is.

        Several files are stored together, registered and certified in few transactions; one that fails stops no other, and
        the same command again stores what is missing. With -o json a list with the answer or the error of each. Ctrl-C says
        what was reached; the same command again goes on from there, and nothing is paid for twice.
        """
        # What an interrupted command has left behind, certified even, is not paid for twice.
        parameters = {"epochs": str(epochs), "reuse_resources": "true"}
        if permanent:
            parameters["permanent"] = "true"
        if force:
            parameters["force"] = "true"
        if send_to is not None:
            parameters["send_object_to"] = send_to
        if encoding is not None:
            parameters["encoding_type"] = encoding
        if len(paths) > 1:
            _store_several(gateway, paths, parameters, output)
            return
        reached = storing.Reached()
        with (
            second_interrupt_ends(),
            errors_explained(reached.message),
            files.source(paths[0]) as source,
            gateway() as url,
            bar(f"storing {source.name}", source.size) as progress,
        ):

            def sent() -> None:
                reached.sent()
                progress.waiting("encoding, uploading")

            answer = GatewayApi(url).store(source.chunks(progress.advance, sent), source.size, parameters)
        show(answer, _store_text(answer, source.name, _program(context)), output)

    @app.command(cls=_BlobIdCommand)
    def read(
        blob_id: _BlobIdArgument,
        *,
        out: Annotated[Path | None, typer.Option("--out", help="File to write; - or none is standard output.")] = None,
        strict: Annotated[
            bool, typer.Option("--strict", help="Fail (code 1) when its writer did not encode it rightly; slower.")
        ] = False,
    ) -> None:
        """Read a blob into a file; the file appears only when the blob is complete."""
        if out is None or out == files.DASH:
            if sys.stdout.isatty():
                fail("a blob is not for a terminal; give --out FILE, or redirect the output", EXIT_USAGE)
            with second_interrupt_ends(), errors_explained(), gateway() as url, files.standard_output() as write:
                GatewayApi(url).read(blob_id, write, started=lambda _size: None, strict=strict)
            return
        with (
            second_interrupt_ends(),
            errors_explained(),
            files.target(out) as write,
            gateway() as url,
            bar(f"reading {blob_id}", None) as progress,
        ):

            def sink(chunk: bytes) -> None:
                write(chunk)
                progress.advance(len(chunk))

            size = GatewayApi(url).read(blob_id, sink, started=progress.total, strict=strict)
        note(f"{size} bytes written to {out}")

    @app.command(cls=_BlobIdCommand)
    def status(blob_id: _BlobIdArgument, *, output: _OutputOption = Output.TEXT) -> None:
        """Tell what the storage nodes know of a blob; a blob that does not exist is no error."""
        with errors_explained(), gateway() as url:
            found = GatewayApi(url).status(blob_id)
        show(found, _status_text(found), output)

    @app.command("id")
    def id_(
        file: _FileArgument,
        *,
        n_shards: Annotated[int, typer.Option(help="Shards of the network.")],
        encoding: Annotated[str, typer.Option(help="rs2 or isal.")],
        output: _OutputOption = Output.TEXT,
    ) -> None:
        """Compute a file's blob id without any network."""
        from walrus_codec import blob_id as blob_ids  # noqa: PLC0415 - numpy and the codes: only here
        from walrus_codec import redstuff  # noqa: PLC0415
        from walrus_codec.errors import CodecError  # noqa: PLC0415
        from walrus_codec.params import CodeParams  # noqa: PLC0415
        from walrus_codec.types import EncodingType  # noqa: PLC0415

        try:
            params = CodeParams(n_shards, EncodingType.parse(encoding))
            with errors_explained(), files.source(file) as source:
                encoded = redstuff.encode(source.read(), params)
        except CodecError as error:
            fail(str(error), EXIT_USAGE)
        text = blob_ids.to_text(encoded.blob_id)
        document = {
            "blobId": text,
            "encodingType": params.encoding.label,
            "nShards": n_shards,
            "unencodedLength": encoded.metadata.unencoded_length,
            "encodedLength": params.encoded_length(encoded.metadata.unencoded_length),
        }
        show(document, text, output)

    return app


def _store_several(gateway: GatewayResolver, paths: list[Path], parameters: dict[str, str], output: Output) -> None:
    """Stores files together; ends the program with a code other than 0 unless all are stored."""
    names = {str(path) for path in paths}
    reached = storing.Reached(len(paths))
    with second_interrupt_ends(), errors_explained(reached.message):
        if len(names) < len(paths):
            raise CommandError("a file is named twice; name each once", EXIT_USAGE)
        if files.DASH in paths:
            raise CommandError("standard input cannot be stored together with files; store it alone", EXIT_USAGE)
        total = sum(path.stat().st_size for path in paths if path.is_file())
        with gateway() as url, bar(f"storing {len(paths)} files", total) as progress:
            outcomes = storing.store_all(GatewayApi(url), paths, parameters, advance=progress.advance, reached=reached)
    lines = [f"{_blob_id_of(outcome.answer)}  {outcome.file}" for outcome in outcomes if outcome.answer is not None]
    show([outcome.document() for outcome in outcomes], "\n".join(lines), output)
    failed = [outcome for outcome in outcomes if outcome.answer is None]
    for outcome in failed:
        note(f"not stored: {outcome.file}: {outcome.error}")
    if failed:
        message = (
            f"{len(failed)} of {len(outcomes)} files were not stored; the same command again stores what is missing"
        )
        fail(message, storing.exit_code_of(outcomes))


def _blob_id_of(answer: Mapping[str, Any]) -> str:
    found = answer["alreadyCertified"] if "alreadyCertified" in answer else answer["newlyCreated"]["blobObject"]
    return str(found["blobId"])


def _program(context: typer.Context) -> str:
    """The program with the options that its caller gave before the command, so that the next command meets the same network."""
    root = context.find_root()
    words = ["walrusctl"]
    for parameter in root.command.params:
        source = root.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            words += [parameter.opts[0], str(root.params[parameter.name or ""])]
    return shlex.join(words)


def _store_text(answer: dict[str, Any], file: str, program: str) -> str:
    if "alreadyCertified" in answer:
        found = answer["alreadyCertified"]
        return f"{found['blobId']}\nalready stored until epoch {found['endEpoch']} (--force stores it again)"
    created = answer["newlyCreated"]
    blob = created["blobObject"]
    kind = "deletable" if blob["deletable"] else "permanent"
    lines = [
        blob["blobId"],
        f"{file}: {blob['size']} bytes, {kind}, {blob['encodingType']}, until epoch {blob['storage']['endEpoch']}",
        f"object {blob['id']}",
        f"cost {created['cost'] / FROST_PER_WAL:.9f} WAL",
        f"read it: {program} blob read {blob['blobId']} --out FILE",
    ]
    return "\n".join(lines)


def _status_text(status: Any) -> str:
    if status == "nonexistent":
        return "nonexistent"
    ((kind, facts),) = status.items()
    if kind == "invalid":
        return f"invalid (event {facts['event']['txDigest']})"
    counts = facts["deletableCounts"]
    since = facts["initialCertifiedEpoch"]
    certified = "not certified" if since is None else f"certified since epoch {since}"
    objects = f"{counts['count_deletable_certified']} of {counts['count_deletable_total']} deletable objects certified"
    if kind == "permanent":
        return f"permanent until epoch {facts['endEpoch']}, {certified}; {objects}"
    return f"deletable, {certified}; {objects}"
