"""Nodes without storage: the chain's side of a Walrus network, driven by hand."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType, Epoch, NodeId
from walrus_sui import bls, faucet, messages
from walrus_sui.client import ChainClient
from walrus_sui.errors import MoveAbort
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey
from walrus_sui.types import (
    Certificate,
    Committee,
    EpochPhase,
    NewBlob,
    NodeCap,
    NodeMetadata,
    SignedMessage,
    VotingParams,
    signers_bitmap,
)

WAL = 1_000_000_000
VOTES = VotingParams(storage_price=100_000, write_price=20_000, node_capacity=250_000_000_000)


@dataclass
class Node:
    name: str
    sui: SuiKey = field(default_factory=SuiKey.generate)
    bls: BlsKey = field(default_factory=BlsKey.generate)
    network: NetworkKey = field(default_factory=NetworkKey.generate)
    cap: NodeCap | None = None

    @property
    def node_id(self) -> NodeId:
        return self.cap.node_id

    @property
    def metadata(self) -> NodeMetadata:
        return NodeMetadata(description="a test node", extra_fields=(("grpc_address", f"{self.name}:9187"),))

    async def register(self, chain: ChainClient) -> None:
        await faucet.request_sui(chain.config.faucet_url, self.sui.address)
        self.cap = await chain.register_candidate(
            self.sui,
            name=self.name,
            network_address=f"{self.name}:9185",
            metadata=self.metadata,
            bls_key=self.bls,
            network_public_key=self.network.public_key,
            commission_rate=6000,
            votes=VOTES,
        )


@dataclass
class World:
    chain: ChainClient
    nodes: list[Node]
    treasury: SuiKey
    advance: Callable[[int], None] | None = None

    @classmethod
    async def make(
        cls, chain: ChainClient, n_nodes: int = 4, *, advance: Callable[[int], None] | None = None
    ) -> "World":
        """Candidates with stake, before the first epoch; `advance` moves the clock, which is real without it."""
        nodes = [Node(f"node-{number}") for number in range(n_nodes)]
        world = cls(chain, nodes, SuiKey.generate(), advance)
        await asyncio.gather(*(node.register(chain) for node in world.nodes))
        await faucet.request_sui(chain.config.faucet_url, world.treasury.address)
        await chain.exchange_for_wal(world.treasury, 100 * WAL)
        await chain.stake_many(world.treasury, [(node.node_id, 10 * WAL) for node in world.nodes])
        return world

    async def until_ms(self, moment: int) -> None:
        if self.advance is not None:
            await asyncio.to_thread(self.advance, max(0, moment - await self.chain.clock_ms()))
        async with asyncio.timeout(30):
            while await self.chain.clock_ms() < moment:  # noqa: ASYNC110  (another process's clock)
                await asyncio.sleep(0.05)

    async def next_epoch(self) -> Epoch:
        """Drive one epoch change from beginning to end."""
        driver, view = self.nodes[0].sui, await self.chain.staking()
        half, full = view.epoch_duration_ms // 2, view.epoch_duration_ms
        start = view.epoch_state.since_ms
        await self.until_ms(start + half if view.epoch else view.first_epoch_start_ms)
        await self.chain.voting_end(driver)
        await self.until_ms(start + full if view.epoch else view.first_epoch_start_ms)
        await self.chain.initiate_epoch_change(driver)
        epoch = Epoch(view.epoch + 1)
        for node in self.nodes:
            try:
                await self.chain.epoch_sync_done(node.sui, node.cap.object_id, epoch)
            except MoveAbort as error:
                if error.name != "ENotInCommittee":
                    raise
        async with asyncio.timeout(10):
            while (await self.chain.staking()).epoch_state.phase is not EpochPhase.DONE:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return epoch

    async def certificate(self, registered, *, signers: int | None = None) -> Certificate:
        """Confirmations of the first members of the committee, summed."""
        epoch = (await self.chain.system()).epoch
        persistence = messages.Deletable(registered.object_id) if registered.deletable else messages.Permanent()
        signed = await self.signed(messages.confirmation(registered.blob_id, epoch, persistence), signers=signers)
        return Certificate(registered.object_id, signed.signature, signed.signers_bitmap, signed.message)

    async def signed(self, message: bytes, *, signers: int | None = None) -> SignedMessage:
        """A message with the signatures of the first members of the committee."""
        committee = (await self.chain.staking()).committee
        by_id = {node.node_id: node for node in self.nodes}
        signing = committee.members[: len(committee.members) if signers is None else signers]
        return SignedMessage(
            signature=bls.aggregate([by_id[member.node_id].bls.sign(message) for member in signing]),
            signers_bitmap=signers_bitmap(range(len(signing)), len(committee.members)),
            message=message,
        )


def new_blob(content: bytes, *, n_shards: int = 10, deletable: bool = False) -> NewBlob:
    params = CodeParams(n_shards, EncodingType.RS2)
    encoded = redstuff.encode(content, params)
    return NewBlob(
        blob_id=encoded.blob_id,
        root_hash=encoded.metadata.root(),
        size=len(content),
        encoded_size=params.encoded_length(len(content)),
        encoding_type=EncodingType.RS2,
        deletable=deletable,
    )


def weights(committee: Committee) -> list[int]:
    return sorted(member.weight for member in committee.members)
