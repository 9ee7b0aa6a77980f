"""What travels between the transport and the rest of the client: plain values, no pysui classes.

The transport turns pysui's answers into these at once, so that everything above can be read, typed and tested without
pysui, and a change of pysui stays in one file.
"""

from dataclasses import dataclass

from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.abi.ptb import ObjectRef


@dataclass(frozen=True)
class RawObject:
    """An object as the chain has it.

    Attributes:
        ref: id, version and digest.
        type: canonical Move type; empty for packages.
        owner: owning address; None when owned by an object, shared or immutable.
        shared_since: initial version of a shared object.
        contents: BCS of the Move value.
        written_by: the transaction that wrote this version; None when the server did not say.
    """

    ref: ObjectRef
    type: str
    owner: SuiAddress | None
    shared_since: int | None
    contents: bytes
    written_by: Digest | None = None


@dataclass(frozen=True)
class RawEvent:
    """An event with its Move type and BCS."""

    type: str
    contents: bytes


@dataclass(frozen=True)
class ChangedObject:
    """An object that a transaction wrote.

    Attributes:
        object_id: its id.
        type: canonical Move type.
        created: whether it did not exist before.
        ref: its new version; None when it was deleted or wrapped.
        owner: owning address after the transaction, None when there is none.
        before: its version before; None when it did not exist.
    """

    object_id: ObjectId
    type: str
    created: bool
    ref: ObjectRef | None
    owner: SuiAddress | None
    before: int | None = None


@dataclass(frozen=True)
class Failure:
    """Why an executed transaction failed; `module` is empty unless a Move function aborted, `kind` is Sui's name."""

    description: str
    module: str = ""
    function: str = ""
    code: int = 0
    command: int | None = None
    kind: str = ""

    @property
    def out_of_gas(self) -> bool:
        """Whether a larger budget would have helped."""
        return self.kind == "INSUFFICIENT_GAS"

    @property
    def may_pass_later(self) -> bool:
        """Whether the same program may succeed as a new transaction: it was cut off, not refused."""
        return self.out_of_gas or self.kind == "EXECUTION_CANCELED_DUE_TO_CONSENSUS_OBJECT_CONGESTION"


@dataclass(frozen=True)
class Executed:
    """A transaction with its effects.

    Attributes:
        digest: its digest.
        failure: None when it succeeded.
        gas_cost: MIST taken from the gas coin, rebate deducted; may be negative.
        gas_used: MIST that the budget had to cover: computation and storage, without the rebate.
        changed: objects it wrote, the gas coin included.
        gas_object_id: the coin that paid.
        events: in order of emission.
        objects: contents of written objects, as far as the server sent them.
        checkpoint: sequence number of its checkpoint, once there is one.
    """

    digest: Digest
    failure: Failure | None
    gas_cost: int
    changed: tuple[ChangedObject, ...]
    gas_object_id: ObjectId | None
    events: tuple[RawEvent, ...]
    objects: tuple[RawObject, ...]
    checkpoint: int | None
    gas_used: int = 0


@dataclass(frozen=True)
class Simulated:
    """What would happen: the failure if there is one, the gas in MIST, and what each command returns, as BCS."""

    failure: Failure | None
    gas_used: int
    returned: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True)
class RawCheckpoint:
    """A checkpoint with the events of its transactions, in order."""

    sequence: int
    digest: Digest
    timestamp_ms: int
    transactions: tuple[tuple[Digest, tuple[RawEvent, ...]], ...]


@dataclass(frozen=True)
class ServiceInfo:
    """What the endpoint says of itself."""

    chain_id: str
    checkpoint_height: int
    lowest_available_checkpoint: int
