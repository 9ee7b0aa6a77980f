"""When to ask again: exponential back-off with jitter, within a deadline.

A pure schedule; the caller supplies randomness. Only idempotent calls may be retried: every call of the node's public
protocol is (storing the same sliver twice stores it once), so the caller decides by the error alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from walrus_client.errors import PeerError, PeerRefusedError


@dataclass(frozen=True)
class Backoff:
    """Delays `first`, `first·factor`, … up to `longest`, each drawn from its upper half ("equal jitter")."""

    first_s: float = 0.1
    factor: float = 2.0
    longest_s: float = 5.0
    attempts: int = 6

    def delays(self, rng: Random) -> Iterator[float]:
        """The waits between attempts, in seconds: one fewer than there are attempts."""
        delay = self.first_s
        for _ in range(self.attempts - 1):
            yield delay * (0.5 + rng.random() / 2)
            delay = min(delay * self.factor, self.longest_s)


def worth_retrying(error: PeerError) -> bool:
    """True when the same request to the same node may succeed in a moment."""
    if isinstance(error, PeerRefusedError):
        return error.may_succeed_later
    return error.retryable
