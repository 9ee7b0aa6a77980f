"""Transactions: what a client signs, as frozen data, and its BCS.

`TransactionData.from_bcs` reads what a client sent; the parts can also be put together by hand, which is how a server
turns a protobuf transaction into one that can be simulated. The digest and the digest that is signed are over the BCS.

Source: ``sui-types`` modules transaction and intent. Only V1 data exists. Kinds: programmable transactions from clients,
genesis and the consensus commit prologue (which moves the clock) from the ledger itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.objects import ObjectRef, read_genesis_object
from walrus_sui.devnet.move.core import tags

SYSTEM_ADDRESS: Final = SuiAddress(tags.normalize_address("0x0"))
MAX_COMMANDS: Final = 1024
MAX_INPUTS: Final = 2048
MAX_ARGUMENTS: Final = 512
MAX_TYPE_ARGUMENTS: Final = 16
MAX_PURE_SIZE: Final = 16 * 1024
MAX_TRANSACTION_SIZE: Final = 128 * 1024
MAX_GAS_OBJECTS: Final = 256


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


@dataclass(frozen=True, slots=True)
class ProgrammableTransaction:
    """Commands that run in order and take effect together or not at all."""

    inputs: tuple[CallInput, ...]
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class GenesisTransaction:
    """The first transaction: creates all objects of genesis, given as their BCS (Sui's ``GenesisObject``)."""

    objects: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ConsensusCommitPrologue:
    """Moves the clock, once in each checkpoint."""

    epoch: int
    round: int
    commit_timestamp_ms: int


TransactionKind = ProgrammableTransaction | GenesisTransaction | ConsensusCommitPrologue


@dataclass(frozen=True, slots=True)
class GasData:
    """Who pays, with which coins, at which price per unit and up to which budget, both in MIST."""

    payment: tuple[ObjectRef, ...]
    owner: SuiAddress
    price: int
    budget: int


@dataclass(frozen=True, slots=True)
class EpochExpiration:
    """Valid up to and including a Sui epoch."""

    epoch: int


@dataclass(frozen=True, slots=True)
class ValidDuring:
    """Valid between epochs and times on one chain."""

    min_epoch: int | None
    max_epoch: int | None
    min_timestamp_ms: int | None
    max_timestamp_ms: int | None
    chain: Digest
    nonce: int


Expiration = EpochExpiration | ValidDuring | None


@dataclass(frozen=True)
class TransactionData:
    """A transaction as it is signed."""

    kind: TransactionKind
    sender: SuiAddress
    gas: GasData
    expiration: Expiration = None

    @property
    def inputs(self) -> tuple[CallInput, ...]:
        """Inputs of a programmable transaction; none for system transactions."""
        return self.kind.inputs if isinstance(self.kind, ProgrammableTransaction) else ()

    @property
    def commands(self) -> tuple[Command, ...]:
        """Commands of a programmable transaction; none for system transactions."""
        return self.kind.commands if isinstance(self.kind, ProgrammableTransaction) else ()

    @property
    def is_system(self) -> bool:
        """Whether the ledger itself made it; such transactions are not signed and pay nothing."""
        return not isinstance(self.kind, ProgrammableTransaction)

    @cached_property
    def digest(self) -> Digest:
        """The transaction's digest."""
        return digests.of("TransactionData", self.to_bcs())

    @property
    def signing_digest(self) -> bytes:
        """The 32 bytes that are signed."""
        return signing_digest(self.to_bcs())

    def to_bcs(self) -> bytes:
        """BCS of the transaction."""
        payment = bcs.vector(ObjectRef.to_bcs, self.gas.payment)
        gas = payment + digests.write_address(self.gas.owner) + bcs.u64(self.gas.price) + bcs.u64(self.gas.budget)
        sender = digests.write_address(self.sender)
        return b"\x00" + _write_kind(self.kind) + sender + gas + _write_expiration(self.expiration)

    @classmethod
    def from_bcs(cls, data: bytes) -> "TransactionData":
        """Reads a transaction.

        Raises:
            bcs.BcsError: not a V1 transaction of a known kind.
            tags.TypeTagError: a type argument is malformed.
        """
        reader = bcs.Reader(data)
        if reader.uleb() != 0:
            raise bcs.BcsError("only V1 transaction data is known")
        kind, sender = _read_kind(reader, data), digests.read_address(reader)
        payment = tuple(reader.vector(ObjectRef.read))
        gas = GasData(payment, digests.read_address(reader), reader.u64(), reader.u64())
        expiration = _read_expiration(reader)
        reader.finish()
        return cls(kind, sender, gas, expiration)


def transaction_digest(tx_bytes: bytes) -> Digest:
    """Digest of a transaction, given its BCS."""
    return digests.of("TransactionData", tx_bytes)


def signing_digest(tx_bytes: bytes) -> bytes:
    """What a signature of the transaction signs: blake2b over the intent (transaction, V0, Sui) and the BCS."""
    return digests.blake2b(b"\x00\x00\x00", tx_bytes)


def system_transaction(kind: GenesisTransaction | ConsensusCommitPrologue) -> TransactionData:
    """A transaction of the ledger's own."""
    return TransactionData(kind, SYSTEM_ADDRESS, GasData((), SYSTEM_ADDRESS, 1, 0))


def _write_kind(kind: TransactionKind) -> bytes:
    match kind:
        case ProgrammableTransaction(inputs, commands):
            return b"\x00" + bcs.vector(_write_input, inputs) + bcs.vector(_write_command, commands)
        case GenesisTransaction(objects):
            return b"\x02" + bcs.uleb(len(objects)) + b"".join(objects)
        case ConsensusCommitPrologue(epoch, round_, timestamp):
            return b"\x03" + bcs.u64(epoch) + bcs.u64(round_) + bcs.u64(timestamp)


def _read_kind(reader: bcs.Reader, data: bytes) -> TransactionKind:
    variant = reader.uleb()
    if variant == 0:
        return ProgrammableTransaction(tuple(reader.vector(_read_input)), tuple(reader.vector(_read_command)))
    if variant == 2:
        return GenesisTransaction(tuple(reader.vector(lambda inner: read_genesis_object(inner, data))))
    if variant == 3:
        return ConsensusCommitPrologue(reader.u64(), reader.u64(), reader.u64())
    raise bcs.BcsError(f"transaction of the unknown kind {variant}: only programmable transactions can be sent")


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
    variant = reader.uleb()
    readers: dict[int, Callable[[], Argument]] = {
        0: lambda: GAS_COIN,
        1: lambda: Input(reader.u16()),
        2: lambda: Result(reader.u16()),
        3: lambda: NestedResult(reader.u16(), reader.u16()),
    }
    if variant not in readers:
        raise bcs.BcsError(f"argument of the unknown kind {variant}")
    return readers[variant]()


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
    variant = reader.uleb()
    readers: dict[int, Callable[[], Command]] = {
        0: lambda: _read_move_call(reader),
        1: lambda: TransferObjects(_read_arguments(reader), _read_argument(reader)),
        2: lambda: SplitCoins(_read_argument(reader), _read_arguments(reader)),
        3: lambda: MergeCoins(_read_argument(reader), _read_arguments(reader)),
        4: lambda: Publish(*_read_code(reader)),
        5: lambda: MakeMoveVec(reader.option(_read_tag), _read_arguments(reader)),
        6: lambda: Upgrade(*_read_code(reader), digests.read_id(reader), _read_argument(reader)),
    }
    if variant not in readers:
        raise bcs.BcsError(f"command of the unknown kind {variant}")
    return readers[variant]()


def _write_expiration(expiration: Expiration) -> bytes:
    match expiration:
        case None:
            return b"\x00"
        case EpochExpiration(epoch):
            return b"\x01" + bcs.u64(epoch)
        case ValidDuring():
            bounds = (
                expiration.min_epoch,
                expiration.max_epoch,
                expiration.min_timestamp_ms,
                expiration.max_timestamp_ms,
            )
            head = b"".join(bcs.option(bcs.u64, bound) for bound in bounds)
            return b"\x02" + head + digests.write(expiration.chain) + bcs.u32(expiration.nonce)


def _read_expiration(reader: bcs.Reader) -> Expiration:
    variant = reader.uleb()
    if variant == 0:
        return None
    if variant == 1:
        return EpochExpiration(reader.u64())
    if variant == 2:
        bounds = [reader.option(bcs.Reader.u64) for _ in range(4)]
        return ValidDuring(bounds[0], bounds[1], bounds[2], bounds[3], digests.read(reader), reader.u32())
    raise bcs.BcsError(f"expiration of the unknown kind {variant}")
