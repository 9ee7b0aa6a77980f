"""Laws of stored records: the quick look at a blob's record sees what the whole record says, whatever the bytes."""

from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.node.worlds import event_id

from walrus_codec.types import Epoch
from walrus_node.errors import StoreError
from walrus_node.store.blob_records import (
    InvalidBlob,
    PermanentInfo,
    ValidBlob,
    blob_info_from_bytes,
    blob_info_to_bytes,
    certified_since,
)

epochs = st.integers(0, 12).map(Epoch)
counts = st.sampled_from([0, 1, 256, 2**32 - 1])
events = st.integers(0, 10**6).map(event_id)
permanents = st.none() | st.builds(PermanentInfo, counts, epochs, events)
valid = st.builds(
    ValidBlob, counts, counts, permanents, permanents, *[st.none() | epochs] * 3, pooled_total=counts, pooled_certified=counts
)  # fmt: skip
infos = valid | st.builds(InvalidBlob, epochs, events)


def slowly(value, epoch):
    """The whole record, read and asked."""
    info = blob_info_from_bytes(value)
    return info.initial_certified_epoch if isinstance(info, ValidBlob) and info.is_certified(epoch) else None


@given(infos, epochs)
def test_the_quick_look_says_what_the_record_says(info, epoch):
    value = blob_info_to_bytes(info)
    assert certified_since(value, epoch) == slowly(value, epoch)


@given(infos, epochs, st.data())
@example(InvalidBlob(Epoch(1), event_id(1)), Epoch(1), None)
def test_bytes_of_another_form_are_judged_by_the_whole_look(info, epoch, data):
    value = blob_info_to_bytes(info)
    cut = value[:-1] if data is None else value[: data.draw(st.integers(0, len(value) - 1))]
    for damaged in (cut, value + b"\x00", b"\x03" + value[1:], b"\x01" + value[1:], value[:1] + b"\x02" + value[2:]):
        try:
            expected = slowly(damaged, epoch)
        except StoreError:
            expected = StoreError
        try:
            found = certified_since(damaged, epoch)
        except StoreError:
            found = StoreError
        assert found == expected
