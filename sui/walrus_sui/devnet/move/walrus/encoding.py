"""How large a blob is once encoded (contract module encoding)."""

from walrus_sui.devnet.move.core.aborts import require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.walrus import redstuff

MODULE = Module(WALRUS, "encoding")

E_INVALID_ENCODING_TYPE = MODULE.error(0, "EInvalidEncodingType")


@MODULE.public("(unencoded_length: u64, encoding_type: u8, n_shards: u16): u64")
def encoded_blob_length(rt: Runtime, unencoded_length: int, encoding_type: int, n_shards: int) -> int:
    """Bytes that all slivers and metadata of a blob take; aborts on an encoding type that the chain does not list."""
    require(encoding_type in rt.rules.encoding_types, E_INVALID_ENCODING_TYPE)
    return redstuff.encoded_blob_length(unencoded_length, n_shards)
