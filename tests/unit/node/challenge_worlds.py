"""Four nodes that challenge each other over real gRPC, in one process, with one clock that is set by hand.

They hold 3, 3, 2 and 2 of 10 shards, so f = 3, votes need 4 and slashings 7. The chain's objects are twins.
"""

import asyncio
import random
from dataclasses import dataclass, field, replace

from tests.unit.node.face.world import World
from tests.unit.node.worlds import (
    CAP,
    EPOCH_MS,
    ChainTwin,
    certified,
    committee,
    object_id,
    pool,
    put_state,
    registered,
    staking,
)

from walrus_client.challenges.policy import Mode, Policy
from walrus_client.peers import PeerPool, RequestSigner
from walrus_codec import mapping, quorum, redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType, Epoch, NodeId, ShardIndex
from walrus_node.cheating.dropping import LackingStorage
from walrus_node.cheating.parts import Cheating
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import Identity, NodeState, NodeStatus
from walrus_node.store.storage import SliverKey
from walrus_sui.abi.move_types import transaction_digest
from walrus_sui.errors import MoveAbort
from walrus_sui.events import EpochChangeStart
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey
from walrus_sui.types import CommitteeMember, SlashingProposal

N = 10
SHARDS = [(0, 1, 2), (3, 4, 5), (6, 7), (8, 9)]
CHAIN_ID = transaction_digest(b"genesis")
DONE_MS = 5_000_000
NOW_MS = 1_000_000_000
EPOCH = Epoch(3)
COMMISSION = 7_000_000
PARAMS = CodeParams(N, EncodingType.ISAL)


@dataclass
class Slashing:
    """The contract's votes, as far as they matter here."""

    weights: dict[NodeId, int]
    epoch: Epoch = EPOCH
    proposals: dict[NodeId, SlashingProposal] = field(default_factory=dict)
    votes: list[tuple[NodeId, NodeId]] = field(default_factory=list)
    slashed: list[NodeId] = field(default_factory=list)

    async def vote_for_slashing(self, key, *, voter, candidate):
        known = self.proposals.get(candidate, SlashingProposal(candidate, self.epoch, 0, ()))
        if voter in known.voters:
            raise MoveAbort("slashing", 1)
        self.votes.append((voter, candidate))
        self.proposals[candidate] = replace(
            known, weight=known.weight + self.weights[voter], voters=(*known.voters, voter)
        )

    async def execute_slashing(self, key, candidate):
        if candidate not in self.proposals:
            raise MoveAbort("slashing", 2)
        if not quorum.is_quorum(self.proposals[candidate].weight, N):
            raise MoveAbort("slashing", 4)
        del self.proposals[candidate]
        self.slashed.append(candidate)

    async def pool(self, candidate):
        return pool(node_id=candidate, commission=0 if candidate in self.slashed else COMMISSION)

    async def burned_commission(self, candidate, *, epoch=None):
        return COMMISSION if candidate in self.slashed else None

    async def slashing_proposals(self):
        return list(self.proposals.values())


class Member(World):
    """One node with its challenger."""

    def __init__(self, number, folder, clock, policy, shards):
        super().__init__(None, folder)
        self.number = number
        self.key, self.certificate_key = BlsKey.generate(), NetworkKey.generate()
        self.node_id = NodeId("0x" + bytes([number + 1]).hex() * 32)
        self.identity = Identity(CHAIN_ID, self.node_id, CAP)
        self.host, self.shards, self.clock = "127.0.0.1", shards, clock
        self.policy = policy
        self.peers = PeerPool()
        self.rings = 0
        self.lost = []
        self.orders = folder / "faults"

    def cheat(self, orders):
        """Does so from now on; an empty text makes it honest again."""
        self.orders.write_text(orders)

    async def start(self):
        self.storage = self.storage or await LackingStorage.over(MemoryStore())
        cheating = Cheating(self.orders, f"node-{self.number}", self.storage, self.view, self.compute)
        self.roles, self.cheating = cheating.roles, cheating
        self.reports_of = lambda: cheating.reports(self.storage, self.challenges.rounds, self.key)
        await super().start()
        self.now_ms[0] = NOW_MS
        return self

    def member(self):
        shards = tuple(ShardIndex(shard) for shard in self.shards)
        address = f"127.0.0.1:{self.port}"
        return CommitteeMember(
            self.node_id,
            shards,
            self.key.public_key,
            f"node-{self.number}",
            address,
            address,
            self.certificate_key.public_key,
        )

    def make_challenger(self, chain):
        self.challenges.on_lost = self.lost.append

        def ring():
            self.rings += 1

        self.challenger = self.challenges.make_challenger(
            chain=chain,
            peers=self.peers,
            signer=RequestSigner(self.node_id, self.key, now_ms=lambda: NOW_MS),
            sui_key=SuiKey.generate(),
            rng=random.Random(self.number),
            ring=ring,
        )
        return self.challenger

    async def hold(self, blob):
        await self.storage.put_metadata(blob.blob_id, blob.metadata.to_bcs())
        for shard in self.shards:
            pair = blob.pairs[mapping.pair_of_shard(ShardIndex(shard), blob.blob_id, N)]
            for axis in Axis:
                key = SliverKey(ShardIndex(shard), axis, blob.blob_id)
                await self.storage.put_sliver(key, getattr(pair, axis.value).to_bcs())

    async def lose(self, blob, axes=tuple(Axis)):
        """Deletes slivers behind the node's back."""
        for shard in self.shards:
            for axis in axes:
                key = SliverKey(ShardIndex(shard), axis, blob.blob_id)
                stored = await self.storage.sliver(key)
                if stored is not None:
                    await self.storage.remove_sliver(key, bytes(stored))

    async def close(self):
        await self.challenger.close()
        await self.cheating.close()
        await self.peers.close()
        await self.stop()
        await self.storage.close()


class Four:
    """All of them, in epoch 3."""

    def __init__(self, folder, *, policy=None, blobs=6):
        self.now = DONE_MS
        policy = policy or Policy(mode=Mode.VOTE, grace_ms=20_000)
        self.nodes = []
        for number, shards in enumerate(SHARDS):
            (folder / str(number)).mkdir()
            self.nodes.append(Member(number, folder / str(number), lambda: self.now, policy, shards))
        self.blobs = [redstuff.encode(bytes([number]) * 700, PARAMS) for number in range(blobs)]

    async def start(self):
        for node in self.nodes:
            await node.start()
            await self.feed(node, 3)
            for blob in self.blobs:
                await node.hold(blob)
            await put_state(node.storage, NodeState(NodeStatus.ACTIVE, Epoch(3)))
        await self.look(3)
        self.slashing = Slashing({node.node_id: len(node.shards) for node in self.nodes})
        for node in self.nodes:
            node.make_challenger(self.slashing)
        return self

    async def feed(self, node, epoch):
        """Events from the beginning to an epoch: all blobs are certified in the first one."""
        await node.events(EpochChangeStart(Epoch(1)))
        for number, blob in enumerate(self.blobs):
            await node.events(registered(blob.blob_id, object_id(number + 1), 50))
            await node.events(certified(blob.blob_id, object_id(number + 1), 50))
        for number in range(2, epoch + 1):
            await node.events(EpochChangeStart(Epoch(number)))

    async def look(self, epoch):
        """Shows every node the chain in an epoch, with the same committee as before."""
        members = [node.member() for node in self.nodes]
        view = replace(
            staking(epoch, since_ms=DONE_MS),
            committee=committee(epoch, *members),
            previous_committee=committee(epoch - 1, *members),
        )
        for node in self.nodes:
            node.chain = ChainTwin(view)
            node.view.use(node.chain)
            await node.view.refresh()

    async def at(self, percent, *, nodes=None):
        """Sets the clock and lets the nodes do all that is due then."""
        self.now = DONE_MS + EPOCH_MS * percent // 100
        rung = nodes or self.nodes
        while rung:
            before = [node.rings for node in rung]
            for node in rung:
                await node.challenger.run_once()
            for node in rung:
                await node.challenger.settled()
            rung = [node for node, rings in zip(rung, before, strict=True) if node.rings > rings]

    async def attempts(self):
        """The time until 60 %."""
        for percent in (5, *range(10, 60, 5)):
            await self.at(percent)

    async def verdicts(self):
        """The verdict of each node on each other one, as the first node knows them, by numbers."""
        number_of = {node.node_id: node.number for node in self.nodes}
        reports = await self.nodes[0].challenger._book.reports(Epoch(3))
        return {
            (number_of[report.challenger], number_of[report.prover]): (report.verdict, report.reason)
            for report in reports.valid.values()
        }

    async def close(self):
        await asyncio.gather(*(node.close() for node in self.nodes))
