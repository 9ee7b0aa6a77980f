"""Transactions: what a client signs, as frozen data, and its BCS.

`TransactionData.from_bcs` reads what a client sent; the parts can also be put together by hand, which is how a server
turns a protobuf transaction into one that can be simulated. The digest and the digest that is signed are over the BCS.

Source: ``sui-types`` modules transaction and intent. Only V1 data exists. Kinds: programmable transactions from clients,
genesis and the consensus commit prologue (which moves the clock) from the ledger itself.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from walrus_codec import bcs
from walrus_codec.types import Digest, SuiAddress
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.objects import ObjectRef, read_genesis_object
from walrus_sui.devnet.ledger.programs import CallInput, Command, ProgrammableTransaction, read_program, write_program
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
        case ProgrammableTransaction():
            return b"\x00" + write_program(kind)
        case GenesisTransaction(objects):
            return b"\x02" + bcs.uleb(len(objects)) + b"".join(objects)
        case ConsensusCommitPrologue(epoch, round_, timestamp):
            return b"\x03" + bcs.u64(epoch) + bcs.u64(round_) + bcs.u64(timestamp)


def _read_kind(reader: bcs.Reader, data: bytes) -> TransactionKind:
    variant = reader.uleb()
    if variant == 0:
        return read_program(reader)
    if variant == 2:
        return GenesisTransaction(tuple(reader.vector(lambda inner: read_genesis_object(inner, data))))
    if variant == 3:
        return ConsensusCommitPrologue(reader.u64(), reader.u64(), reader.u64())
    raise bcs.BcsError(f"transaction of the unknown kind {variant}: only programmable transactions can be sent")


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
