"""The client against a real devnet process: from the faucet to certified blobs, and the follower beside it."""

import asyncio
import dataclasses
import json
import time

import pytest
from tests.integration.chain.world import VOTES, WAL, World, new_blob, weights

from walrus_sui import events, faucet, network_config
from walrus_sui.client import ChainClient
from walrus_sui.errors import InsufficientFunds, MoveAbort, ObjectNotFound, RequestRefused
from walrus_sui.follower import CheckpointFollower
from walrus_sui.keys import SuiKey
from walrus_sui.types import EpochPhase, NodeMetadata, Payment, VotingParams

pytestmark = pytest.mark.timeout(300)


async def collect(chain: ChainClient, count: int | None, *, until: type | None = None, start_after: int | None = None):
    """Events from the beginning until there are enough or one of a kind came."""
    found, sequences = [], []
    iterator = aiter(CheckpointFollower(chain, start_after=start_after))
    async with asyncio.timeout(60):
        async for checkpoint in iterator:
            sequences.append(checkpoint.sequence)
            for place, event in checkpoint.events:
                assert await chain.event(place) == event, "looked up, it is the same"
                assert await chain.event(events.EventId(place.tx_digest, place.seq + 1000)) is None
                found.append(event)
            if (count and len(found) >= count) or (until and any(isinstance(event, until) for event in found)):
                break
    await iterator.aclose()
    first = 0 if start_after is None else start_after + 1
    assert sequences == list(range(first, first + len(sequences)))
    return found


@pytest.fixture
async def chain(devnet):
    async with ChainClient(await network_config.load(devnet.network_config)) as client:
        yield client


async def test_from_the_faucet_to_a_certified_blob(chain: ChainClient) -> None:
    info = await chain.check()
    assert info.chain_id == chain.config.chain_id
    world = await World.make(chain)

    # Registration reads back as it was written.
    node = world.nodes[0]
    assert await chain.node_caps(node.sui.address) == [node.cap]
    pool = await chain.pool(node.node_id)
    assert (pool.name, pool.network_address, pool.grpc_address) == ("node-0", "node-0:9185", "node-0:9187")
    assert (pool.metadata, pool.votes, pool.commission_rate) == (node.metadata, VOTES, 6000)
    assert (pool.bls_public_key, pool.network_public_key) == (node.bls.public_key, node.network.public_key)
    stakes = await chain.stakes(world.treasury.address)
    assert {stake.node_id: stake.principal for stake in stakes} == {n.node_id: 10 * WAL for n in world.nodes}

    before = await chain.staking()
    assert (before.epoch, before.n_shards, before.committee.members) == (0, 10, ())
    with pytest.raises(MoveAbort) as early:
        await chain.initiate_epoch_change(node.sui)
    assert (early.value.module, early.value.code) == ("staking_inner", 6)

    assert await world.next_epoch() == 1
    view = await chain.staking()
    assert (view.epoch, view.epoch_state.phase) == (1, EpochPhase.DONE)
    assert weights(view.committee) == [2, 2, 3, 3]
    assert sorted(shard for member in view.committee.members for shard in member.shards) == list(range(10))
    assert [m.node_id for m in view.committee.members] == sorted(n.node_id for n in world.nodes)
    keys = {n.node_id: (n.bls.public_key, n.network.public_key, f"{n.name}:9187") for n in world.nodes}
    for member in view.committee.members:
        assert (member.bls_public_key, member.network_public_key, member.grpc_address) == keys[member.node_id]

    # A second sync_done aborts with the contract's code, and costs only gas.
    with pytest.raises(MoveAbort) as again:
        await chain.epoch_sync_done(node.sui, node.cap.object_id, view.epoch)
    assert (again.value.module, again.value.name) == ("staking_inner", "EDuplicateSyncDone")
    assert (await chain.node_caps(node.sui.address))[0].last_epoch_sync_done == 1

    # Two blobs in one transaction; the price is what the system says.
    system = await chain.system()
    assert (system.storage_price, system.write_price, system.epoch) == (100_000, 20_000, 1)
    user, friend = SuiKey.generate(), SuiKey.generate()
    await faucet.request_sui(chain.config.faucet_url, user.address)
    new = [new_blob(b"permanent " * 100), new_blob(b"deletable " * 3000, deletable=True)]
    with pytest.raises(InsufficientFunds) as poor:
        await chain.reserve_and_register(user, new, epochs_ahead=2)
    cost = sum(system.storage_cost(b.encoded_size, 2) + system.write_cost(b.encoded_size) for b in new)
    assert (poor.value.coin, poor.value.needed, poor.value.available) == ("WAL", cost, 0)
    assert await chain.exchange_for_wal(user, cost // 2) == cost // 2
    with pytest.raises(InsufficientFunds) as poorer:
        await chain.reserve_and_register(user, new, epochs_ahead=2)
    assert (poorer.value.needed, poorer.value.available) == (cost, cost // 2)
    await chain.exchange_for_wal(user, cost)  # a second coin: the transaction merges them
    blobs = await chain.reserve_and_register(user, new, epochs_ahead=2)
    assert [blob.blob_id for blob in blobs] == [blob.blob_id for blob in new]
    assert [(blob.deletable, blob.owner, blob.certified_epoch) for blob in blobs] == [
        (False, user.address, None),
        (True, user.address, None),
    ]
    assert [(blob.storage.start_epoch, blob.storage.end_epoch) for blob in blobs] == [(1, 3), (1, 3)]
    assert [await chain.blob(blob.object_id) for blob in blobs] == blobs
    assert await chain.balance(user.address, "WAL") == cost // 2

    # Certificates: too little weight, a wrong signature, and the real thing, handed on to a friend.
    weak = await world.certificate(blobs[0], signers=2)
    with pytest.raises(MoveAbort) as refused:
        await chain.certify(user, [weak])
    assert (refused.value.module, refused.value.name) == ("bls_aggregate", "ENotEnoughStake")
    good = [await world.certificate(blob) for blob in blobs]
    crossed = type(good[0])(blobs[0].object_id, good[1].signature, good[0].signers_bitmap, good[0].message)
    with pytest.raises(MoveAbort) as forged:
        await chain.certify(user, [crossed])
    assert (forged.value.module, forged.value.name) == ("bls_aggregate", "ESigVerification")
    certified = await chain.certify(user, good, send_to=friend.address)
    assert [(item.object_id, item.epoch, item.end_epoch) for item in certified] == [
        (blob.object_id, 1, 3) for blob in blobs
    ]
    on_chain = [await chain.blob(blob.object_id) for blob in blobs]
    assert [(blob.owner, blob.certified_epoch) for blob in on_chain] == [(friend.address, 1)] * 2
    with pytest.raises(ObjectNotFound):
        await chain.blob(world.nodes[0].cap.object_id)

    # The follower tells the same story, in order.
    kinds = [
        events.EpochParametersSelected,
        events.EpochChangeStart,
        events.PricesUpdated,
        events.ShardsReceived,
        events.EpochChangeDone,
        events.BlobRegistered,
        events.BlobRegistered,
        events.BlobCertified,
        events.BlobCertified,
    ]
    seen = await collect(chain, None, until=events.BlobCertified)
    told = [type(event) for event in seen]
    assert [kind for kind in told if kind is not events.ShardsReceived] == [
        kind for kind in kinds if kind is not events.ShardsReceived
    ]
    assert told.count(events.ShardsReceived) == 4
    with pytest.raises(RequestRefused, match="invalid digest"):
        await chain.event(events.EventId(friend.address, 0))
    registered = [event for event in seen if isinstance(event, events.BlobRegistered)]
    assert [(event.blob_id, event.object_id, event.size) for event in registered] == [
        (blob.blob_id, blob.object_id, blob.size) for blob in blobs
    ]


async def test_a_registration_is_changed_only_where_it_differs(chain: ChainClient) -> None:
    world = await World.make(chain, 1)
    node = world.nodes[0]
    pool = await chain.pool(node.node_id)
    assert not await chain.update_node(
        node.sui, node.cap, pool, name="node-0", metadata=node.metadata, votes=VOTES, commission_rate=6000
    )
    metadata = NodeMetadata(extra_fields=(("grpc_address", "elsewhere:9187"), ("zone", "b")))
    votes = VotingParams(1, VOTES.write_price, 3)
    assert await chain.update_node(
        node.sui,
        node.cap,
        pool,
        name="renamed",
        network_address="elsewhere:9185",
        metadata=metadata,
        network_public_key=b"\x02" + bytes(32),
        commission_rate=100,
        votes=votes,
    )
    pool = await chain.pool(node.node_id)
    assert (pool.name, pool.network_address, pool.grpc_address) == ("renamed", "elsewhere:9185", "elsewhere:9187")
    assert (pool.metadata, pool.votes, pool.network_public_key) == (metadata, votes, b"\x02" + bytes(32))
    assert pool.commission_rate == 6000
    assert pool.pending_commission_rate == ((2, 100),)


async def test_money_moves_and_is_conserved(chain: ChainClient) -> None:
    rich, poor = SuiKey.generate(), [SuiKey.generate() for _ in range(3)]
    await faucet.request_sui(chain.config.faucet_url, rich.address)
    await chain.exchange_for_wal(rich, 5 * WAL)
    await chain.pay(rich, [Payment(key.address, sui=10**9, wal=WAL) for key in poor])
    await chain.transfer_sui(rich, poor[0].address, 7)
    await chain.transfer_wal(rich, poor[0].address, 7)
    assert [await chain.balance(key.address) for key in poor] == [10**9 + 7, 10**9, 10**9]
    assert [await chain.balance(key.address, "WAL") for key in poor] == [WAL + 7, WAL, WAL]
    assert await chain.balance(rich.address, "WAL") == 2 * WAL - 7
    with pytest.raises(InsufficientFunds) as caught:
        await chain.transfer_wal(poor[0], rich.address, 2 * WAL)
    assert (caught.value.needed, caught.value.available) == (2 * WAL, WAL + 7)
    exchange = await chain.exchange()
    assert (exchange.rate_wal, exchange.rate_sui) == (1, 1)


async def test_money_in_hundreds_of_small_coins_is_spent(chain: ChainClient) -> None:
    rich, poor = SuiKey.generate(), SuiKey.generate()
    await faucet.request_sui(chain.config.faucet_url, rich.address)
    await chain.exchange_for_wal(rich, WAL)
    await chain.pay(rich, [Payment(poor.address, sui=10_000_000, wal=10) for _ in range(210)])
    await chain.transfer_wal(poor, rich.address, 2099)
    await chain.transfer_sui(poor, rich.address, 205 * 10_000_000)
    assert await chain.balance(poor.address, "WAL") == 1
    assert await chain.balance(rich.address, "WAL") == WAL - 1


async def test_concurrent_callers_of_one_key_all_get_through(chain: ChainClient) -> None:
    rich = SuiKey.generate()
    await faucet.request_sui(chain.config.faucet_url, rich.address)
    targets = [SuiKey.generate().address for _ in range(30)]
    started = time.perf_counter()
    await asyncio.gather(*(chain.transfer_sui(rich, target, 1000 + n) for n, target in enumerate(targets)))
    print(f"30 transactions of one key in {time.perf_counter() - started:.2f} s")
    assert [await chain.balance(target) for target in targets] == [1000 + n for n in range(30)]


async def test_two_processes_with_one_key_do_not_lose_money(devnet) -> None:
    config = await network_config.load(devnet.network_config)
    rich, target = SuiKey.generate(), SuiKey.generate().address
    await faucet.request_sui(config.faucet_url, rich.address)
    async with ChainClient(config) as first, ChainClient(config) as second:
        for client in (first, second, first, first, second):
            await client.transfer_sui(rich, target, 10)
        assert await first.balance(target) == 50


async def test_a_shared_blob_and_a_client_that_waits_for_checkpoints(devnet) -> None:
    config = await network_config.load(devnet.network_config)
    async with ChainClient(config, until_checkpoint=True) as chain:
        world = await World.make(chain)
        await world.next_epoch()
        (blob,) = await chain.reserve_and_register(world.treasury, [new_blob(b"shared")], epochs_ahead=1)
        (certified,) = await chain.certify(world.treasury, [await world.certificate(blob)], share=True)
        assert certified.shared_object_id is not None
        found = await chain.transaction(certified.tx_digest)
        assert found is not None
        assert found.checkpoint is not None


async def test_tls_with_the_devnets_own_root(devnet) -> None:
    document = json.loads(devnet.get("/v1/network-config")[1])
    config = network_config.NetworkConfig.from_json(document)
    secure = dataclasses.replace(config, rpc_url=document["rpc_tls_url"], rpc_ca=document["rpc_tls_ca"])
    async with ChainClient(secure) as chain:
        assert await chain.chain_id() == config.chain_id
