"""Laws of the status decision: f shards of liars never decide anything."""

from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_client.statuses import (
    BlobStatus,
    DeletableBlob,
    DeletableCounts,
    Invalid,
    Nonexistent,
    PermanentBlob,
    decide,
)
from walrus_codec import quorum
from walrus_codec.types import Digest, Epoch
from walrus_sui.events import EventId

EVENT = EventId(Digest("11111111111111111111111111111111"), 0)
STATUSES: st.SearchStrategy[BlobStatus] = st.one_of(
    st.just(Nonexistent()),
    st.builds(Invalid, st.just(EVENT)),
    st.builds(
        PermanentBlob,
        st.integers(1, 3).map(Epoch),
        st.booleans(),
        st.just(EVENT),
        st.just(DeletableCounts()),
        st.one_of(st.none(), st.integers(1, 3).map(Epoch)),
    ),
    st.builds(DeletableBlob, st.none(), st.builds(DeletableCounts, st.integers(0, 2), st.integers(0, 2))),
)


@settings(deadline=None)
@given(honest=STATUSES, lies=st.lists(STATUSES, max_size=33), n_shards=st.just(100))
def test_honest_nodes_that_agree_are_believed(honest: BlobStatus, lies: list[BlobStatus], n_shards: int) -> None:
    f = quorum.max_faulty(n_shards)
    answers = [(honest, n_shards - f), *((lie, 1) for lie in lies)]
    assert decide(answers, n_shards=n_shards) == honest


@settings(deadline=None)
@given(answers=st.lists(st.tuples(STATUSES, st.integers(1, 20)), max_size=8))
def test_no_status_is_believed_that_f_shards_could_have_made_up(answers: list[tuple[BlobStatus, int]]) -> None:
    decided = decide(answers, n_shards=100)
    if decided is not None:
        assert sum(weight for status, weight in answers if status == decided) > quorum.max_faulty(100)
