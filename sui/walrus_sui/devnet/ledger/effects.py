"""Effects: what a transaction did, as frozen data, and its BCS (effects V2).

Execution ends in `Effects`; they are hashed, put into a checkpoint and stored as their BCS. A failed transaction has
effects too: it charged gas and moved the versions of its inputs, nothing else.

Source: ``sui-types`` modules effects (V2), event.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.failures import Failure, read_status, write_status
from walrus_sui.devnet.ledger.objects import Object, Owner, read_owner, write_owner
from walrus_sui.devnet.move.core import tags


@dataclass(frozen=True, slots=True)
class GasUsed:
    """What a transaction cost, in MIST. The payer pays computation + storage - rebate."""

    computation: int
    storage: int
    rebate: int
    non_refundable: int

    @property
    def net(self) -> int:
        """What leaves the gas coin; negative when the rebate is larger."""
        return self.computation + self.storage - self.rebate

    def __add__(self, other: "GasUsed") -> "GasUsed":
        return GasUsed(
            self.computation + other.computation,
            self.storage + other.storage,
            self.rebate + other.rebate,
            self.non_refundable + other.non_refundable,
        )

    def to_bcs(self) -> bytes:
        """BCS of the gas summary."""
        return b"".join(map(bcs.u64, (self.computation, self.storage, self.rebate, self.non_refundable)))

    @classmethod
    def read(cls, reader: bcs.Reader) -> "GasUsed":
        """Reads a gas summary from BCS."""
        return cls(reader.u64(), reader.u64(), reader.u64(), reader.u64())


NO_GAS = GasUsed(0, 0, 0, 0)


class IdOperation(Enum):
    """Whether a transaction made or ended an object id; values are the BCS variants."""

    NONE = 0
    CREATED = 1
    DELETED = 2


@dataclass(frozen=True, slots=True)
class ObjectState:
    """An object before or after a transaction."""

    version: int
    digest: Digest
    owner: Owner

    @classmethod
    def of(cls, obj: Object | None) -> "ObjectState | None":
        """State of an object, None for none."""
        return None if obj is None else cls(obj.version, obj.digest, obj.owner)


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What a transaction did to one object.

    Attributes:
        object_id: which object.
        before: None if it did not exist.
        after: None if it exists no more.
        operation: whether the id was made or ended.
        is_package: packages are written in another BCS form.
    """

    object_id: ObjectId
    before: ObjectState | None
    after: ObjectState | None
    operation: IdOperation
    is_package: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """An event.

    Attributes:
        package: package whose function the transaction called.
        module: module of that function.
        sender: the transaction's sender.
        type: canonical type text.
        contents: BCS of the event struct.
    """

    package: ObjectId
    module: str
    sender: SuiAddress
    type: str
    contents: bytes

    def to_bcs(self) -> bytes:
        """BCS of the event."""
        return b"".join(
            (
                digests.write_address(self.package),
                bcs.string(self.module),
                digests.write_address(self.sender),
                tags.struct_to_bcs(tags.parse(self.type)),
                bcs.bytes_(self.contents),
            )
        )

    @classmethod
    def read(cls, reader: bcs.Reader) -> "Event":
        """Reads an event from BCS."""
        package, module, sender = digests.read_id(reader), reader.string(), digests.read_address(reader)
        return cls(package, module, sender, str(tags.read_struct(reader)), reader.bytes_())


def events_to_bcs(events: tuple[Event, ...]) -> bytes:
    """BCS of a transaction's events."""
    return bcs.vector(Event.to_bcs, events)


def events_from_bcs(data: bytes) -> tuple[Event, ...]:
    """Reads a transaction's events."""
    reader = bcs.Reader(data)
    events = tuple(reader.vector(Event.read))
    reader.finish()
    return events


def events_digest(events: tuple[Event, ...]) -> Digest | None:
    """Digest of a transaction's events, None if there are none."""
    return digests.of("TransactionEvents", events_to_bcs(events)) if events else None


@dataclass(frozen=True)
class Effects:
    """What a transaction did.

    Attributes:
        failure: None if it succeeded.
        executed_epoch: Sui epoch.
        gas_used: what it cost.
        transaction_digest: which transaction.
        gas_object_index: place of the gas coin in `changed_objects`; None for system transactions.
        events_digest: None if there are no events.
        dependencies: transactions that wrote its inputs, sorted by digest bytes.
        lamport_version: version of everything it wrote.
        changed_objects: sorted by id.
        unchanged_shared: shared objects that were only read, with version and digest, sorted by id.
    """

    failure: Failure | None
    executed_epoch: int
    gas_used: GasUsed
    transaction_digest: Digest
    gas_object_index: int | None
    events_digest: Digest | None
    dependencies: tuple[Digest, ...]
    lamport_version: int
    changed_objects: tuple[ObjectChange, ...]
    unchanged_shared: tuple[tuple[ObjectId, int, Digest], ...]

    @property
    def succeeded(self) -> bool:
        """Whether the transaction took effect."""
        return self.failure is None

    @property
    def gas_object(self) -> ObjectChange | None:
        """The gas coin's change."""
        return None if self.gas_object_index is None else self.changed_objects[self.gas_object_index]

    @cached_property
    def bcs(self) -> bytes:
        """BCS, version 2."""
        return b"".join(
            (
                b"\x01",
                write_status(self.failure),
                bcs.u64(self.executed_epoch),
                self.gas_used.to_bcs(),
                digests.write(self.transaction_digest),
                bcs.option(bcs.u32, self.gas_object_index),
                bcs.option(digests.write, self.events_digest),
                bcs.vector(digests.write, self.dependencies),
                bcs.u64(self.lamport_version),
                bcs.vector(_write_change, self.changed_objects),
                bcs.vector(_write_unchanged, self.unchanged_shared),
                b"\x00",
            )
        )

    @cached_property
    def digest(self) -> Digest:
        """Digest of the effects."""
        return digests.of("TransactionEffects", self.bcs)

    @classmethod
    def from_bcs(cls, data: bytes) -> "Effects":
        """Reads effects back from `bcs`. The note of a failure is not part of it.

        Raises:
            bcs.BcsError: not effects of version 2.
        """
        reader = bcs.Reader(data)
        if reader.uleb() != 1:
            raise bcs.BcsError("only effects V2 are known")
        failure, epoch, gas = read_status(reader), reader.u64(), GasUsed.read(reader)
        transaction, gas_index = digests.read(reader), reader.option(bcs.Reader.u32)
        events, dependencies = reader.option(digests.read), tuple(reader.vector(digests.read))
        lamport = reader.u64()
        changed = tuple(reader.vector(lambda r: _read_change(r, lamport)))
        unchanged = tuple(reader.vector(_read_unchanged))
        reader.option(digests.read)
        reader.finish()
        return cls(failure, epoch, gas, transaction, gas_index, events, dependencies, lamport, changed, unchanged)


def _write_change(change: ObjectChange) -> bytes:
    before, after = change.before, change.after
    if before is None:
        entry = b"\x00"
    else:
        entry = b"\x01" + bcs.u64(before.version) + digests.write(before.digest) + write_owner(before.owner)
    if after is None:
        entry += b"\x00"
    elif change.is_package:
        entry += b"\x02" + bcs.u64(after.version) + digests.write(after.digest)
    else:
        entry += b"\x01" + digests.write(after.digest) + write_owner(after.owner)
    return digests.write_address(change.object_id) + entry + bcs.uleb(change.operation.value)


def _read_change(reader: bcs.Reader, lamport: int) -> ObjectChange:
    object_id = digests.read_id(reader)
    before = after = None
    if reader.uleb() == 1:
        before = ObjectState(reader.u64(), digests.read(reader), read_owner(reader))
    kind, is_package = reader.uleb(), False
    if kind == 1:
        after = ObjectState(lamport, digests.read(reader), read_owner(reader))
    elif kind == 2:
        from_package = reader.u64(), digests.read(reader)
        after, is_package = ObjectState(*from_package, read_owner(bcs.Reader(b"\x03"))), True
    return ObjectChange(object_id, before, after, IdOperation(reader.uleb()), is_package)


def _write_unchanged(item: tuple[ObjectId, int, Digest]) -> bytes:
    return digests.write_address(item[0]) + b"\x00" + bcs.u64(item[1]) + digests.write(item[2])


def _read_unchanged(reader: bcs.Reader) -> tuple[ObjectId, int, Digest]:
    object_id = digests.read_id(reader)
    if reader.uleb() != 0:
        raise bcs.BcsError("unknown kind of unchanged shared object")
    return object_id, reader.u64(), digests.read(reader)
