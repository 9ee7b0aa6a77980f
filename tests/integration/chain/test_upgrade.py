"""An upgrade of the contract under running clients, against a real devnet process."""

import asyncio

import pytest
from tests.integration.chain.world import WAL, World

from walrus_sui import events, faucet, network_config
from walrus_sui.client import ChainClient
from walrus_sui.devnet.ledger.upgrades import package_digest
from walrus_sui.devnet.storage.audit import audit
from walrus_sui.errors import MoveAbort
from walrus_sui.follower import CheckpointFollower
from walrus_sui.keys import SuiKey

pytestmark = pytest.mark.timeout(300)

CODE = (b"the next version of the contract",)
DIGEST = package_digest(CODE, ())


async def first(chain: ChainClient, kind: type) -> events.Event:
    """The first event of a kind, from the chain's beginning."""
    iterator = aiter(CheckpointFollower(chain, start_after=None))
    async with asyncio.timeout(60):
        async for checkpoint in iterator:
            for _id, event in checkpoint.events:
                if isinstance(event, kind):
                    await iterator.aclose()
                    return event
    raise AssertionError(f"the chain ended without {kind.__name__}")


async def test_clients_live_through_an_upgrade(make_devnet) -> None:
    devnet = make_devnet(epoch_duration="1h", epoch_zero_duration="0s")
    config = await network_config.load(devnet.network_config)
    async with ChainClient(config) as chain, ChainClient(config) as bystander:
        world = await World.make(chain)
        voters = [(node.sui, node.node_id) for node in world.nodes]
        await chain.voting_end(voters[0][0])
        await chain.initiate_epoch_change(voters[0][0])
        user = SuiKey.generate()
        await faucet.request_sui(config.faucet_url, user.address)
        await bystander.exchange_for_wal(user, 10 * WAL)
        before = await bystander.contract()

        for key, node_id in voters[:2]:
            await chain.vote_for_upgrade(key, node_id, DIGEST)
        with pytest.raises(MoveAbort) as early:
            await chain.upgrade_contract(user, digest=DIGEST, modules=CODE, dependencies=())
        assert (early.value.module, early.value.name) == ("upgrade", "ENotEnoughVotes")
        for key, node_id in voters[2:]:
            await chain.vote_for_upgrade(key, node_id, DIGEST)
        await chain.upgrade_contract(user, digest=DIGEST, modules=CODE, dependencies=())
        manager = await chain.upgrade_manager()
        assert (manager.package_id != before.package_id, manager.version) == (True, 2)
        assert (await bystander.staking()).epoch == 1

        # The old package serves until the objects have moved.
        await bystander.stake(user, voters[0][1], WAL)
        await chain.migrate_contract(user)
        upgraded = await first(chain, events.ContractUpgraded)
        assert upgraded == events.ContractUpgraded(1, manager.package_id, 5)

        # Whoever did not hear of it finds the new package at the first call, and the state under its new key.
        await bystander.stake(user, voters[0][1], 2 * WAL)
        after = await bystander.contract()
        assert (after.package_id, after.origin_id) == (manager.package_id, before.origin_id)
        assert (await bystander.staking()).epoch == 1
        assert sorted(stake.principal for stake in await bystander.stakes(user.address)) == [WAL, 2 * WAL]
        done = world.nodes[0]
        await bystander.epoch_sync_done(done.sui, done.cap.object_id, 1)

        # A devnet that comes back knows its packages.
        devnet.stop()
        devnet.start()
        await bystander.stake(user, voters[1][1], 3 * WAL)
        assert (await first(bystander, events.ContractUpgraded)) == upgraded
    devnet.stop()
    report = audit(devnet.data / "ledger.sqlite", replay=True)
    assert (report.findings, report.transactions > 0) == ([], True)
