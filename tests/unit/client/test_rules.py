from collections import Counter
from random import Random

import pytest
from tests.unit.client.worlds import committee, node_id, view

from walrus_client import rules
from walrus_client.rules import ReadChoice
from walrus_codec.types import BlobId, Epoch
from walrus_sui.types import EpochPhase

OLD = committee([5, 5], epoch=4)
NOW = committee([4, 6], epoch=5)


@pytest.mark.parametrize(
    ("phase", "certified", "expected"),
    [
        (EpochPhase.DONE, None, NOW),
        (EpochPhase.DONE, 1, NOW),
        (EpochPhase.PARAMS_SELECTED, 4, NOW),
        (EpochPhase.DONE, 5, NOW),
        (EpochPhase.DONE, 6, ReadChoice.VIEW_IS_OLD),
        (EpochPhase.SYNC, None, ReadChoice.STATUS_NEEDED),
        (EpochPhase.SYNC, 4, OLD),
        (EpochPhase.SYNC, 5, NOW),
        (EpochPhase.SYNC, 6, ReadChoice.VIEW_IS_OLD),
    ],
)
def test_the_read_committee_follows_the_certified_epoch(
    phase: EpochPhase, certified: int | None, expected: object
) -> None:
    epoch = None if certified is None else Epoch(certified)
    assert rules.read_committee(view(NOW, before=OLD, phase=phase), epoch) == expected


def test_the_first_committee_serves_reads_while_it_forms() -> None:
    assert rules.read_committee(view(NOW, phase=EpochPhase.SYNC), None) == NOW


def test_writes_go_to_the_current_committee_in_every_phase() -> None:
    for phase in EpochPhase:
        assert rules.write_committee(view(NOW, before=OLD, phase=phase)) == NOW


def test_bitmap_counts_members_in_order_of_node_id_least_significant_bit_first() -> None:
    nine = committee([1] * 9, numbers=[900, 5, 70, 33, 1, 256, 12, 255, 1000])
    in_order = [1, 5, 12, 33, 70, 255, 256, 900, 1000]
    assert rules.signers_bitmap(nine, {node_id(1)}) == bytes([0b1, 0])
    assert rules.signers_bitmap(nine, {node_id(5), node_id(33)}) == bytes([0b1010, 0])
    assert rules.signers_bitmap(nine, {node_id(1000)}) == bytes([0, 0b1])
    assert rules.signers_bitmap(nine, {node_id(number) for number in in_order}) == bytes([0xFF, 0b1])
    assert rules.signers_bitmap(nine, {node_id(4242)}) == bytes(2), "strangers have no bit"


def test_quorum_is_counted_in_shards() -> None:
    four = committee([3, 3, 2, 2])
    assert not rules.has_quorum(four, {node_id(1), node_id(2)})
    assert rules.has_quorum(four, {node_id(1), node_id(3), node_id(4)})
    assert rules.can_reach_quorum(four, confirmed=set(), failed={node_id(1)})
    assert not rules.can_reach_quorum(four, confirmed=set(), failed={node_id(1), node_id(3)})


def test_every_pair_has_exactly_one_owner() -> None:
    four = committee([3, 3, 2, 2])
    blob_id = BlobId(bytes(range(32)))
    pairs = [pair for member in four.members for pair in rules.pairs_of(member, blob_id, 10)]
    assert sorted(pairs) == list(range(10))


def test_stragglers_get_half_the_time_again_and_half_a_second() -> None:
    assert rules.straggler_time_s(0) == 0.5
    assert rules.straggler_time_s(4) == 2.5


def test_heavy_nodes_come_first_in_proportion_to_their_weight() -> None:
    three = committee([6, 3, 1])
    rng = Random(7)
    first = Counter(rules.weighted_order(three.members, rng.random)[0].node_id for _ in range(4000))
    assert 0.56 < first[node_id(1)] / 4000 < 0.64
    assert 0.26 < first[node_id(2)] / 4000 < 0.34


def test_the_quorum_prefix_is_as_short_as_possible() -> None:
    four = committee([4, 3, 2, 1])
    order = list(four.members)
    assert rules.quorum_prefix(order, 10) == 2
    assert rules.quorum_prefix(order[::-1], 10) == 4
    assert rules.quorum_prefix(order[2:], 10) == 2, "even all of them are no quorum: ask all"
