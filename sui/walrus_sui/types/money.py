"""Coins on their way, the exchange of SUI for WAL, and places in history."""

from dataclasses import dataclass

from walrus_codec.types import ObjectId, SuiAddress


@dataclass(frozen=True)
class ExchangeView:
    """A WAL exchange: its purses in FROST and MIST, and its rate: `rate_wal` FROST for `rate_sui` MIST."""

    object_id: ObjectId
    wal: int
    sui: int
    rate_wal: int
    rate_sui: int

    def sui_for(self, wal: int) -> int:
        """Return the least MIST that buy at least `wal` FROST."""
        return -(-wal * self.rate_sui // self.rate_wal)


@dataclass(frozen=True)
class Payment:
    """Money for an address: MIST and FROST."""

    address: SuiAddress
    sui: int = 0
    wal: int = 0


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint's place in history."""

    sequence: int
    digest: str
    timestamp_ms: int
