"""Which shard stores which sliver pair.

Pair i goes to shard (i + offset) mod n, where the offset is the blob id read as a **big-endian** number modulo n. So the
systematic pairs, which every fast read asks for, lie on different shards for different blobs. (The chain's u256 is the
little-endian reading of the same bytes: never compute an offset from it.)

Inside a pair, primary sliver i travels with secondary sliver n − 1 − i.
"""

from walrus_codec.errors import IndexOutOfRange
from walrus_codec.types import Axis, BlobId, PairIndex, ShardIndex, SliverIndex


def rotation_offset(blob_id: BlobId, n_shards: int) -> int:
    """By how many shards the pairs of this blob are rotated, 0 ≤ offset < n."""
    return int.from_bytes(blob_id, "big") % n_shards


def shard_of_pair(pair: PairIndex, blob_id: BlobId, n_shards: int) -> ShardIndex:
    """The shard that stores the pair; raises `IndexOutOfRange`."""
    _check(pair, n_shards, "pair")
    return ShardIndex((pair + rotation_offset(blob_id, n_shards)) % n_shards)


def pair_of_shard(shard: ShardIndex, blob_id: BlobId, n_shards: int) -> PairIndex:
    """The pair that the shard stores; raises `IndexOutOfRange`."""
    _check(shard, n_shards, "shard")
    return PairIndex((shard - rotation_offset(blob_id, n_shards)) % n_shards)


def secondary_index(pair: PairIndex, n_shards: int) -> SliverIndex:
    """The column of the pair's secondary sliver; raises `IndexOutOfRange`."""
    _check(pair, n_shards, "pair")
    return SliverIndex(n_shards - 1 - pair)


def sliver_of_pair(pair: PairIndex, axis: Axis, n_shards: int) -> SliverIndex:
    """The row or column of the pair's sliver of this axis; raises `IndexOutOfRange`."""
    if axis is Axis.SECONDARY:
        return secondary_index(pair, n_shards)
    _check(pair, n_shards, "pair")
    return SliverIndex(pair)


def pair_of_sliver(sliver: SliverIndex, axis: Axis, n_shards: int) -> PairIndex:
    """The pair that the sliver belongs to; raises `IndexOutOfRange`."""
    _check(sliver, n_shards, "sliver")
    return PairIndex(sliver if axis is Axis.PRIMARY else n_shards - 1 - sliver)


def _check(index: int, n_shards: int, what: str) -> None:
    if not 0 <= index < n_shards:
        raise IndexOutOfRange(f"{what} index {index} is not below the number of shards, {n_shards}")
