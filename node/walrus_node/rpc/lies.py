"""What a lying node says: answers of the right form with other content. Pure; for tests only (`faults`).

A lie is made from the honest answer and a seed, so that it is the same whenever the same one asks the same, and so that
different seeds make different lies of the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from walrus_proto.node.v1 import node_pb2 as pb

Sign = Callable[[bytes], bytes]
"""Makes the node's own good signature over a message."""

_FAR: Final = 1000
"""How far numbers are off."""


def spoiled(answer: Any, seed: int) -> Any:
    """The same answer with other bytes: what it carries does not fit what was committed to or asked for."""
    match answer:
        case pb.GetSliversResponse() if answer.data:
            answer.data = _flipped(answer.data, seed)
        case pb.GetMetadataResponse():
            answer.metadata = _flipped(answer.metadata, seed)
        case pb.GetRecoverySymbolsResponse() if answer.HasField("symbols"):
            symbols = [_flipped(symbol, seed) for symbol in answer.symbols.symbols]
            answer.symbols.CopyFrom(pb.RecoverySymbols(symbols=symbols))
        case pb.SyncShardResponse():
            answer.rest = _flipped(answer.rest, seed)
            for sliver in answer.slivers:
                sliver.data = _flipped(sliver.data, seed)
        case pb.GetBlobStatusResponse():
            answer.CopyFrom(_status(answer, seed))
        case pb.GetInfoResponse():
            answer.node_id = _flipped(answer.node_id, seed)
            answer.epoch += _FAR + seed % _FAR
            answer.event_cursor += _FAR
            del answer.shards[:]
        case pb.ChallengeResponse() if answer.HasField("answer"):
            answer.answer.data = _flipped(answer.answer.data, seed)
        case pb.ChallengeResponse() if (part := answer.WhichOneof("part")) is not None:
            told = getattr(answer, part)
            told.signature = _flipped(told.signature, seed)
        case pb.ListRecordsResponse():
            for record in answer.records:
                record.value = _flipped(record.value, seed)
        case pb.ListChallengeReportsResponse():
            for report in answer.reports:
                report.signature = _flipped(report.signature, seed)
        case pb.StoreMetadataResponse() | pb.StoreSliverResponse():
            answer.already_stored = not answer.already_stored
        case _:
            for signed in _signed(answer):
                signed.signature = _flipped(signed.signature, seed)
    return answer


def forged(answer: Any, seed: int, sign: Sign) -> Any:
    """The same answer about something else, under the node's own good signature; unsigned ones are spoiled."""
    found = _signed(answer)
    for signed in found:
        signed.message = _flipped(signed.message, seed)
        signed.signature = sign(signed.message)
    return answer if found else spoiled(answer, seed)


def _signed(answer: Any) -> list[pb.SignedMessage]:
    match answer:
        case pb.StoreBlobResponse() | pb.GetConfirmationResponse() if answer.HasField("confirmation"):
            return [answer.confirmation]
        case pb.SubmitInconsistencyProofResponse():
            return [answer.invalid_blob]
    return []


def _status(honest: pb.GetBlobStatusResponse, seed: int) -> pb.GetBlobStatusResponse:
    """Dead, unknown, or kept for ever, each with an event that the chain does not have."""
    event = pb.EventId(tx_digest="1" * 31 + "123456789ABCDEFGH"[seed % 17], event_seq=seed % 5)
    lies = (
        pb.GetBlobStatusResponse(invalid=pb.InvalidStatus(event=event)),
        pb.GetBlobStatusResponse(nonexistent=pb.NonexistentStatus()),
        pb.GetBlobStatusResponse(
            permanent=pb.PermanentStatus(
                end_epoch=_FAR, is_certified=True, status_event=event, initial_certified_epoch=_FAR - 1
            )
        ),
    )
    chosen = lies[seed % 3]
    return chosen if chosen != honest else lies[0]


def _flipped(data: bytes, seed: int) -> bytes:
    """The same bytes but for one bit."""
    if not data:
        return data
    at = len(data) - 1 - seed % len(data)
    return data[:at] + bytes([data[at] ^ (1 << seed % 8)]) + data[at + 1 :]
