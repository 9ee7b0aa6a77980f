import asyncio
import random
from collections.abc import AsyncGenerator

import pytest

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId
from walrus_sui import events
from walrus_sui.client import wire
from walrus_sui.errors import ChainUnreachable, ObjectNotFound, RequestRefused
from walrus_sui.follower import CheckpointEvents, CheckpointFollower, HistoryPrunedError
from walrus_sui.types import CheckpointInfo

PACKAGE = ObjectId("0x" + "a1" * 32)
NEWER = ObjectId("0x" + "a2" * 32)


def checkpoint(sequence: int, *raw: wire.RawEvent) -> wire.RawCheckpoint:
    transactions = ((Digest(f"tx{sequence}"), tuple(raw)),) if raw else ()
    return wire.RawCheckpoint(sequence, Digest(f"cp{sequence}"), 1000 * sequence, transactions)


def epoch_start(epoch: int, package: str = PACKAGE) -> wire.RawEvent:
    return wire.RawEvent(f"{package}::events::EpochChangeStart", bcs.u32(epoch))


class Source:
    """A chain that grows when told to; `script` holds what each subscription does."""

    def __init__(self, height: int) -> None:
        self.history = [checkpoint(sequence, epoch_start(sequence)) for sequence in range(height)]
        self.script: list[str] = []
        self.subscriptions = 0
        self.fetched: list[int] = []
        self.lowest = 0
        self.down = 0
        self.grown = asyncio.Condition()

    async def grow(self, count: int = 1) -> None:
        async with self.grown:
            for _ in range(count):
                sequence = len(self.history)
                self.history.append(checkpoint(sequence, epoch_start(sequence)))
            self.grown.notify_all()

    async def event_packages(self) -> frozenset[ObjectId]:
        return frozenset({PACKAGE})

    async def service_info(self) -> wire.ServiceInfo:
        return wire.ServiceInfo("chain", len(self.history) - 1, self.lowest)

    async def latest_checkpoint(self) -> CheckpointInfo:
        if self.down:
            self.down -= 1
            raise ChainUnreachable("down")
        tip = self.history[-1]
        return CheckpointInfo(tip.sequence, tip.digest, tip.timestamp_ms)

    async def checkpoint(self, sequence: int) -> wire.RawCheckpoint:
        self.fetched.append(sequence)
        await asyncio.sleep(0)
        if sequence < self.lowest or sequence >= len(self.history):
            raise ObjectNotFound(f"checkpoint {sequence}")
        return self.history[sequence]

    async def subscribe(self) -> AsyncGenerator[wire.RawCheckpoint]:
        self.subscriptions += 1
        step = self.script.pop(0) if self.script else "serve"
        if step == "unsupported":
            raise RequestRefused("UNIMPLEMENTED")
        if step == "broken":
            raise ChainUnreachable("reset")
        if step == "silent":
            await asyncio.Event().wait()
        at = len(self.history)  # from the tip on, as real subscriptions
        sent = 0
        while True:
            async with self.grown:
                await self.grown.wait_for(lambda: len(self.history) > at)  # noqa: B023
            at = len(self.history) - 1 if step == "skipping" else at
            yield self.history[at]
            at += 1
            sent += 1
            if step == "interrupted" and sent == 2:
                asyncio.current_task().cancel()  # as a transport does to whoever waits on a dying connection, too late
                await asyncio.sleep(0)
            if step == "short" and sent == 2:
                raise ChainUnreachable("reset after two frames")


def follow(source: Source, start_after: int | None = None, **options) -> CheckpointFollower:
    return CheckpointFollower(source, start_after=start_after, rng=random.Random(1), **options)


async def take(
    follower: CheckpointFollower, count: int, *, source: Source, grow: bool = True
) -> list[CheckpointEvents]:
    taken: list[CheckpointEvents] = []

    async def collect() -> None:
        iterator = aiter(follower)
        async for item in iterator:
            taken.append(item)
            if len(taken) == count:
                await iterator.aclose()
                return

    async def keep_growing() -> None:
        while grow:
            await source.grow()
            await asyncio.sleep(0.005)

    growing = asyncio.create_task(keep_growing())
    try:
        async with asyncio.timeout(20):
            await collect()
    finally:
        growing.cancel()
    return taken


def sequences(items: list[CheckpointEvents]) -> list[int]:
    return [item.sequence for item in items]


@pytest.mark.parametrize(("height", "start_after"), [(1, None), (5, None), (100, None), (100, 37), (100, 99), (3, 0)])
async def test_every_checkpoint_comes_once_and_in_order(height: int, start_after: int | None) -> None:
    source = Source(height)
    first = 0 if start_after is None else start_after + 1
    items = await take(follow(source, start_after), 150, source=source)
    assert sequences(items) == list(range(first, first + 150))
    assert [item.events[0][1] for item in items] == [events.EpochChangeStart(item.sequence) for item in items]
    assert items[3].timestamp_ms == 1000 * items[3].sequence


@pytest.mark.parametrize(
    "script",
    [
        ["broken", "broken"],
        ["short", "short", "short"],
        ["interrupted", "short", "interrupted"],
        ["skipping"],
        ["silent", "short", "broken", "skipping"],
        ["unsupported"],
    ],
)
async def test_trouble_with_the_stream_leaves_no_gap(script: list[str]) -> None:
    source = Source(20)
    source.script = list(script)
    items = await take(follow(source, frame_timeout=0.2, poll_interval=0.01), 80, source=source)
    assert sequences(items) == list(range(80))


async def test_an_endpoint_that_is_down_is_waited_for_and_the_reason_is_told() -> None:
    source = Source(20)
    source.down = 3
    follower = follow(source)
    iterator = aiter(follower)
    first = asyncio.create_task(anext(iterator))
    await asyncio.sleep(0.05)
    assert isinstance(follower.last_error, ChainUnreachable)
    assert (await asyncio.wait_for(first, 10)).sequence == 0
    assert follower.last_error is None
    await iterator.aclose()


async def test_an_endpoint_that_is_behind_is_waited_for_and_told() -> None:
    source = Source(20)
    follower = follow(source, start_after=24)
    iterator = aiter(follower)
    first = asyncio.create_task(anext(iterator))
    await asyncio.sleep(0.05)
    assert "at checkpoint 19, behind our 24" in str(follower.last_error)
    await source.grow(10)
    assert (await asyncio.wait_for(first, 10)).sequence == 25
    await iterator.aclose()


async def test_head_position_and_age_tell_how_far_it_is() -> None:
    now = 100.0
    source = Source(50)
    follower = follow(source, clock=lambda: now)
    assert (follower.head, follower.position) == (-1, -1)
    iterator = aiter(follower)
    assert (await anext(iterator)).sequence == 0
    assert (follower.head, follower.position, follower.last_frame_age) == (49, 0, 0.0)
    now = 107.0
    assert follower.last_frame_age == 7.0
    await iterator.aclose()


async def test_pruned_history_ends_the_iteration_with_a_remedy() -> None:
    source = Source(50)
    source.lowest = 10
    with pytest.raises(HistoryPrunedError, match="checkpoint 0 is gone, the endpoint starts at 10"):
        await take(follow(source), 1, source=source)


async def test_events_of_other_packages_are_ignored_until_an_upgrade_names_them() -> None:
    source = Source(1)
    upgrade = bcs.u32(1) + bytes.fromhex(NEWER[2:]) + bcs.u64(5)
    source.history += [
        checkpoint(1, epoch_start(5, NEWER), wire.RawEvent("0x2::coin::CoinCreated", b"")),
        checkpoint(2, epoch_start(6), wire.RawEvent(f"{PACKAGE}::events::ContractUpgraded", upgrade)),
        checkpoint(3, epoch_start(7, NEWER)),
    ]
    items = await take(follow(source), 4, source=source, grow=False)
    assert [[event for _, event in item.events] for item in items] == [
        [events.EpochChangeStart(0)],
        [],
        [events.EpochChangeStart(6), events.ContractUpgraded(1, NEWER, 5)],
        [events.EpochChangeStart(7)],
    ]
    assert items[2].events[1][0] == events.EventId(Digest("tx2"), 1)


async def test_the_follower_asks_for_nothing_twice_while_catching_up() -> None:
    source = Source(300)
    await take(follow(source), 290, source=source, grow=False)
    assert sorted(source.fetched) == sorted(set(source.fetched))
