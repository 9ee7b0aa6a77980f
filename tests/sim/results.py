"""Prints the tables of docs/challenges.md and docs/soak.md: `python -m tests.sim.results [NETWORKS [EPOCHS]]`.

Each cheater in as many networks of ten equal members as asked for (100), some epochs each (4), in bad weather.
"""

import sys
import time

from tests.sim.cheaters import Conduct
from tests.sim.epochs import Network
from tests.sim.fates import CALM, Weather
from tests.sim.statistics import CHEATERS, EQUAL, Account, Count, finders, measure, slash_chance, soak

SIZES = [EQUAL, [4, 9, 1, 7, 3, 6, 10], [25, 25, 25, 25], [1] * 13, [11, 3, 3, 8, 2, 5, 1, 4, 9, 6, 7, 10]]


def cheaters(networks: int, epochs: int) -> dict[str, Count]:
    """What is seen of each cheater."""
    return {
        name: measure(conduct, networks=networks, epochs=epochs, weather=CALM, seed=number)
        for number, (name, conduct) in enumerate(CHEATERS.items())
    }


def line(name: str, conduct: Conduct, count: Count) -> str:
    """One row."""
    able = finders(conduct)
    chance = slash_chance(count.predicted * (len(EQUAL) - 1) / able, able)
    first = [count.first[epoch] for epoch in range(1, max(count.first) + 1)]
    where = " ".join(map(str, first)) or "none"
    if not conduct.is_honest and count.first[0]:
        where += f", never {count.first[0]}"
    return (
        f"| {name} | {count.predicted:.3f} | {count.detection:.3f} | {chance:.2f} | "
        f"{count.slashed / count.epochs:.2f} | {count.in_time / count.epochs:.2f} | {where} | {count.wronged} |"
    )


def honest(epochs: int, seed: int) -> Account:
    """Honest networks of several sizes in bad weather."""
    each = epochs // len(SIZES)
    return soak([Network(weights, weather=Weather(), seed=seed + i) for i, weights in enumerate(SIZES)], each)


if __name__ == "__main__":
    networks, epochs = (int(text) for text in (*sys.argv[1:], *("100", "4")[len(sys.argv) - 1 :]))
    began = time.monotonic()
    for name, count in cheaters(networks, epochs).items():
        print(line(name, CHEATERS[name], count), flush=True)
    print(f"{time.monotonic() - began:.0f} s")
