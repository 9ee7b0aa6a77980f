"""Protobuf transactions as ledger transactions, and signatures as bytes.

A client may send a transaction as BCS, then it is taken as it is; or as messages, in which much may be left out:
versions and digests of objects, the initial version and mutability of shared ones, gas payment, price and budget. What
is left out is filled in from the live objects, as sui-rpc-api does (module simulate::resolve); what is given must fit.
"""

from collections.abc import Callable
from typing import Final, Protocol

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_proto.sui.rpc.v2 import signature_pb2, transaction_pb2
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.programs import arguments_of
from walrus_sui.devnet.ledger.records import (
    GAS_COIN,
    GAS_COIN_TYPE,
    Argument,
    CallInput,
    Command,
    EpochExpiration,
    Expiration,
    FunctionSignature,
    GasData,
    Input,
    MakeMoveVec,
    MergeCoins,
    MoveCall,
    NestedResult,
    Object,
    ObjectOwner,
    ObjectRef,
    OwnedObject,
    ProgrammableTransaction,
    Publish,
    Pure,
    ReceivingObject,
    Result,
    SharedObject,
    SharedOwner,
    SplitCoins,
    TransactionData,
    TransferObjects,
    Upgrade,
)
from walrus_sui.devnet.ledger.transactions import MAX_COMMANDS, MAX_GAS_OBJECTS, MAX_INPUTS, MAX_TRANSACTION_SIZE
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.server import faults
from walrus_sui.devnet.server.faults import Fault

_ED25519_SIGNATURE: Final = 97
_MAX_SIGNATURE: Final = 4096
_MAX_INDEX: Final = 0xFFFF
_MAX_DIGEST_TEXT: Final = 44
_Kinds = transaction_pb2.Input


class Reads(Protocol):
    """What resolving needs to know of the live state."""

    def object(self, object_id: ObjectId) -> Object | None:
        """The live version of an object."""

    def function(self, package: ObjectId, module: str, name: str) -> FunctionSignature | None:
        """Signature of a function."""

    @property
    def gas_price(self) -> int:
        """Reference gas price in MIST."""


def address(field: str, text: str) -> ObjectId:
    """Canonical form of an address or object id in any spelling.

    Raises:
        Fault: INVALID_ARGUMENT, it is none.
    """
    try:
        return tags.normalize_address(text)
    except tags.TypeTagError as error:
        raise faults.invalid(field, f"invalid {field}: {error}") from None


def required_address(message: object, field: str) -> ObjectId:
    """Canonical form of a request's address field, which must be set."""
    text = getattr(message, field)
    if not text:
        raise faults.missing(field)
    return address(field, text)


def type_tag(field: str, text: str) -> tags.TypeTag:
    """A type in any spelling.

    Raises:
        Fault: INVALID_ARGUMENT, it is none.
    """
    try:
        return tags.parse(text)
    except tags.TypeTagError as error:
        raise faults.invalid(field, f"invalid {field}: {error}") from None


def digest(field: str, text: str) -> Digest:
    """A digest in base58.

    Raises:
        Fault: INVALID_ARGUMENT, it is none.
    """
    if len(text) > _MAX_DIGEST_TEXT:  # decoding base58 takes quadratic time
        raise faults.invalid(field, f"invalid {field}: {len(text)} characters")
    try:
        return digests.to_text(digests.to_bytes(text))
    except digests.DigestError as error:
        raise faults.invalid(field, f"invalid {field}: {error}") from None


def signature(message: signature_pb2.UserSignature, index: int) -> bytes:
    """A signature as ``flag || signature || public key``; its BCS may be length-prefixed or not.

    Raises:
        Fault: INVALID_ARGUMENT, neither BCS nor a simple signature is given, or it is far too long.
    """
    raw = message.bcs.value
    if not raw and message.HasField("simple"):
        simple = message.simple
        raw = bytes([simple.scheme]) + simple.signature + simple.public_key
    if not raw or len(raw) > _MAX_SIGNATURE:
        raise faults.invalid(f"signatures[{index}]", f"invalid signature: {len(raw)} bytes")
    if len(raw) == _ED25519_SIGNATURE + 1 and raw[0] == _ED25519_SIGNATURE:
        raw = raw[1:]
    return raw


def transaction_bytes(message: transaction_pb2.Transaction, reads: Reads) -> bytes:
    """BCS of the transaction that is to be executed: what was signed when BCS was sent, otherwise put together.

    Raises:
        Fault: INVALID_ARGUMENT, the transaction cannot be understood.
    """
    raw = message.bcs.value
    if len(raw) > MAX_TRANSACTION_SIZE:
        raise faults.invalid("transaction", f"invalid transaction: {len(raw)} bytes, at most {MAX_TRANSACTION_SIZE}")
    return raw or transaction(message, reads).to_bcs()


def transaction(message: transaction_pb2.Transaction, reads: Reads) -> TransactionData:
    """The transaction of a message, with everything filled in but the gas payment.

    Raises:
        Fault: INVALID_ARGUMENT or NOT_FOUND, it cannot be understood, or it names what does not exist.
    """
    if message.HasField("bcs"):
        return _from_bcs(message.bcs.value)
    if message.kind.WhichOneof("data") != "programmable_transaction":
        raise faults.missing("transaction.kind.programmable_transaction")
    program = message.kind.programmable_transaction
    if len(program.commands) > MAX_COMMANDS or len(program.inputs) > MAX_INPUTS:
        raise faults.invalid("transaction", f"more than {MAX_COMMANDS} commands or {MAX_INPUTS} inputs")
    sender = SuiAddress(required_address(message, "sender"))
    commands = tuple(_command(item, index) for index, item in enumerate(program.commands))
    inputs = tuple(_input(item, index, commands, reads) for index, item in enumerate(program.inputs))
    gas = _gas(message.gas_payment if message.HasField("gas_payment") else None, sender, reads)
    kind = ProgrammableTransaction(inputs, commands)
    return TransactionData(kind, sender, gas, _expiration(message.expiration))


def _from_bcs(raw: bytes) -> TransactionData:
    if len(raw) > MAX_TRANSACTION_SIZE:
        raise faults.invalid("transaction", f"invalid transaction: {len(raw)} bytes, at most {MAX_TRANSACTION_SIZE}")
    try:
        return TransactionData.from_bcs(raw)
    except (bcs.BcsError, tags.TypeTagError, ValueError) as error:
        raise faults.invalid("transaction", f"invalid transaction: {error}") from None


def _gas(payment: transaction_pb2.GasPayment | None, sender: SuiAddress, reads: Reads) -> GasData:
    if payment is None:
        return GasData((), sender, reads.gas_price, 0)
    if len(payment.objects) > MAX_GAS_OBJECTS:
        raise faults.invalid("payment", f"{len(payment.objects)} gas coins, at most {MAX_GAS_OBJECTS}")
    coins = []
    for item in payment.objects:
        coin = _live(address("payment", item.object_id), reads)
        if coin.type != GAS_COIN_TYPE:
            raise faults.invalid("payment", f"object {coin.object_id} is not a valid gas coin")
        version = item.version if item.HasField("version") else None
        coins.append(_reference(coin, version, item.digest))
    owner = SuiAddress(address("owner", payment.owner)) if payment.owner else sender
    price = payment.price if payment.HasField("price") else reads.gas_price
    return GasData(tuple(coins), owner, price, payment.budget)


def _expiration(message: transaction_pb2.TransactionExpiration) -> Expiration:
    kinds = transaction_pb2.TransactionExpiration
    if message.kind in {kinds.TRANSACTION_EXPIRATION_KIND_UNKNOWN, kinds.NONE}:
        return None
    if message.kind == kinds.EPOCH:
        return EpochExpiration(message.epoch)
    raise faults.invalid("expiration", "this expiration is only understood inside a BCS transaction")


def _live(object_id: ObjectId, reads: Reads) -> Object:
    found = reads.object(object_id)
    if found is None:
        raise faults.not_found(f"Object {object_id} not found")
    return found


def _reference(found: Object, version: int | None, digest_text: str) -> ObjectRef:
    """The object's current reference, after checking what was given of it."""
    if isinstance(found.owner, SharedOwner | ObjectOwner):
        raise _bad_input(f"object {found.object_id} is not Immutable or AddressOwned")
    if version is not None and version != found.version:
        raise _bad_input(f"provided version doesn't match, provided: {version} actual: {found.version}")
    if digest_text and digest_text != found.digest:
        raise _bad_input(f"provided digest doesn't match, provided: {digest_text} actual: {found.digest}")
    return found.ref


def _bad_input(text: str) -> Fault:
    return faults.invalid("transaction.kind.programmable_transaction.inputs", text)


def _input(item: transaction_pb2.Input, index: int, commands: tuple[Command, ...], reads: Reads) -> CallInput:
    if item.HasField("literal") or item.kind == _Kinds.FUNDS_WITHDRAWAL:
        raise _bad_input("invalid unresolved input argument: send pure values as BCS, and coins as objects")
    if item.kind == _Kinds.PURE or (item.kind == _Kinds.INPUT_KIND_UNKNOWN and item.HasField("pure")):
        return Pure(item.pure)
    found = _live(address("object_id", item.object_id), reads)
    shared = item.kind == _Kinds.SHARED or (
        item.kind == _Kinds.INPUT_KIND_UNKNOWN and isinstance(found.owner, SharedOwner)
    )
    if shared:
        if not isinstance(found.owner, SharedOwner):
            raise _bad_input(f"object {found.object_id} is not a shared or consensus address owned object")
        mutable = _is_used_mutably(index, commands, reads)
        return SharedObject(found.object_id, found.owner.initial_version, mutable)
    version = item.version if item.HasField("version") else None
    ref = _reference(found, version, item.digest)
    return ReceivingObject(ref) if item.kind == _Kinds.RECEIVING else OwnedObject(ref)


def _is_used_mutably(index: int, commands: tuple[Command, ...], reads: Reads) -> bool:
    """Whether a command takes the input by value or by ``&mut``; as a real node does, whatever the client claims."""
    wanted = Input(index)
    for command in commands:
        if isinstance(command, MoveCall):
            signature = reads.function(command.package, command.module, command.function)
            if signature is None:
                raise faults.not_found(f"Function {command.package}::{command.module}::{command.function} not found")
            used = zip(command.arguments, signature.parameters, strict=False)
            if any(given == wanted and parameter.reference != "IMMUTABLE" for given, parameter in used):
                return True
        elif wanted in arguments_of(command):
            return True
    return False


def _argument(item: transaction_pb2.Argument) -> Argument:
    kinds = transaction_pb2.Argument
    if max(item.input, item.result, item.subresult) > _MAX_INDEX:
        raise faults.invalid("commands", "invalid command: argument index out of range")
    if item.kind == kinds.GAS:
        return GAS_COIN
    if item.kind == kinds.INPUT:
        return Input(item.input)
    if item.kind == kinds.RESULT:
        return NestedResult(item.result, item.subresult) if item.HasField("subresult") else Result(item.result)
    raise faults.invalid("commands", "invalid command: argument without a kind")


def _command(item: transaction_pb2.Command, index: int) -> Command:
    which = item.WhichOneof("command")
    if which is None:
        raise faults.invalid("commands", f"invalid command: command {index} is empty")
    readers: dict[str, Callable[[], Command]] = {
        "move_call": lambda: _move_call(item.move_call),
        "transfer_objects": lambda: TransferObjects(
            tuple(map(_argument, item.transfer_objects.objects)), _argument(item.transfer_objects.address)
        ),
        "split_coins": lambda: SplitCoins(
            _argument(item.split_coins.coin), tuple(map(_argument, item.split_coins.amounts))
        ),
        "merge_coins": lambda: MergeCoins(
            _argument(item.merge_coins.coin), tuple(map(_argument, item.merge_coins.coins_to_merge))
        ),
        "make_move_vector": lambda: _make_move_vector(item.make_move_vector),
        "publish": lambda: Publish(
            tuple(item.publish.modules), tuple(address("dependencies", text) for text in item.publish.dependencies)
        ),
        "upgrade": lambda: Upgrade(
            tuple(item.upgrade.modules),
            tuple(address("dependencies", text) for text in item.upgrade.dependencies),
            address("package", item.upgrade.package),
            _argument(item.upgrade.ticket),
        ),
    }
    return readers[which]()


def _move_call(call: transaction_pb2.MoveCall) -> MoveCall:
    type_arguments = tuple(str(type_tag("type_arguments", text)) for text in call.type_arguments)
    arguments = tuple(map(_argument, call.arguments))
    return MoveCall(address("package", call.package), call.module, call.function, type_arguments, arguments)


def _make_move_vector(vector: transaction_pb2.MakeMoveVector) -> MakeMoveVec:
    element = str(type_tag("element_type", vector.element_type)) if vector.element_type else None
    return MakeMoveVec(element, tuple(map(_argument, vector.elements)))
