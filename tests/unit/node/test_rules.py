"""Each event's effect on the records, and what may not follow what."""

import pytest
from tests.unit.node.worlds import (
    blob_id,
    certified,
    deleted,
    event_id,
    object_id,
    pool_created,
    pool_extended,
    pool_id,
    pooled,
    pooled_certified,
    pooled_deleted,
    registered,
)

from walrus_client.statuses import DeletableBlob, DeletableCounts, Invalid, Nonexistent, PermanentBlob
from walrus_codec.types import Epoch
from walrus_node.errors import EventConflictError
from walrus_node.events import rules
from walrus_node.events.status import status_of
from walrus_node.store import layout
from walrus_node.store.blob_records import InvalidBlob, PermanentInfo, ValidBlob
from walrus_node.store.memory import MemoryStore
from walrus_node.store.pools import PoolSet, PoolTable
from walrus_node.store.working import WorkingSet
from walrus_sui.events import EpochChangeDone, EpochChangeStart, InvalidBlobId, PricesUpdated

B, O1, O2, O3 = blob_id(1), object_id(1), object_id(2), object_id(3)
P1, P2 = pool_id(1), pool_id(2)


class World:
    """Records in memory, events applied one after the other."""

    def __init__(self, epoch=1):
        kv = MemoryStore()
        for family in layout.FIXED_FAMILIES:
            kv.create_family(family, bulky=False)
        self.working = WorkingSet(
            epoch=Epoch(epoch),
            read_blob=lambda _: None,
            read_object=lambda _: None,
            read_expired=lambda _: [],
            pools=PoolSet(PoolTable(kv)),
        )
        self.count = 0

    def apply(self, *events):
        for event in events:
            self.count += 1
            rules.apply(self.working, event_id(self.count), event)
        return self

    def epochs(self, until):
        return self.apply(*(EpochChangeStart(Epoch(epoch)) for epoch in range(self.working.epoch + 1, until + 1)))

    @property
    def info(self):
        return self.working.blob(B)

    @property
    def status(self):
        return status_of(self.info, self.working.epoch)


@pytest.fixture
def world():
    return World()


def test_a_permanent_registration_counts_and_is_not_certified(world):
    world.apply(registered(B, O1, 5))
    assert world.info == ValidBlob(permanent_total=PermanentInfo(1, Epoch(5), event_id(1)))
    assert world.status == PermanentBlob(Epoch(5), False, event_id(1), DeletableCounts(), None)


def test_the_latest_end_of_several_permanent_objects_stands_with_its_event(world):
    world.apply(registered(B, O1, 5), registered(B, O2, 9), registered(B, O3, 7))
    assert world.info.permanent_total == PermanentInfo(3, Epoch(9), event_id(2))


def test_certification_names_the_certified_end_not_the_longest_one(world):
    world.apply(registered(B, O1, 5), registered(B, O2, 9), certified(B, O1, 5))
    assert world.status == PermanentBlob(Epoch(5), True, event_id(3), DeletableCounts(), Epoch(1))


def test_the_first_certification_epoch_is_the_smallest(world):
    world.apply(registered(B, O1, 5), registered(B, O2, 5)).epochs(3)
    world.apply(certified(B, O1, 5, epoch=3), certified(B, O2, 5, epoch=2))
    assert world.info.initial_certified_epoch == 2


def test_deletable_objects_are_counted(world):
    world.apply(registered(B, O1, 5, deletable=True), registered(B, O2, 6, deletable=True))
    world.apply(certified(B, O1, 5, deletable=True))
    assert world.status == DeletableBlob(Epoch(1), DeletableCounts(2, 1))


def test_permanent_is_told_before_deletable_with_the_counts(world):
    world.apply(registered(B, O1, 5, deletable=True), registered(B, O2, 6))
    assert world.status == PermanentBlob(Epoch(6), False, event_id(2), DeletableCounts(1, 0), None)


def test_an_extension_moves_the_end_and_counts_nothing(world):
    world.apply(registered(B, O1, 5), certified(B, O1, 5), certified(B, O1, 20, extension=True))
    assert world.info.permanent_total == PermanentInfo(1, Epoch(20), event_id(3))
    assert world.info.permanent_certified == PermanentInfo(1, Epoch(20), event_id(3))
    assert world.epochs(6).status == PermanentBlob(Epoch(20), True, event_id(3), DeletableCounts(), Epoch(1))


def test_an_extended_deletable_object_lives_on(world):
    world.apply(registered(B, O1, 5, deletable=True), certified(B, O1, 5, deletable=True))
    world.apply(certified(B, O1, 9, deletable=True, extension=True)).epochs(6)
    assert world.status == DeletableBlob(Epoch(1), DeletableCounts(1, 1))


def test_deletion_takes_the_object_off_and_the_last_one_makes_garbage(world):
    world.apply(registered(B, O1, 5, deletable=True), certified(B, O1, 5, deletable=True))
    world.apply(registered(B, O2, 5, deletable=True), deleted(B, O1, 5, was_certified=True))
    assert world.status == DeletableBlob(None, DeletableCounts(1, 0))
    assert not world.working.has_garbage
    world.apply(deleted(B, O2, 5))
    assert world.status == Nonexistent()
    assert world.working.has_garbage


def test_a_deleted_object_stays_known_until_its_end(world):
    world.apply(registered(B, O1, 5, deletable=True), deleted(B, O1, 5))
    with pytest.raises(EventConflictError, match="registered twice"):
        world.apply(registered(B, O1, 9, deletable=True))
    assert world.epochs(5).working.object(O1) is None


def test_the_end_epoch_is_exclusive(world):
    world.apply(registered(B, O1, 3), certified(B, O1, 3)).epochs(2)
    assert isinstance(world.status, PermanentBlob)
    assert world.epochs(3).status == Nonexistent()
    assert world.working.has_garbage
    assert world.info.objects == 0


def test_expiry_of_one_object_leaves_the_others(world):
    world.apply(registered(B, O1, 3), certified(B, O1, 3), registered(B, O2, 8)).epochs(3)
    assert world.status == PermanentBlob(Epoch(8), False, event_id(3), DeletableCounts(), None)
    assert world.info.initial_certified_epoch is None, "the last certified object is gone"


def test_expiry_of_deletable_objects_leaves_exact_counts(world):
    world.apply(registered(B, O1, 3, deletable=True), registered(B, O2, 8, deletable=True)).epochs(4)
    assert world.status == DeletableBlob(None, DeletableCounts(1, 0))


def test_a_deleted_longest_deletable_does_not_keep_the_blob_alive(world):
    world.apply(registered(B, O1, 3, deletable=True), registered(B, O2, 8, deletable=True), deleted(B, O2, 8))
    assert world.epochs(3).status == Nonexistent()


def test_a_blob_can_be_registered_again_after_its_end(world):
    world.apply(registered(B, O1, 3)).epochs(3).apply(registered(B, O2, 9, epoch=3))
    assert world.status == PermanentBlob(Epoch(9), False, event_id(4), DeletableCounts(), None)


def test_invalid_is_for_ever(world):
    world.apply(registered(B, O1, 9), certified(B, O1, 9), InvalidBlobId(Epoch(1), B))
    assert world.status == Invalid(event_id(3))
    world.apply(registered(B, O2, 9, deletable=True), certified(B, O2, 9, deletable=True), deleted(B, O2, 9))
    world.apply(certified(B, O1, 20, extension=True)).epochs(25)
    assert world.info == InvalidBlob(Epoch(1), event_id(3))
    assert world.working.has_garbage


def test_an_unknown_blob_can_be_invalidated(world):
    assert world.apply(InvalidBlobId(Epoch(1), B)).status == Invalid(event_id(1))


def test_epochs_follow_each_other(world):
    world.epochs(4)
    assert world.working.epoch == 4
    for wrong in (3, 4, 6):
        with pytest.raises(EventConflictError, match=f"epoch {wrong} began after epoch 4"):
            world.apply(EpochChangeStart(Epoch(wrong)))


def test_other_events_change_nothing(world):
    world.apply(EpochChangeDone(Epoch(1)), PricesUpdated(Epoch(1), 1, 2))
    assert not world.working.touched


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([registered(B, O1, 5), registered(B, O1, 5)], "registered twice"),
        ([certified(B, O1, 5)], "never registered"),
        ([registered(B, O1, 5), certified(B, O1, 5), certified(B, O1, 5)], "certified twice"),
        ([registered(B, O1, 5), certified(B, O1, 9, extension=True)], "before it was certified"),
        ([registered(B, O1, 5), deleted(B, O1, 5)], "permanent"),
        ([deleted(B, O1, 5)], "never registered"),
        ([registered(B, O1, 5, deletable=True), deleted(B, O1, 5), deleted(B, O1, 5)], "deleted before"),
        ([registered(B, O1, 5, deletable=True), deleted(B, O1, 5), certified(B, O1, 5)], "deleted before"),
        ([registered(B, O1, 5), certified(blob_id(2), O1, 5)], "another blob"),
    ],
)
def test_contradictions_are_refused(world, events, words):
    world.apply(*events[:-1])
    with pytest.raises(EventConflictError, match=words):
        world.apply(events[-1])


def test_a_blob_that_nobody_named_is_nonexistent(world):
    assert world.status == Nonexistent()


class TestPools:
    """Blobs in storage pools live as long as their pool, and count among the deletable ones."""

    @pytest.fixture
    def world(self, world):
        return world.apply(pool_created(P1, 3))

    def test_a_pooled_blob_is_registered_and_certified(self, world):
        world.apply(pooled(B, O1, P1))
        assert world.info.is_registered(Epoch(1))
        assert not world.info.is_certified(Epoch(1))
        assert world.status == DeletableBlob(None, DeletableCounts(1, 0))
        world.apply(pooled_certified(B, O1, P1))
        assert world.status == DeletableBlob(Epoch(1), DeletableCounts(1, 1))

    def test_it_ends_with_its_pool(self, world):
        world.apply(pooled(B, O1, P1), pooled_certified(B, O1, P1)).epochs(2)
        assert world.info.is_certified(Epoch(2))
        assert not world.working.has_garbage
        world.epochs(3)
        assert world.status == Nonexistent()
        assert world.info == ValidBlob()
        assert world.working.has_garbage
        assert world.working.pools.end(P1) is None

    def test_an_extension_of_the_pool_keeps_its_blobs_and_never_shortens(self, world):
        world.apply(pooled(B, O1, P1), pool_extended(P1, 5), pool_extended(P1, 4)).epochs(4)
        assert world.info.is_registered(Epoch(4))
        assert not world.epochs(5).info.is_registered(Epoch(5))

    def test_a_deleted_one_goes_at_once_and_its_pool_stays(self, world):
        world.apply(pooled(B, O1, P1), pooled_certified(B, O1, P1), pooled_deleted(B, O1, P1, was_certified=True))
        assert world.status == Nonexistent()
        assert world.working.has_garbage
        world.apply(pooled(B, O2, P1)).epochs(2)
        assert world.info.is_registered(Epoch(2))

    def test_two_pools_and_an_object_of_its_own_hold_a_blob_as_long_as_the_last_of_them(self, world):
        world.apply(pool_created(P2, 4), pooled(B, O1, P1), pooled(B, O2, P2), registered(B, O3, 2, deletable=True))
        assert world.status == DeletableBlob(None, DeletableCounts(3, 0))
        assert world.epochs(2).info.objects == 2
        assert world.epochs(3).info.objects == 1
        assert world.epochs(4).info.objects == 0

    def test_the_first_certification_stands_while_a_pooled_one_is_certified(self, world):
        world.apply(pooled(B, O1, P1), pooled_certified(B, O1, P1, epoch=1), registered(B, O2, 9)).epochs(2)
        world.apply(certified(B, O2, 9, epoch=2))
        assert world.info.initial_certified_epoch == 1
        assert world.epochs(3).info.initial_certified_epoch == 1

    def test_a_permanent_pooled_blob_makes_no_permanent_status(self, world):
        world.apply(pooled(B, O1, P1, deletable=False))
        assert world.status == DeletableBlob(None, DeletableCounts(1, 0))

    def test_an_invalid_blob_stays_invalid_in_every_pool(self, world):
        world.apply(pooled(B, O1, P1), InvalidBlobId(Epoch(1), B), pooled_certified(B, O1, P1), pooled(B, O2, P1))
        assert world.epochs(3).info == InvalidBlob(Epoch(1), event_id(3))

    @pytest.mark.parametrize(
        ("event", "why"),
        [
            (pool_created(P1, 9), "created twice"),
            (pool_extended(P2, 9), "never created"),
            (pooled(B, O2, P2), "never created"),
            (pooled(B, O1, P1), "registered twice"),
            (pooled_certified(B, O2, P1), "never registered"),
            (pooled_certified(B, O1, P2), "another blob or pool"),
            (pooled_deleted(blob_id(2), O1, P1), "another blob or pool"),
            (pooled_deleted(B, O3, P1), "is permanent"),
        ],
    )
    def test_what_cannot_be_is_refused(self, world, event, why):
        world.apply(pooled(B, O1, P1), pooled(B, O3, P1, deletable=False))
        with pytest.raises(EventConflictError, match=why):
            world.apply(event)

    def test_nothing_is_certified_or_deleted_twice(self, world):
        world.apply(pooled(B, O1, P1), pooled_certified(B, O1, P1))
        with pytest.raises(EventConflictError, match="certified twice"):
            world.apply(pooled_certified(B, O1, P1))
        world.apply(pooled_deleted(B, O1, P1, was_certified=True))
        with pytest.raises(EventConflictError, match="was deleted"):
            world.apply(pooled_deleted(B, O1, P1, was_certified=True))
