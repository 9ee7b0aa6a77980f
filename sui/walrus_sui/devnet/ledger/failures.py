"""Failures: why a transaction that ran did not succeed, and the BCS of that.

Source: ``sui-types`` module execution_status.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger import digests


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
    PUBLISH_UPGRADE_MISSING_DEPENDENCY = 25
    PACKAGE_UPGRADE_ERROR = 27
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


class UpgradeErrorKind(IntEnum):
    """What is wrong with an upgrade; numbers are the BCS variants."""

    UNABLE_TO_FETCH_PACKAGE = 0
    DIGEST_DOES_NOT_MATCH = 3
    PACKAGE_ID_DOES_NOT_MATCH = 5


@dataclass(frozen=True, slots=True)
class UpgradeError:
    """Why a package was not upgraded.

    Attributes:
        kind: what is wrong.
        package: the package to upgrade, unless it is the code that is wrong.
        ticket: the package that the ticket is for, if that is another.
        digest: of the code and dependencies that came, if it is not the ticket's.
    """

    kind: UpgradeErrorKind
    package: ObjectId | None = None
    ticket: ObjectId | None = None
    digest: bytes | None = None


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
        upgrade: what is wrong with an upgrade.
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
    upgrade: UpgradeError | None = None
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


def write_status(failure: Failure | None) -> bytes:
    """BCS of the status; no failure means success."""
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
        case FailureKind.PACKAGE_UPGRADE_ERROR:
            return _write_upgrade_error(failure.upgrade)
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


def _write_upgrade_error(error: UpgradeError | None) -> bytes:
    if error is None:
        raise ValueError("a failed upgrade needs its reason")
    named = [digests.write_address(item) for item in (error.package, error.ticket) if item is not None]
    return bcs.uleb(error.kind) + b"".join(named) + (b"" if error.digest is None else bcs.bytes_(error.digest))


def _read_upgrade_error(reader: bcs.Reader) -> UpgradeError:
    kind = UpgradeErrorKind(reader.uleb())
    match kind:
        case UpgradeErrorKind.DIGEST_DOES_NOT_MATCH:
            return UpgradeError(kind, digest=reader.bytes_())
        case UpgradeErrorKind.PACKAGE_ID_DOES_NOT_MATCH:
            return UpgradeError(kind, digests.read_id(reader), digests.read_id(reader))
        case UpgradeErrorKind.UNABLE_TO_FETCH_PACKAGE:
            return UpgradeError(kind, digests.read_id(reader))


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


def read_status(reader: bcs.Reader) -> Failure | None:
    """Reads a status from BCS."""
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
        FailureKind.PACKAGE_UPGRADE_ERROR: lambda: {"upgrade": _read_upgrade_error(reader)},
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
