"""State of the certification of event blobs, as it stands inside the system object (contract module event_blob)."""

from dataclasses import dataclass
from typing import Annotated

from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.types import VecMap, type_of, u16, u32, u64, u256

MODULE = Module(WALRUS, "event_blob")

E_INVALID_SEQUENCE_NUMBER = MODULE.error(0, "EInvalidSequenceNumber")


@MODULE.struct("copy, drop, store")
@dataclass(frozen=True, slots=True)
class EventBlobAttestation:
    """Up to which checkpoint a node attested event blobs."""

    checkpoint_sequence_num: u64
    epoch: u32


@MODULE.struct("copy, drop, store")
@dataclass(frozen=True, slots=True)
class EventBlob:
    """An event blob and the checkpoint it ends with."""

    blob_id: u256
    ending_checkpoint_sequence_number: u64


@MODULE.struct("store")
@dataclass(slots=True)
class EventBlobCertificationState:
    """The latest certified event blob and the weights behind the candidates for the next."""

    latest_certified_blob: EventBlob | None
    aggregate_weight_per_blob: Annotated[dict[EventBlob, int], VecMap(type_of(EventBlob), type_of(u16))]

    @classmethod
    def empty(cls) -> "EventBlobCertificationState":
        """Nothing certified, nothing attested."""
        return cls(None, {})

    def reset(self) -> None:
        """Forgets the candidates."""
        self.aggregate_weight_per_blob.clear()
