"""When to push the chain on to the next epoch, and when to delete what the last one has ended."""

import random

import pytest
from tests.unit.node.worlds import EPOCH_MS, staking

from walrus_codec.types import Epoch
from walrus_node.epochs import rules
from walrus_node.epochs.rules import DriverCall, DueCall
from walrus_sui.types import EpochPhase


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (staking(0, phase=EpochPhase.DONE, first_ms=70), DueCall(DriverCall.VOTING_END, Epoch(0), 70)),
        (
            staking(0, phase=EpochPhase.PARAMS_SELECTED, first_ms=70),
            DueCall(DriverCall.INITIATE_EPOCH_CHANGE, Epoch(0), 70),
        ),
        (
            staking(3, phase=EpochPhase.DONE, since_ms=500),
            DueCall(DriverCall.VOTING_END, Epoch(3), 500 + EPOCH_MS // 2),
        ),
        (
            staking(3, phase=EpochPhase.PARAMS_SELECTED, since_ms=500),
            DueCall(DriverCall.INITIATE_EPOCH_CHANGE, Epoch(3), 500 + EPOCH_MS),
        ),
        (staking(3, phase=EpochPhase.SYNC), None),
    ],
)
def test_the_next_call_and_its_moment(view, expected):
    assert rules.next_call(view) == expected


def test_jitter_is_bounded_by_a_tenth_of_the_epoch_and_three_minutes():
    rng = random.Random(1)
    short = [rules.jitter_ms(Epoch(1), 60_000, draw=rng.random()) for _ in range(2000)]
    long = [rules.jitter_ms(Epoch(1), 14 * 86_400_000, draw=rng.random()) for _ in range(2000)]
    first = [rules.jitter_ms(Epoch(0), 600_000, draw=rng.random()) for _ in range(2000)]
    assert 0 <= min(short) < 200
    assert 5_800 < max(short) < 6_000
    assert 175_000 < max(long) < 180_000
    assert 4_900 < max(first) < 5_000


def test_collection_delays_are_stable_per_node_and_epoch_and_spread():
    def delay(key, epoch):
        return rules.collection_delay_ms(key, Epoch(epoch), 100_000)

    assert delay(b"a", 1) == delay(b"a", 1)
    delays = {delay(bytes([node]), epoch) for node in range(20) for epoch in range(20)}
    assert len(delays) > 390
    assert 0 <= min(delays) < 2_000
    assert 48_000 < max(delays) < 50_000
