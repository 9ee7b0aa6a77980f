import itertools

from walrus_client.statuses import (
    DeletableBlob,
    DeletableCounts,
    Invalid,
    Nonexistent,
    PermanentBlob,
    decide,
    strength,
)
from walrus_codec.types import Digest, Epoch
from walrus_sui.events import EventId

EVENT = EventId(Digest("2sVTRqPwUVsEtEBmZ5zqD2Zr5aPf2oWq1QhbSdgWVFQ8"), 3)
NONE = DeletableCounts()


def permanent(
    end: int = 10, *, certified: bool = True, counts: DeletableCounts = NONE, since: int | None = 2
) -> PermanentBlob:
    return PermanentBlob(Epoch(end), certified, EVENT, counts, None if since is None else Epoch(since))


def test_statuses_are_ordered_as_the_protocol_says() -> None:
    from_weak_to_strong = [
        Nonexistent(),
        DeletableBlob(None, DeletableCounts(1, 0)),
        DeletableBlob(Epoch(5), DeletableCounts(1, 1)),
        DeletableBlob(Epoch(4), DeletableCounts(1, 1)),
        DeletableBlob(None, DeletableCounts(2, 0)),
        permanent(99, certified=False, since=None),
        permanent(10),
        permanent(11),
        permanent(11, counts=DeletableCounts(1, 1)),
        permanent(11, counts=DeletableCounts(1, 1), since=1),
        Invalid(EVENT),
    ]
    for weaker, stronger in itertools.pairwise(from_weak_to_strong):
        assert strength(weaker) < strength(stronger), (weaker, stronger)


def test_the_strongest_status_with_an_honest_supporter_wins() -> None:
    answers = [(permanent(20), 3), (permanent(10), 4), (Nonexistent(), 3)]
    assert decide(answers, n_shards=10) == permanent(10), "3 of 10 shards may all lie, 4 may not"


def test_a_quorum_of_nonexistent_outweighs_a_stronger_claim() -> None:
    assert decide([(Nonexistent(), 7), (permanent(), 3)], n_shards=10) == Nonexistent()


def test_answers_that_have_nothing_in_common_give_no_status() -> None:
    answers = [(permanent(end), 3) for end in (10, 11, 12)]
    assert decide(answers, n_shards=10) is None
    assert decide([], n_shards=10) is None


def test_weights_of_equal_answers_add_up() -> None:
    answers = [(permanent(10), 2), (permanent(10), 2), (DeletableBlob(None, NONE), 3)]
    assert decide(answers, n_shards=10) == permanent(10)


def test_json_forms_are_the_official_ones() -> None:
    assert Nonexistent().to_json() == "nonexistent"
    event = {"txDigest": EVENT.tx_digest, "eventSeq": "3"}
    assert Invalid(EVENT).to_json() == {"invalid": {"event": event}}
    assert permanent(counts=DeletableCounts(2, 1)).to_json() == {
        "permanent": {
            "endEpoch": 10,
            "isCertified": True,
            "statusEvent": event,
            "deletableCounts": {"count_deletable_total": 2, "count_deletable_certified": 1},
            "initialCertifiedEpoch": 2,
        }
    }
    assert DeletableBlob(None, NONE).to_json() == {
        "deletable": {
            "initialCertifiedEpoch": None,
            "deletableCounts": {"count_deletable_total": 0, "count_deletable_certified": 0},
        }
    }
