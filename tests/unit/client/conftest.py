import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random

import pytest
from tests.unit.client.fakes import FakeChain, FakeNode

from walrus_client.committee import CommitteeTracker
from walrus_client.compute import Compute
from walrus_client.peers import PeerPool
from walrus_client.read import Reader
from walrus_client.store import Store
from walrus_codec.types import EncodingType
from walrus_sui.keys import SuiKey


@dataclass
class World:
    """A network of fakes with the real client on it."""

    chain: FakeChain
    key: SuiKey
    nodes: list[FakeNode]
    committees: CommitteeTracker
    peers: PeerPool
    compute: Compute
    reader: Reader
    store: Store


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Four nodes with 3, 3, 2 and 2 of 10 shards: any one of them may fail."""
    shards = [range(3), range(3, 6), range(6, 8), range(8, 10)]
    nodes = [FakeNode(number, owned) for number, owned in enumerate(shards, start=1)]
    await asyncio.gather(*(node.start() for node in nodes))
    chain = FakeChain(nodes)
    committees = CommitteeTracker(chain, max_age_s=60)
    peers = PeerPool()
    compute = Compute(workers=1, inline_limit_s=1e9)
    reader = Reader(committees, peers, compute, chain=chain, rng=Random(1))
    key = SuiKey.generate()
    store = Store(chain, key, committees, peers, compute, default_encoding=EncodingType.ISAL, rng=Random(2))
    yield World(chain, key, nodes, committees, peers, compute, reader, store)
    await store.close()
    await peers.close()
    await compute.close()
    await asyncio.gather(*(node.stop() for node in nodes))
