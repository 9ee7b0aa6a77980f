"""Events (contract module events), in the order in which the contract declares their fields."""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.types import ID, u8, u16, u32, u64, u256

MODULE = Module(WALRUS, "events")

_EVENT = "copy, drop"


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class BlobRegistered:
    """A blob was registered; `size` is the unencoded length."""

    epoch: u32
    blob_id: u256
    size: u64
    encoding_type: u8
    end_epoch: u32
    deletable: bool
    object_id: ID


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class BlobCertified:
    """A blob was certified or extended; `epoch` is the one of the first certification."""

    epoch: u32
    blob_id: u256
    end_epoch: u32
    deletable: bool
    object_id: ID
    is_extension: bool


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class EpochChangeStart:
    """An epoch began; its committee moves shards now."""

    epoch: u32


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class EpochChangeDone:
    """A quorum has its shards; the epoch's clock starts."""

    epoch: u32


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class EpochParametersSelected:
    """Committee and capacity of the next epoch are fixed."""

    next_epoch: u32


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class ShardsReceived:
    """A node has all its shards."""

    epoch: u32
    shards: list[u16]


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class PricesUpdated:
    """Prices were recomputed from the votes."""

    epoch: u32
    storage_price: u64
    write_price: u64
