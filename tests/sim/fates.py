"""What chance does to the members in an epoch: restarts, lag, load, outages, recoveries. All of it is drawn from a seed.

Milliseconds of chain time from `EpochChangeDone`. The bounds are what honest operators keep to: restarts and bursts of load
are short against an epoch, and a node is away, behind or recovering for a whole epoch at most once in four.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

Span = tuple[int, int]


@dataclass(frozen=True)
class Weather:
    """How bad it may get.

    Attributes:
        restarts: most restarts of a node in an epoch.
        bursts: most bursts of load of a node in an epoch.
        share: longest restart and burst, in percent of the epoch.
        gone: chance that a node that has not used its excuse is away, behind or recovering for the whole epoch.
        stutter: chance that the event loop of a challenger is late in a run.
    """

    restarts: int = 2
    bursts: int = 3
    share: int = 3
    gone: float = 0.04
    stutter: float = 0.05


CALM = Weather(restarts=0, bursts=0, gone=0.0, stutter=0.0)


@dataclass(frozen=True)
class Fate:
    """One node in one epoch.

    Attributes:
        down: when it does not run.
        loaded: when it answers slowly, and how many milliseconds an answer takes then.
        lag_ms: how far its view of the chain is behind.
        recovers: it has declared that it recovers.
        gone: it is down, behind or recovering for the whole epoch.
    """

    down: tuple[Span, ...] = ()
    loaded: tuple[tuple[Span, int], ...] = ()
    lag_ms: int = 0
    recovers: bool = False
    gone: bool = False

    def is_up(self, at: int) -> bool:
        """Whether it runs."""
        return not any(start <= at < end for start, end in self.down)

    def up_from(self, at: int) -> int:
        """The first moment from `at` on at which it runs."""
        for start, end in self.down:
            if start <= at < end:
                return self.up_from(end)
        return at

    def falls(self, start: int, end: int) -> int | None:
        """When it goes down first in this span, None when it does not."""
        return min((fall for fall, _back in self.down if start < fall <= end), default=None)

    def answer_ms(self, at: int) -> int:
        """How long an answer takes."""
        return max((slow for (start, end), slow in self.loaded if start <= at < end), default=1)


def draw(rng: Random, weather: Weather, duration_ms: int, *, may_be_gone: bool) -> Fate:
    """The fate of an honest node."""

    def span() -> Span:
        start = rng.randrange(duration_ms)
        return start, start + rng.randint(1_000, max(1_000, duration_ms * weather.share // 100))

    down = tuple(span() for _ in range(rng.randint(0, weather.restarts)))
    loaded = tuple((span(), rng.randint(5, 5_000)) for _ in range(rng.randint(0, weather.bursts)))
    lag_ms = rng.randint(0, 2_000)
    if not may_be_gone or rng.random() >= weather.gone:
        return Fate(down, loaded, lag_ms)
    match rng.randrange(3):
        case 0:
            return Fate(((0, duration_ms),), gone=True)
        case 1:
            return Fate(down, loaded, duration_ms, gone=True)
        case _:
            return Fate(down, loaded, lag_ms, recovers=True, gone=True)
