"""The exact bytes that challenge messages sign: header, then body, as the official messages have them.

    0xC1 seed        chain id 32, challenger 32, prover 32, blobs u64, root 32, attempt u8
    0xC2 close       challenger 32, prover 32, attempt u8, chain of answers 32
    0xC3 report      see `reports`
    0xC4 recovering  node 32: "in this epoch I recover slivers"
    0xC5 reply       challenger 32, prover 32, attempt u8, kind u8, and
                       0 ready    blobs u64, root 32
                       1 refuse   reason u8
                       2 missing  sample u32

All are for the epoch in the header and are checked with the signer's key of that epoch's committee. The signature of a
seed is the seed: BLS signatures are unique, so the challenger cannot choose it and nobody else can foresee it
(`challenges-spec.md` 3 to 6; replies have an intent of their own, so that none passes for another message).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from walrus_codec import bcs
from walrus_codec.types import Epoch, NodeId
from walrus_sui import messages

INTENT_SEED = 0xC1
INTENT_CLOSE = 0xC2
INTENT_REPORT = 0xC3
INTENT_RECOVERING = 0xC4
INTENT_REPLY = 0xC5


class Refusal(IntEnum):
    """Why a prover does not answer."""

    LAGGING = 1
    RECOVERING = 2
    BUSY = 3
    WRONG_EPOCH = 4
    OUT_OF_WINDOW = 5
    NOT_MEMBER = 6
    ATTEMPT_USED = 7


@dataclass(frozen=True)
class Pair:
    """Who asks whom, in which epoch, at which attempt.

    Attributes:
        epoch: the epoch whose committee both belong to.
        challenger: V.
        prover: P.
        attempt: a, from 0.
    """

    epoch: Epoch
    challenger: NodeId
    prover: NodeId
    attempt: int

    def to_bytes(self) -> bytes:
        """Challenger, prover and attempt: 65 bytes."""
        return node_bytes(self.challenger) + node_bytes(self.prover) + bcs.u8(self.attempt)


def node_bytes(node: NodeId) -> bytes:
    """The 32 bytes of a node id."""
    return bytes.fromhex(node[2:])


def seed(pair: Pair, *, chain_id: bytes, blobs: int, root: bytes) -> bytes:
    """What the challenger signs to get the seed of an attempt.

    Args:
        pair: who asks whom.
        chain_id: digest of the chain's genesis checkpoint, 32 bytes.
        blobs: how many blobs B_e has.
        root: its Merkle root.
    """
    parties = node_bytes(pair.challenger) + node_bytes(pair.prover)
    body = chain_id + parties + bcs.u64(blobs) + root + bcs.u8(pair.attempt)
    return messages.header(INTENT_SEED, pair.epoch) + body


def close(pair: Pair, chain: bytes) -> bytes:
    """What the prover signs after its last answer; `chain` is `samples.AnswerChain.value`."""
    return messages.header(INTENT_CLOSE, pair.epoch) + pair.to_bytes() + chain


def ready(pair: Pair, *, blobs: int, root: bytes) -> bytes:
    """What the prover signs when it is ready to be asked."""
    return _reply(pair, 0, bcs.u64(blobs) + root)


def refuse(pair: Pair, reason: Refusal) -> bytes:
    """What the prover signs when it does not answer now."""
    return _reply(pair, 1, bcs.u8(reason))


def missing(pair: Pair, sample: int) -> bytes:
    """What the prover signs when it does not hold what a sample asks for."""
    return _reply(pair, 2, bcs.u32(sample))


def recovering(node: NodeId, epoch: Epoch) -> bytes:
    """What a node signs when it must recover slivers during the window of an epoch."""
    return messages.header(INTENT_RECOVERING, epoch) + node_bytes(node)


def _reply(pair: Pair, kind: int, rest: bytes) -> bytes:
    return messages.header(INTENT_REPLY, pair.epoch) + pair.to_bytes() + bcs.u8(kind) + rest
