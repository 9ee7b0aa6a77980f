"""Subscriptions: every checkpoint once, in order, with its events; slow readers are cut off and can fill the gap."""

import asyncio
import itertools

import grpc
import pytest

from walrus_codec import bcs
from walrus_proto.sui.rpc.v2 import filter_pb2, subscription_service_pb2
from walrus_sui import messages
from walrus_sui.devnet.ledger.records import GAS_COIN
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey

FOLLOWER_MASK = (
    "sequence_number",
    "digest",
    "summary.timestamp",
    "transactions.digest",
    "transactions.events",
    "transactions.effects.status",
)


def subscribe(client, tools, *paths, timeout=60):
    request = subscription_service_pb2.SubscribeCheckpointsRequest()
    if paths:
        request.read_mask.CopyFrom(tools.mask(*paths))
    return client.subscriptions.SubscribeCheckpoints(request, timeout=timeout)


async def until_error(frames):
    """Cursors up to the end of the stream, and the error that it ended with."""
    seen = []
    while True:
        try:
            seen.append((await anext(frames)).cursor)
        except grpc.aio.AioRpcError as error:
            return seen, error


async def test_checkpoints_come_in_order_without_gaps_to_all(make_devnet, tools):
    """A thousand checkpoints to several subscribers, and history agrees with what they saw."""
    devnet = make_devnet(checkpoint_interval_ms=10)
    async with devnet.client() as client:

        async def take(count):
            frames = aiter(subscribe(client, tools, "sequence_number", "digest", "summary.previous_digest"))
            return [await anext(frames) for _ in range(count)]

        followers = await asyncio.gather(*(take(1000) for _ in range(5)))
        for seen in followers:
            first = seen[0].cursor
            assert [frame.cursor for frame in seen] == list(range(first, first + 1000))
            assert all(frame.checkpoint.sequence_number == frame.cursor for frame in seen)
            for before, after in itertools.pairwise(seen):
                assert after.checkpoint.summary.previous_digest == before.checkpoint.digest
        for frame in followers[0][::250]:
            history = await client.checkpoint(frame.cursor, "digest")
            assert history.digest == frame.checkpoint.digest


async def test_without_a_mask_only_the_cursor_is_told(client, tools):
    stream = subscribe(client, tools)
    frame = await anext(aiter(stream))
    assert frame.cursor > 0
    assert frame.checkpoint.ListFields() == []
    stream.cancel()


async def test_a_filter_lets_only_the_cursor_of_other_checkpoints_through(devnet, client, tools):
    key, other = SuiKey.generate(), SuiKey.generate()
    devnet.fund(key.address)
    literal = filter_pb2.TransactionLiteral(affected_address=filter_pb2.AffectedAddressFilter(address=other.address))
    wanted = filter_pb2.TransactionFilter(terms=[filter_pb2.TransactionTerm(literals=[literal])])
    request = subscription_service_pb2.SubscribeCheckpointsRequest(
        filter=wanted, read_mask=tools.mask("transactions.digest")
    )
    frames = aiter(client.subscriptions.SubscribeCheckpoints(request, timeout=60))
    first = await anext(frames)
    assert not first.HasField("checkpoint")
    (coin,) = await client.gas_coins(key.address)
    executed = await client.execute(tools.transfer(key, coin, other.address), key)
    cursors = [first.cursor]
    while not (frame := await anext(frames)).HasField("checkpoint"):
        cursors.append(frame.cursor)
    assert executed.digest in [item.digest for item in frame.checkpoint.transactions]
    cursors.append(frame.cursor)
    assert cursors == list(range(first.cursor, frame.cursor + 1))


async def test_bad_masks_and_filters_end_the_stream(client, tools):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(subscribe(client, tools, "transactions.nothing")))
    assert caught.value.details() == "invalid read_mask path: transactions.nothing"
    request = subscription_service_pb2.SubscribeCheckpointsRequest(filter=filter_pb2.TransactionFilter())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(client.subscriptions.SubscribeCheckpoints(request, timeout=30)))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "0 terms, 1 to 32 are allowed"


async def test_a_slow_reader_is_cut_off_and_fills_the_gap(make_devnet, tools):
    devnet = make_devnet(checkpoint_interval_ms=10)
    # A small window, so that little fits between the two ends.
    options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024)]
    async with devnet.client() as client, grpc.aio.insecure_channel(devnet.rpc, options=options) as slow_channel:
        slow = type(client)(slow_channel)
        frames = aiter(subscribe(slow, tools, "*"))
        last = (await anext(frames)).cursor
        # The reader sleeps until the server has certainly gone far past what may wait for it.
        await client.height(last + 450)
        seen, ending = await until_error(frames)
        assert seen == list(range(last + 1, last + 1 + len(seen)))
        last = seen[-1]
        assert ending.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "subscribe again" in ending.details()
        again = aiter(subscribe(client, tools, "sequence_number"))
        tip = (await anext(again)).cursor
        assert tip > last
        for sequence in range(last + 1, tip):
            assert (await client.checkpoint(sequence, "sequence_number")).sequence_number == sequence


async def test_streams_end_with_a_status_when_the_devnet_stops(make_devnet, tools):
    devnet = make_devnet()
    async with devnet.client() as client:
        frames = aiter(subscribe(client, tools, "sequence_number"))
        await anext(frames)
        stopping = asyncio.create_task(asyncio.to_thread(devnet.stop))
        _, ending = await until_error(frames)
        assert ending.code() is grpc.StatusCode.UNAVAILABLE
        assert await stopping == 0


async def test_contract_events_arrive_with_their_bytes(devnet, client, tools):
    """The way to the first committee: exchange, register, stake, end the vote; each event as the follower sees it."""
    network = devnet.network
    package = await client.walrus_package(network)
    key = SuiKey.generate()
    devnet.fund(key.address)
    frames = aiter(subscribe(client, tools, *FOLLOWER_MASK))
    await anext(frames)

    staking, exchange, clock = [
        await client.object(object_id)
        for object_id in (network["staking_object"], network["exchange_objects"][0], "0x6")
    ]
    bls, tls = BlsKey.generate(), NetworkKey.generate()
    program = tools.program()
    wal = program.call(
        exchange.object_type.removesuffix("::Exchange") + "::exchange_all_for_wal",
        program.shared(exchange),
        program.split(GAS_COIN, 500_000_000_000),
    )
    metadata = program.call(
        f"{package}::node_metadata::new", program.text(""), program.text(""), program.text("a node")
    )
    shared_staking = program.shared(staking)
    cap = program.call(
        f"{package}::staking::register_candidate",
        shared_staking,
        program.text("node-0"),
        program.text("localhost:9185"),
        metadata,
        program.raw(bls.public_key),
        program.raw(tls.public_key),
        program.raw(bls.sign(messages.proof_of_possession(key.address, bls.public_key, 0))),
        program.pure(bcs.u16(6000)),
        program.pure(bcs.u64(100_000)),
        program.pure(bcs.u64(20_000)),
        program.pure(bcs.u64(10**12)),
    )
    program.send(key.address, cap, wal)
    (coin,) = await client.gas_coins(key.address)
    registered = await client.execute(program.build(key, coin), key)
    assert registered.effects.status.success, registered.effects.status
    owned = {item.object_type.split("<")[0].split("::")[-1]: item for item in registered.objects.objects}
    node_id = owned["StorageNodeCap"].contents.value[32:64]
    wal_coin = next(
        item for item in registered.objects.objects if network["wal_type"] in item.object_type and item.balance > 0
    )

    program = tools.program()
    stake = program.call(
        f"{package}::staking::stake_with_pool", program.shared(staking), program.owned(wal_coin), program.pure(node_id)
    )
    program.send(key.address, stake)
    staked = await client.execute(program.build(key, tools.own_coin(registered, key.address)), key)
    assert staked.effects.status.success, staked.effects.status

    async with asyncio.timeout(60):
        gas = tools.own_coin(staked, key.address)
        while True:  # until epoch zero has lasted its second
            program = tools.program()
            program.call(
                f"{package}::staking::voting_end", program.shared(staking), program.shared(clock, mutable=False)
            )
            ended = await client.execute(program.build(key, gas), key)
            gas = tools.own_coin(ended, key.address)
            if ended.effects.status.success:
                break
            assert ended.effects.status.error.abort.abort_code == 0, ended.effects.status
            await asyncio.sleep(0.05)

    assert [event.event_type for event in ended.events.events] == [f"{package}::events::EpochParametersSelected"]
    previous = None
    async for frame in frames:
        assert previous is None or frame.cursor == previous + 1
        previous = frame.cursor
        assert frame.checkpoint.summary.timestamp.ToMilliseconds() > 0
        found = [item for item in frame.checkpoint.transactions if item.digest == ended.digest]
        if found:
            break
    (event,) = found[0].events.events
    assert (event.package_id, event.module, event.sender) == (package, "staking", key.address)
    assert event.contents.name == event.event_type == f"{package}::events::EpochParametersSelected"
    assert event.contents.value == bcs.u32(1)
    assert event.json.struct_value.fields["next_epoch"].number_value == 1
    assert found[0].effects.status.success
    assert event == ended.events.events[0]
    history = await client.checkpoint(previous, *FOLLOWER_MASK)
    assert history == frame.checkpoint
