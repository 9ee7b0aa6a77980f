"""What a network may choose about challenges, and what follows from it alone.

`spec.challenges` of the network becomes a `Policy`; an override of one epoch makes another one. All members must hold
the same policy in an epoch, because the number of samples follows from it; so it is computed without rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from fractions import Fraction
from functools import lru_cache

ATTEMPTS = 3
"""Attempts of one challenger at one prover in an epoch: a = 0, 1, 2."""

MAX_SAMPLES = 10_000
"""More would make a run longer than its window on most networks."""


class Mode(Enum):
    """What a node does with the verdicts; each mode includes the one before."""

    OFF = "Off"
    REPORT = "Report"
    VOTE = "Vote"


_MILDEST_FIRST = (Mode.OFF, Mode.REPORT, Mode.VOTE)


def milder(one: Mode, other: Mode) -> Mode:
    """The mode that counts when the network says one thing and the node another."""
    return min(one, other, key=_MILDEST_FIRST.index)


class PolicyError(ValueError):
    """A policy that cannot be carried out; the message says what to choose."""


@dataclass(frozen=True)
class Policy:
    """How hard members are challenged.

    Attributes:
        mode: what verdicts lead to.
        kept: p, the share of its data that a prover must hold to count as honest, as decimal text: "0.9".
        target: the probability with which a prover that holds only `kept` may pass one attempt: "1e-9".
        latency_ms: τ, time given for each answer whatever its size.
        bytes_per_s: ρ, the speed at which answers must come.
        grace_ms: time given once, from the seed to the first answer.
        keep_epochs: how long reports are kept.
    """

    mode: Mode = Mode.VOTE
    kept: str = "0.9"
    target: str = "1e-9"
    latency_ms: int = 20
    bytes_per_s: int = 4_000_000
    grace_ms: int = 2_000
    keep_epochs: int = 8

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            PolicyError: one of them cannot be.
        """
        for name, value in (("kept", self.kept), ("target", self.target)):
            if not 0 < _exactly(name, value) < 1:
                raise PolicyError(f"{name} is {value}, it must lie between 0 and 1")
        if self.latency_ms < 0 or self.grace_ms < 0:
            raise PolicyError("latency and grace cannot be negative")
        if self.bytes_per_s < 1 or self.keep_epochs < 1:
            raise PolicyError("bytes per second and epochs to keep must be at least 1")
        if self.samples > MAX_SAMPLES:
            raise PolicyError(
                f"kept {self.kept} and target {self.target} need {self.samples} samples, at most {MAX_SAMPLES} are "
                "asked: choose a smaller kept or a larger target"
            )

    @property
    def samples(self) -> int:
        """m, the number of samples of a run: the least with kept^m ≤ target; `MAX_SAMPLES` + 1 stands for more."""
        return sample_count(self.kept, self.target)


@lru_cache(maxsize=64)
def sample_count(kept: str, target: str) -> int:
    """The least m with kept^m ≤ target, exact; `MAX_SAMPLES` + 1 when it is more than `MAX_SAMPLES`.

    Raises:
        PolicyError: not decimal numbers.
    """
    base, limit = _exactly("kept", kept), _exactly("target", target)
    low, high = 0, MAX_SAMPLES + 1
    while low + 1 < high:
        middle = (low + high) // 2
        # Compared as whole numbers: a/b ≤ c/d.
        passes = base.numerator**middle * limit.denominator <= limit.numerator * base.denominator**middle
        low, high = (low, middle) if passes else (middle, high)
    return high


def _exactly(name: str, text: str) -> Fraction:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise PolicyError(f"{name} is {text!r}, write a decimal number such as 0.9 or 1e-9") from None
    if not number.is_finite() or abs(number.adjusted()) > 30 or len(number.as_tuple().digits) > 12:
        raise PolicyError(f"{name} is {text}, write at most 12 digits and a magnitude of at most 30")
    return Fraction(number)
