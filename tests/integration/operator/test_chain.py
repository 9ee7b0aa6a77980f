"""The operator's eyes and hands on a real devnet process: views, registrations, money, and a chain that goes and comes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.integration.chain.conftest import Devnet
from tests.integration.chain.world import Node, World

from walrus_client.errors import TreasuryError
from walrus_operator.api.chain_view import FROST_PER_WAL, MIST_PER_SUI, ChainView, EpochPhase
from walrus_operator.api.decisions import Delegate, FundAddress, FundTreasury
from walrus_operator.api.world import Observed
from walrus_operator.apply import money
from walrus_operator.observe.chain import ChainObserver, ChainQuestions
from walrus_operator.plan import stakes
from walrus_sui.keys import SuiKey

KEY = "ns/net"


@pytest.fixture
def devnet(tmp_path: Path) -> Any:
    folder = tmp_path / "devnet"
    folder.mkdir()
    # Nothing but these tests moves the epoch on, so that a short one gives no less time.
    made = Devnet(folder, epoch_zero_duration="1s", epoch_duration="2s").start()  # type: ignore[no-untyped-call]
    yield made
    if made.process.poll() is None:
        made.kill()


async def test_from_registration_to_the_first_committee_and_through_a_restart(devnet: Any) -> None:
    observer = ChainObserver()
    treasury, gateway = SuiKey.generate(), SuiKey.generate()
    nodes = [Node("a"), Node("b")]
    questions = ChainQuestions(
        config_url=devnet.network_config,
        node_addresses=tuple(node.sui.address for node in nodes),
        treasury=treasury.address,
        gateways=(gateway.address,),
    )
    try:
        first = await observer.look(KEY, questions)
        assert first.error is None
        view = first.value
        assert view is not None
        assert (view.epoch, view.phase, view.n_shards) == (0, EpochPhase.WAITING, 10)
        assert view.registered == {}
        assert not view.membership_frozen

        chain = observer.client(KEY)
        assert chain is not None
        for node in nodes:
            await node.register(chain)
        view = (await observer.look(KEY, questions)).value
        assert view is not None
        assert view.registered == {node.sui.address: node.node_id for node in nodes}

        delegated = tuple((node.node_id, amount * FROST_PER_WAL) for node, amount in zip(nodes, (30, 70), strict=True))
        done = await money.carry_out(
            chain,
            treasury,
            [
                FundTreasury(5 * MIST_PER_SUI, 110 * FROST_PER_WAL),
                Delegate(delegated),
                FundAddress(gateway.address, MIST_PER_SUI, 10 * FROST_PER_WAL),
            ],
            faucet_url=observer.faucet_url(KEY),
        )
        assert len(done) == 3
        observer.money_moved(KEY)
        view = (await observer.look(KEY, questions)).value
        assert view is not None
        assert view.stakes == dict(delegated)
        assert view.balances[gateway.address] == (MIST_PER_SUI, 10 * FROST_PER_WAL)

        await World(chain, nodes, treasury).next_epoch()
        view = (await observer.look(KEY, questions)).value
        assert view is not None
        assert (view.epoch, view.phase) == (1, EpochPhase.DONE)
        assert view.change_done_at_ms
        assert sorted(seat.weight for seat in view.committee) == [3, 7]
        assert view.membership_frozen

        devnet.stop()
        silent = await observer.look(KEY, questions)
        assert silent.error is not None
        assert silent.value == view
        assert silent.failing_since is not None
        assert observer.client(KEY) is None
        again = await observer.look(KEY, questions)
        assert again.failing_since == silent.failing_since

        devnet.start()
        back = await observer.look(KEY, questions)
        assert back.error is None
        assert back.value is not None
        assert back.value.chain_id == view.chain_id
        assert back.value.committee == view.committee
    finally:
        await observer.close()


async def test_another_chain_behind_the_same_name_is_seen_as_another(devnet: Any, tmp_path: Path) -> None:
    observer = ChainObserver()
    questions = ChainQuestions(config_url=devnet.network_config)
    try:
        first = await observer.look(KEY, questions)
        devnet.stop()
        assert (await observer.look(KEY, questions)).error is not None
        # The volume is lost: same address, other data.
        devnet.data.rename(tmp_path / "lost")
        devnet.config.write_text(devnet.config.read_text().replace("seed: chain", "seed: other"))
        devnet.start()
        second = await observer.look(KEY, questions)
        assert first.value is not None
        assert second.value is not None
        assert second.value.chain_id != first.value.chain_id
    finally:
        await observer.close()


async def test_a_treasury_without_faucet_says_whom_to_pay(devnet: Any) -> None:
    observer = ChainObserver()
    try:
        await observer.look(KEY, ChainQuestions(config_url=devnet.network_config))
        chain = observer.client(KEY)
        assert chain is not None
        poor = SuiKey.generate()
        with pytest.raises(TreasuryError, match=poor.address):
            await money.carry_out(chain, poor, [FundTreasury(MIST_PER_SUI, 0)], faucet_url=None)
    finally:
        await observer.close()


async def test_nobody_there_is_an_error_and_no_exception(unused_tcp_port: int) -> None:
    observer = ChainObserver()
    questions = ChainQuestions(config_url=f"http://127.0.0.1:{unused_tcp_port}/v1/network-config")
    seen: Observed[Any] = await observer.look(KEY, questions)
    assert seen.value is None
    assert seen.error is not None
    assert "cannot fetch the network configuration" in seen.error
    await observer.close()


async def test_stake_follows_the_plan_and_no_pass_asks_for_it_twice(devnet: Any) -> None:
    observer, treasury = ChainObserver(), SuiKey.generate()
    nodes = [Node("a"), Node("b")]
    first, second = nodes
    questions = ChainQuestions(config_url=devnet.network_config, treasury=treasury.address)

    async def look() -> ChainView:
        observer.money_moved(KEY)
        view = (await observer.look(KEY, questions)).value
        assert view is not None
        return view

    async def carry_out(*actions: money.MoneyAction) -> None:
        await money.carry_out(chain, treasury, actions, faucet_url=observer.faucet_url(KEY))

    try:
        await look()
        chain = observer.client(KEY)
        assert chain is not None
        for node in nodes:
            await node.register(chain)
        await carry_out(
            FundTreasury(5 * MIST_PER_SUI, 130 * FROST_PER_WAL),
            Delegate(tuple((node.node_id, 50 * FROST_PER_WAL) for node in nodes)),
        )
        world = World(chain, nodes, treasury)
        await world.next_epoch()

        # 20 of the 50 WAL that count, and all of what was delegated a moment ago and does not count yet.
        await carry_out(Delegate(((first.node_id, 7 * FROST_PER_WAL),)))
        view = await look()
        planned = stakes.withdrawal(view, [(first.node_id, 7 * FROST_PER_WAL), (second.node_id, 20 * FROST_PER_WAL)])
        assert planned is not None
        assert [part.frost for part in planned.take] == [None]
        assert [part.frost for part in planned.ask] == [20 * FROST_PER_WAL]
        before = await chain.balance(treasury.address, "WAL")
        await carry_out(planned)
        assert await chain.balance(treasury.address, "WAL") == before + 7 * FROST_PER_WAL

        view = await look()
        assert view.stakes == {first.node_id: 50 * FROST_PER_WAL, second.node_id: 30 * FROST_PER_WAL}
        assert stakes.withdrawal(view, []) is None
        assert stakes.leaves_with(view, second.node_id) == 2

        # A plan that an epoch change has overtaken does nothing, and the next look finds the other way.
        overtaken = stakes.withdrawal(replace(view, epoch=2), [])
        assert overtaken is not None
        await carry_out(overtaken)
        await world.next_epoch()
        view = await look()
        due = stakes.withdrawal(view, [])
        assert due is not None
        assert (len(due.ask), len(due.take)) == (0, 1)
        before = await chain.balance(treasury.address, "WAL")
        await carry_out(due)
        assert await chain.balance(treasury.address, "WAL") >= before + 20 * FROST_PER_WAL
        assert len((await look()).delegations) == 2
    finally:
        await observer.close()
