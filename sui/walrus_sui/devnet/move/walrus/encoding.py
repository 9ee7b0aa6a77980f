"""How large a blob is once encoded (contract modules encoding and redstuff).

The numbers agree with `walrus_codec.params.CodeParams.encoded_length`; the contract computes them in fixed-width
integers and so fails where they leave their width, e.g. before there is a committee, when the number of shards is 0.
"""

from walrus_sui.devnet.move.core.aborts import as_u16, as_u64, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime

MODULE = Module(WALRUS, "encoding")

DIGEST_LENGTH = 32
BLOB_ID_LENGTH = 32

E_INVALID_ENCODING_TYPE = MODULE.error(0, "EInvalidEncodingType")


@MODULE.public("(unencoded_length: u64, encoding_type: u8, n_shards: u16): u64")
def encoded_blob_length(rt: Runtime, unencoded_length: int, encoding_type: int, n_shards: int) -> int:
    """Bytes that all slivers and metadata of a blob take; aborts on an encoding type that the chain does not list."""
    require(encoding_type in rt.rules.encoding_types, E_INVALID_ENCODING_TYPE)
    return redstuff_encoded_blob_length(unencoded_length, n_shards)


def redstuff_encoded_blob_length(unencoded_length: int, n_shards: int) -> int:
    """Bytes of a blob in RedStuff.

    Raises:
        ArithmeticFailure: no shards, or symbols longer than a u16.
    """
    max_byzantine = as_u16(n_shards - 1) // 3
    primary, secondary = n_shards - 2 * max_byzantine, n_shards - max_byzantine
    symbol_size = as_u16((max(unencoded_length, 1) - 1) // (primary * secondary) + 1)
    symbol_size = as_u16(symbol_size + symbol_size % 2)
    metadata = n_shards * DIGEST_LENGTH * 2 + BLOB_ID_LENGTH
    return as_u64(n_shards * ((primary + secondary) * symbol_size + metadata))
