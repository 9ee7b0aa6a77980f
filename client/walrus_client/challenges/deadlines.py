"""Until when each answer must be there, on the challenger's monotonic clock, counted from the moment it sends the seed.

Answer i has 2 s + Σ_{j≤i}(τ + s_j / ρ): a prover that reads from its own disk is far below it, one that must fetch each
cell from others pays a journey per cell. When the challenger itself was late, by more than τ, nothing can be said about
the prover and the attempt is void (`challenges-spec.md` 7).
"""

from __future__ import annotations

from dataclasses import dataclass

from walrus_client.challenges.policy import Policy

_US = 1_000_000


@dataclass(frozen=True)
class Deadline:
    """The time that is given up to an answer; exact, in microseconds times ρ, so that nothing is rounded away.

    Attributes:
        policy: of the epoch.
        answers: how many answers are counted in.
        size: bytes of all of them.
    """

    policy: Policy
    answers: int = 0
    size: int = 0

    def then(self, size: int) -> Deadline:
        """The deadline of the next answer, which has so many bytes."""
        return Deadline(self.policy, self.answers + 1, self.size + size)

    @property
    def us(self) -> int:
        """Microseconds from the seed."""
        fixed = (self.policy.grace_ms + self.answers * self.policy.latency_ms) * 1000
        return fixed + self.size * _US // self.policy.bytes_per_s

    def is_late(self, elapsed_us: int) -> bool:
        """Whether an answer that came after so many microseconds is too late."""
        return elapsed_us > self.us


def challenger_was_late(policy: Policy, lag_us: int) -> bool:
    """Whether the challenger's own lag makes the attempt void."""
    return lag_us > policy.latency_ms * 1000
