"""How the benchmarks measure: each value next to a bound or a peer, in the same run, on the same machine.

A ratio says more than a speed: machines differ and neighbours make noise, but both sides of a ratio suffer alike. So the
two sides of a comparison take turns, and the best round of each counts; a neighbour can only make a round slower.

That is fair to sides of about one length. Where a peer takes several times as long, it would never find a moment as quiet
as we do. Such sides run on one core, and the median of their processor time counts, in which neighbours have no part.
"""

from __future__ import annotations

import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `bench/results.json`.

    `ratio` is value / bound where more is better, so that 1.0 means "as good as the bound" everywhere. `n_cores` are the
    cores that the measured work could use. Value, bound and ratio are null where nothing could be measured; the note says
    why. A raw limit of the machine has a value only.
    """

    name: str
    value: float | None
    unit: str
    bound: float | None
    ratio: float | None
    n_cores: int
    note: str

    def as_json(self) -> dict[str, str | int | float | None]:
        """The row with numbers cut to four significant digits."""
        return {key: _short(item) if isinstance(item, float) else item for key, item in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A row that can be asked for by name, with the ratio that we want, if any; `run` takes the number of rounds."""

    name: str
    target: float | None
    run: Callable[[int], Row]


class MissingError(Exception):
    """A benchmark needs what cannot be had on this machine; the message says what."""


class Shared(Generic[T]):
    """Something that takes long to start and serves several rows: made when first asked for, ended by `close_all`."""

    _open = ExitStack()

    def __init__(self, make: Callable[[], AbstractContextManager[T]]) -> None:
        self._make = make
        self._made: list[T] = []

    def get(self) -> T:
        """The one of this run."""
        if not self._made:
            made = Shared._open.enter_context(self._make())
            Shared._open.callback(self._made.clear)
            self._made.append(made)
        return self._made[0]

    @staticmethod
    def close_all() -> None:
        """Ends all that was made, the newest first."""
        Shared._open.close()


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder outside of the repository, on the disk for temporary files, that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="walrus-bench-") as folder:
        yield Path(folder)


def best_seconds(sides: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The best wall-clock time of each side."""
    return [min(times) for times in _seconds(sides, rounds, time.perf_counter)]


def best_processor_seconds(sides: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The least processor time of each side in this process: what others do on the machine hardly counts."""
    return [min(times) for times in _seconds(sides, rounds, time.process_time)]


def median_processor_seconds(sides: Sequence[Callable[[], object]], rounds: int, helper: int) -> list[float]:
    """The median processor time of each side, in this process and the one with the id `helper` together."""
    clock = lambda: time.process_time() + _processor_seconds(helper)  # noqa: E731
    return [statistics.median(times) for times in _seconds(sides, rounds, clock)]


def _seconds(sides: Sequence[Callable[[], object]], rounds: int, clock: Callable[[], float]) -> list[list[float]]:
    """The times of each side over rounds in which they take turns; one round before is not counted.

    What a side returns is freed before the clock of the next one starts.
    """
    times: list[list[float]] = [[] for _ in sides]
    for round_number in range(rounds + 1):
        for side, kept in zip(sides, times, strict=True):
            gc.collect()
            start = clock()
            result = side()
            elapsed = clock() - start
            del result
            if round_number:
                kept.append(elapsed)
    return times


def _processor_seconds(process: int) -> float:
    """Time that a running process has used, its threads together, to a tick of the kernel (10 ms)."""
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    user, system = after_name[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def one_core() -> Iterator[None]:
    """Keeps this thread, and the processes that it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def speed_row(name: str, *, size: int, seconds: float, bound_seconds: float, note: str, n_cores: int = 1) -> Row:
    """A row in MB/s of `size` bytes of content."""
    value, bound = size / seconds / 1e6, size / bound_seconds / 1e6
    return Row(name, value, "MB/s", bound, value / bound, n_cores, note)


def limit_row(name: str, *, value: float, unit: str, limit: float, note: str, n_cores: int = 1) -> Row:
    """A row of what should be small: the ratio is limit to value."""
    return Row(name, value, unit, limit, limit / value, n_cores, note)


def raw_row(name: str, *, size: int, seconds: float, note: str, n_cores: int = 1) -> Row:
    """What the machine gives, in MB/s, to compare other rows with."""
    return Row(name, size / seconds / 1e6, "MB/s", None, None, n_cores, note)


def missing_row(name: str, reason: str) -> Row:
    """A row that nothing was measured for."""
    return Row(name, None, "", None, None, 0, f"not measured: {reason}")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _short(number: float) -> float:
    return float(f"{number:.4g}")
