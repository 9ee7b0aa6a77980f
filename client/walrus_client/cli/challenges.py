"""`walrusctl challenges`: what nodes found of each other in an epoch; and `replay`, which judges evidence without a network."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from walrus_client.challenges.evidence import MAX_FILE, Evidence, EvidenceError
from walrus_client.challenges.reports import Reports
from walrus_client.challenges.results import Results, ResultsError, merged
from walrus_client.cli import challenge_matrix
from walrus_client.cli.challenge_matrix import Party
from walrus_client.cli.output import (
    EXIT_CODES,
    EXIT_FAILED,
    EXIT_NOT_FOUND,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    CommandError,
    Output,
    fail,
    show,
)
from walrus_codec import blob_id as blob_ids
from walrus_codec.types import Epoch
from walrus_sui import bls

_TIMEOUT_S = 20.0
_MAX_ANSWER = 1 << 28
"""A thousand members have a million reports of 260 bytes."""


@dataclass(frozen=True)
class Found:
    """What some nodes say of an epoch, and who they are.

    Attributes:
        epoch: the epoch.
        parties: its committee.
        answers: of the nodes that were asked.
        outcome: `status.challenges` of its StorageEpoch.
    """

    epoch: Epoch
    parties: Sequence[Party]
    answers: Sequence[Results]
    outcome: Mapping[str, Any] | None


ChallengeSource = Callable[[int | None], Found]
"""Finds an epoch, or the newest with verdicts; ends the program with a sentence when it cannot."""


def commands(source: ChallengeSource | None = None) -> typer.Typer:
    """The `challenges` group; `source` knows a network whose nodes need not be named."""
    app = typer.Typer(invoke_without_command=True, epilog=EXIT_CODES)

    @app.callback()
    def matrix(
        context: typer.Context,
        *,
        epoch: Annotated[
            int | None, typer.Option("--epoch", min=0, max=(1 << 32) - 1, help="The newest with verdicts by default.")
        ] = None,
        node: Annotated[
            list[str] | None,
            typer.Option(
                "--node", help="URL of a node's HTTP port, again for each node; no Kubernetes is needed then."
            ),
        ] = None,
        output: Annotated[Output, typer.Option("--output", "-o", help="Form of the result.")] = Output.TEXT,
    ) -> None:
        """Availability challenges: who found what of whom in an epoch, and why.

        All reports are asked of a few nodes, and their signatures checked with the members' keys. With --node each node is
        asked for its own reports, and believed.
        """
        if context.invoked_subcommand is not None:
            return
        if node:
            found = _of_nodes(node, epoch)
            reports, checked = _believed(found), False
        elif source is not None:
            found = source(epoch)
            keys = {party.node_id: party.key for party in found.parties if party.key is not None}
            reports, checked = merged(found.epoch, found.answers, keys, bls.verify), True
        else:
            fail("name the nodes: --node http://HOST:9184, again for each one", EXIT_USAGE)
        page = challenge_matrix.document(found.epoch, found.parties, reports, checked=checked, outcome=found.outcome)
        show(page, challenge_matrix.render(page), output)

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


def ask(url: str, epoch: int, *, own: bool) -> Results:
    """What a node says of an epoch.

    Args:
        url: of its HTTP port.
        epoch: of which epoch.
        own: only what it says in its own name.

    Raises:
        CommandError: no answer, or none that can be read.
    """
    query = "?own" if own else ""
    return Results.from_json(_get(f"{url.rstrip('/')}/v1/challenges/{epoch}{query}"))


def _get(url: str) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise CommandError(f"{url!r} is no URL; give one such as http://127.0.0.1:9184", EXIT_USAGE)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - the scheme was looked at
            text: bytes = response.read(_MAX_ANSWER + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise CommandError(f"{url} answers {error.code} {error.reason}", EXIT_UNAVAILABLE) from error
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(f"no answer from {url}: {error}", EXIT_UNAVAILABLE) from error
    if len(text) > _MAX_ANSWER:
        raise CommandError(f"the answer of {url} is longer than any can be", EXIT_FAILED)
    return text


def _of_nodes(urls: Sequence[str], epoch: int | None) -> Found:
    """The nodes that were named; the newest epoch of which the first of them knows verdicts."""
    try:
        if epoch is None:
            told = json.loads(_get(f"{urls[0].rstrip('/')}/v1/info"))
            now = int(told["epoch"])
            epoch = now if ask(urls[0], now, own=True).reports else max(0, now - 1)
        answers = [ask(url, epoch, own=True) for url in urls]
    except CommandError as error:
        fail(str(error), error.code)
    except (ResultsError, ValueError, KeyError, TypeError) as error:
        fail(f"{urls[0]} does not answer like a storage node: {error}", EXIT_FAILED)
    ids = {answer.node for answer in answers} | {report.prover for answer in answers for report in answer.own()}
    return Found(Epoch(epoch), [Party(node, node) for node in sorted(ids)], answers, None)


def _believed(found: Found) -> Reports:
    reports = Reports(found.epoch)
    for answer in found.answers:
        for report in answer.own():
            if report.epoch == found.epoch:
                reports.add(report)
    return reports


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
