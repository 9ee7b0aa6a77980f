"""Laws of the book-keeping of a read: whatever nodes do, a read ends, completes whenever it can, and hedges within bounds."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_client.read.collecting import Collection
from walrus_codec.types import NodeId, PairIndex

N_SHARDS = 10
NEEDED = 4
BEHAVIOURS = ("serves", "fails", "misses", "lies", "stalls", "late")


@settings(deadline=None)
@given(
    owners=st.lists(st.integers(0, 4), min_size=N_SHARDS, max_size=N_SHARDS),
    behaviour=st.lists(st.sampled_from(BEHAVIOURS), min_size=5, max_size=5),
    order=st.permutations(range(N_SHARDS)),
)
def test_a_read_completes_if_and_only_if_enough_slivers_can_be_had(
    owners: list[int], behaviour: list[str], order: list[int]
) -> None:
    def owner_of(pair: PairIndex) -> NodeId:
        return NodeId(str(owners[pair]))

    collection = Collection([PairIndex(pair) for pair in order], owner_of, needed=NEEDED)
    late: list[tuple[NodeId, PairIndex]] = []
    stalled: list[tuple[NodeId, PairIndex]] = []
    asked: list[PairIndex] = []
    now = 0.0
    for _round in range(200):
        if collection.complete or collection.hopeless:
            break
        now += 1.0
        requests = collection.next_requests(now)
        for node_id, pairs in requests.items():
            asked += pairs
            kind = behaviour[int(node_id)]
            for pair in pairs:
                if kind == "serves":
                    collection.arrived(node_id, pair, now)
                    collection.verify_succeeded([pair])
                elif kind == "lies" and pair in collection.owed_by(node_id):
                    collection.arrived(node_id, pair, now)
                    collection.verify_failed(pair)
                elif kind == "late":
                    late.append((node_id, pair))
                elif kind == "stalls":
                    stalled.append((node_id, pair))
            if kind == "fails":
                collection.exclude(node_id)
            elif kind == "misses":
                collection.lost(node_id, pairs)
        slow = collection.hedge(now, patience_s=0.5)
        if not requests and not slow and late:
            node_id, pair = late.pop()
            collection.arrived(node_id, pair, now)
            collection.verify_succeeded([pair])
        elif not requests and not slow and stalled:
            # In the end the stream of a stalled node meets its deadline.
            collection.exclude(stalled.pop()[0])
    available = sum(1 for owner in owners if behaviour[owner] in {"serves", "late"})
    assert collection.complete == (available >= NEEDED)
    assert collection.complete or collection.hopeless
    assert len(asked) == len(set(asked)), "no pair is asked for twice"


@settings(deadline=None)
@given(order=st.permutations(range(N_SHARDS)))
def test_nothing_is_asked_beyond_what_is_needed_while_all_goes_well(order: list[int]) -> None:
    collection = Collection([PairIndex(pair) for pair in order], lambda pair: NodeId(str(pair)), needed=NEEDED)
    requests = collection.next_requests(0.0)
    assert sorted(pair for pairs in requests.values() for pair in pairs) == sorted(order[:NEEDED])
    assert collection.next_requests(0.1) == {}


@settings(deadline=None)
@given(
    owners=st.lists(st.integers(0, 4), min_size=30, max_size=30),
    stalled=st.sets(st.integers(0, 4)),
    failing=st.sets(st.integers(0, 4)),
    patience=st.floats(0.1, 2.0),
    steps=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40),
)
def test_hedges_stay_within_half_a_read_for_each_patience_that_passes(
    owners: list[int], stalled: set[int], failing: set[int], patience: float, steps: list[float]
) -> None:
    needed = 12
    collection = Collection(
        [PairIndex(pair) for pair in range(30)], lambda pair: NodeId(str(owners[pair])), needed=needed
    )
    under_way: set[PairIndex] = set()
    waves, last_wave, now = 0, -math.inf, 0.0
    for step in steps:
        now += step
        for node_id, pairs in collection.next_requests(now).items():
            if int(node_id) in failing:
                collection.exclude(node_id)
                under_way -= {pair for pair in under_way if owners[pair] == int(node_id)}
            elif int(node_id) in stalled:
                under_way |= set(pairs)
            else:
                under_way |= set(pairs)
                for pair in pairs:
                    collection.arrived(node_id, pair, now)
                collection.verify_succeeded(pairs)
        assert len(under_way) <= needed + waves * math.ceil(needed / 2)
        before = collection.slow_nodes
        if collection.hedge(now, patience):
            assert collection.slow_nodes, "nobody is hedged while everybody is in time"
            assert now - last_wave >= patience, "a wave waits for the patience of the last one"
            waves, last_wave = waves + 1, now
        assert before <= collection.slow_nodes
        due = collection.next_check_in(now, patience)
        # Whoever sleeps as long as it is told never wakes for nothing at the very same moment.
        assert due is None or due > 0 or collection.next_requests(now) or not collection.hedge(now, patience)


def test_a_hedge_that_fails_is_replaced_at_once() -> None:
    """The stalled node's debt is hedged; the liar that stands in for it is replaced without a further patience."""
    owners = ["slow", "good", "liar", "good", "good"]
    collection = Collection([PairIndex(pair) for pair in range(5)], lambda pair: NodeId(owners[pair]), needed=2)
    assert collection.next_requests(0.0) == {NodeId("slow"): [0], NodeId("good"): [1]}
    collection.arrived(NodeId("good"), PairIndex(1), 0.1)
    collection.verify_succeeded([PairIndex(1)])
    assert collection.next_check_in(0.1, 0.5) == 0.4
    assert not collection.hedge(0.4, 0.5)
    assert collection.hedge(0.5, 0.5)
    assert collection.next_requests(0.5) == {NodeId("liar"): [2]}
    collection.arrived(NodeId("liar"), PairIndex(2), 0.6)
    assert collection.verify_failed(PairIndex(2)) == NodeId("liar")
    assert collection.next_requests(0.6) == {NodeId("good"): [3]}
    # The slow one comes after all, before its stand-in: whatever comes first counts.
    assert collection.arrived(NodeId("slow"), PairIndex(0), 0.7) == 0.7
    collection.verify_succeeded([PairIndex(0)])
    assert collection.complete
