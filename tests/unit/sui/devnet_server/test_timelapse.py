"""Epochs that pass on demand, on an engine with a network inside."""

import asyncio
import contextlib

import pytest

from walrus_sui.devnet.clock import ManualClock
from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.testing import Chain, epochs
from walrus_sui.devnet.timelapse import Timelapse, TimelapseError

EPOCH_MS = 600_000


class Memory:
    """A disk that keeps nothing."""

    def journal(self, rows):
        pass

    def close_checkpoint(self, delta, *, journaled):
        pass

    def close(self):
        pass


@pytest.fixture
def chain():
    chain = Chain({"n_shards": 10, "epoch_duration": "10m", "epoch_zero_duration": "1m"})
    for name in ("n0", "n1"):
        chain.stake("alice", chain.add_node(name), 10**9)
    chain.advance()
    return chain


@pytest.fixture
async def timelapse(chain):
    clock = ManualClock(chain.now_ms)
    engine = Engine(chain.ledger, Memory(), clock=clock.read, interval_ms=5)
    running = asyncio.create_task(engine.run())
    yield Timelapse(engine, clock)
    await engine.stop()
    await running


@pytest.fixture
async def nodes(chain, timelapse):
    """Two nodes that attest their shards whenever a checkpoint shows them something to attest."""

    async def attest():
        async for _ in timelapse._engine.hub.subscribe():
            epochs.attest(chain)

    task = asyncio.create_task(attest())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_whole_epochs_pass_as_soon_as_the_contract_allows(chain, timelapse, nodes):
    start = chain.now_ms
    moment = await timelapse.advance_epochs(3, patience_s=30)
    assert (moment.epoch, chain.staking().epoch) == (3, 3)
    assert moment.now_ms == start + 60_000 + 2 * EPOCH_MS
    assert moment.checkpoint == chain.ledger.head.sequence


async def test_what_a_node_did_already_is_not_done_again(chain, timelapse, nodes):
    await timelapse.advance_ms(60_000)
    chain.call("staking::voting_end", sender="alice")
    assert (await timelapse.advance_epochs(1, patience_s=30)).epoch == 1


async def test_nodes_that_do_not_attest_are_told(chain, timelapse):
    with pytest.raises(TimelapseError, match=r"epoch 1 waits for its nodes: 0 of 10 shards are attested after 0\.05 s"):
        await timelapse.advance_epochs(2, patience_s=0.05)
    assert chain.staking().epoch == 1


@pytest.mark.parametrize("count", [0, -1, 1001])
async def test_impossible_times_are_refused(timelapse, count):
    with pytest.raises(TimelapseError, match="epochs can pass"):
        await timelapse.advance_epochs(count, patience_s=1)
    with pytest.raises(TimelapseError, match="time moves by"):
        await timelapse.advance_ms(-1)
