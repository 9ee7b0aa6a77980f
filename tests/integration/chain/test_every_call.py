"""Every typed call once against a real devnet process, and what it changed read back."""

import dataclasses
import random

import pytest
from tests.integration.chain.world import VOTES, WAL, World, new_blob

from walrus_codec.types import BlobId, Epoch
from walrus_sui import faucet, messages, network_config
from walrus_sui.client import ChainClient
from walrus_sui.devnet import config as devnet_config
from walrus_sui.devnet.genesis import faucet_key
from walrus_sui.devnet.ledger.upgrades import package_digest
from walrus_sui.errors import MoveAbort, ObjectNotFound
from walrus_sui.keys import BlsKey, SuiKey
from walrus_sui.types import Authorized

pytestmark = pytest.mark.timeout(300)

UNIT = 1 << 20


@pytest.fixture
def devnet(make_devnet):
    return make_devnet(clock="manual", epoch_duration="1h")


@pytest.fixture
async def chain(devnet):
    async with ChainClient(await network_config.load(devnet.network_config), rng=random.Random(1)) as client:
        yield client


@pytest.fixture
async def world(chain: ChainClient, devnet):
    """Four nodes in epoch 1."""
    made = await World.make(chain, advance=devnet.advance)
    await made.next_epoch()
    return made


async def refused(call, name: str) -> None:
    with pytest.raises(MoveAbort) as caught:
        await call
    assert caught.value.name == name


async def test_stake_is_cut_joined_and_comes_back(chain: ChainClient, world: World) -> None:
    owner, node = world.treasury, world.nodes[0]
    before = await chain.balance(owner.address, "WAL")
    whole = await chain.stake(owner, node.node_id, 10 * WAL)
    part = await chain.split_stake(owner, whole, 4 * WAL)
    by_id = {stake.object_id: stake for stake in await chain.stakes(owner.address)}
    assert (by_id[whole].principal, by_id[part].principal, by_id[part].activation_epoch) == (6 * WAL, 4 * WAL, 2)
    await refused(chain.split_stake(owner, part, WAL // 2), "EStakeBelowThreshold")
    other = next(stake for stake in by_id.values() if stake.activation_epoch == 1)
    await refused(chain.join_stakes(owner, [whole, other.object_id]), "EMetadataMismatch")
    joined = await chain.join_stakes(owner, [whole, part])
    assert (joined.object_id, joined.principal) == (whole, 10 * WAL)

    # Counted from epoch 2 on with a node that is in the next committee: it takes two steps.
    await world.next_epoch()
    (stake,) = [stake for stake in await chain.stakes(owner.address) if stake.object_id == whole]
    assert not await chain.can_withdraw_at_once(stake)
    await refused(chain.withdraw_stakes(owner, [whole]), "ENotWithdrawing")
    (asked,) = await chain.request_withdrawal(owner, [whole])
    assert asked.withdraw_epoch == 3
    await refused(chain.withdraw_stakes(owner, [whole]), "EWithdrawEpochNotReached")
    await chain.add_subsidy(owner, 2 * WAL, epochs_ahead=1)
    await world.next_epoch()
    expected = await chain.rewards(asked, Epoch(3))
    got = await chain.withdraw_stakes(owner, [whole])
    assert got == 10 * WAL + expected
    assert await chain.balance(owner.address, "WAL") == before - 2 * WAL + expected

    # After the next committee was chosen, fresh stake counts two epochs later and may be taken back at once.
    view = await chain.staking()
    await world.until_ms(view.epoch_state.since_ms + view.epoch_duration_ms // 2)
    await chain.voting_end(owner)
    ids = await chain.stake_many(owner, [(node.node_id, 3 * WAL), (world.nodes[1].node_id, 2 * WAL)])
    fresh = {stake.object_id: stake for stake in await chain.stakes(owner.address)}
    assert [fresh[item].activation_epoch for item in ids] == [5, 5]
    assert await chain.can_withdraw_at_once(fresh[ids[0]])
    await refused(chain.request_withdrawal(owner, ids[:1]), "EWithdrawDirectly")
    assert await chain.withdraw_stakes(owner, ids) == 5 * WAL
    chosen = await chain.staking()
    assert chosen.next_committee is not None
    assert chosen.voted_capacity is not None


async def test_a_node_changes_its_key_and_shows_in_the_active_set(chain: ChainClient, world: World) -> None:
    node = world.nodes[0]
    active = await chain.active_set()
    assert (active.max_size, active.total_stake) == (150, 40 * WAL)
    assert sorted(active.nodes) == sorted((item.node_id, 10 * WAL) for item in world.nodes)
    await chain.try_join_active_set(node.sui, node.cap.object_id)
    await chain.stake(world.treasury, node.node_id, 30 * WAL)
    preview = await chain.preview_committee()
    assert sorted(shard for shards in preview.values() for shard in shards) == list(range(10))
    assert len(preview[node.node_id]) == 5  # the cap of four nodes
    following = BlsKey.generate()
    await chain.set_next_public_key(node.sui, node.cap, following)
    assert (await chain.pool(node.node_id)).next_bls_public_key == following.public_key
    await chain.update_node(
        node.sui, node.cap, await chain.pool(node.node_id), votes=dataclasses.replace(VOTES, storage_price=1)
    )
    for other in world.nodes[1:]:
        pool = await chain.pool(other.node_id)
        await chain.update_node(other.sui, other.cap, pool, votes=dataclasses.replace(VOTES, storage_price=1))
    await chain.update_prices(world.treasury)
    assert (await chain.system()).storage_price == 1
    node.bls = following
    await world.next_epoch()
    committee = (await chain.staking()).committee
    assert committee.by_id(node.node_id).bls_public_key == following.public_key
    assert {member.node_id: member.shards for member in committee.members} == preview


async def test_commission_goes_to_whom_the_pool_names(chain: ChainClient, world: World) -> None:
    node, stranger = world.nodes[0], world.nodes[1]
    receiver = (await chain.pool(node.node_id)).commission_receiver
    assert receiver == Authorized(node.cap.object_id, is_object=True)
    await chain.add_commission(world.treasury, [(node.node_id, 5 * WAL), (stranger.node_id, WAL)])
    earned = await chain.commission(node.node_id)
    assert (earned.total, earned.blocked, earned.collectable) == (5 * WAL, 5 * WAL, 0)
    assert await chain.collect_commission(node.sui, node.node_id, holder=node.cap.object_id) == 0
    await refused(chain.collect_commission(node.sui, node.node_id, holder=None), "EAuthorizationFailure")
    await world.next_epoch()
    await world.next_epoch()
    earned = await chain.commission(node.node_id)
    assert earned.collectable >= 5 * WAL
    assert await chain.collect_commission(node.sui, node.node_id, holder=node.cap.object_id) == earned.collectable
    assert await chain.balance(node.sui.address, "WAL") == earned.collectable

    await chain.set_commission_receiver(
        node.sui, node.node_id, Authorized(stranger.sui.address), holder=node.cap.object_id
    )
    await refused(chain.collect_commission(node.sui, node.node_id, holder=node.cap.object_id), "EAuthorizationFailure")
    assert await chain.collect_commission(stranger.sui, node.node_id, holder=None) == 0
    await chain.set_governance_authorized(node.sui, node.node_id, Authorized(stranger.cap.object_id, is_object=True))
    assert (await chain.pool(node.node_id)).governance_authorized == Authorized(stranger.cap.object_id, is_object=True)
    candidate = world.nodes[2].node_id
    await refused(chain.vote_for_slashing(node.sui, voter=node.node_id, candidate=candidate), "ENotAuthorized")
    await chain.vote_for_slashing(stranger.sui, voter=node.node_id, candidate=candidate, holder=stranger.cap.object_id)
    (proposal,) = await chain.slashing_proposals()
    assert proposal.voters == (node.node_id,)


async def test_a_quorum_burns_the_commission_of_a_node(chain: ChainClient, world: World) -> None:
    bad, voters = world.nodes[3], world.nodes[:3]
    await chain.add_commission(world.treasury, [(bad.node_id, 5 * WAL)])
    await refused(chain.execute_slashing(world.treasury, bad.node_id), "ENoProposalForNode")
    await chain.vote_for_slashing(voters[0].sui, voter=voters[0].node_id, candidate=bad.node_id)
    await refused(
        chain.vote_for_slashing(voters[0].sui, voter=voters[0].node_id, candidate=bad.node_id), "EDuplicateVote"
    )
    await refused(chain.execute_slashing(world.treasury, bad.node_id), "ENotEnoughVotes")
    for voter in voters[1:]:
        await chain.vote_for_slashing(voter.sui, voter=voter.node_id, candidate=bad.node_id)
    (proposal,) = await chain.slashing_proposals()
    weight = sum(m.weight for m in (await chain.staking()).committee.members if m.node_id != bad.node_id)
    assert (proposal.node_id, proposal.epoch, proposal.weight) == (bad.node_id, 1, weight)
    assert proposal.voters == tuple(voter.node_id for voter in voters)
    assert await chain.burned_commission(bad.node_id) is None, "nobody was slashed"
    earned = (await chain.commission(bad.node_id)).total
    await chain.execute_slashing(world.treasury, bad.node_id)
    assert (await chain.commission(bad.node_id)).total == 0
    assert await chain.burned_commission(bad.node_id) == earned >= 5 * WAL
    await chain.add_commission(world.treasury, [(bad.node_id, WAL)])
    assert await chain.burned_commission(bad.node_id) == earned, "also when the pool has changed since"
    in_epochs = [await chain.burned_commission(bad.node_id, epoch=Epoch(epoch)) for epoch in (0, 1, 2)]
    assert in_epochs == [None, earned, None], "slashed in epoch 1"
    assert await chain.slashing_proposals() == []

    await chain.vote_for_slashing(voters[0].sui, voter=voters[0].node_id, candidate=bad.node_id)
    await world.next_epoch()
    await chain.cleanup_slashing_proposals(world.treasury, [bad.node_id])
    assert await chain.slashing_proposals() == []


async def test_the_contract_is_upgraded_under_open_clients(chain: ChainClient, world: World, devnet) -> None:
    code = (b"the next version",)
    digest = package_digest(code, ())
    old = await chain.contract()
    async with ChainClient(chain.config) as bystander, ChainClient(chain.config) as viewer:
        for client in (bystander, viewer):
            assert (await client.contract()).package_id == old.package_id
        for node in world.nodes[:3]:
            await chain.vote_for_upgrade(node.sui, node.node_id, digest)
        stale = bytes(32)
        await chain.vote_for_upgrade(world.nodes[0].sui, world.nodes[0].node_id, stale)
        manager = await chain.upgrade_manager()
        assert (manager.package_id, manager.version) == (old.package_id, 1)
        assert {proposal.digest for proposal in manager.proposals} == {digest, stale}
        quorum = next(proposal for proposal in manager.proposals if proposal.digest == digest)
        assert (quorum.epoch, quorum.version, len(quorum.voters)) == (1, 2, 3)
        await refused(
            chain.upgrade_contract(world.treasury, digest=stale, modules=code, dependencies=()), "ENotEnoughVotes"
        )
        await chain.upgrade_contract(world.treasury, digest=digest, modules=code, dependencies=())
        assert (await chain.contract(fresh=True)).package_id == old.package_id  # committed, not migrated
        await chain.migrate_contract(world.treasury)
        upgraded = await chain.contract()
        assert upgraded.package_id == (await chain.upgrade_manager()).package_id != old.package_id
        assert upgraded.origin_id == old.origin_id

        # Who still calls the old package is refused, learns the new one, and repeats the call.
        assert await bystander.stake(world.treasury, world.nodes[0].node_id, WAL)
        assert (await bystander.contract()).package_id == upgraded.package_id
        (stake,) = [item for item in await viewer.stakes(world.treasury.address) if item.principal == WAL]
        assert await viewer.can_withdraw_at_once(stake)
        assert (await viewer.contract()).package_id == upgraded.package_id
        assert {stake.principal for stake in await bystander.stakes(world.treasury.address)} == {WAL, 10 * WAL}
    assert upgraded.package_id in await chain.event_packages()
    assert old.origin_id in await chain.event_packages()
    await world.next_epoch()
    assert (await chain.staking()).epoch == 2
    await chain.cleanup_upgrade_proposals(world.treasury, [stale])
    assert all(proposal.digest != stale for proposal in (await chain.upgrade_manager()).proposals)

    # The emergency capability asks nobody. On a devnet the faucet's account has it.
    code = (b"an emergency",)
    faucet_account = SuiKey(faucet_key(devnet_config.load(devnet.config).genesis).private_bytes_raw())
    kind = upgraded.type_name("upgrade", "EmergencyUpgradeCap")
    (cap,) = await chain._transport.owned(faucet_account.address, kind)
    await chain.upgrade_contract(
        faucet_account,
        digest=package_digest(code, ()),
        modules=code,
        dependencies=(),
        emergency_cap=cap.ref.object_id,
    )
    await chain.migrate_contract(faucet_account)
    assert (await chain.upgrade_manager()).version == 3
    assert (await chain.contract()).package_id != upgraded.package_id


async def test_storage_is_cut_and_put_together(chain: ChainClient, world: World) -> None:
    owner = world.treasury
    price = (await chain.system()).storage_price
    before = await chain.balance(owner.address, "WAL")
    bought = await chain.reserve_storage(owner, 4 * UNIT, epochs_ahead=4)
    assert (bought.start_epoch, bought.end_epoch, bought.size, bought.owner) == (1, 5, 4 * UNIT, owner.address)
    assert await chain.balance(owner.address, "WAL") == before - 16 * price
    late = await chain.split_storage_by_epoch(owner, bought.object_id, Epoch(3))
    assert (late.start_epoch, late.end_epoch) == (3, 5)
    half = await chain.split_storage_by_size(owner, bought.object_id, UNIT)
    assert half.size == 3 * UNIT
    await refused(chain.fuse_storage(owner, bought.object_id, [late.object_id]), "EIncompatibleAmount")
    fused = await chain.fuse_storage(owner, bought.object_id, [half.object_id, late.object_id])
    assert fused == dataclasses.replace(bought, size=4 * UNIT)
    period = await chain.reserve_storage(owner, UNIT, period=(Epoch(5), Epoch(6)))
    assert await chain.storage(owner.address) == sorted([fused, period], key=lambda item: item.object_id)
    await chain.destroy_storage(owner, [fused.object_id, period.object_id])
    assert await chain.storage(owner.address) == []
    slots = (await chain.system()).accounting
    assert [slot.epoch for slot in slots[:3]] == [1, 2, 3]
    assert slots[0].used_capacity == 4 * UNIT
    assert slots[0].rewards == 4 * price


async def test_a_blob_lives_is_described_and_dies(chain: ChainClient, world: World) -> None:
    owner = world.treasury
    new = new_blob(b"deletable", deletable=True)
    storage = await chain.reserve_storage(owner, new.encoded_size + 7, epochs_ahead=5)
    blob = await chain.register_on_storage(owner, storage, new, until=Epoch(3))
    assert (blob.blob_id, blob.storage.object_id) == (new.blob_id, storage.object_id)
    assert (blob.storage.size, blob.storage.end_epoch) == (new.encoded_size, 3)
    rests = await chain.storage(owner.address)
    assert sorted((rest.size, rest.start_epoch, rest.end_epoch) for rest in rests) == [
        (7, 1, 3),
        (new.encoded_size + 7, 3, 6),
    ]
    await refused(chain.extend_blobs(owner, [blob.object_id], 1), "ENotCertified")
    await chain.certify(owner, [await world.certificate(blob)])
    await chain.extend_blobs(owner, [blob.object_id], 3)
    assert (await chain.blob(blob.object_id)).storage.end_epoch == 6
    more = await chain.reserve_storage(owner, new.encoded_size, period=(Epoch(6), Epoch(8)))
    await chain.extend_blob_with_storage(owner, blob.object_id, more.object_id)
    assert (await chain.blob(blob.object_id)).storage.end_epoch == 8

    assert await chain.attributes(blob.object_id) is None
    await refused(chain.clear_attributes(owner, blob.object_id), "EMissingMetadata")
    await chain.add_attributes(owner, blob.object_id, {"name": "a", "type": "text"})
    await refused(chain.add_attributes(owner, blob.object_id, {}), "EDuplicateMetadata")
    await chain.set_attributes(owner, blob.object_id, {"name": "b", "mood": "good"})
    assert await chain.attributes(blob.object_id) == {"name": "b", "mood": "good", "type": "text"}
    await chain.remove_attributes(owner, blob.object_id, ["mood", "nothing"])
    assert await chain.attributes(blob.object_id) == {"name": "b", "type": "text"}
    await chain.replace_attributes(owner, blob.object_id, {"only": "this"})
    assert await chain.attributes(blob.object_id) == {"only": "this"}
    await chain.clear_attributes(owner, blob.object_id)
    assert await chain.attributes(blob.object_id) is None

    (freed,) = await chain.delete_blobs(owner, [blob.object_id])
    assert (freed.object_id, freed.end_epoch, freed.size) == (storage.object_id, 8, new.encoded_size)
    with pytest.raises(ObjectNotFound):
        await chain.blob(blob.object_id)
    (kept,) = await chain.reserve_and_register(owner, [new_blob(b"permanent")], epochs_ahead=1)
    await refused(chain.delete_blobs(owner, [kept.object_id]), "EBlobNotDeletable")
    await chain.burn_blobs(owner, [kept.object_id])
    assert await chain.blobs(owner.address) == []


async def test_a_shared_blob_is_funded_and_extended_by_strangers(chain: ChainClient, world: World) -> None:
    owner, stranger = world.treasury, SuiKey.generate()
    await faucet.request_sui(chain.config.faucet_url, stranger.address)
    await chain.exchange_for_wal(stranger, WAL)
    blobs = await chain.reserve_and_register(owner, [new_blob(b"one"), new_blob(b"two")], epochs_ahead=1)
    await chain.certify(owner, [await world.certificate(blob) for blob in blobs])
    empty = await chain.share_blob(owner, blobs[0].object_id)
    funded = await chain.share_blob(owner, blobs[1].object_id, funds=7 * WAL)
    assert (await chain.shared_blob(funded)).funds == 7 * WAL
    with pytest.raises(MoveAbort):
        await chain.extend_shared_blob(stranger, empty, 2)
    await chain.fund_shared_blob(stranger, empty, WAL)
    await chain.extend_shared_blob(stranger, empty, 2)
    system = await chain.system()
    extended = await chain.shared_blob(empty)
    assert extended.funds == WAL - system.storage_cost(extended.blob.storage.size, 2)
    assert extended.blob.storage.end_epoch == 4
    with pytest.raises(ObjectNotFound):
        await chain.shared_blob(blobs[0].storage.object_id)


async def test_a_pool_holds_many_blobs(chain: ChainClient, world: World) -> None:
    owner = world.treasury
    news = [new_blob(b"first", deletable=True), new_blob(b"second"), new_blob(b"third", deletable=True)]
    pool_id = await chain.create_storage_pool(owner, 8 * max(new.encoded_size for new in news), epochs_ahead=1)
    pooled = await chain.register_pooled_blobs(owner, pool_id, news)
    assert [blob.blob_id for blob in pooled] == [new.blob_id for new in news]
    pool = await chain.storage_pool(pool_id)
    assert (pool.blob_count, pool.used, pool.owner) == (3, sum(new.encoded_size for new in news), owner.address)
    assert await chain.storage_pools(owner.address) == [pool]
    epoch = (await chain.system()).epoch
    message = messages.confirmation(pooled[0].blob_id, epoch, messages.Deletable(pooled[0].object_id))
    await chain.certify_pooled_blob(owner, pool_id, pooled[0].blob_id, await world.signed(message))
    certified = await chain.pooled_blob(pool, pooled[0].blob_id)
    assert certified == dataclasses.replace(pooled[0], certified_epoch=epoch)
    assert await chain.pooled_blob(pool, BlobId(bytes(32))) is None
    await refused(chain.delete_pooled_blobs(owner, pool_id, [pooled[1].blob_id]), "EBlobNotDeletable")
    await chain.delete_pooled_blobs(owner, pool_id, [pooled[0].blob_id, pooled[2].blob_id])
    assert await chain.pooled_blobs(pool) == [pooled[1]]

    await chain.extend_storage_pool(owner, pool_id, 1)
    await chain.increase_storage_pool(owner, pool_id, size=UNIT)
    extra = await chain.reserve_storage(owner, 2 * UNIT, epochs_ahead=2)
    await chain.increase_storage_pool(owner, pool_id, storage=extra.object_id)
    grown = await chain.storage_pool(pool_id)
    assert (grown.storage.size, grown.storage.end_epoch) == (pool.storage.size + 3 * UNIT, 3)
    taken = await chain.decrease_storage_pool(owner, pool_id, UNIT)
    assert (taken.size, taken.end_epoch) == (UNIT, 3)
    free = (await chain.storage_pool(pool_id)).available
    assert (await chain.decrease_storage_pool_by_percent(owner, pool_id, 50)).size == free // 2
    await refused(chain.destroy_storage_pool(owner, pool_id), "EPoolNotEmpty")
    for _ in range(2):
        await world.next_epoch()
    await chain.burn_expired_pooled_blobs(owner, pool_id, [pooled[1].blob_id])
    left = (await chain.storage_pool(pool_id)).storage
    assert (await chain.destroy_storage_pool(owner, pool_id)).object_id == left.object_id
    fresh = await chain.reserve_storage(owner, UNIT, epochs_ahead=1)
    second = await chain.create_storage_pool_with_storage(owner, fresh.object_id)
    assert (await chain.storage_pool(second)).storage == dataclasses.replace(fresh, owner=None)


async def test_donors_fill_the_funds(chain: ChainClient, world: World) -> None:
    donor = world.treasury
    await chain.add_subsidy(donor, 4 * WAL, epochs_ahead=4)
    await chain.add_per_epoch_subsidies(donor, [1, 2, 3])
    assert [slot.rewards for slot in (await chain.system()).accounting[:5]] == [WAL + 1, WAL + 2, WAL + 3, WAL, 0]
    view = await chain.subsidies()
    assert (view.object_id, view.pool, view.rate) == (chain.config.walrus_subsidies_object, 0, 0)
    await chain.fund_subsidies(donor, 6 * WAL)
    assert (await chain.subsidies()).pool == 6 * WAL
    assert (await chain.subsidies()).latest_epoch == 0
    await world.next_epoch()
    await chain.process_subsidies(donor)
    paid = await chain.subsidies()
    assert (paid.latest_epoch, paid.processed_ms) == (1, await chain.clock_ms())
    sui = await chain.balance(donor.address)
    await chain.exchange_for_sui(donor, WAL)
    assert await chain.balance(donor.address) > sui + WAL // 2


async def test_what_a_quorum_signs_takes_effect(chain: ChainClient, world: World) -> None:
    node = world.nodes[0]
    epoch = (await chain.system()).epoch
    bad = new_blob(b"bad").blob_id
    await chain.invalidate_blob_id(node.sui, await world.signed(messages.invalid_blob(bad, epoch), signers=2))
    with pytest.raises(MoveAbort) as few:
        await chain.invalidate_blob_id(node.sui, await world.signed(messages.invalid_blob(bad, epoch), signers=1))
    assert few.value.name == "ENotEnoughStake"

    version = await world.signed(messages.protocol_version(2, start=Epoch(3), epoch=epoch))
    await chain.update_protocol_version(node.sui, node.cap.object_id, version)

    await chain.register_deny_list_update(node.sui, node.cap.object_id, root=b"r" * 32, sequence=1)
    message = messages.deny_list_update(node.node_id, sequence=1, size=UNIT, root=b"r" * 32, epoch=epoch)
    cap = await chain.update_deny_list(node.sui, node.cap.object_id, await world.signed(message))
    assert (cap.deny_list_root, cap.deny_list_sequence, cap.deny_list_size) == (b"r" * 32, 1, UNIT)
    assert await chain.deny_list_sizes() == {node.node_id: UNIT}
    await refused(
        chain.register_deny_list_update(node.sui, node.cap.object_id, root=b"r" * 32, sequence=1),
        "EIncorrectDenyListSequence",
    )
    deleted = await world.signed(messages.deny_listed_blob_deleted(bad, epoch), signers=2)
    await chain.delete_deny_listed_blob(node.sui, deleted)

    blob = new_blob(b"events")
    for member in world.nodes[:2]:
        await chain.certify_event_blob(member.sui, member.cap.object_id, blob, ending_checkpoint=7, epoch=epoch)
    ((attested, _weight),) = (await chain.system()).event_blob_votes
    assert (attested.blob_id, attested.ending_checkpoint) == (blob.blob_id, 7)
    for member in world.nodes[2:]:
        await chain.certify_event_blob(member.sui, member.cap.object_id, blob, ending_checkpoint=7, epoch=epoch)
    system = await chain.system()
    assert (system.latest_event_blob, system.event_blob_votes) == (attested, ())
    assert (await chain.node_caps(node.sui.address))[0].attested_checkpoint == 7
