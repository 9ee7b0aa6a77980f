"""Laws of encoding: the fast codec and the slow twin give the same bytes, and the code is linear."""

from hypothesis import given
from tests.laws.codec import dumb
from tests.laws.codec.strategies import FEW, LAW, axes, blobs, params, slivers, twin_of

from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis


@LAW
@given(params, blobs())
def test_every_byte_equals_the_twins(code: CodeParams, data: bytes) -> None:
    encoded = redstuff.encode(data, code)
    twin = dumb.encode(data, code.n_shards, twin_of(code.encoding))
    assert encoded.blob_id == twin.blob_id
    assert encoded.metadata.root() == twin.root
    assert [(pair.primary, pair.secondary) for pair in encoded.metadata.hashes] == twin.hashes
    assert [bytes(sliver.data) for sliver in slivers(encoded, Axis.PRIMARY)] == twin.primary
    assert [bytes(sliver.data) for sliver in slivers(encoded, Axis.SECONDARY)] == twin.secondary


@FEW
@given(params, axes, blobs(), blobs())
def test_slivers_of_a_sum_are_the_sums_of_slivers(code: CodeParams, axis: Axis, one: bytes, other: bytes) -> None:
    size = max(len(one), len(other))
    one, other = one.ljust(size, b"\0"), other.ljust(size, b"\0")
    parts = [slivers(redstuff.encode(data, code), axis) for data in (one, other, xor(one, other))]
    for a, b, total in zip(*parts, strict=True):
        assert xor(bytes(a.data), bytes(b.data)) == total.data


@FEW
@given(params, blobs())
def test_padding_shows_only_in_the_length(code: CodeParams, data: bytes) -> None:
    padded = data.ljust(code.padded_length(len(data)), b"\0")
    short, long = redstuff.encode(data, code), redstuff.encode(padded, code)
    assert short.metadata.hashes == long.metadata.hashes
    assert (short.blob_id == long.blob_id) == (len(data) == len(padded))


def xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))
