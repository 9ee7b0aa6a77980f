"""When to ask again: exponential back-off with jitter, within a deadline.

A pure schedule; the caller supplies randomness. A node that says when it wants to be asked again is not asked earlier, and
not by all whom it has refused at the same moment. Only idempotent calls may be retried: every call of the node's public
protocol is (storing the same sliver twice stores it once), so the caller decides by the error alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from walrus_client.errors import PeerError, PeerRefusedError

HINT_JITTER = 0.25
"""A hint is exceeded by up to so much of itself."""
LONGEST_HINT_S = 60.0
"""What a node asks for counts up to here: nobody may send its askers away for ever."""


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


def asked_for_s(error: PeerError, draw: float) -> float | None:
    """Seconds that the node wants to be left alone, with jitter; None when it says nothing, or nothing will change.

    Args:
        error: what it answered.
        draw: from [0, 1).
    """
    if not isinstance(error, PeerRefusedError) or error.retry_after_s is None or not worth_retrying(error):
        return None
    return min(error.retry_after_s, LONGEST_HINT_S) * (1 + HINT_JITTER * draw)
