"""Who ends the voting and starts the next epoch: at the right moment, and content when somebody else was first."""

import random

import pytest
from tests.unit.node.epochs.terms import KEY
from tests.unit.node.worlds import (
    EPOCH_MS,
    US,
    pool,
    staking,
)

from walrus_codec.types import Epoch
from walrus_node.chain import ChainView
from walrus_node.epochs.driver import LONGEST_PAUSE_S, EpochDriver
from walrus_sui.errors import MoveAbort
from walrus_sui.types import EpochPhase


class TestDriver:
    @pytest.fixture
    def now(self):
        return [0]

    @pytest.fixture
    def driver(self, chain, now):
        rng = random.Random(7)
        return EpochDriver(
            chain=chain, view=ChainView(chain), key=KEY, node_id=US, chain_now_ms=lambda: now[0], rng=rng
        )

    async def test_it_waits_for_the_moment_and_its_jitter(self, driver, chain, now):
        chain.view = staking(3, phase=EpochPhase.DONE, since_ms=1_000_000)
        due = 1_000_000 + EPOCH_MS // 2
        now[0] = due - 10_000
        pause = await driver.run_once()
        assert 10 <= pause < 10 + EPOCH_MS / 10 / 1000
        now[0] += round(pause * 1000) - 100
        assert 0 < await driver.run_once() <= 0.11, "the jitter is drawn once"
        assert not chain.done("voting_end")
        now[0] += 200
        await driver.run_once()
        assert chain.done("voting_end") == 1

    async def test_the_second_call_of_the_epoch_follows(self, driver, chain, now):
        chain.view = staking(3, phase=EpochPhase.PARAMS_SELECTED, since_ms=0)
        now[0] = 2 * EPOCH_MS
        await driver.run_once()
        assert chain.done("initiate_epoch_change") == 1

    async def test_while_shards_move_nothing_is_due(self, driver, chain, now):
        chain.view = staking(3, phase=EpochPhase.SYNC)
        now[0] = 10**15
        assert await driver.run_once() == LONGEST_PAUSE_S
        assert chain.calls == ["staking"]

    async def test_a_far_moment_is_looked_at_again_soon(self, driver, chain):
        chain.view = staking(3, phase=EpochPhase.DONE, since_ms=10**12)
        assert await driver.run_once() == LONGEST_PAUSE_S

    async def test_whoever_is_second_is_content(self, driver, chain, now):
        chain.view = staking(3, phase=EpochPhase.DONE, since_ms=0)
        now[0] = 10**9
        abort = MoveAbort("staking_inner", 0)

        async def beaten(key):
            chain.view = staking(3, phase=EpochPhase.PARAMS_SELECTED, since_ms=0)
            raise abort

        chain.voting_end = beaten
        await driver.run_once()

    async def test_an_abort_that_nobody_explains_is_retried_later_and_later(self, driver, chain, now):
        chain.view = staking(3, phase=EpochPhase.DONE, since_ms=0)
        chain.aborts["voting_end"] = MoveAbort("staking_inner", 0)
        now[0] = 10**9
        pauses = [await driver.run_once() for _ in range(8)]
        assert 2.5 <= pauses[0] <= 5
        assert 150 <= pauses[-1] <= 300
        chain.aborts.clear()
        await driver.run_once()
        chain.aborts["voting_end"] = MoveAbort("staking_inner", 0)
        assert await driver.run_once() <= 5

    async def test_the_first_committee_waits_for_our_stake(self, driver, chain, now):
        chain.view = staking(0, phase=EpochPhase.DONE)
        now[0] = 10**9
        chain.pools[US] = pool()
        assert await driver.run_once() > 0
        assert not chain.done("voting_end")
        chain.pools[US] = pool(pending_stake=((Epoch(1), 5),))
        await driver.run_once()
        assert chain.done("voting_end") == 1
