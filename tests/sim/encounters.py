"""One member that drops slivers and the others that challenge it, over and over, with the nodes' own prover and challenger.

Life of an epoch here: each other member signs its seed, the examiner prepares the right answers from its own slivers, the
prover answers from what it has; the messages go through their wire form, but through no socket. What the attempts come to
is judged, reported and voted on by the rules. Keys, blobs and what is dropped follow from numbers, so that a measurement
comes out the same each time. Cells are computed once: only their first reading goes to the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.sim.statistics import detection_chance

from walrus_client.challenges import messages, votes
from walrus_client.challenges.blobs import BlobSet
from walrus_client.challenges.messages import Pair
from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.reports import Report, Reports
from walrus_client.challenges.times import EpochTimes
from walrus_client.challenges.verdicts import Case, Outcome, Verdict
from walrus_client.compute import Compute
from walrus_client.peers import challenges as wire
from walrus_codec import mapping, quorum, redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, BlobId, EncodingType, Epoch, NodeId, ShardIndex, SliverIndex
from walrus_node.challenges.cells import Cell, Cells
from walrus_node.challenges.declarations import Declarations
from walrus_node.challenges.examiner import Examiner
from walrus_node.challenges.feeding import HeldBack
from walrus_node.challenges.prover import Prover
from walrus_node.challenges.rounds import Round
from walrus_node.cheating.dropping import LackingStorage
from walrus_node.cheating.orders import OrderFile, Orders, orders_of
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import ShardStatus
from walrus_node.store.shards import SliverKey
from walrus_node.store.storage import Storage
from walrus_sui.keys import BlsKey
from walrus_sui.types import Committee, CommitteeMember

POLICY = Policy(mode=Mode.VOTE, grace_ms=3_600_000)
"""Nobody is late here, however busy the machine is."""
EQUAL = (1,) * 10
DURATION_MS = 3_600_000
CHAIN = bytes(range(32))
_BLOB_BYTES = 60


class _Round:
    """The round of the moment; what `Rounds` is to a running node."""

    def __init__(self, current: Round, blobs: BlobSet) -> None:
        self.round = current
        self._blobs = blobs

    async def current(self) -> Round:
        return self.round

    async def blobs(self, _current: Round) -> BlobSet:
        return self._blobs


class _KnownCells(Cells):
    """Cells that are computed once."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._known: dict[tuple[SliverKey, SliverIndex], Cell | None] = {}

    async def _read(self, key: SliverKey, place: SliverIndex, client: str) -> Cell | None:
        if (key, place) not in self._known:
            self._known[key, place] = await super()._read(key, place, client)
        return self._known[key, place]


class _Call:
    """The challenger's end of a stream."""

    def __init__(
        self, reply: wire.Reply, parts: AsyncGenerator[wire.Reply | wire.Part], seed: asyncio.Future[bytes]
    ) -> None:
        self.reply = reply
        self._parts = parts
        self._seed = seed

    def send_seed(self, seed: bytes) -> None:
        self._seed.set_result(seed)

    async def next(self) -> wire.Part | None:
        part = await anext(self._parts, None)
        return None if part is None else wire.part_from_pb(wire.response_to_pb(part))


@dataclass
class _Line:
    """Connects a challenger with the prover; what `PeerPool` and a channel are to a running node."""

    prover: Prover
    challenger: CommitteeMember
    asked: NodeId

    def get(self, _member: CommitteeMember) -> _Line:
        return self

    @contextlib.asynccontextmanager
    async def challenge(self, hello: wire.Hello, _signer: object) -> AsyncIterator[_Call]:
        sent: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def seed() -> bytes:
            return await sent

        parts = self.prover.serve(wire.Hello.from_body(hello.to_body()), self.challenger, self.asked, seed)
        async with contextlib.aclosing(parts):
            reply = wire.reply_from_pb(wire.response_to_pb(await anext(parts)))
            yield _Call(reply, parts, sent)


@dataclass
class Found:
    """What an epoch brought.

    Attributes:
        failed: challengers that failed the prover, by what they saw.
        passed: those that did not.
        slashed: whether the votes reach the quorum.
    """

    failed: Counter[Outcome] = field(default_factory=Counter)
    passed: int = 0
    slashed: bool = False


class Encounters:
    """A committee whose last member is told to cheat; use `opened`.

    Args:
        weights: shards of each member.
        n_blobs: that are asked for.
        order: what the cheater is told.
        share: the share of its slivers that it is to lack; it gets a name with which that is exactly so.
        folder: for the orders.
    """

    def __init__(self, weights: Sequence[int], n_blobs: int, order: str, share: float, folder: Path) -> None:
        self.n_shards = sum(weights)
        self._params = CodeParams(self.n_shards, EncodingType.ISAL)
        contents = (number.to_bytes(2, "big") * (_BLOB_BYTES // 2) for number in range(n_blobs))
        self._encoded = [redstuff.encode(content, self._params) for content in contents]
        self._blobs = BlobSet.of(blob.blob_id for blob in self._encoded)
        numbers = iter(range(self.n_shards))
        self.keys = [BlsKey((number + 1).to_bytes(32, "little")) for number in range(len(weights))]
        self.members = tuple(
            CommitteeMember(
                NodeId(f"0x{number + 1:064x}"),
                tuple(ShardIndex(next(numbers)) for _ in range(weight)),
                self.keys[number].public_key,
                f"node-{number}",
                "",
                "",
                b"",
            )
            for number, weight in enumerate(weights)
        )
        self.cheater = self.members[-1]
        self.triples = 2 * n_blobs * self.cheater.weight
        self.lacked = round(share * self.triples)
        name = self._name_that_lacks(orders_of(order), self.lacked)
        file = folder / "orders"
        file.write_text(order)
        self._orders = OrderFile(file, name)
        self._compute = Compute(workers=1, inline_limit_s=1e9)
        self._number = 3

    @property
    def chance(self) -> float:
        """1 − (1 − q)^m with the share q that the cheater really lacks."""
        return detection_chance(self.lacked / self.triples, POLICY.samples)

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, *about: Any) -> AsyncIterator[Encounters]:
        """The committee, with its slivers stored."""
        found = cls(*about)
        try:
            await found._store()
            yield found
        finally:
            await found._compute.close()
            await found._storage.close()
            await found._others.close()

    async def epoch(self) -> Found:
        """All others challenge the cheater, tell each other, and vote."""
        epoch = Epoch(self._number)
        self._number += 1
        reports, found = Reports(epoch), Found()
        for challenger in self.members[:-1]:
            report = await self._attempt(epoch, challenger)
            reports.add(report)
            if report.verdict is Verdict.FAIL:
                assert report.reason is not None
                found.failed[report.reason] += 1
            else:
                found.passed += 1
        weights = {member.node_id: member.weight for member in self.members}
        against = sum(
            member.weight
            for member in self.members[:-1]
            if self.cheater.node_id
            in votes.would_vote(me=member.node_id, reports=reports, weights=weights, n_shards=self.n_shards)
        )
        return replace(found, slashed=quorum.is_quorum(against, self.n_shards))

    async def _attempt(self, epoch: Epoch, challenger: CommitteeMember) -> Report:
        pair = Pair(epoch, challenger.node_id, self.cheater.node_id, 0)
        key = self.keys[self.members.index(challenger)]
        seed = key.sign(messages.seed(pair, chain_id=CHAIN, blobs=len(self._blobs), root=self._blobs.root))
        self._asked.round = self._round(epoch, self.cheater)
        current = self._round(epoch, challenger)
        parts: dict[str, Any] = {
            "rounds": _Round(current, self._blobs),
            "peers": _Line(self._prover, challenger, self.cheater.node_id),
            "signer": None,
        }
        examiner = Examiner(
            cells=self._truth,
            storage=self._others,
            held=HeldBack(),
            chain_now_ms=lambda: current.times.at(20),
            on_lost=_ignore,
            **parts,
        )
        examined = await examiner.attempt(current, self.cheater, 0, seed)
        assert examined.outcome in {Outcome.PASS, Outcome.MISSING, Outcome.WRONG}, examined
        judged = Case(epoch).begin().record(examined.outcome, current.times.at(20)).conclude(())
        return Report(
            epoch, challenger.node_id, self.cheater.node_id, 0, seed, len(self._blobs), self._blobs.root,
            POLICY.samples, judged.verdict, judged.reason, examined.first, examined.answered, examined.chain, 0, 0,
        )  # fmt: skip

    def _round(self, epoch: Epoch, us: CommitteeMember) -> Round:
        committee = Committee(epoch, self.n_shards, self.members)
        previous = Committee(Epoch(epoch - 1), self.n_shards, self.members)
        times, n_blobs, root = EpochTimes(0, DURATION_MS), len(self._blobs), self._blobs.root
        return Round(times, POLICY, Mode.VOTE, n_blobs, root, committee, previous, us.node_id, CHAIN)

    async def _store(self) -> None:
        self._storage, self._others = [await LackingStorage.over(MemoryStore()), await Storage.over(MemoryStore())]
        for storage, members in ((self._storage, self.members[-1:]), (self._others, self.members[:-1])):
            shards = [shard for member in members for shard in member.shards]
            await storage.create_shards(shards, ShardStatus.ACTIVE)
            for blob in self._encoded:
                await storage.put_metadata(blob.blob_id, blob.metadata.to_bcs())
                pairs = [
                    (shard, blob.pairs[mapping.pair_of_shard(shard, blob.blob_id, self.n_shards)]) for shard in shards
                ]
                await storage.put_slivers(
                    (SliverKey(shard, axis, blob.blob_id), getattr(pair, axis.value).to_bcs())
                    for shard, pair in pairs
                    for axis in Axis
                )
        self._storage.orders = self._orders
        self._asked = _Round(self._round(Epoch(3), self.cheater), self._blobs)
        self._truth = _KnownCells(storage=self._others, compute=self._compute, admitted=_admitted)
        rounds: Any = self._asked
        key = self.keys[-1]
        self._prover = Prover(
            rounds=rounds,
            cells=_KnownCells(storage=self._storage, compute=self._compute, admitted=_admitted),
            declarations=Declarations(storage=self._storage, rounds=rounds, key=key),
            storage=self._storage,
            key=key,
            chain_now_ms=lambda: self._asked.round.times.at(20),
            users_active=lambda: False,
            on_lost=_ignore,
        )

    def _name_that_lacks(self, orders: Orders, count: int) -> str:
        keys = [
            SliverKey(shard, axis, blob)
            for blob in map(BlobId, self._blobs)
            for shard in self.cheater.shards
            for axis in Axis
        ]
        for number in itertools.count():
            name = f"cheater-{number}"
            if sum(orders.lacks(name, key, min(self.cheater.shards)) for key in keys) == count:
                return name
        raise AssertionError


@contextlib.asynccontextmanager
async def _admitted(_client: str, _size: int) -> AsyncIterator[None]:
    yield


def _ignore(_blob_id: object) -> None:
    pass
