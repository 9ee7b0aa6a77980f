from collections.abc import Callable

import pytest
from tests.unit.sui.devnet_ledger.shop import Shop

from walrus_codec.types import EncodingType
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.testing import Chain, Node

NAMES = ("n0", "n1", "n2", "n3")
MINUTE = 60_000
CONFIG = GenesisConfig(
    seed="tests",
    n_shards=100,
    encoding_types=(EncodingType.RS2, EncodingType.ISAL),
    epoch_duration_ms=10 * MINUTE,
    epoch_zero_duration_ms=10_000,
)


@pytest.fixture
def chain() -> Chain:
    """A chain in epoch 0, with accounts for four nodes and two users."""
    return Chain(CONFIG, accounts=(*NAMES, "alice", "bob"))


@pytest.fixture
def network(chain: Chain) -> tuple[Chain, list[Node]]:
    """The chain in epoch 1, done changing, with four nodes of 25 shards each."""
    nodes = [chain.add_node(chain.account(name)) for name in NAMES]
    for node in nodes:
        chain.stake(node.account, node, 1_000 * 10**9)
    chain.advance(ms=10_000)
    next_epoch(chain, nodes)
    return chain, nodes


def next_epoch(chain: Chain, nodes: list[Node]) -> None:
    alice = chain.account("alice")
    chain.call("staking::voting_end", sender=alice)
    if chain.staking().epoch:
        chain.advance(ms=5 * MINUTE)
    chain.call("staking::initiate_epoch_change_v2", sender=alice)
    epoch = chain.staking().epoch
    for node in nodes:
        if node.node_id in chain.staking().committee:
            chain.call("staking::epoch_sync_done", sender=node.account, cap=node.cap_id, epoch=epoch)


@pytest.fixture
def shop(network: tuple[Chain, list[Node]]) -> Shop:
    """A user of that network's storage."""
    return Shop(*network)


@pytest.fixture
def step() -> Callable[[Chain, list[Node]], None]:
    """Takes a chain that is done changing through one whole epoch into the next one."""

    def run(chain: Chain, nodes: list[Node]) -> None:
        chain.advance(ms=5 * MINUTE)
        next_epoch(chain, nodes)

    return run
