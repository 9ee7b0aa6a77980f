from collections.abc import Callable

import pytest

from walrus_sui.devnet.testing import Chain, Node

WEEK = 7 * 24 * 3600 * 1000
NAMES = tuple(f"node{number}" for number in range(10))
TEN_NODES = {"n_shards": 100, "epoch_duration": "168h", "epoch_zero_duration": "100000s"}


@pytest.fixture
def ten() -> Callable[..., tuple[Chain, list[Node]]]:
    """Makes a chain of 100 shards and ten nodes that registered; who stakes, and when, is the test's business."""

    def make(**votes: int) -> tuple[Chain, list[Node]]:
        chain = Chain(TEN_NODES, accounts=(*NAMES, "alice", "bob"))
        return chain, [chain.add_node(name, **votes) for name in NAMES]

    return make


@pytest.fixture
def network(ten: Callable[..., tuple[Chain, list[Node]]]) -> tuple[Chain, list[Node]]:
    """The ten nodes in epoch 1, with 10 shards each and 1000 WAL of their own."""
    chain, nodes = ten(storage_price=10_000, write_price=20_000)
    for node in nodes:
        chain.stake(node, node, 1000 * 10**9)
    chain.next_epoch()
    return chain, nodes
