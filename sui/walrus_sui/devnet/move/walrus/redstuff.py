"""Sizes of blobs in RedStuff (contract module redstuff).

The numbers agree with `walrus_codec.params.CodeParams`; the contract computes them in fixed-width integers and so fails
where they leave their width, e.g. before there is a committee, when the number of shards is 0.
"""

from walrus_sui.devnet.move.core.aborts import as_u16, as_u64

DIGEST_LEN = 32
BLOB_ID_LEN = 32


def encoded_blob_length(unencoded_length: int, n_shards: int) -> int:
    """Bytes that all slivers and metadata of a blob take; this is what is paid for.

    Raises:
        ArithmeticFailure: no shards, or symbols longer than a u16.
    """
    symbols = source_symbols_primary(n_shards) + source_symbols_secondary(n_shards)
    return as_u64(n_shards * (symbols * symbol_size(unencoded_length, n_shards) + metadata_size(n_shards)))


def source_symbols_primary(n_shards: int) -> int:
    """Symbols of a secondary sliver: so many primary slivers suffice to decode."""
    return n_shards - 2 * max_byzantine(n_shards)


def source_symbols_secondary(n_shards: int) -> int:
    """Symbols of a primary sliver: so many secondary slivers suffice to decode."""
    return n_shards - max_byzantine(n_shards)


def n_source_symbols(n_shards: int) -> int:
    """Symbols that the blob itself is cut into."""
    return source_symbols_primary(n_shards) * source_symbols_secondary(n_shards)


def symbol_size(unencoded_length: int, n_shards: int) -> int:
    """Bytes of a symbol: an even number, also for an empty blob. It must be a u16 before and after it is made even."""
    size = as_u16((max(unencoded_length, 1) - 1) // n_source_symbols(n_shards) + 1)
    return as_u16(size + size % 2)


def metadata_size(n_shards: int) -> int:
    """Bytes of the metadata that each shard stores: two hashes for each pair of slivers, and the blob id."""
    return n_shards * DIGEST_LEN * 2 + BLOB_ID_LEN


def max_byzantine(n_shards: int) -> int:
    """How many shards may be faulty."""
    return as_u16(n_shards - 1) // 3
