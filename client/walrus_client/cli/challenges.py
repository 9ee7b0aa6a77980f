"""`walrusctl challenges replay`: judges the evidence of a failed challenge, without any network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from walrus_client.challenges.evidence import MAX_FILE, Evidence, EvidenceError
from walrus_client.cli.output import EXIT_CODES, EXIT_FAILED, EXIT_NOT_FOUND, EXIT_USAGE, Output, fail, show
from walrus_codec import blob_id as blob_ids
from walrus_sui import bls


def commands() -> typer.Typer:
    """The `challenges` group."""
    app = typer.Typer(no_args_is_help=True, help="Look into availability challenges.", epilog=EXIT_CODES)

    @app.callback()
    def group() -> None:
        """Look into availability challenges."""

    @app.command()
    def replay(
        report: Annotated[
            Path, typer.Argument(help="What the challenger's node gave: GET /v1/challenges/EPOCH/PROVER.")
        ],
        *,
        output: Annotated[Output, typer.Option("--output", "-o", help="Form of the result.")] = Output.TEXT,
    ) -> None:
        """Judge the transcript of a challenge that failed, offline: who is right, and why.

        Exit codes: 0 the transcript convicts the challenged node, 1 it does not, 2 it is no such file.
        """
        evidence = _read(report)
        try:
            judged = evidence.judge(bls.verify)
        except EvidenceError as error:
            fail(str(error), EXIT_USAGE)
        pair, sample = evidence.transcript.pair, judged.sample
        document = {
            "epoch": pair.epoch,
            "challenger": pair.challenger,
            "prover": pair.prover,
            "challenger_key": evidence.challenger_key.hex(),
            "prover_key": evidence.prover_key.hex(),
            "finding": judged.finding.name,
            "why": judged.finding.value,
            "convicts": judged.proves_failure,
            "answers": judged.checked,
            "questions": evidence.transcript.questions.count,
            "question": None if sample is None else sample.index,
            "blob_id": None if sample is None else blob_ids.to_text(sample.blob_id),
            "shard": None if sample is None else sample.shard,
        }
        lines = [
            f"{judged.finding.name}: {judged.finding.value}",
            f"epoch {pair.epoch}, {judged.checked} of {evidence.transcript.questions.count} answers compared",
            f"challenger {pair.challenger} with key {evidence.challenger_key.hex()}",
            f"prover     {pair.prover} with key {evidence.prover_key.hex()}",
            "The keys are what the file says: compare them with those on chain.",
        ]
        if sample is not None:
            where = f"blob {document['blob_id']}, {sample.axis.value} sliver of shard {sample.shard}"
            lines.insert(1, f"question {sample.index}: {where}")
        show(document, "\n".join(lines), output)
        if not judged.proves_failure:
            raise typer.Exit(EXIT_FAILED)

    return app


def _read(path: Path) -> Evidence:
    try:
        if path.stat().st_size > MAX_FILE:
            fail(f"{path} is larger than any evidence, {MAX_FILE} bytes", EXIT_USAGE)
        return Evidence.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        fail(f"there is no file {path}", EXIT_NOT_FOUND)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path} cannot be read: {error}", EXIT_USAGE)
    except EvidenceError as error:
        fail(f"{path}: {error}", EXIT_USAGE)
