import asyncio

import pytest

from walrus_sui.devnet.hub import Announcement, Closed, Hub, TooManySubscribers, TooSlow
from walrus_sui.devnet.ledger.effects import NO_GAS
from walrus_sui.devnet.ledger.records import Checkpoint


def announcement(sequence):
    return Announcement(Checkpoint(0, sequence, 0, None, NO_GAS, 0, (), (), ()), ())


async def take(subscription, count):
    async with asyncio.timeout(30):
        return [(await anext(subscription)).checkpoint.sequence for _ in range(count)]


async def test_a_subscriber_sees_consecutive_checkpoints_from_the_next_one_on():
    hub = Hub()
    hub.publish(announcement(0))
    subscription = hub.subscribe()
    reader = asyncio.create_task(take(subscription, 3))
    for sequence in range(1, 4):
        await asyncio.sleep(0)
        hub.publish(announcement(sequence))
    assert await reader == [1, 2, 3]


async def test_a_slow_subscriber_is_ended_and_others_go_on():
    hub = Hub(max_waiting=2)
    slow, quick = hub.subscribe(), hub.subscribe()
    for sequence in range(4):
        hub.publish(announcement(sequence))
        assert await take(quick, 1) == [sequence]
    with pytest.raises(TooSlow, match="up to 2"):
        await take(slow, 1)
    assert len(hub) == 1


async def test_closing_ends_all_after_what_is_waiting():
    hub = Hub()
    subscription = hub.subscribe()
    hub.publish(announcement(7))
    hub.close()
    assert await take(subscription, 1) == [7]
    with pytest.raises(Closed):
        await take(subscription, 1)
    assert len(hub) == 0


async def test_the_number_of_subscribers_is_bounded():
    hub = Hub(max_subscribers=1)
    first = hub.subscribe()
    with pytest.raises(TooManySubscribers):
        hub.subscribe()
    hub.unsubscribe(first)
    hub.unsubscribe(first)
    hub.subscribe()
