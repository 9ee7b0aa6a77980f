"""What an epoch change means for a node and its shards: every row of the table, and which status may follow which."""

import itertools

import pytest
from tests.unit.node.worlds import US, staking

from walrus_codec.types import ShardIndex
from walrus_node.epochs import plan as plans
from walrus_node.epochs.plan import Attester
from walrus_node.store.records import NodeStatus, ShardStatus

NONE, ACTIVE, SYNC, RECOVER, LOCKED = (
    ShardStatus.NONE,
    ShardStatus.ACTIVE,
    ShardStatus.ACTIVE_SYNC,
    ShardStatus.ACTIVE_RECOVER,
    ShardStatus.LOCKED_TO_MOVE,
)
S, A, M, C, P, I = (  # noqa: E741 - as in the table below
    NodeStatus.STANDBY,
    NodeStatus.ACTIVE,
    NodeStatus.RECOVER_METADATA,
    NodeStatus.RECOVERY_CATCH_UP,
    NodeStatus.RECOVERY_IN_PROGRESS,
    NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY,
)


def plan(view, *, status=A, stored=None, attested=False):
    shards = {ShardIndex(shard): state for shard, state in (stored or {}).items()}
    return plans.plan_epoch(view, node_id=US, status=status, stored=shards, attested=attested)


@pytest.mark.parametrize(
    "row",
    [
        ("first committee", [0, 1], None, S, {}, False, M, {0: ACTIVE, 1: ACTIVE}, set()),
        ("half made, made again", [0], None, S, {0: NONE}, False, M, {0: ACTIVE}, set()),
        ("nothing changes", [0, 1], [0, 1], A, {0: ACTIVE, 1: ACTIVE}, False, A, {}, set()),
        ("gained", [0, 1], [0], A, {0: ACTIVE}, False, A, {1: SYNC}, set()),
        ("all shards are others", [1], [0], A, {0: ACTIVE}, False, A, {0: LOCKED, 1: SYNC}, set()),
        ("an earlier transfer goes on", [0, 1], [0, 1], A, {0: ACTIVE, 1: SYNC}, False, A, {}, set()),
        ("lost", [0], [0, 1], A, {0: ACTIVE, 1: ACTIVE}, False, A, {1: LOCKED}, set()),
        ("lost before it had come", [0], [0, 1], A, {0: ACTIVE, 1: SYNC}, False, A, {1: LOCKED}, set()),
        ("lost an epoch ago", [0], [0], A, {0: ACTIVE, 1: LOCKED}, False, A, {}, {1}),
        ("comes back at once", [0, 1], [0], A, {0: ACTIVE, 1: LOCKED}, False, A, {1: SYNC}, set()),
        ("leaves", [], [0], A, {0: ACTIVE, 1: LOCKED}, False, S, {0: LOCKED}, {1}),
        ("left an epoch ago", [], [], S, {0: LOCKED}, False, S, {}, {0}),
        ("new member", [3], [], S, {}, False, M, {3: SYNC}, set()),
        ("new member after catching up", [3], [], C, {}, False, M, {3: SYNC}, set()),
        ("new member that was one long ago", [3], [], C, {3: ACTIVE, 4: ACTIVE}, False, M, {3: SYNC}, {4}),
        ("metadata are not whole yet", [0, 1], [0], M, {0: SYNC}, False, M, {1: SYNC}, set()),
        ("leaves before metadata are whole", [], [0], M, {0: SYNC}, False, S, {0: LOCKED}, set()),
        ("fell behind", [0], [0], C, {0: ACTIVE}, False, P, {}, set()),
        (
            "fell behind and gained",
            [0, 1, 2],
            [0, 1],
            C,
            {0: ACTIVE, 1: SYNC},
            False,
            P,
            {1: RECOVER, 2: RECOVER},
            set(),
        ),
        ("fell behind, lost and regained", [0], [0], C, {0: LOCKED}, False, P, {0: RECOVER}, set()),
        ("fell behind without history", [0], [0], I, {0: ACTIVE}, False, P, {}, set()),
        ("without the history of the first epoch", [0, 1], None, I, {0: ACTIVE}, False, P, {1: RECOVER}, set()),
        ("without history as a new member", [3], [], I, {}, False, M, {3: SYNC}, set()),
        ("fell behind and left", [], [0], C, {0: ACTIVE, 1: ACTIVE}, False, S, {0: LOCKED}, {1}),
        ("recovery goes on", [0, 1], [0], P, {0: ACTIVE}, False, P, {1: SYNC}, set()),
        ("recovering and leaving", [], [0], P, {0: RECOVER}, False, S, {0: LOCKED}, set()),
        ("lost its disk in the first epoch", [0, 1], None, S, {}, True, P, {0: RECOVER, 1: RECOVER}, set()),
        ("lost its disk later", [0, 1], [0], C, {}, False, P, {0: RECOVER, 1: RECOVER}, set()),
        ("lost its disk in this epoch", [0], [0], S, {}, False, P, {0: RECOVER}, set()),
    ],
)
def test_the_table(row):
    why, now, before, status, stored, attested, after, changes, removed = row
    epoch = 1 if before is None else 5
    found = plan(staking(epoch, ours=now, before=before), status=status, stored=stored, attested=attested)
    assert (found.status, dict(found.shards), found.removed) == (after, changes, removed), why


@pytest.mark.parametrize(
    ("status", "stored", "expected"),
    [
        (A, {0: ACTIVE, 1: ACTIVE}, Attester.KEEPER),
        (A, {0: ACTIVE, 1: ACTIVE, 2: LOCKED}, Attester.KEEPER),
        (A, {0: ACTIVE, 1: SYNC}, Attester.SYNC),
        (A, {0: RECOVER, 1: SYNC}, Attester.SYNC),
        (A, {0: ACTIVE}, Attester.SYNC),
        (A, {0: ACTIVE, 1: RECOVER}, Attester.RECOVERY),
        (A, {0: RECOVER, 1: RECOVER}, Attester.RECOVERY),
        (M, {0: ACTIVE, 1: ACTIVE}, Attester.SYNC),
        (P, {0: ACTIVE, 1: ACTIVE}, Attester.RECOVERY),
        (P, {0: ACTIVE, 1: SYNC}, Attester.RECOVERY),
        (C, {0: ACTIVE, 1: ACTIVE}, Attester.NOBODY),
        (S, {}, Attester.NOBODY),
    ],
)
def test_whose_work_the_attestation_waits_for(status, stored, expected):
    owned = frozenset({ShardIndex(0), ShardIndex(1)})
    assert plans.attester(status, owned, stored) is expected
    assert plans.attester(status, frozenset(), stored) is Attester.NOBODY


@pytest.mark.parametrize(
    ("status", "stored", "expected"),
    [
        (P, {0: ACTIVE, 1: ACTIVE}, {0, 1}),
        (P, {0: RECOVER, 1: RECOVER}, {0, 1}),
        (P, {0: ACTIVE, 1: SYNC}, {0}),
        (A, {0: ACTIVE, 1: RECOVER}, {0, 1}),
        (A, {0: RECOVER, 1: SYNC}, {0}),
        (A, {0: ACTIVE, 1: SYNC}, None),
        (A, {0: ACTIVE, 1: ACTIVE, 2: LOCKED}, None),
        (M, {0: ACTIVE, 1: SYNC}, None),
        (C, {0: ACTIVE, 1: RECOVER}, None),
        (S, {0: ACTIVE, 1: RECOVER}, None),
        (A, {0: RECOVER}, None),
    ],
)
def test_what_recovery_must_make_whole(status, stored, expected):
    assert plans.waits_for_recovery(status, frozenset({ShardIndex(0), ShardIndex(1)}), stored) == expected
    assert plans.waits_for_recovery(status, frozenset(), stored) is None


def test_node_statuses_follow_one_another_as_documented_and_in_no_other_way():
    legal = {S: {M, C, I}, A: {S, C, I}, M: {A, S, C, I}, P: {A, S, C, I}, C: {S, M, P, I}, I: {S, M, P}}
    for before, after in itertools.product(NodeStatus, repeat=2):
        assert before.may_become(after) is (before is after or after in legal[before]), (before, after)


def test_shard_statuses_follow_one_another_as_documented_and_in_no_other_way():
    legal = {
        NONE: {ACTIVE, SYNC, RECOVER},
        ACTIVE: {LOCKED, SYNC},
        SYNC: {ACTIVE, RECOVER, LOCKED},
        RECOVER: {ACTIVE, SYNC, LOCKED},
        LOCKED: {SYNC, RECOVER},
    }
    for before, after in itertools.product(ShardStatus, repeat=2):
        assert before.may_become(after) is (before is after or after in legal[before]), (before, after)
