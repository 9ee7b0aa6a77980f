"""Laws of what was paid for: no registration serves two stores, none that fits is passed over, and storage is never wasted."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_client.store.registrations import Registrations, choose_storage
from walrus_codec.types import BlobId, EncodingType, Epoch, ObjectId, SuiAddress
from walrus_sui.types import BlobObject, StorageObject

OWNER = SuiAddress("0x" + "0" * 64)


def object_id(number: int) -> ObjectId:
    return ObjectId(f"0x{number:064x}")


def storage(number: int, start: int, end: int, size: int = 1000) -> StorageObject:
    return StorageObject(object_id(number), Epoch(start), Epoch(end), size)


def blob(number: int, kind: int, start: int, end: int, *, deletable: bool) -> BlobObject:
    held = storage(number + 1000, start, end)
    return BlobObject(
        object_id(number), Epoch(1), BlobId(bytes([kind]) * 32), 9, EncodingType.ISAL, None, held, deletable, OWNER
    )


made = st.builds(
    blob, st.integers(1, 6), st.integers(0, 1), st.integers(0, 3), st.integers(4, 9), deletable=st.booleans()
)
wallets = st.lists(made, max_size=6, unique_by=lambda entry: entry.object_id)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("learn"), wallets),
        st.tuples(st.just("take"), st.integers(0, 1), st.booleans(), st.integers(4, 9)),
        st.tuples(st.just("fail"), st.integers(0, 5)),
        st.tuples(st.just("certify"), st.integers(0, 5)),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(steps)
def test_a_registration_serves_one_store_at_a_time_and_is_never_taken_again_once_certified(
    program: list[tuple[object, ...]],
) -> None:
    kept, working, certified = Registrations(), [], set()
    now = Epoch(3)
    for step in program:
        match step:
            case ("learn", list(wallet)):
                # A listing may be older than what stores have done since: it still says "not certified" of everything.
                before = len(kept)
                assert kept.learn(wallet, now=now) == len(kept) - before
                assert not kept.learn(wallet, now=now), "a wallet teaches nothing twice"
            case ("take", int(kind), bool(deletable), int(end)):
                found = kept.take(BlobId(bytes([kind]) * 32), deletable=deletable, now=now, until=Epoch(end))
                if found is not None:
                    assert found.blob_id == bytes([kind]) * 32
                    assert found.deletable == deletable
                    assert found.storage.start_epoch <= now < end <= found.storage.end_epoch
                    assert found.object_id not in certified | {entry.object_id for entry in working}
                    working.append(found)
            case ("fail", int(index)) if index < len(working):
                kept.keep(working.pop(index))
            case ("certify", int(index)) if index < len(working):
                certified.add(working.pop(index).object_id)


@settings(deadline=None)
@given(wallets, st.integers(0, 1), st.booleans(), st.integers(4, 9))
def test_what_fits_in_a_wallet_is_found_and_the_one_that_ends_first_is_taken(
    wallet: list[BlobObject], kind: int, deletable: bool, end: int
) -> None:
    kept, now = Registrations(), Epoch(3)
    kept.learn(wallet, now=now)
    found = kept.take(BlobId(bytes([kind]) * 32), deletable=deletable, now=now, until=Epoch(end))
    ends = [
        entry.storage.end_epoch
        for entry in wallet
        if (entry.blob_id[0], entry.deletable) == (kind, deletable) and entry.storage.end_epoch >= end
    ]
    assert (found.storage.end_epoch if found else None) == min(ends, default=None)


def waste(item: StorageObject, size: int, now: int, until: int) -> int:
    """Byte-epochs that a blob of this size and life leaves over."""
    return item.size * (item.end_epoch - now) - size * (until - now)


def fits(items: Iterable[StorageObject], size: int, now: int, until: int, taken: set[ObjectId]) -> list[StorageObject]:
    return [
        item
        for item in items
        if item.object_id not in taken and item.start_epoch <= now and until <= item.end_epoch and size <= item.size
    ]


@settings(deadline=None)
@given(
    st.lists(
        st.builds(storage, st.integers(1, 9), st.integers(0, 4), st.integers(5, 9), st.integers(1, 5)),
        unique_by=lambda item: item.object_id,
    ),
    st.integers(1, 5),
    st.integers(4, 9),
    st.sets(st.integers(1, 9).map(object_id), max_size=3),
)
def test_storage_is_chosen_if_and_only_if_some_fits_and_leaves_over_the_least(
    items: list[StorageObject], size: int, until: int, taken: set[ObjectId]
) -> None:
    now = 3
    fitting = fits(items, size, now, until, taken)
    found = choose_storage(items, size=size, now=Epoch(now), until=Epoch(until), taken=taken)
    assert (found is None) == (not fitting)
    if found is not None:
        assert found in fitting
        assert waste(found, size, now, until) == min(waste(item, size, now, until) for item in fitting)
