"""Stored forms of what this node does in challenges: an epoch's round, a prover's case, a vote (see `challenge_records`).

Each is a frozen record that knows its bytes; all of them begin with the version of their form (`forms`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.verdicts import Attempt, Case, Outcome
from walrus_codec import bcs
from walrus_codec.types import Epoch
from walrus_node.store.forms import decoded, versioned

_OUTCOMES = tuple(Outcome)
_NO_DETAIL: tuple[None, int, bytes] = (None, 0, bytes(32))


@dataclass(frozen=True)
class ChallengeRound:
    """What an epoch's challenges rest on, fixed at its start.

    Attributes:
        policy: the policy that held then; a later change of the configuration counts from the next epoch on.
        blobs: how many blobs are asked for.
        root: their Merkle root.
    """

    policy: Policy
    blobs: int
    root: bytes

    def to_bytes(self) -> bytes:
        """The stored form."""
        policy = self.policy
        texts = (policy.mode.value, policy.kept, policy.target)
        numbers = (policy.latency_ms, policy.bytes_per_s, policy.grace_ms, policy.keep_epochs, self.blobs)
        return versioned(b"".join((*map(bcs.string, texts), *map(bcs.u64, numbers), self.root)))

    @classmethod
    def from_bytes(cls, value: bytes) -> ChallengeRound:
        """Reads the stored form; raises `StoreError`."""

        def read(r: bcs.Reader) -> ChallengeRound:
            policy = Policy(Mode(r.string()), r.string(), r.string(), r.u64(), r.u64(), r.u64(), r.u64())
            return cls(policy, r.u64(), r.fixed(32))

        return decoded(value, "round of challenges", read)


@dataclass(frozen=True)
class CaseRecord:
    """One prover's attempts, and what the report is to say of the one that was made last.

    Attributes:
        case: begun and ended attempts.
        started_ms: chain time at which each begun attempt started, in order.
        details: for each ended attempt: first bad sample or None, answers that came, and the hash over them.
    """

    case: Case
    started_ms: tuple[int, ...] = ()
    details: tuple[tuple[int | None, int, bytes], ...] = ()

    def ended(self, outcome: Outcome, now_ms: int, detail: tuple[int | None, int, bytes] = _NO_DETAIL) -> CaseRecord:
        """The record once the attempt that was begun last has ended; without a detail nothing came of it."""
        return replace(self, case=self.case.record(outcome, now_ms), details=(*self.details, detail))

    def to_bytes(self) -> bytes:
        """The stored form."""
        attempts = b"".join(
            bcs.u8(attempt.number)
            + bcs.u8(_OUTCOMES.index(attempt.outcome))
            + bcs.u64(attempt.ended_ms)
            + bcs.option(bcs.u32, first)
            + bcs.u32(answered)
            + chain
            for attempt, (first, answered, chain) in zip(self.case.attempts, self.details, strict=True)
        )
        started = b"".join(map(bcs.u64, self.started_ms))
        return versioned(bcs.u8(self.case.begun) + started + bcs.u8(len(self.case.attempts)) + attempts)

    @classmethod
    def from_bytes(cls, value: bytes, epoch: Epoch) -> CaseRecord:
        """Reads the stored form; raises `StoreError`."""

        def read(r: bcs.Reader) -> CaseRecord:
            begun = r.u8()
            started = tuple(r.u64() for _ in range(begun))
            attempts, details = [], []
            for _ in range(r.u8()):
                attempts.append(Attempt(r.u8(), _OUTCOMES[r.u8()], r.u64()))
                details.append((r.option(bcs.Reader.u32), r.u32(), r.fixed(32)))
            return cls(Case(epoch, tuple(attempts), begun), started, tuple(details))

        return decoded(value, "case of a challenge", read)


@dataclass(frozen=True)
class VoteRecord:
    """What became of this node's vote against a candidate.

    Attributes:
        voted: it was cast; False when the mode only lets it say so.
        executed: how the slashing ended: empty while it is open.
        burned: FROST that the slashing has burned, whoever executed it; 0 when the chain does not tell.
    """

    voted: bool
    executed: str = ""
    burned: int = 0

    def to_bytes(self) -> bytes:
        """The stored form."""
        return versioned(bcs.boolean(self.voted) + bcs.string(self.executed) + bcs.u64(self.burned))

    @classmethod
    def from_bytes(cls, value: bytes) -> VoteRecord:
        """Reads the stored form; raises `StoreError`."""
        # Records of the first nodes that voted end without the last field.
        return decoded(value, "vote", lambda r: cls(r.boolean(), r.string(), r.u64() if r.remaining else 0))
