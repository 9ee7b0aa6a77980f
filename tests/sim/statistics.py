"""What a simulated network shows over many epochs, beside what arithmetic says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import comb, fsum, sqrt

from tests.sim.cheaters import Conduct, Says
from tests.sim.epochs import Network, Outcomes, blob_set, node
from tests.sim.fates import Weather

from walrus_client.challenges.blobs import FIRST_EPOCH
from walrus_client.challenges.messages import Refusal
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_codec.types import Axis, NodeId
from walrus_node.cheating.orders import EVERYBODY, Orders
from walrus_node.store.shards import SliverKey

EQUAL = [10] * 10
"""Ten members with ten of a hundred shards each: f = 33, a slashing needs 67 other than the prover's ten."""

CHEATER = 9
HALF = 50
"""Percent of the epoch from which on the contract lets the newest commission be collected."""
BLOBS = blob_set(2000)

IN_TURNS = (
    *(frozenset(map(node, range(start, start + 3))) for start in (0, 3)),
    frozenset[NodeId](),
    frozenset(map(node, range(6, 9))),
)
"""By epoch modulo 4: three of the nine others, in turns, and nobody in every fourth epoch. Epoch 3 is the first."""

CHEATERS: dict[str, Conduct] = {
    "drops 50 % of its slivers": Conduct(Orders(dropped=0.5)),
    "drops 10 %": Conduct(Orders(dropped=0.1)),
    "drops 1 %": Conduct(Orders(dropped=0.01)),
    "drops 0.1 %": Conduct(Orders(dropped=0.001)),
    "drops one of its ten shards": Conduct(Orders(drops_shard=True)),
    "keeps metadata only": Conduct(Orders(metadata_only=True)),
    "keeps nothing, fetches within 40 ms": Conduct(Orders(fetch_ms=40)),
    "keeps nothing, fetches within 10 ms": Conduct(Orders(fetch_ms=10)),
    "answers 40 ms late": Conduct(Orders(late_ms=40)),
    "answers 1 % with wrong symbols": Conduct(Orders(wrong=0.01)),
    "replays old answers": Conduct(Orders(replays=True)),
    "refuses as busy": Conduct(Orders(refuses=Refusal.BUSY)),
    "refuses as lagging": Conduct(Orders(refuses=Refusal.LAGGING)),
    "drops 10 %, hangs up rather than admit it": Conduct(Orders(dropped=0.1, hangs_up=True)),
    "accuses everybody": Conduct(says=Says.ALL_FAIL),
    "forges reports of all others on everybody": Conduct(Orders(forged=frozenset({EVERYBODY}))),
    "tells one half that everybody fails, the other that all pass": Conduct(says=Says.TWO_FACED),
    "drops 1 %, hangs up rather than admit it": Conduct(Orders(dropped=0.01, hangs_up=True)),
    "keeps only what three of the others compare with": Conduct(
        Orders(metadata_only=True), favoured=frozenset(map(node, range(3)))
    ),
    "keeps nothing, refuses three others as lagging, in turns": Conduct(Orders(metadata_only=True), away_for=IN_TURNS),
}


@dataclass
class Count:
    """What was seen of one cheater.

    Attributes:
        predicted: chance that one challenger fails it in an epoch.
        challenges: verdicts of honest members over it.
        failures: those of them that were FAIL.
        epochs: simulated.
        slashed: epochs in which it was slashed.
        in_time: those of them in which that was before half of the epoch, from which on it can collect what would burn.
        first: for each network, in which of its epochs the first slashing was; 0 when in none.
        wronged: honest members that were slashed.
    """

    predicted: float
    challenges: int = 0
    failures: int = 0
    epochs: int = 0
    slashed: int = 0
    in_time: int = 0
    wronged: int = 0
    first: Counter[int] = field(default_factory=Counter)

    @property
    def detection(self) -> float:
        """Measured chance that one challenger fails it in an epoch."""
        return self.failures / self.challenges

    def is_as_predicted(self, deviations: float = 4.0) -> bool:
        """Whether the measured chance lies within its confidence interval around the predicted one."""
        return within(self.failures, self.challenges, self.predicted, deviations)

    def add(self, seen: Outcomes, cheater: NodeId) -> None:
        """Counts an epoch."""
        verdicts = [found.verdict for (_, prover), found in seen.judged.items() if prover == cheater]
        self.challenges += len(verdicts)
        self.failures += verdicts.count(Verdict.FAIL)
        self.epochs += 1
        self.slashed += cheater in seen.slashed
        self.in_time += seen.slashed_at.get(cheater, HALF) < HALF
        self.wronged += len(seen.slashed - {cheater})


def within(hits: int, trials: int, chance: float, deviations: float) -> bool:
    """Whether so many hits are as likely as so many standard deviations; one more where the chance is next to 0 or 1."""
    return abs(hits - chance * trials) <= deviations * sqrt(trials * chance * (1 - chance)) + 1


def interval(hits: int, trials: int, confidence: float = 0.99) -> tuple[float, float]:
    """The chances that explain so many hits (Clopper and Pearson): others would bring as many, or as few, too rarely."""
    rare = (1 - confidence) / 2

    def least(chance_of_more: Callable[[float], float]) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if chance_of_more(middle) < rare else (low, middle)
        return low

    lower = least(lambda chance: at_least(hits, trials, chance)) if hits else 0.0
    upper = 1 - least(lambda chance: at_least(trials - hits, trials, chance)) if hits < trials else 1.0
    return lower, upper


def at_least(needed: int, trials: int, chance: float) -> float:
    """Chance of so many hits or more."""
    return fsum(comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(needed, trials + 1))


def detection_chance(withheld: float, samples: int) -> float:
    """1 − (1 − q)^m."""
    return 1 - (1 - withheld) ** samples


def withheld(conduct: Conduct, network: Network, cheater: NodeId) -> float:
    """The share q of all triples that it lacks, counted."""
    shards = network.shards[cheater]
    keys = (SliverKey(shard, axis, blob) for blob in network.blobs for shard in shards for axis in Axis)  # type: ignore[arg-type]
    lacks = [conduct.orders.lacks(cheater, key, shards[0]) for key in keys]
    return sum(lacks) / len(lacks)


def predicted(conduct: Conduct, network: Network, cheater: NodeId) -> float:
    """Chance that one challenger fails it in its first epoch."""
    orders, m = conduct.orders, network.policy.samples
    if orders.refuses is not None:
        return float(orders.refuses is Refusal.BUSY)
    too_late = orders.late_ms + (orders.fetch_ms or 0) > network.policy.latency_ms
    if too_late or orders.replays:
        return 1.0
    if orders.fetch_ms is not None or orders.hangs_up:
        return 0.0
    q = 1 - (1 - withheld(conduct, network, cheater)) * (1 - orders.wrong)
    return detection_chance(q, m) * finders(conduct) / (len(network.members) - 1)


def finders(conduct: Conduct) -> int:
    """Members that can find it in its first epoch."""
    away = conduct.away_for[FIRST_EPOCH % len(conduct.away_for)] if conduct.away_for else ()
    return len(EQUAL) - 1 - len(conduct.favoured) - len(away)


def slash_chance(detection: float, members: int = 9, needed: int = 7) -> float:
    """Chance that enough of the other members fail it in one epoch, when each does so with this chance."""
    return at_least(needed, members, detection)


def measure(conduct: Conduct, *, networks: int, epochs: int, weather: Weather, seed: int) -> Count:
    """Simulates networks with one such cheater, each for some epochs; what it replays it has answered in epoch 0."""
    cheater = node(CHEATER)
    count = Count(0.0)
    for number in range(networks):
        network = Network(EQUAL, {CHEATER: conduct}, BLOBS, weather, seed=1000 * seed + number)
        if not number:
            count.predicted = predicted(conduct, network, cheater)
        if conduct.orders.replays:
            network.epoch()
        first = 0
        for epoch in range(1, epochs + 1):
            seen = network.epoch()
            count.add(seen, cheater)
            first = first or (epoch if cheater in seen.slashed else 0)
        count.first[first] += 1
    return count


@dataclass
class Account:
    """Every verdict of honest members over honest members, and whether chance explains it."""

    epochs: int = 0
    verdicts: Counter[tuple[Verdict, Outcome | None]] = field(default_factory=Counter)
    unexplained: list[tuple[int, NodeId, NodeId, Verdict, Outcome | None]] = field(default_factory=list)
    votes: int = 0
    wronged: int = 0

    def add(self, network: Network, seen: Outcomes) -> None:
        """Counts an epoch."""
        self.epochs += 1
        honest = {member for member in network.members if network.conduct[member].is_honest}
        for (challenger, prover), found in seen.judged.items():
            if challenger in honest and prover in honest:
                self.verdicts[found.verdict, found.reason] += 1
                ours, theirs = seen.fates[challenger], seen.fates[prover]
                if not _EXPLAINED[found.verdict](
                    found.reason, ours.gone or bool(ours.down), theirs.gone, bool(theirs.down or theirs.loaded)
                ):
                    self.unexplained.append((network.number, challenger, prover, found.verdict, found.reason))
        self.votes += sum(weight > 0 for candidate, weight in seen.votes.items() if candidate in honest)
        self.wronged += len(seen.slashed & honest)


_EXPLAINED: dict[Verdict, Callable[[Outcome | None, bool, bool, bool], bool]] = {
    Verdict.PASS: lambda reason, _ours, _gone, _troubled: reason is Outcome.PASS,
    Verdict.FAIL: lambda _reason, _ours, gone, troubled: gone or troubled,
    Verdict.EXCUSED: lambda _reason, _ours, gone, troubled: gone or troubled,
    Verdict.NONE: lambda reason, ours, _gone, troubled: ours or troubled or reason is None,
}


def soak(networks: Iterable[Network], epochs: int) -> Account:
    """Lets networks live for so many epochs each, and accounts for every verdict among the honest."""
    account = Account()
    for network in networks:
        for _ in range(epochs):
            account.add(network, network.epoch())
    return account
