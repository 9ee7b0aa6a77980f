"""Stores that fail, are cancelled or die half-way: the next one takes up what was paid for."""

import asyncio
import os
from dataclasses import replace
from random import Random

import pytest
from tests.unit.client.conftest import World
from tests.unit.client.storing import ADDRESS, BLOB, stored
from tests.unit.client.worlds import until

from walrus_client.errors import (
    InsufficientConfirmationsError,
)
from walrus_client.reasons import Reason, RequestRefused
from walrus_client.store import (
    AfterStore,
    KeepObject,
    RegisterFromScratch,
    ReuseRegistration,
    SendObject,
    Store,
)
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType, Epoch, ObjectId
from walrus_sui.errors import ChainUnreachable
from walrus_sui.types import StorageObject


def restarted(world: World) -> World:
    """The same network, and a client that remembers nothing."""
    store = Store(
        world.chain,
        world.key,
        world.committees,
        world.peers,
        world.compute,
        default_encoding=EncodingType.ISAL,
        rng=Random(3),
    )
    return replace(world, store=store)


def tasks_of_the_client() -> list[str]:
    """Functions of ours that run as tasks; the fakes' servers have some of their own."""
    running = [task.get_coro() for task in asyncio.all_tasks()]
    code = [getattr(coroutine, "cr_code", None) for coroutine in running]
    return [entry.co_qualname for entry in code if entry is not None and "/walrus_client/" in entry.co_filename]


async def test_too_few_nodes_give_an_error_and_the_retry_uses_the_registration(world: World) -> None:
    refusal = RequestRefused(Reason.INVALID_SLIVER, "no")
    for node in world.nodes[:2]:
        node.behaviour.refusals = [refusal]
    with pytest.raises(InsufficientConfirmationsError) as caught:
        await stored(world)
    assert {entry.name for entry in caught.value.outcomes} >= {"node-1", "node-2"}
    assert caught.value.needed == 7
    assert len(world.store.registrations) == 1
    result = await stored(world)
    assert isinstance(result.operation, ReuseRegistration)
    assert result.cost == 0
    assert world.chain.transactions == ["register 1", "certify 1"]
    assert len(world.store.registrations) == 0


async def test_an_asker_who_goes_away_leaves_a_registration_for_the_next(world: World) -> None:
    world.chain.register_delay = asyncio.Event()
    task = asyncio.create_task(stored(world))
    await until(lambda: world.chain.transactions)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.chain.register_delay.set()
    world.chain.register_delay = None
    result = await stored(world)
    # The abandoned transaction may still have been under way when the second store looked.
    assert len(world.chain.objects) - len(world.store.registrations) == 1
    assert result.blob.certified_epoch == 5


async def test_a_store_that_was_killed_after_paying_is_taken_up_by_the_next_process(world: World) -> None:
    for node in world.nodes[:2]:
        node.behaviour.refusals = [RequestRefused(Reason.INVALID_SLIVER, "no")]
    with pytest.raises(InsufficientConfirmationsError):
        await stored(world)
    (paid,) = world.chain.objects
    again = restarted(world)
    other, result = await asyncio.gather(stored(again, BLOB[:99]), stored(again))
    assert isinstance(other.operation, RegisterFromScratch), "another blob is another registration"
    assert isinstance(result.operation, ReuseRegistration)
    assert (result.blob.object_id, result.cost) == (paid, 0)
    assert len(world.chain.objects) == 2
    assert isinstance((await stored(again, force=True)).operation, RegisterFromScratch), "it serves once"


async def test_one_registration_serves_one_of_two_stores(world: World) -> None:
    for node in world.nodes[:2]:
        node.behaviour.refusals = [RequestRefused(Reason.INVALID_SLIVER, "no")]
    with pytest.raises(InsufficientConfirmationsError):
        await stored(world)
    again = restarted(world)
    results = await asyncio.gather(*(stored(again, reuse_resources=True) for _ in range(2)))
    assert len({result.blob.object_id for result in results}) == 2
    assert [isinstance(result.operation, ReuseRegistration) for result in results].count(True) == 1


async def test_a_registration_of_unknown_end_is_looked_for_before_another_is_bought(world: World) -> None:
    world.chain.lose_answers = 1
    with pytest.raises(ChainUnreachable):
        await stored(world)
    assert isinstance((await stored(world)).operation, ReuseRegistration)
    assert len(world.chain.objects) == 1


@pytest.mark.parametrize("change", ["gone", "sent", "certified by somebody else and sent"])
async def test_a_registration_that_is_gone_is_not_tried_again(world: World, change: str) -> None:
    for node in world.nodes[:2]:
        node.behaviour.refusals = [RequestRefused(Reason.INVALID_SLIVER, "no")]
    with pytest.raises(InsufficientConfirmationsError):
        await stored(world)
    (paid,) = world.chain.objects.values()
    certified = Epoch(5) if "certified" in change else None
    world.chain.objects[paid.object_id] = replace(
        paid, owner=None if change == "gone" else ADDRESS, certified_epoch=certified
    )
    assert isinstance((await stored(world)).operation, RegisterFromScratch)
    assert len(world.store.registrations) == 0


@pytest.mark.parametrize("after", [KeepObject(), SendObject(ADDRESS)])
@pytest.mark.parametrize("how", ["cancelled", "answer lost"])
async def test_a_store_that_broke_off_while_it_was_certified_is_not_paid_for_again(
    world: World, how: str, after: AfterStore
) -> None:
    if how == "cancelled":
        world.chain.certify_delay = asyncio.Event()
        task = asyncio.create_task(stored(world, after=after))
        await until(lambda: "certify 1" in world.chain.transactions)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        world.chain.certify_delay.set()
    else:
        world.chain.lose_certified = 1
        with pytest.raises(ChainUnreachable):
            await stored(world, after=after)
    result = await stored(world, after=after)
    (only,) = world.chain.objects.values()
    assert (result.blob, result.cost) == (only, 0)
    assert isinstance(result.operation, ReuseRegistration)
    assert len(world.store.registrations) == 0


async def test_a_registration_is_kept_while_the_chain_cannot_tell_what_became_of_it(world: World) -> None:
    world.chain.lose_certified = 1
    with pytest.raises(ChainUnreachable):
        await stored(world)
    world.chain.before_certify = [lambda: setattr(world.chain, "reachable", False)]
    with pytest.raises(ChainUnreachable):
        await stored(world)
    world.chain.reachable = True
    assert (await stored(world)).cost == 0
    assert len(world.chain.objects) == 1


@pytest.mark.parametrize("at", ["status", "register", "upload", "certify"])
async def test_a_store_that_is_cancelled_leaves_nothing_behind(world: World, at: str) -> None:
    await world.committees.view()
    stall, chain = asyncio.Event(), world.chain
    match at:
        case "register":
            chain.register_delay = stall
        case "certify":
            chain.certify_delay = stall
        case _:
            for node in world.nodes:
                node.behaviour.stall = stall
    task = asyncio.create_task(stored(world, os.urandom(300_000), force=at == "upload"))
    if at in {"status", "upload"}:
        await until(lambda: all(node.stalled for node in world.nodes))
    else:
        await until(lambda: chain.transactions and chain.transactions[-1] == f"{at} 1")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not any(node.stalled for node in world.nodes))  # the streams are closed, not served
    stall.set()
    await world.store.close()  # what is on its way to the chain is not called back
    await until(lambda: not tasks_of_the_client())
    assert world.store.bytes_in_flight == 0
    assert len(world.store.registrations) == (0 if at == "status" else 1)
    assert len(chain.objects) == (0 if at == "status" else 1)


async def test_an_asker_who_goes_away_while_storage_is_used_leaves_a_registration(world: World) -> None:
    size = CodeParams(10, EncodingType.ISAL).encoded_length(len(BLOB))
    world.chain.free_storage = [StorageObject(ObjectId("0x" + "5" * 64), Epoch(4), Epoch(9), size)]
    world.chain.register_delay = asyncio.Event()
    task = asyncio.create_task(stored(world, reuse_resources=True))
    await until(lambda: world.chain.transactions)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.chain.register_delay.set()
    await until(lambda: len(world.store.registrations))
    assert isinstance((await stored(world)).operation, ReuseRegistration)
