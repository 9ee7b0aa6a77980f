"""Whole networks by the rules of challenges alone: no sockets, no disk, no clock; seeds, samples, verdicts, votes are real.

Life of a simulated epoch: fates are drawn (`fates`); attempts start at the moments that their seeds decide, in order of
time; each ends as the prover's conduct (`cheaters`), its queue, both fates and the deadlines say; what is proven is voted on at
once (`proofs`); at 60 % the other cases become verdicts and reports; what those who can be reached hand on is taken when its
maker has signed it; members vote; the contract slashes at its quorum.

Signatures are keyed hashes: unique and not to be foreseen, as BLS signatures are, and a thousand times faster.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random

from tests.sim.cheaters import HONEST, Conduct, Says
from tests.sim.fates import CALM, Fate, Weather, draw
from tests.sim.proofs import Cast, early_votes, slashed_at

from walrus_client.challenges import messages, votes
from walrus_client.challenges.blobs import BlobSet
from walrus_client.challenges.deadlines import Deadline, challenger_was_late
from walrus_client.challenges.messages import Pair, Refusal
from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.reports import Report, ReportError, Reports, SignedReport
from walrus_client.challenges.samples import Questions
from walrus_client.challenges.times import FINAL, FIRST_START, VOTES_FROM, VOTES_UNTIL, EpochTimes
from walrus_client.challenges.verdicts import Case, Judgement, Outcome, Verdict
from walrus_codec.types import BlobId, Epoch, NodeId, ShardIndex
from walrus_node.challenges.prover import AT_ONCE, QUEUE_S
from walrus_node.cheating.orders import is_named

POLICY = Policy(mode=Mode.VOTE)
DURATION_MS = 600_000
CHAIN = bytes(range(32))
CELL_BYTES = 440
"""A symbol of a blob of 1 MB in a network of 100 shards."""
_REFUSED = {
    Refusal.BUSY: Outcome.BUSY,
    Refusal.RECOVERING: Outcome.RECOVERING,
    Refusal.ATTEMPT_USED: Outcome.UNREACHABLE,
}


def node(number: int) -> NodeId:
    """The id of a member."""
    return NodeId(f"0x{number + 1:064x}")


def blob_set(count: int) -> BlobSet:
    """So many blobs."""
    return BlobSet.of(BlobId(blake2b(number.to_bytes(4, "little"), digest_size=32).digest()) for number in range(count))


@dataclass(frozen=True)
class Outcomes:
    """What came of an epoch.

    Attributes:
        judged: what each member found, by challenger and prover, before anybody lies.
        votes: weight of the votes against each candidate.
        slashed_at: who lost its commission, with the percent of the epoch at which it did.
        hasty: honest votes before 60 % that the rule of 65 % does not confirm.
        refused: reports that were handed on and that their alleged makers have not signed.
        fates: what chance did.
    """

    judged: Mapping[tuple[NodeId, NodeId], Judgement]
    votes: Mapping[NodeId, int]
    slashed_at: Mapping[NodeId, int]
    hasty: frozenset[tuple[NodeId, NodeId]]
    refused: int
    fates: Mapping[NodeId, Fate]

    @property
    def slashed(self) -> frozenset[NodeId]:
        """Who lost its commission."""
        return frozenset(self.slashed_at)


@dataclass
class Network:
    """Members that go from epoch to epoch.

    Args:
        weights: shards of each member.
        conducts: of those that are not honest.
        blobs: what is asked for.
        weather: of the honest.
        seed: of all chance and all keys.
    """

    weights: Sequence[int]
    conducts: Mapping[int, Conduct] = field(default_factory=dict)
    blobs: BlobSet = field(default_factory=lambda: blob_set(2000))
    weather: Weather = CALM
    seed: int = 0
    policy: Policy = POLICY

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.members = [node(number) for number in range(len(self.weights))]
        self.conduct = {member: self.conducts.get(number, HONEST) for number, member in enumerate(self.members)}
        self.weight = dict(zip(self.members, self.weights, strict=True))
        self.n_shards = sum(self.weights)
        numbers = iter(range(self.n_shards))
        self.shards = {member: tuple(ShardIndex(next(numbers)) for _ in range(w)) for member, w in self.weight.items()}
        self.excused: dict[tuple[NodeId, NodeId], list[Epoch]] = {}
        self.gone: dict[NodeId, int] = {}
        self.number = Epoch(2)
        self._answered: set[tuple[NodeId, NodeId]] = set()
        self._keys = {member: member.encode() for member in self.members}

    def sign(self, member: NodeId, message: bytes) -> bytes:
        """The one signature of a member over a message."""
        key = blake2b(member.encode() + self.seed.to_bytes(8, "little"), digest_size=64).digest()
        return b"".join(blake2b(message, key=key, digest_size=48, salt=bytes([half])).digest() for half in (1, 2))

    def epoch(self) -> Outcomes:
        """The next epoch."""
        self.number = Epoch(self.number + 1)
        fates = {member: self._fate(member) for member in self.members}
        cases = _Attempts(self, fates).all()
        judged: dict[tuple[NodeId, NodeId], Judgement] = {}
        for (challenger, prover), case in cases.items():
            given = self.excused.setdefault((challenger, prover), [])
            found = case.conclude(given, challenger_active=not fates[challenger].gone)
            judged[challenger, prover] = found
            if found.verdict is Verdict.EXCUSED:
                given.append(self.number)
        self._refused = 0
        early = self._early(cases, judged, fates)
        late = self._votes(judged, fates)
        weight: Counter[NodeId] = Counter()
        for voter, candidate in early.keys() | late.keys():
            weight[candidate] += self.weight[voter]
        judges = {voter for voter, _ in late}
        hasty = frozenset(pair for pair in early if pair not in late and pair[0] in judges)
        return Outcomes(judged, weight, slashed_at({**late, **early}, self.weight), hasty, self._refused, fates)

    def seed_of(self, pair: Pair) -> bytes:
        """σ of an attempt."""
        message = messages.seed(pair, chain_id=CHAIN, blobs=len(self.blobs), root=self.blobs.root)
        return self.sign(pair.challenger, message)

    def run(self, pair: Pair) -> tuple[Outcome, int]:
        """What the prover's answers are worth if they come in time."""
        known = (pair.challenger, pair.prover)
        shards, own = self.shards[pair.prover], self.shards[pair.challenger]
        asked = Questions(self.seed_of(pair), self.blobs, shards, own, self.n_shards, self.policy.samples)
        conduct = self.conduct[pair.prover]
        if pair.challenger in conduct.favoured:
            conduct = HONEST
        found = conduct.answers(pair.prover, asked, replayed=known in self._answered)
        self._answered.add(known)
        return found

    def _fate(self, member: NodeId) -> Fate:
        if not self.conduct[member].is_honest:
            return Fate()
        rested = self.number - self.gone.get(member, -9) > 3
        fate = draw(self.rng, self.weather, DURATION_MS, may_be_gone=rested)
        if fate.gone:
            self.gone[member] = self.number
        return fate

    def _early(
        self,
        cases: Mapping[tuple[NodeId, NodeId], Case],
        judged: Mapping[tuple[NodeId, NodeId], Judgement],
        fates: Mapping[NodeId, Fate],
    ) -> Cast:
        times, told = EpochTimes(0, DURATION_MS), []
        for face in range(self._faces):
            half: dict[tuple[NodeId, NodeId], tuple[int, Report]] = {}
            for (member, prover), case in cases.items():
                said = self.conduct[member].reported(prover, judged[member, prover], face)
                report = self._report(member, prover, said) if said is not None else None
                if report is None or not report.is_proven or fates[member].gone:
                    continue
                since = case.attempts[-1].ended_ms if case.is_proven else times.at(FIRST_START)
                half[member, prover] = since, report
            told.append(half)
        return early_votes(told, times=times, fates=fates, conducts=self.conduct, weights=self.weight)

    @property
    def _faces(self) -> int:
        return 2 if any(conduct.says is Says.TWO_FACED for conduct in self.conduct.values()) else 1

    def _votes(self, judged: Mapping[tuple[NodeId, NodeId], Judgement], fates: Mapping[NodeId, Fate]) -> Cast:
        times = EpochTimes(0, DURATION_MS)
        heard = [m for m in self.members if _is_up_between(fates[m], times.at(FINAL), times.at(VOTES_UNTIL))]
        views = [self._reports(heard, judged, face) for face in range(self._faces)]
        cast: dict[tuple[NodeId, NodeId], int] = {}
        for position, member in enumerate(self.members):
            if member not in heard or not _is_up_between(fates[member], times.at(VOTES_FROM), times.at(VOTES_UNTIL)):
                continue
            conduct = self.conduct[member]
            if conduct.accuses:
                against: Sequence[NodeId] = [m for m in self.members if m != member and m not in conduct.friends]
            else:
                against = votes.votes(
                    me=member,
                    mode=self.policy.mode,
                    reports=views[position % len(views)],
                    weights=self.weight,
                    n_shards=self.n_shards,
                )
            for candidate in against:
                if candidate not in conduct.friends:
                    cast[member, candidate] = VOTES_FROM
        return cast

    def _reports(
        self, heard: Sequence[NodeId], judged: Mapping[tuple[NodeId, NodeId], Judgement], face: int
    ) -> Reports:
        """What half of the members has taken of what these hand on: their own reports, and forged ones."""
        reports = Reports(self.number)
        for member in heard:
            conduct = self.conduct[member]
            for prover in self.members:
                told = None if prover == member else conduct.reported(prover, judged[member, prover], face)
                if told is not None:
                    self._offer(reports, self._report(member, prover, told), signer=member)
            for prover in self.members if conduct.orders.forged else ():
                for other in self.members:
                    if is_named(prover, conduct.orders.forged) and other not in {prover, member}:
                        said = Judgement(Verdict.FAIL, Outcome.WRONG, 0)
                        self._offer(reports, self._report(other, prover, said), signer=member)
        return reports

    def _offer(self, reports: Reports, report: Report, *, signer: NodeId) -> None:
        body = report.to_bytes()
        try:
            taken = SignedReport(body, self.sign(signer, body)).verified(self._keys, self._is_signed)
        except ReportError:
            self._refused += 1
        else:
            reports.add(taken)

    def _is_signed(self, key: bytes, message: bytes, signature: bytes) -> bool:
        return self.sign(NodeId(key.decode()), message) == signature

    def _report(self, challenger: NodeId, prover: NodeId, told: Judgement) -> Report:
        seed = bytes(96) if told.reason is not None else b""
        return Report(
            self.number, challenger, prover, told.attempt or 0, seed, len(self.blobs), self.blobs.root,
            self.policy.samples, told.verdict, told.reason, None, 0, bytes(32), 0, 0,
        )  # fmt: skip


class _Attempts:
    """All attempts of an epoch, in order of time."""

    def __init__(self, network: Network, fates: Mapping[NodeId, Fate]) -> None:
        self._network = network
        self._fates = fates
        self._times = EpochTimes(0, DURATION_MS)
        self._due: list[tuple[int, NodeId, NodeId]] = []
        self._cases: dict[tuple[NodeId, NodeId], Case] = {}
        self._served: dict[NodeId, list[int]] = {member: [] for member in network.members}

    def all(self) -> Mapping[tuple[NodeId, NodeId], Case]:
        """Makes them."""
        for challenger in self._network.members:
            for prover in self._network.members:
                if challenger != prover:
                    self._cases[challenger, prover] = Case(self._network.number)
                    self._plan(challenger, prover)
        while self._due:
            at, challenger, prover = heapq.heappop(self._due)
            case = self._cases[challenger, prover].begin()
            outcome, end = self._attempt(at, Pair(self._network.number, challenger, prover, case.begun - 1))
            # What ends behind 60 % counts no more.
            self._cases[challenger, prover] = case.record(outcome, end) if end < self._times.at(FINAL) else case
            self._plan(challenger, prover)
        return {pair: case.resume(self._times.at(FINAL)) for pair, case in self._cases.items()}

    def _plan(self, challenger: NodeId, prover: NodeId) -> None:
        seed = self._network.seed_of(Pair(self._network.number, challenger, prover, 0))
        start = self._cases[challenger, prover].next_start(self._times, seed)
        fate = self._fates[challenger]
        if start is None or fate.gone:
            return
        at = fate.up_from(start + fate.lag_ms)
        if self._times.may_start(at - fate.lag_ms):
            heapq.heappush(self._due, (at, challenger, prover))

    def _attempt(self, at: int, pair: Pair) -> tuple[Outcome, int]:
        ours, theirs = self._fates[pair.challenger], self._fates[pair.prover]
        conduct = self._network.conduct[pair.prover]
        orders, refused = conduct.orders, conduct.refuses(pair.challenger, pair.epoch)
        if refused is not None:
            return _REFUSED.get(refused, Outcome.LAGGING), at
        if theirs.recovers:
            return Outcome.RECOVERING, at
        if not theirs.is_up(at):
            return Outcome.UNREACHABLE, at
        slack = DURATION_MS * 2 // 100
        seen = at - theirs.lag_ms
        if not (self._times.may_start(seen + slack) or self._times.may_start(seen - slack)):
            return Outcome.LAGGING, at
        begin = self._turn(pair.prover, at)
        if begin > at + QUEUE_S * 1000:
            return Outcome.BUSY, at + round(QUEUE_S * 1000)
        found, answered = self._network.run(pair)
        each = theirs.answer_ms(begin) + orders.late_ms + (orders.fetch_ms or 0)
        late, end = self._timed(begin, answered, each)
        heapq.heappush(self._served[pair.prover], end)
        if (ours.falls(at, end)) is not None:
            return Outcome.VOID, end
        if (fall := theirs.falls(at, end)) is not None:
            return Outcome.UNREACHABLE, fall
        lag_us = self._lag_us()
        if late or lag_us > 1000 * self._network.policy.grace_ms:
            return (Outcome.VOID if challenger_was_late(self._network.policy, lag_us) else Outcome.LATE), end
        return found, end

    def _lag_us(self) -> int:
        """How late the challenger's own event loop is in a run."""
        rng, weather = self._network.rng, self._network.weather
        return rng.randint(0, 5_000_000) if rng.random() < weather.stutter else 0

    def _turn(self, prover: NodeId, at: int) -> int:
        """When it is this run's turn: a few are served at a time."""
        served = self._served[prover]
        while served and served[0] <= at:
            heapq.heappop(served)
        return at if len(served) < AT_ONCE else sorted(served)[len(served) - AT_ONCE]

    def _timed(self, begin: int, answered: int, each_ms: int) -> tuple[bool, int]:
        """Whether an answer is late, and when the run ends: answers come evenly, so the last one or the first is the latest."""
        for count in {1, answered + 1}:
            deadline = Deadline(self._network.policy, count, count * CELL_BYTES)
            if deadline.is_late(count * each_ms * 1000):
                return True, begin + deadline.us // 1000
        return False, begin + answered * each_ms


def _is_up_between(fate: Fate, start: int, end: int) -> bool:
    return fate.up_from(start) <= end
