"""Programmable transactions: a list of commands over inputs, and its BCS.

Life of a program: the builders of the other modules add commands; the client finds the versions of the objects it names
(`owned_objects`, `shared_objects`), encodes the whole with a gas coin, signs and sends it. Every Move argument is
encoded here, with our own BCS; mutability of shared objects is said by the caller and an object that is used both ways
is listed once, mutable. Source: Sui's TransactionData V1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.abi.move_types import address_bytes, digest_bytes, type_tag


@dataclass(frozen=True)
class ObjectRef:
    """One version of an object."""

    object_id: ObjectId
    version: int
    digest: Digest


@dataclass(frozen=True)
class Pure:
    """A value by its BCS."""

    data: bytes


@dataclass(frozen=True)
class Shared:
    """A shared object, to be taken by reference (or value, when `mutable`)."""

    object_id: ObjectId
    mutable: bool


@dataclass(frozen=True)
class Owned:
    """An object of the sender, or an immutable one."""

    object_id: ObjectId


@dataclass(frozen=True)
class GasCoin:
    """The coin that pays for the transaction; amounts may be split off it."""


@dataclass(frozen=True)
class Result:
    """What an earlier command returned: its only value, or the one at `index`."""

    command: int
    index: int | None = None

    def __getitem__(self, index: int) -> "Result":
        """Name one of several values."""
        return Result(self.command, index)


Argument = Pure | Shared | Owned | GasCoin | Result


@dataclass(frozen=True)
class MoveCall:
    """A call of a public Move function; the transaction context is no argument."""

    package: ObjectId
    module: str
    function: str
    arguments: tuple[Argument, ...]
    type_arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class TransferObjects:
    """Give objects to an address."""

    objects: tuple[Argument, ...]
    recipient: Argument


@dataclass(frozen=True)
class SplitCoins:
    """Split amounts off a coin; returns one coin per amount."""

    coin: Argument
    amounts: tuple[Argument, ...]


@dataclass(frozen=True)
class MergeCoins:
    """Merge coins into one."""

    target: Argument
    sources: tuple[Argument, ...]


@dataclass(frozen=True)
class MakeVector:
    """Put values into a vector; `element_type` may be left out only for objects, of which there must be one."""

    elements: tuple[Argument, ...]
    element_type: str | None = None


@dataclass(frozen=True)
class Upgrade:
    """Publish the next version of a package; returns the UpgradeReceipt.

    Attributes:
        modules: compiled modules, in order of dependency.
        dependencies: all packages that they link to.
        package: the version that is replaced.
        ticket: the UpgradeTicket.
    """

    modules: tuple[bytes, ...]
    dependencies: tuple[ObjectId, ...]
    package: ObjectId
    ticket: Argument


Command = MoveCall | TransferObjects | SplitCoins | MergeCoins | MakeVector | Upgrade


@dataclass
class Program:
    """A transaction in the making.

    Attributes:
        commands: in order of execution.
        gas_coin_spent: MIST split off the gas coin by `split_gas`, on top of the gas itself.
    """

    commands: list[Command] = field(default_factory=list)
    gas_coin_spent: int = 0

    def add(self, command: Command) -> Result:
        """Append a command and return the name of its result."""
        self.commands.append(command)
        return Result(len(self.commands) - 1)

    def split(self, coin: Argument, amounts: Sequence[int]) -> list[Result]:
        """Split amounts off a coin and return the new coins."""
        result = self.add(SplitCoins(coin, tuple(u64(amount) for amount in amounts)))
        return [result[index] for index in range(len(amounts))]

    def split_gas(self, amounts: Sequence[int]) -> list[Result]:
        """Split MIST off the gas coin and return the new coins."""
        self.gas_coin_spent += sum(amounts)
        return self.split(GasCoin(), amounts)

    def transfer(self, objects: Sequence[Argument], recipient: str) -> None:
        """Give objects to an address."""
        self.add(TransferObjects(tuple(objects), address(recipient)))

    def merged(self, coins: Sequence[ObjectId]) -> Owned:
        """Merge coins of the sender into the first of them and return that one."""
        if len(coins) > 1:
            self.add(MergeCoins(Owned(coins[0]), tuple(Owned(coin) for coin in coins[1:])))
        return Owned(coins[0])

    @property
    def description(self) -> str:
        """The Move functions called, for logs and telemetry: "system::reserve_space+system::register_blob"."""
        names = [f"{command.module}::{command.function}" for command in self.commands if isinstance(command, MoveCall)]
        return "+".join(dict.fromkeys(names)) or "transfer"

    @property
    def owned_objects(self) -> list[ObjectId]:
        """Objects whose current version must be known before encoding, each once."""
        return list(dict.fromkeys(arg.object_id for arg in self._arguments() if isinstance(arg, Owned)))

    @property
    def shared_objects(self) -> list[ObjectId]:
        """Shared objects whose initial version must be known before encoding, each once."""
        return list(dict.fromkeys(arg.object_id for arg in self._arguments() if isinstance(arg, Shared)))

    def encode(self, owned: Mapping[ObjectId, ObjectRef], shared_since: Mapping[ObjectId, int]) -> bytes:
        """Return the BCS TransactionKind.

        Args:
            owned: current version of each of `owned_objects`.
            shared_since: initial shared version of each of `shared_objects`.
        """
        mutable = {arg.object_id for arg in self._arguments() if isinstance(arg, Shared) and arg.mutable}
        inputs: list[bytes] = []
        positions: dict[bytes | ObjectId, int] = {}

        def position(key: bytes | ObjectId, encoded: bytes) -> int:
            if key not in positions:
                positions[key] = len(inputs)
                inputs.append(encoded)
            return positions[key]

        def write(argument: Argument) -> bytes:
            match argument:
                case GasCoin():
                    return bcs.uleb(0)
                case Pure(data):
                    return bcs.uleb(1) + bcs.u16(position(data, bcs.uleb(0) + bcs.bytes_(data)))
                case Owned(object_id):
                    encoded = bcs.uleb(1) + bcs.uleb(0) + object_ref(owned[object_id])
                    return bcs.uleb(1) + bcs.u16(position(object_id, encoded))
                case Shared(object_id, _):
                    since = bcs.u64(shared_since[object_id])
                    flag = bcs.boolean(object_id in mutable)
                    encoded = bcs.uleb(1) + bcs.uleb(1) + address_bytes(object_id) + since + flag
                    return bcs.uleb(1) + bcs.u16(position(object_id, encoded))
                case Result(command, index):
                    if index is None:
                        return bcs.uleb(2) + bcs.u16(command)
                    return bcs.uleb(3) + bcs.u16(command) + bcs.u16(index)

        commands = b"".join(_command(command, write) for command in self.commands)
        # Inputs are known only after the commands were written, but stand before them.
        return bcs.uleb(0) + bcs.uleb(len(inputs)) + b"".join(inputs) + bcs.uleb(len(self.commands)) + commands

    def _arguments(self) -> list[Argument]:
        return [argument for command in self.commands for argument in _arguments(command)]


def transaction_data(
    kind: bytes, *, sender: SuiAddress, payment: Sequence[ObjectRef], gas_price: int, gas_budget: int
) -> bytes:
    """Return the BCS TransactionData V1 of a sender who pays the gas itself and sets no expiry."""
    gas = bcs.vector(object_ref, payment) + address_bytes(sender) + bcs.u64(gas_price) + bcs.u64(gas_budget)
    return bcs.uleb(0) + kind + address_bytes(sender) + gas + bcs.uleb(0)


def object_ref(ref: ObjectRef) -> bytes:
    """Return the BCS ObjectReference."""
    return address_bytes(ref.object_id) + bcs.u64(ref.version) + bcs.bytes_(digest_bytes(ref.digest))


def u8(value: int) -> Pure:
    """A u8 argument."""
    return Pure(bcs.u8(value))


def u16(value: int) -> Pure:
    """A u16 argument."""
    return Pure(bcs.u16(value))


def u32(value: int) -> Pure:
    """A u32 argument."""
    return Pure(bcs.u32(value))


def u64(value: int) -> Pure:
    """A u64 argument."""
    return Pure(bcs.u64(value))


def boolean(*, value: bool) -> Pure:
    """A bool argument."""
    return Pure(bcs.boolean(value))


def string(value: str) -> Pure:
    """A String argument."""
    return Pure(bcs.string(value))


def byte_vector(value: bytes) -> Pure:
    """A vector<u8> argument."""
    return Pure(bcs.bytes_(value))


def fixed(value: bytes) -> Pure:
    """An argument of fixed size by its bytes, such as a u256 whose little-endian bytes are at hand."""
    return Pure(value)


def address(value: str) -> Pure:
    """An address or ID argument."""
    return Pure(address_bytes(value))


def address_vector(values: Sequence[str]) -> Pure:
    """A vector<address> or vector<ID> argument."""
    return Pure(bcs.vector(address_bytes, values))


def byte_vectors(values: Sequence[bytes]) -> Pure:
    """A vector<vector<u8>> argument."""
    return Pure(bcs.vector(bcs.bytes_, values))


def _arguments(command: Command) -> tuple[Argument, ...]:
    match command:
        case MoveCall():
            return command.arguments
        case TransferObjects(objects, recipient):
            return (*objects, recipient)
        case SplitCoins(coin, amounts):
            return (coin, *amounts)
        case MergeCoins(target, sources):
            return (target, *sources)
        case MakeVector(elements):
            return elements
        case Upgrade():
            return (command.ticket,)


def _command(command: Command, write: Callable[[Argument], bytes]) -> bytes:
    match command:
        case MoveCall():
            return (
                bcs.uleb(0)
                + address_bytes(command.package)
                + bcs.string(command.module)
                + bcs.string(command.function)
                + bcs.vector(type_tag, command.type_arguments)
                + bcs.vector(write, command.arguments)
            )
        case TransferObjects(objects, recipient):
            return bcs.uleb(1) + bcs.vector(write, objects) + write(recipient)
        case SplitCoins(coin, amounts):
            return bcs.uleb(2) + write(coin) + bcs.vector(write, amounts)
        case MergeCoins(target, sources):
            return bcs.uleb(3) + write(target) + bcs.vector(write, sources)
        case MakeVector(elements, element_type):
            tag = b"\0" if element_type is None else b"\1" + type_tag(element_type)
            return bcs.uleb(5) + tag + bcs.vector(write, elements)
        case Upgrade(modules, dependencies, package, ticket):
            linked = bcs.vector(address_bytes, dependencies)
            return bcs.uleb(6) + bcs.vector(bcs.bytes_, modules) + linked + address_bytes(package) + write(ticket)
