"""The agenda of recovery: what is due when, what counts as whole, and whom to ask."""

import random
from collections import Counter

import pytest
from tests.unit.node.worlds import US, blob_id, committee, member

from walrus_codec import mapping
from walrus_codec.types import Axis, Epoch, NodeId, PairIndex, ShardIndex
from walrus_node.recovery import rules
from walrus_node.recovery.rules import Agenda, Scope
from walrus_node.store.shards import SliverKey

A, B, C = (blob_id(number) for number in (1, 2, 3))
SCOPE = Scope(Epoch(3), frozenset({ShardIndex(0)}))


class TestAgenda:
    def test_what_was_lost_is_due_at_once_unless_attempts_wait(self):
        agenda = Agenda()
        agenda.lost(A, now=5)
        agenda.certified(B, due=20)
        agenda.lost(B, now=6)
        assert agenda.due(6) == [A, B]
        agenda.failed(A, now=6, draw=0.999)
        agenda.lost(A, now=6.1)
        assert agenda.due(6.1) == [B]

    def test_nothing_is_whole_before_a_look(self):
        assert not Agenda().whole(SCOPE)

    def test_a_look_that_finds_nothing_is_whole_for_its_scope_only(self):
        agenda = Agenda()
        agenda.looked(SCOPE, [], now=0)
        assert agenda.whole(SCOPE)
        assert not agenda.whole(Scope(Epoch(4), SCOPE.shards))
        assert not agenda.whole(Scope(Epoch(3), frozenset()))
        assert agenda.fraction == 1

    def test_what_a_look_finds_is_due_at_once_and_counts(self):
        agenda = Agenda()
        agenda.looked(SCOPE, [A, B], now=5)
        assert agenda.due(5) == [A, B]
        agenda.done(A)
        assert not agenda.whole(SCOPE)
        assert agenda.fraction == 0.5
        agenda.done(B)
        assert agenda.whole(SCOPE)
        assert (agenda.fraction, len(agenda)) == (1, 0)

    def test_a_certified_blob_has_its_grace_period_also_when_a_look_finds_it(self):
        agenda = Agenda()
        agenda.certified(A, due=20)
        agenda.looked(SCOPE, [A], now=5)
        assert agenda.due(19) == []
        assert agenda.next_due_in(5) == 15
        assert agenda.due(20) == [A]

    def test_blobs_certified_after_the_look_do_not_keep_a_node_from_being_whole(self):
        agenda = Agenda()
        agenda.looked(SCOPE, [], now=0)
        agenda.certified(A, due=20)
        assert agenda.whole(SCOPE)
        assert len(agenda) == 1

    def test_a_second_certification_does_not_move_the_date(self):
        agenda = Agenda()
        agenda.certified(A, due=20)
        agenda.certified(A, due=30)
        assert agenda.due(20) == [A]

    def test_a_new_look_forgets_what_an_old_one_found(self):
        agenda = Agenda()
        agenda.looked(SCOPE, [A], now=0)
        later = Scope(Epoch(4), SCOPE.shards)
        agenda.looked(later, [B], now=9)
        agenda.done(B)
        assert agenda.whole(later)
        assert agenda.due(9) == [A], "it is tried all the same"

    def test_failures_wait_longer_and_longer(self):
        agenda = Agenda()
        agenda.looked(SCOPE, [A, B], now=0)
        assert agenda.failed(A, now=0, draw=0.999999) == pytest.approx(1, abs=1e-3)
        assert agenda.due(0) == [B]
        assert agenda.failed(A, now=1, draw=0) == 1
        assert agenda.failed(A, now=1, draw=0) == 2
        assert not agenda.whole(SCOPE)

    def test_a_change_makes_what_failed_due_again_but_ends_no_grace_period(self):
        agenda = Agenda()
        agenda.looked(SCOPE, [A], now=0)
        agenda.certified(B, due=50)
        for _ in range(5):
            agenda.failed(A, now=0, draw=0.5)
        agenda.retry_now(10)
        assert agenda.due(10) == [A]
        assert agenda.failed(A, now=10, draw=0) == 0.5, "and its pauses begin anew"

    def test_those_that_wait_longest_come_first(self):
        agenda = Agenda()
        for number, blob in enumerate((C, A, B)):
            agenda.certified(blob, due=number)
        assert agenda.due(2) == [C, A, B]
        assert agenda.next_due_in(9) == 0
        assert Agenda().next_due_in(9) is None


class TestGrace:
    @pytest.mark.parametrize(
        ("length", "seconds"),
        [(None, 15), (0, 15), (100 << 20, 15), ((100 << 20) + 1, 30), (4 << 30, 30), ((4 << 30) + 1, 120)],
    )
    def test_large_blobs_have_more_time(self, length, seconds):
        assert rules.grace_s(15, length) == seconds

    def test_a_size_is_asked_for_once_and_moves_the_date(self):
        agenda = Agenda()
        agenda.certified(A, due=15)
        agenda.certified(B, due=15)
        assert agenda.is_fresh(A)
        agenda.measured(A, more_s=15)
        agenda.measured(B, more_s=0)
        assert not agenda.is_fresh(A)
        assert agenda.due(29) == [B]
        assert agenda.due(30) == [B, A]
        agenda.measured(C, more_s=15)
        assert not agenda.is_fresh(C)
        assert len(agenda) == 2

    def test_what_a_look_or_scrub_finds_is_not_fresh(self):
        agenda = Agenda()
        agenda.looked(SCOPE, [A], now=0)
        agenda.certified(B, due=15)
        agenda.lost(B, now=1)
        assert not agenda.is_fresh(A)
        assert not agenda.is_fresh(B)
        assert agenda.due(1) == [A, B]


def test_pauses_end_at_an_hour():
    assert rules.backoff_s(0, draw=0) == 0.5
    assert rules.backoff_s(11, draw=0) == 1024
    assert rules.backoff_s(12, draw=0) == 1800
    assert rules.backoff_s(500, draw=1) == 3600


def test_secondary_slivers_come_first():
    keys = [SliverKey(ShardIndex(shard), axis, A) for shard in (4, 2) for axis in Axis]
    keys.append(SliverKey(ShardIndex(7), Axis.PRIMARY, A))
    found = rules.targets(keys, 10)
    assert list(found) == [Axis.SECONDARY, Axis.PRIMARY]
    assert {axis: len(pairs) for axis, pairs in found.items()} == {Axis.SECONDARY: 2, Axis.PRIMARY: 3}
    assert {mapping.shard_of_pair(pair, A, 10) for pair in found[Axis.PRIMARY]} == {2, 4, 7}
    assert rules.targets([], 10) == {}


def test_batches_fit_into_memory_and_have_one_at_least():
    pairs = [PairIndex(number) for number in range(7)]
    assert [len(batch) for batch in rules.batches(pairs, 100, 900)] == [3, 3, 1]
    assert [len(batch) for batch in rules.batches(pairs, 100, 899)] == [2, 2, 2, 1]
    assert [len(batch) for batch in rules.batches(pairs, 100, 1)] == [1] * 7
    assert rules.batches([], 100, 900) == []


def test_all_pairs_of_the_others_are_asked_for_by_weight():
    heavy, light = NodeId("0x" + "01" * 32), NodeId("0x" + "02" * 32)
    members = committee(3, member(US, [0, 1]), member(heavy, range(2, 9)), member(light, [9]))
    rng, first = random.Random(5), Counter()
    for _ in range(400):
        order = rules.source_order(members, US, A, rng.random)
        assert len({pair for _node, pair in order}) == len(order) == 8
        assert all(mapping.shard_of_pair(pair, A, 10) >= 2 for _node, pair in order)
        runs = [node for number, (node, _pair) in enumerate(order) if not number or order[number - 1][0] != node]
        assert len(runs) == 2, "the pairs of a node stand together"
        first[order[0][0]] += 1
    assert 320 < first[heavy] < 380, "seven of eight shards"
