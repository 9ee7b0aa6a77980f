"""Decisions about epochs: when to push the chain on, what an epoch change means for a node."""

import random

import pytest
from tests.unit.node.worlds import EPOCH_MS, US, staking

from walrus_codec.types import Epoch, ShardIndex
from walrus_node.epochs import rules
from walrus_node.epochs.rules import DriverCall, DueCall
from walrus_node.store.records import NodeStatus, ShardStatus
from walrus_sui.types import EpochPhase

ACTIVE, SYNC, RECOVER, LOCKED = (
    ShardStatus.ACTIVE,
    ShardStatus.ACTIVE_SYNC,
    ShardStatus.ACTIVE_RECOVER,
    ShardStatus.LOCKED_TO_MOVE,
)


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


def plan(view, *, status=NodeStatus.ACTIVE, stored=None, attested=False):
    shards = {ShardIndex(shard): state for shard, state in (stored or {}).items()}
    return rules.plan_epoch(view, node_id=US, status=status, stored=shards, attested=attested)


class TestPlan:
    def test_the_first_committee_makes_its_shards_active(self):
        found = plan(staking(1, ours=[0, 1]), status=NodeStatus.STANDBY)
        assert found.shards == {0: ACTIVE, 1: ACTIVE}
        assert found.status is NodeStatus.RECOVER_METADATA

    def test_an_unchanged_committee_changes_nothing(self):
        found = plan(staking(2, ours=[0, 1], before=[0, 1]), stored={0: ACTIVE, 1: ACTIVE})
        assert found.shards == {}
        assert found.status is NodeStatus.ACTIVE

    def test_gained_shards_are_never_claimed(self):
        found = plan(staking(2, ours=[0, 1], before=[0]), stored={0: ACTIVE})
        assert found.shards == {1: SYNC}
        assert found.status is NodeStatus.ACTIVE

    def test_lost_shards_are_locked(self):
        found = plan(staking(2, ours=[0], before=[0, 1]), stored={0: ACTIVE, 1: ACTIVE})
        assert found.shards == {1: LOCKED}
        assert found.status is NodeStatus.ACTIVE

    def test_who_leaves_the_committee_stands_by_with_locked_shards(self):
        found = plan(staking(2, ours=[], before=[0]), stored={0: ACTIVE, 1: LOCKED})
        assert found.shards == {0: LOCKED}
        assert found.status is NodeStatus.STANDBY

    def test_a_shard_that_comes_back_has_missed_writes(self):
        found = plan(staking(3, ours=[0, 1], before=[0]), stored={0: ACTIVE, 1: LOCKED})
        assert found.shards == {1: SYNC}

    def test_a_new_member_of_an_old_network_fetches_metadata_first(self):
        found = plan(staking(5, ours=[3], before=[]), status=NodeStatus.STANDBY)
        assert found.shards == {3: SYNC}
        assert found.status is NodeStatus.RECOVER_METADATA

    def test_a_node_that_lagged_recovers(self):
        found = plan(staking(5, ours=[0], before=[0]), status=NodeStatus.RECOVERY_CATCH_UP, stored={0: ACTIVE})
        assert found.shards == {}
        assert found.status is NodeStatus.RECOVERY_IN_PROGRESS

    def test_recovery_goes_on_over_epochs(self):
        found = plan(staking(6, ours=[0], before=[0]), status=NodeStatus.RECOVERY_IN_PROGRESS, stored={0: ACTIVE})
        assert found.status is NodeStatus.RECOVERY_IN_PROGRESS

    def test_a_lost_disk_is_not_taken_for_a_new_network(self):
        found = plan(staking(1, ours=[0, 1]), status=NodeStatus.STANDBY, attested=True)
        assert found.shards == {0: RECOVER, 1: RECOVER}
        assert found.status is NodeStatus.RECOVERY_IN_PROGRESS

    def test_a_lost_disk_in_a_later_epoch_recovers_what_was_ours(self):
        found = plan(staking(4, ours=[0, 1], before=[0]), status=NodeStatus.RECOVERY_CATCH_UP)
        assert found.shards == {0: RECOVER, 1: SYNC}
        assert found.status is NodeStatus.RECOVERY_IN_PROGRESS

    def test_shards_that_were_half_made_are_made_again(self):
        found = plan(staking(1, ours=[0]), status=NodeStatus.STANDBY, stored={0: ShardStatus.NONE})
        assert found.shards == {0: ACTIVE}


OWNED = frozenset({ShardIndex(0), ShardIndex(1)})


@pytest.mark.parametrize(
    ("status", "stored", "expected"),
    [
        (NodeStatus.ACTIVE, {0: ACTIVE, 1: ACTIVE}, True),
        (NodeStatus.ACTIVE, {0: ACTIVE, 1: ACTIVE, 2: LOCKED}, True),
        (NodeStatus.ACTIVE, {0: ACTIVE, 1: SYNC}, False),
        (NodeStatus.ACTIVE, {0: ACTIVE}, False),
        (NodeStatus.RECOVERY_IN_PROGRESS, {0: ACTIVE, 1: ACTIVE}, False),
        (NodeStatus.STANDBY, {}, False),
    ],
)
def test_only_whole_shards_of_an_active_node_are_attested(status, stored, expected):
    assert rules.may_attest(status, OWNED, stored) is expected
    assert not rules.may_attest(status, frozenset(), stored)


@pytest.mark.parametrize(
    ("status", "stored", "expected"),
    [
        (NodeStatus.RECOVER_METADATA, {0: ACTIVE, 1: ACTIVE}, set()),
        (NodeStatus.RECOVERY_IN_PROGRESS, {0: ACTIVE, 1: ACTIVE}, set()),
        (NodeStatus.RECOVERY_IN_PROGRESS, {0: RECOVER, 1: RECOVER}, {0, 1}),
        (NodeStatus.RECOVER_METADATA, {0: ACTIVE, 1: SYNC}, {1}),
        (NodeStatus.ACTIVE, {0: ACTIVE, 1: SYNC}, {1}),
        (NodeStatus.ACTIVE, {0: ACTIVE, 1: ACTIVE, 2: LOCKED}, None),
        (NodeStatus.RECOVERY_CATCH_UP, {0: ACTIVE, 1: SYNC}, None),
        (NodeStatus.STANDBY, {0: ACTIVE, 1: SYNC}, None),
        (NodeStatus.ACTIVE, {0: SYNC}, None),
    ],
)
def test_what_waits_for_slivers_from_others(status, stored, expected):
    assert rules.shards_that_wait(status, OWNED, stored) == expected
    assert rules.shards_that_wait(status, frozenset(), stored) is None
