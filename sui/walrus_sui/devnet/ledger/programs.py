"""Programs: the inputs and commands of a transaction, as frozen data, and their BCS.

A command takes arguments, which name an input, the gas coin or a result of an earlier command.

Source: ``sui-types`` module transaction (``ProgrammableTransaction``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.objects import ObjectRef
from walrus_sui.devnet.move.core import tags


@dataclass(frozen=True, slots=True)
class Pure:
    """A plain value as BCS; its type comes from the parameter it is used for."""

    data: bytes


@dataclass(frozen=True, slots=True)
class OwnedObject:
    """An object owned by the sender, or an immutable one, at an exact version."""

    ref: ObjectRef

    @property
    def object_id(self) -> ObjectId:
        """Id of the object."""
        return self.ref.object_id


@dataclass(frozen=True, slots=True)
class SharedObject:
    """A shared object, named by the version at which it was shared."""

    object_id: ObjectId
    initial_version: int
    mutable: bool


@dataclass(frozen=True, slots=True)
class ReceivingObject:
    """An object sent to another object. Known to the form, refused by the devnet."""

    ref: ObjectRef

    @property
    def object_id(self) -> ObjectId:
        """Id of the object."""
        return self.ref.object_id


CallInput = Pure | OwnedObject | SharedObject | ReceivingObject


@dataclass(frozen=True, slots=True)
class GasCoin:
    """The coin that pays for the transaction."""


@dataclass(frozen=True, slots=True)
class Input:
    """The n-th input."""

    index: int


@dataclass(frozen=True, slots=True)
class Result:
    """The only result of the n-th command."""

    index: int


@dataclass(frozen=True, slots=True)
class NestedResult:
    """One of the results of the n-th command."""

    index: int
    result: int


Argument = GasCoin | Input | Result | NestedResult
GAS_COIN: Final = GasCoin()


@dataclass(frozen=True, slots=True)
class MoveCall:
    """Calls a function; type arguments in canonical text."""

    package: ObjectId
    module: str
    function: str
    type_arguments: tuple[str, ...]
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class TransferObjects:
    """Sends objects to an address."""

    objects: tuple[Argument, ...]
    address: Argument


@dataclass(frozen=True, slots=True)
class SplitCoins:
    """Takes amounts off a coin, one new coin each."""

    coin: Argument
    amounts: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class MergeCoins:
    """Adds coins to a coin."""

    coin: Argument
    sources: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class MakeMoveVec:
    """Makes a vector; the element type may be left out when there are objects to infer it from."""

    element_type: str | None
    elements: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Publish:
    """Publishes a package. Known to the form, refused by the devnet."""

    modules: tuple[bytes, ...]
    dependencies: tuple[ObjectId, ...]


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Upgrades a package with an upgrade ticket."""

    modules: tuple[bytes, ...]
    dependencies: tuple[ObjectId, ...]
    package: ObjectId
    ticket: Argument


Command = MoveCall | TransferObjects | SplitCoins | MergeCoins | MakeMoveVec | Publish | Upgrade


def arguments_of(command: Command) -> tuple[Argument, ...]:
    """All arguments of a command, in order."""
    match command:
        case MoveCall():
            return command.arguments
        case TransferObjects(objects, destination):
            return (*objects, destination)
        case SplitCoins(coin, amounts):
            return (coin, *amounts)
        case MergeCoins(coin, sources):
            return (coin, *sources)
        case MakeMoveVec(_, elements):
            return elements
        case Upgrade():
            return (command.ticket,)
        case Publish():
            return ()


@dataclass(frozen=True, slots=True)
class ProgrammableTransaction:
    """Commands that run in order and take effect together or not at all."""

    inputs: tuple[CallInput, ...]
    commands: tuple[Command, ...]


def write_program(program: ProgrammableTransaction) -> bytes:
    """BCS of a program."""
    return bcs.vector(_write_input, program.inputs) + bcs.vector(_write_command, program.commands)


def read_program(reader: bcs.Reader) -> ProgrammableTransaction:
    """Reads a program from BCS.

    Raises:
        bcs.BcsError: malformed.
        tags.TypeTagError: a type argument is malformed.
    """
    return ProgrammableTransaction(tuple(reader.vector(_read_input)), tuple(reader.vector(_read_command)))


def _write_input(item: CallInput) -> bytes:
    match item:
        case Pure(data):
            return b"\x00" + bcs.bytes_(data)
        case OwnedObject(ref):
            return b"\x01\x00" + ref.to_bcs()
        case SharedObject(object_id, initial_version, mutable):
            return b"\x01\x01" + digests.write_address(object_id) + bcs.u64(initial_version) + bcs.boolean(mutable)
        case ReceivingObject(ref):
            return b"\x01\x02" + ref.to_bcs()


def _read_input(reader: bcs.Reader) -> CallInput:
    variant = reader.uleb()
    if variant == 0:
        return Pure(reader.bytes_())
    if variant != 1:
        raise bcs.BcsError(f"input of the unknown kind {variant}: withdrawals from address balances do not exist here")
    variant = reader.uleb()
    if variant == 0:
        return OwnedObject(ObjectRef.read(reader))
    if variant == 1:
        return SharedObject(digests.read_id(reader), reader.u64(), reader.boolean())
    if variant == 2:
        return ReceivingObject(ObjectRef.read(reader))
    raise bcs.BcsError(f"object input of the unknown kind {variant}")


def _write_argument(argument: Argument) -> bytes:
    match argument:
        case GasCoin():
            return b"\x00"
        case Input(index):
            return b"\x01" + bcs.u16(index)
        case Result(index):
            return b"\x02" + bcs.u16(index)
        case NestedResult(index, result):
            return b"\x03" + bcs.u16(index) + bcs.u16(result)


def _read_argument(reader: bcs.Reader) -> Argument:
    match reader.uleb():
        case 0:
            return GAS_COIN
        case 1:
            return Input(reader.u16())
        case 2:
            return Result(reader.u16())
        case 3:
            return NestedResult(reader.u16(), reader.u16())
        case variant:
            raise bcs.BcsError(f"argument of the unknown kind {variant}")


def _write_tag(text: str) -> bytes:
    return tags.to_bcs(tags.parse(text))


def _read_tag(reader: bcs.Reader) -> str:
    return str(tags.read(reader))


def _write_command(command: Command) -> bytes:
    arguments: Callable[[tuple[Argument, ...]], bytes] = lambda items: bcs.vector(_write_argument, items)  # noqa: E731
    match command:
        case MoveCall():
            target = digests.write_address(command.package) + bcs.string(command.module) + bcs.string(command.function)
            types = bcs.vector(_write_tag, command.type_arguments)
            return b"\x00" + target + types + arguments(command.arguments)
        case TransferObjects(objects, address):
            return b"\x01" + arguments(objects) + _write_argument(address)
        case SplitCoins(coin, amounts):
            return b"\x02" + _write_argument(coin) + arguments(amounts)
        case MergeCoins(coin, sources):
            return b"\x03" + _write_argument(coin) + arguments(sources)
        case Publish(modules, dependencies):
            return b"\x04" + bcs.vector(bcs.bytes_, modules) + bcs.vector(digests.write_address, dependencies)
        case MakeMoveVec(element_type, elements):
            return b"\x05" + bcs.option(_write_tag, element_type) + arguments(elements)
        case Upgrade(modules, dependencies, package, ticket):
            code = bcs.vector(bcs.bytes_, modules) + bcs.vector(digests.write_address, dependencies)
            return b"\x06" + code + digests.write_address(package) + _write_argument(ticket)


def _read_arguments(reader: bcs.Reader) -> tuple[Argument, ...]:
    return tuple(reader.vector(_read_argument))


def _read_move_call(reader: bcs.Reader) -> MoveCall:
    package, module, function = digests.read_id(reader), reader.string(), reader.string()
    return MoveCall(package, module, function, tuple(reader.vector(_read_tag)), _read_arguments(reader))


def _read_code(reader: bcs.Reader) -> tuple[tuple[bytes, ...], tuple[ObjectId, ...]]:
    return tuple(reader.vector(bcs.Reader.bytes_)), tuple(reader.vector(digests.read_id))


def _read_command(reader: bcs.Reader) -> Command:
    match reader.uleb():
        case 0:
            return _read_move_call(reader)
        case 1:
            return TransferObjects(_read_arguments(reader), _read_argument(reader))
        case 2:
            return SplitCoins(_read_argument(reader), _read_arguments(reader))
        case 3:
            return MergeCoins(_read_argument(reader), _read_arguments(reader))
        case 4:
            return Publish(*_read_code(reader))
        case 5:
            return MakeMoveVec(reader.option(_read_tag), _read_arguments(reader))
        case 6:
            return Upgrade(*_read_code(reader), digests.read_id(reader), _read_argument(reader))
        case variant:
            raise bcs.BcsError(f"command of the unknown kind {variant}")
