"""Laws of the book-keeping of a read: whatever nodes do, a read ends, and it completes whenever it can."""

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
        slow = collection.mark_slow(now, patience_s=0.5)
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
