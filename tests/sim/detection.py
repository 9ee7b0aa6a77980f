"""How often the nodes' own code finds who drops slivers, beside what arithmetic says; prints the table of docs/challenges.md.

`python -m tests.sim.detection` takes some ten seconds; all of it follows from fixed keys and blobs, so it comes out the
same each time, and a test holds the table to it.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.sim.encounters import Encounters
from tests.sim.statistics import interval, slash_chance

CONFIDENCE = 0.99


@dataclass(frozen=True)
class Kind:
    """One kind of cheater.

    Attributes:
        order: what the node is told.
        share: the share of its slivers that it lacks then.
        weights: shards of the members; the last one cheats.
        n_blobs: that are asked for.
        epochs: that are measured.
    """

    order: str
    share: float
    weights: tuple[int, ...] = (1,) * 10
    n_blobs: int = 150
    epochs: int = 10


KINDS = {
    "drops 50 % of its slivers": Kind("drop 0.5", 0.5),
    "drops 10 %": Kind("drop 0.1", 0.1),
    "drops 1 %": Kind("drop 0.01", 0.01, epochs=70),
    "drops one of its four shards": Kind("drop-shard", 0.25, weights=(1,) * 9 + (4,), n_blobs=40),
}


@dataclass
class Seen:
    """What was measured.

    Attributes:
        predicted: chance that one challenger fails the cheater.
        slash_predicted: chance that it is slashed in an epoch.
        challenges: that were made.
        failures: those of them that found it.
        epochs: that were measured.
        waits: how many epochs passed until it was slashed, the last one counted in, and then until it was again.
    """

    predicted: float
    slash_predicted: float
    challenges: int = 0
    failures: int = 0
    epochs: int = 0
    waits: Counter[int] = field(default_factory=Counter)

    @property
    def interval(self) -> tuple[float, float]:
        """The chances of detection that explain what was seen."""
        return interval(self.failures, self.challenges, CONFIDENCE)

    @property
    def slashed(self) -> int:
        """Epochs in which it was slashed."""
        return self.waits.total()

    def row(self, name: str) -> str:
        """Its line of the table."""
        low, high = self.interval
        waits = ", ".join(f"{epochs}: {self.waits[epochs]}" for epochs in sorted(self.waits))
        return (
            f"| {name} | {self.predicted:.3f} | {self.failures} of {self.challenges} | {low:.3f} … {high:.3f} | "
            f"{self.slash_predicted:.2f} | {self.slashed} of {self.epochs} | {waits} |"
        )


async def measured(kind: Kind, folder: Path) -> Seen:
    """Lets the cheater live through its epochs."""
    async with Encounters.opened(kind.weights, kind.n_blobs, kind.order, kind.share, folder) as met:
        others = len(kind.weights) - 1
        needed = -(-(2 * met.n_shards + 1) // 3)
        seen = Seen(met.chance, slash_chance(met.chance, others, needed))
        waited = 0
        for _ in range(kind.epochs):
            found = await met.epoch()
            seen.epochs, waited = seen.epochs + 1, waited + 1
            seen.failures += found.failed.total()
            seen.challenges += found.failed.total() + found.passed
            if found.slashed:
                seen.waits[waited] += 1
                waited = 0
        return seen


if __name__ == "__main__":
    logging.disable()
    with tempfile.TemporaryDirectory() as made:
        for title, each in KINDS.items():
            print(asyncio.run(measured(each, Path(made))).row(title), flush=True)
