"""Effects: what a transaction did, as frozen data, and its BCS (effects V2).

Execution ends in `Effects`; they are hashed, put into a checkpoint and stored as their BCS. A failed transaction has
effects too: it charged gas and moved the versions of its inputs, nothing else.

Source: ``sui-types`` modules effects (V2), execution_status, event.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import cached_property

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.objects import Object, Owner, read_owner, write_owner
from walrus_sui.devnet.move.core import tags


class FailureKind(IntEnum):
    """Why a transaction failed; the numbers are the BCS variants, the names those of ``sui.rpc.v2``."""

    INSUFFICIENT_GAS = 0
    INVALID_GAS_OBJECT = 1
    INVARIANT_VIOLATION = 2
    FEATURE_NOT_YET_SUPPORTED = 3
    INSUFFICIENT_COIN_BALANCE = 7
    COIN_BALANCE_OVERFLOW = 8
    MOVE_PRIMITIVE_RUNTIME_ERROR = 11
    MOVE_ABORT = 12
    VM_INVARIANT_VIOLATION = 14
    FUNCTION_NOT_FOUND = 15
    ARITY_MISMATCH = 16
    TYPE_ARITY_MISMATCH = 17
    NON_ENTRY_FUNCTION_INVOKED = 18
    COMMAND_ARGUMENT_ERROR = 19
    TYPE_ARGUMENT_ERROR = 20
    UNUSED_VALUE_WITHOUT_DROP = 21
    INVALID_PUBLIC_FUNCTION_RETURN_TYPE = 22
    INVALID_TRANSFER_OBJECT = 23
    SHARED_OBJECT_OPERATION_NOT_ALLOWED = 31


class ArgumentErrorKind(IntEnum):
    """What is wrong with an argument of a command; numbers are the BCS variants."""

    TYPE_MISMATCH = 0
    INVALID_BCS_BYTES = 1
    INVALID_USAGE_OF_PURE_ARG = 2
    INVALID_ARGUMENT_TO_PRIVATE_ENTRY_FUNCTION = 3
    INDEX_OUT_OF_BOUNDS = 4
    SECONDARY_INDEX_OUT_OF_BOUNDS = 5
    INVALID_RESULT_ARITY = 6
    INVALID_GAS_COIN_USAGE = 7
    INVALID_VALUE_USAGE = 8
    INVALID_OBJECT_BY_VALUE = 9
    INVALID_OBJECT_BY_MUT_REF = 10
    SHARED_OBJECT_OPERATION_NOT_ALLOWED = 11


class TypeArgumentErrorKind(IntEnum):
    """What is wrong with a type argument; numbers are the BCS variants."""

    TYPE_NOT_FOUND = 0
    CONSTRAINT_NOT_SATISFIED = 1


@dataclass(frozen=True, slots=True)
class MoveLocation:
    """Where Move code stopped. Native modules have no instructions, so that number is always 0."""

    package: ObjectId
    module: str
    function_name: str | None
    function: int = 0
    instruction: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Status of a failed transaction.

    Attributes:
        kind: the class of failure.
        command: index of the command that failed, if one did.
        location: for aborts and primitive run-time errors.
        abort_code: for aborts.
        argument: index of the wrong argument or type argument.
        argument_kind: what is wrong with the argument.
        type_argument_kind: what is wrong with the type argument.
        index: index of the command whose result was named or left unused.
        sub_index: index within that command's results.
        note: a sentence for people; not part of the BCS.
    """

    kind: FailureKind
    command: int | None = None
    location: MoveLocation | None = None
    abort_code: int | None = None
    argument: int | None = None
    argument_kind: ArgumentErrorKind | None = None
    type_argument_kind: TypeArgumentErrorKind | None = None
    index: int | None = None
    sub_index: int | None = None
    note: str = ""

    @property
    def description(self) -> str:
        """One line for people, in the manner of a Sui node."""
        if self.kind is FailureKind.MOVE_ABORT and self.location is not None:
            place = f"{self.location.package}::{self.location.module}::{self.location.function_name}"
            text = f"MoveAbort in {place}, abort code: {self.abort_code}"
        else:
            text = self.kind.name
        details = [item.name for item in (self.argument_kind, self.type_argument_kind) if item is not None]
        if self.argument is not None:
            details.append(f"argument {self.argument}")
        if self.command is not None:
            details.append(f"command {self.command}")
        return ", ".join([text, *details]) + (f": {self.note}" if self.note else "")


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
                _write_status(self.failure),
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
        failure, epoch, gas = _read_status(reader), reader.u64(), GasUsed.read(reader)
        transaction, gas_index = digests.read(reader), reader.option(bcs.Reader.u32)
        events, dependencies = reader.option(digests.read), tuple(reader.vector(digests.read))
        lamport = reader.u64()
        changed = tuple(reader.vector(lambda r: _read_change(r, lamport)))
        unchanged = tuple(reader.vector(_read_unchanged))
        reader.option(digests.read)
        reader.finish()
        return cls(failure, epoch, gas, transaction, gas_index, events, dependencies, lamport, changed, unchanged)


def _write_status(failure: Failure | None) -> bytes:
    if failure is None:
        return b"\x00"
    return b"\x01" + bcs.uleb(failure.kind) + _write_details(failure) + bcs.option(bcs.u64, failure.command)


def _write_details(failure: Failure) -> bytes:
    match failure.kind:
        case FailureKind.MOVE_ABORT:
            return _write_location(failure.location) + bcs.u64(failure.abort_code or 0)
        case FailureKind.MOVE_PRIMITIVE_RUNTIME_ERROR:
            return bcs.option(_write_location, failure.location)
        case FailureKind.COMMAND_ARGUMENT_ERROR:
            kind = failure.argument_kind or ArgumentErrorKind.TYPE_MISMATCH
            return bcs.u16(failure.argument or 0) + bcs.uleb(kind) + _write_argument_details(failure, kind)
        case FailureKind.TYPE_ARGUMENT_ERROR:
            return bcs.u16(failure.argument or 0) + bcs.uleb(failure.type_argument_kind or 0)
        case FailureKind.UNUSED_VALUE_WITHOUT_DROP:
            return bcs.u16(failure.index or 0) + bcs.u16(failure.sub_index or 0)
        case FailureKind.INVALID_PUBLIC_FUNCTION_RETURN_TYPE:
            return bcs.u16(failure.index or 0)
        case _:
            return b""


def _write_argument_details(failure: Failure, kind: ArgumentErrorKind) -> bytes:
    if kind is ArgumentErrorKind.SECONDARY_INDEX_OUT_OF_BOUNDS:
        return bcs.u16(failure.index or 0) + bcs.u16(failure.sub_index or 0)
    if kind in {ArgumentErrorKind.INDEX_OUT_OF_BOUNDS, ArgumentErrorKind.INVALID_RESULT_ARITY}:
        return bcs.u16(failure.index or 0)
    return b""


def _write_location(location: MoveLocation | None) -> bytes:
    if location is None:
        raise ValueError("a Move failure needs its location")
    return b"".join(
        (
            digests.write_address(location.package),
            bcs.string(location.module),
            bcs.u16(location.function),
            bcs.u16(location.instruction),
            bcs.option(bcs.string, location.function_name),
        )
    )


def _read_location(reader: bcs.Reader) -> MoveLocation:
    package, module = digests.read_id(reader), reader.string()
    function, instruction = reader.u16(), reader.u16()
    return MoveLocation(package, module, reader.option(bcs.Reader.string), function, instruction)


def _read_status(reader: bcs.Reader) -> Failure | None:
    if reader.uleb() == 0:
        return None
    try:
        kind = FailureKind(reader.uleb())
    except ValueError as error:
        raise bcs.BcsError(f"unknown failure: {error}") from error
    failure = _read_details(reader, kind)
    command = reader.option(bcs.Reader.u64)
    return Failure(**{**failure, "kind": kind, "command": command})  # type: ignore[arg-type]


def _read_details(reader: bcs.Reader, kind: FailureKind) -> dict[str, object]:
    readers: dict[FailureKind, Callable[[], dict[str, object]]] = {
        FailureKind.MOVE_ABORT: lambda: {"location": _read_location(reader), "abort_code": reader.u64()},
        FailureKind.MOVE_PRIMITIVE_RUNTIME_ERROR: lambda: {"location": reader.option(_read_location)},
        FailureKind.COMMAND_ARGUMENT_ERROR: lambda: {"argument": reader.u16(), **_read_argument_details(reader)},
        FailureKind.TYPE_ARGUMENT_ERROR: lambda: {
            "argument": reader.u16(),
            "type_argument_kind": TypeArgumentErrorKind(reader.uleb()),
        },
        FailureKind.UNUSED_VALUE_WITHOUT_DROP: lambda: {"index": reader.u16(), "sub_index": reader.u16()},
        FailureKind.INVALID_PUBLIC_FUNCTION_RETURN_TYPE: lambda: {"index": reader.u16()},
    }
    return readers.get(kind, dict)()


def _read_argument_details(reader: bcs.Reader) -> dict[str, object]:
    kind = ArgumentErrorKind(reader.uleb())
    details: dict[str, object] = {"argument_kind": kind}
    if kind is ArgumentErrorKind.SECONDARY_INDEX_OUT_OF_BOUNDS:
        details |= {"index": reader.u16(), "sub_index": reader.u16()}
    elif kind in {ArgumentErrorKind.INDEX_OUT_OF_BOUNDS, ArgumentErrorKind.INVALID_RESULT_ARITY}:
        details |= {"index": reader.u16()}
    return details


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
