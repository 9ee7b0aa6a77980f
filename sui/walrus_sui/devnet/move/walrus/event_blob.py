"""State of the certification of event blobs, as it stands inside the system object (contract module event_blob).

Nodes batch chain events into blobs. A candidate is a blob id with the checkpoint at which it ends; the weights of those
who attest it add up until a quorum certifies it. Certification and the change of epoch forget all candidates.
"""

from dataclasses import dataclass
from typing import Annotated

from walrus_sui.devnet.move.core.aborts import as_u16, require
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

    def is_blob_already_certified(self, ending_checkpoint_sequence_num: int) -> bool:
        """Whether an event blob up to this checkpoint, or a later one, was certified."""
        latest = self.latest_certified_blob
        return latest is not None and latest.ending_checkpoint_sequence_number >= ending_checkpoint_sequence_num

    def update_aggregate_weight(self, blob_id: int, ending_checkpoint_sequence_number: int, weight: int) -> int:
        """Adds weight to a candidate, which may be new; gives all of its weight."""
        candidate = EventBlob(blob_id, ending_checkpoint_sequence_number)
        weights = self.aggregate_weight_per_blob
        weights[candidate] = as_u16(weights.get(candidate, 0) + weight)
        return weights[candidate]

    def update_latest_certified_event_blob(self, checkpoint_sequence_number: int, blob_id: int) -> None:
        """Notes a certified event blob; aborts unless it goes further than the last one."""
        require(not self.is_blob_already_certified(checkpoint_sequence_number), E_INVALID_SEQUENCE_NUMBER)
        self.latest_certified_blob = EventBlob(blob_id, checkpoint_sequence_number)

    def reset(self) -> None:
        """Forgets the candidates."""
        self.aggregate_weight_per_blob.clear()
