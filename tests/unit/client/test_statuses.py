import itertools

import pytest

from walrus_client.statuses import (
    DeletableBlob,
    DeletableCounts,
    Invalid,
    Nonexistent,
    PermanentBlob,
    believed,
    decide,
    proved,
    strength,
)
from walrus_codec.types import BlobId, Digest, Epoch, ObjectId
from walrus_sui.events import BlobCertified, BlobRegistered, Event, EventId, InvalidBlobId

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


B = BlobId(bytes(range(32)))
OBJECT = ObjectId("0x" + "1" * 64)


def certified(blob_id: BlobId = B, *, end: int = 10, deletable: bool = False, since: int = 3) -> BlobCertified:
    return BlobCertified(Epoch(since), blob_id, Epoch(end), deletable, OBJECT, is_extension=False)


def registered(blob_id: BlobId = B, *, end: int = 10, deletable: bool = False) -> BlobRegistered:
    return BlobRegistered(Epoch(3), blob_id, 5, 0, Epoch(end), deletable, OBJECT)


def test_stronger_claims_of_a_few_are_named_beside_what_weight_supports() -> None:
    answers = [(Invalid(EVENT), 1), (permanent(20), 2), (DeletableBlob(None, NONE), 1), (permanent(10), 4)]
    assert believed(answers, n_shards=10) == (permanent(10), (Invalid(EVENT), permanent(20)))
    assert believed(answers[:3], n_shards=10) == (None, (Invalid(EVENT), permanent(20)))
    assert believed([(Nonexistent(), 7), (Invalid(EVENT), 3)], n_shards=10) == (Nonexistent(), ())


def test_an_event_proves_what_it_says_and_nothing_beside_it() -> None:
    boastful = permanent(10, counts=DeletableCounts(5, 5), since=1)
    assert proved(boastful, certified(), blob_id=B, epoch=Epoch(9)) == permanent(10, since=3)
    uncertified = permanent(10, certified=False, since=1)
    expected = permanent(10, certified=False, since=None)
    assert proved(uncertified, registered(), blob_id=B, epoch=Epoch(9)) == expected
    assert proved(Invalid(EVENT), InvalidBlobId(Epoch(2), B), blob_id=B, epoch=Epoch(9)) == Invalid(EVENT)


OTHER = BlobId(bytes(32))


@pytest.mark.parametrize(
    ("claim", "event"),
    [
        (permanent(), None),
        (permanent(), certified(OTHER)),
        (permanent(), certified(end=11)),
        (permanent(9), certified(end=9)),
        (permanent(), certified(deletable=True)),
        (permanent(), registered()),
        (permanent(certified=False), certified()),
        (permanent(), InvalidBlobId(Epoch(2), B)),
        (Invalid(EVENT), InvalidBlobId(Epoch(2), OTHER)),
        (Invalid(EVENT), certified()),
        (Invalid(EVENT), None),
    ],
)
def test_other_events_prove_nothing(claim: Invalid | PermanentBlob, event: Event | None) -> None:
    assert proved(claim, event, blob_id=B, epoch=Epoch(9)) is None


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
