"""What a storage node says about itself, from the fields of GetInfo to the record of the snapshot. Pure.

An answer is as trustworthy as the node: it is bounded in size and in every number, because part of it is written into
statuses, and one that the API server would refuse must not end the pass over all the others.
"""

from __future__ import annotations

from typing import Any

from walrus_client.challenges.results import Results
from walrus_operator.api.world import ChallengeInfo, Findings, NodeInfo

MAX_ANSWER = 1 << 20
"""Bytes that an answer may have."""
_MAX_TEXT = 128
_MAX_SENTENCE = 1024
_MAX_SHARD = 1 << 16
_MAX_COUNT = 1 << 63


def parse(answer: Any) -> NodeInfo:
    """The JSON form of GetInfo.

    Raises:
        ValueError: a field is missing, of another type or out of bounds.
    """
    try:
        node_id = _text(answer.get("node_id"))
        entries = answer.get("shards") or []
        shards = {_count(entry["shard"], below=_MAX_SHARD): _text(entry["status"]) for entry in entries}
        recovery, sync = answer.get("recovery") or {}, answer.get("sync") or {}
        storage = answer.get("storage") or {}
        return NodeInfo(
            node_id=node_id or None,
            epoch=_count(answer.get("epoch")),
            status=_text(answer["status"]),
            shards=shards,
            version=_text(answer.get("version")),
            slivers_stored=_count(answer.get("slivers_stored")),
            bytes_stored=_count(storage.get("bytes_stored")),
            capacity=_count(storage.get("capacity")),
            blobs_pending=_count(recovery.get("blobs_pending")),
            recovered=_share(recovery.get("fraction", 1.0)),
            shards_pending=_count(sync.get("shards_pending")),
            synced=_share(sync.get("fraction", 1.0)),
            challenges=_challenges(answer.get("challenges") or {}),
            chain_reachable=answer.get("chain_reachable", True) is True,
            chain_age=_count(answer.get("checkpoint_age_ms")) / 1000,
            storage=_text(storage.get("condition")) or "OK",
            storage_message=_text(storage.get("message"), longest=_MAX_SENTENCE),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not an answer of a storage node: {error!r}") from error


def findings(results: Results) -> Findings:
    """The answer without signatures: the node was asked itself, and says what it could sign."""
    own = results.own()
    return Findings(
        blobs=max((report.blobs for report in own), default=0),
        questions=max((report.samples for report in own), default=0),
        verdicts={report.prover: (report.verdict, report.reason) for report in own},
        votes=results.votes,
    )


def _challenges(found: Any) -> ChallengeInfo:
    return ChallengeInfo(
        mode=_text(found.get("mode")) or "Off",
        verdicts=sum(_count(found.get(verdict)) for verdict in ("passed", "failed", "excused", "none")),
        epoch=_count(found.get("epoch")),
        window_open=found.get("window_open") is True,
        running=_count(found.get("running")),
        answering=_count(found.get("answering")),
        pending=_count(found.get("pending")),
        votes=_count(found.get("votes")),
        executed=_count(found.get("executed")),
    )


def _text(value: Any, *, longest: int = _MAX_TEXT) -> str:
    text = str(value or "")
    if len(text) > longest or not text.isprintable():
        raise ValueError(f"not an answer of a storage node: a text of {len(text)} characters")
    return text


def _count(value: Any, *, below: int = _MAX_COUNT) -> int:
    """A number; protobuf's JSON writes large ones as texts."""
    number = int(value or 0)
    if not 0 <= number < below:
        raise ValueError("not an answer of a storage node: a number out of bounds")
    return number


def _share(value: Any) -> float:
    """A number from 0 to 1."""
    number = float(value)
    if not 0.0 <= number <= 1.0:
        raise ValueError("not an answer of a storage node: a share out of bounds")
    return number
