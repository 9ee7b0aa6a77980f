"""How the benchmarks measure: each value next to a bound or a peer, in the same run, on the same machine.

A ratio says more than a speed: machines differ and neighbours make noise, but both sides of a ratio suffer alike. So the
two sides of a comparison take turns, and the best round of each counts; a neighbour can only make a round slower.
"""

from __future__ import annotations

import gc
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `bench/results.json`.

    `ratio` is value / bound where more is better, so that 1.0 means "as good as the bound" everywhere. `n_cores` are the
    cores that the measured work could use.
    """

    name: str
    value: float
    unit: str
    bound: float
    ratio: float
    n_cores: int
    note: str

    def as_json(self) -> dict[str, str | int | float]:
        """The row with numbers cut to four significant digits."""
        return {key: _short(item) if isinstance(item, float) else item for key, item in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A row that can be asked for by name; `run` takes the number of rounds."""

    name: str
    run: Callable[[int], Row]


def best_seconds(sides: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The best wall-clock time of each side over rounds in which they take turns; one round before is not counted.

    What a side returns is freed before the clock of the next one starts.
    """
    best = [math.inf] * len(sides)
    for round_number in range(rounds + 1):
        for at, side in enumerate(sides):
            gc.collect()
            start = time.perf_counter()
            result = side()
            elapsed = time.perf_counter() - start
            del result
            if round_number:
                best[at] = min(best[at], elapsed)
    return best


def speed_row(name: str, *, size: int, seconds: float, bound_seconds: float, note: str, n_cores: int = 1) -> Row:
    """A row in MB/s of `size` bytes of content."""
    value, bound = size / seconds / 1e6, size / bound_seconds / 1e6
    return Row(name, value, "MB/s", bound, value / bound, n_cores, note)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _short(number: float) -> float:
    return float(f"{number:.4g}")
