"""Checks of a transaction before it runs: form, gas, and every object it names.

Whoever fails here is rejected: nothing is charged and the transaction leaves no trace. What passes is a `LoadedInputs`
with the exact versions that execution works on.

Source: ``sui-types`` modules transaction (validity check), error (``UserInputError``); ``sui-transaction-checks``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from walrus_codec.types import Digest, ObjectId
from walrus_sui.devnet.ledger import gas
from walrus_sui.devnet.ledger.errors import Rejected
from walrus_sui.devnet.ledger.objects import (
    CLOCK_ID,
    GAS_COIN_TYPE,
    AddressOwner,
    ImmutableOwner,
    Object,
    ObjectOwner,
    ObjectRef,
    SharedOwner,
)
from walrus_sui.devnet.ledger.programs import (
    MakeMoveVec,
    MergeCoins,
    MoveCall,
    OwnedObject,
    Publish,
    Pure,
    ReceivingObject,
    SharedObject,
    SplitCoins,
    TransferObjects,
    Upgrade,
)
from walrus_sui.devnet.ledger.state import State
from walrus_sui.devnet.ledger.transactions import (
    MAX_ARGUMENTS,
    MAX_COMMANDS,
    MAX_GAS_OBJECTS,
    MAX_INPUTS,
    MAX_PURE_SIZE,
    MAX_TRANSACTION_SIZE,
    MAX_TYPE_ARGUMENTS,
    EpochExpiration,
    TransactionData,
    ValidDuring,
)


@dataclass(frozen=True)
class LoadedInputs:
    """Objects of a checked transaction.

    Attributes:
        objects: the object of each input, None for pure values.
        payment: gas coins in the order given.
    """

    objects: tuple[Object | None, ...]
    payment: tuple[Object, ...]

    @cached_property
    def lamport_version(self) -> int:
        """Version of all that the transaction writes: above every version that it saw."""
        versions = [obj.version for obj in (*self.objects, *self.payment) if obj is not None and not obj.is_package]
        return 1 + max(versions, default=0)


def rejected_inputs(*details: str) -> Rejected:
    """The refusal that a Sui node gives for bad inputs; the details are one per line."""
    lines = "\n".join(f"- {detail}" for detail in details)
    head = "Transaction execution failed due to issues with transaction inputs, please review the errors and try again:"
    return Rejected(f"{head}\n{lines}")


def check_form(transaction: TransactionData, size: int) -> None:
    """Checks limits that need no state."""
    if size > MAX_TRANSACTION_SIZE:
        raise Rejected(f"Size limit exceeded: serialized transaction size is {size}, max is {MAX_TRANSACTION_SIZE}")
    if transaction.is_system:
        raise Rejected("Invalid transaction: system transactions are made by the ledger only")
    if len(transaction.inputs) > MAX_INPUTS:
        raise Rejected(f"Size limit exceeded: {len(transaction.inputs)} inputs, max is {MAX_INPUTS}")
    if len(transaction.commands) > MAX_COMMANDS:
        raise Rejected(f"Size limit exceeded: {len(transaction.commands)} commands, max is {MAX_COMMANDS}")
    for item in transaction.inputs:
        if isinstance(item, Pure) and len(item.data) > MAX_PURE_SIZE:
            raise Rejected(f"Size limit exceeded: pure argument of {len(item.data)} bytes, max is {MAX_PURE_SIZE}")
        if isinstance(item, ReceivingObject):
            raise Rejected("Feature is not supported: this devnet has no receiving of objects")
    for command in transaction.commands:
        match command:
            case MoveCall(type_arguments=types, arguments=arguments):
                _check_count(len(arguments))
                if len(types) > MAX_TYPE_ARGUMENTS:
                    raise Rejected(f"Size limit exceeded: {len(types)} type arguments, max is {MAX_TYPE_ARGUMENTS}")
            case TransferObjects(objects=items) | SplitCoins(amounts=items) | MergeCoins(sources=items):
                if not items:
                    raise Rejected(f"Command {type(command).__name__} must have at least one argument")
                _check_count(len(items))
            case MakeMoveVec(element_type=kind, elements=elements):
                if kind is None and not elements:
                    raise Rejected("Command MakeMoveVec must have at least one argument or a type")
                _check_count(len(elements))
            case Upgrade(modules=modules, dependencies=dependencies):
                if not modules:
                    raise Rejected("Command Upgrade must have at least one module")
                _check_count(max(len(modules), len(dependencies)))
            case Publish():
                raise Rejected("Feature is not supported: this devnet publishes its packages at genesis")


def _check_count(count: int) -> None:
    if count > MAX_ARGUMENTS:
        raise Rejected(f"Size limit exceeded: {count} arguments in a command, max is {MAX_ARGUMENTS}")


def check_expiration(transaction: TransactionData, *, epoch: int, chain_id: Digest, now_ms: int) -> None:
    """Checks that the transaction is still, and already, valid on this chain."""
    expiration = transaction.expiration
    if isinstance(expiration, EpochExpiration) and epoch > expiration.epoch:
        raise Rejected("The transaction has expired")
    if isinstance(expiration, ValidDuring):
        if expiration.chain != chain_id:
            raise Rejected(f"Invalid chain ID {expiration.chain}: this chain is {chain_id}")
        bounds = (
            (expiration.min_epoch, expiration.max_epoch, epoch),
            (expiration.min_timestamp_ms, expiration.max_timestamp_ms, now_ms),
        )
        for low, high, value in bounds:
            if (low is not None and value < low) or (high is not None and value > high):
                raise Rejected("The transaction has expired or is not valid yet")


def check_gas(transaction: TransactionData, payment: Sequence[Object]) -> None:
    """Checks price, budget and that the payment covers it."""
    data = transaction.gas
    if data.price < gas.REFERENCE_GAS_PRICE:
        price, reference = data.price, gas.REFERENCE_GAS_PRICE
        raise rejected_inputs(f"Gas price {price} under reference gas price (RGP) {reference}")
    if data.budget > gas.MAX_BUDGET:
        raise rejected_inputs(f"Gas budget: {data.budget} is higher than max: {gas.MAX_BUDGET}")
    if data.budget < gas.min_budget(data.price):
        raise rejected_inputs(f"Gas budget: {data.budget} is lower than min: {gas.min_budget(data.price)}")
    balance = sum(obj.coin_balance or 0 for obj in payment)
    if balance < data.budget:
        raise rejected_inputs(f"Balance of gas object {balance} is lower than the needed amount: {data.budget}")


def load_payment(state: State, transaction: TransactionData) -> tuple[Object, ...]:
    """Finds the gas coins.

    Raises:
        Rejected: none given, too many, stale, foreign, or no coins of SUI.
    """
    refs = transaction.gas.payment
    if not refs:
        raise rejected_inputs("Expected non-empty gas payment")
    if len(refs) > MAX_GAS_OBJECTS:
        raise Rejected(f"Size limit exceeded: {len(refs)} gas payment objects, max is {MAX_GAS_OBJECTS}")
    if len({ref.object_id for ref in refs}) != len(refs):
        raise rejected_inputs("Mutable object cannot appear more than one in one transaction")
    coins = tuple(_current(state, ref) for ref in refs)
    for coin in coins:
        if not isinstance(coin.owner, AddressOwner):
            raise rejected_inputs(f"Gas object is not an owned object with owner: {coin.owner}")
        if coin.owner.address != transaction.gas.owner:
            raise rejected_inputs(_foreign(coin.object_id, coin.owner.address, transaction.gas.owner))
        if coin.type != GAS_COIN_TYPE:
            raise rejected_inputs(f"Gas object {coin.object_id} is not a Coin<SUI>")
    return coins


def load_objects(state: State, transaction: TransactionData, *, check_owners: bool = True) -> tuple[Object | None, ...]:
    """Finds the object of each input.

    Args:
        state: live objects.
        transaction: a programmable transaction.
        check_owners: whether owned objects must belong to the sender.

    Raises:
        Rejected: an object is unknown, stale, foreign, or used in another way than it is owned.
    """
    seen = {ref.object_id for ref in transaction.gas.payment}
    loaded: list[Object | None] = []
    for item in transaction.inputs:
        match item:
            case Pure():
                loaded.append(None)
                continue
            case SharedObject():
                loaded.append(_shared(state, item))
            case OwnedObject(ref):
                loaded.append(_owned(state, ref, transaction.sender if check_owners else None))
            case ReceivingObject():
                raise Rejected("Feature is not supported: this devnet has no receiving of objects")
        if item.object_id in seen:
            raise rejected_inputs(f"Mutable object {item.object_id} cannot appear more than one in one transaction")
        seen.add(item.object_id)
    return tuple(loaded)


def _shared(state: State, item: SharedObject) -> Object:
    obj = state.get(item.object_id)
    if obj is None:
        raise rejected_inputs(_unknown(item.object_id, None))
    if not isinstance(obj.owner, SharedOwner):
        raise rejected_inputs(f"Object {item.object_id} used as shared is not shared")
    if obj.owner.initial_version != item.initial_version:
        raise rejected_inputs(
            f"Shared object {item.object_id} was first shared at version {obj.owner.initial_version}, "
            f"not at {item.initial_version}"
        )
    if item.object_id == CLOCK_ID and item.mutable:
        raise rejected_inputs(f"The clock {CLOCK_ID} can only be used immutably: mutable parameter provided")
    return obj


def _owned(state: State, ref: ObjectRef, sender: str | None) -> Object:
    obj = _current(state, ref)
    if obj.is_package:
        raise rejected_inputs(f"Move package {ref.object_id} cannot be passed as an object argument")
    if isinstance(obj.owner, SharedOwner):
        raise rejected_inputs(f"Object {ref.object_id} is shared, but not used as such")
    if isinstance(obj.owner, ObjectOwner):
        raise rejected_inputs(
            f"Object {ref.object_id} is owned by object {obj.owner.object_id}. "
            "Objects owned by other objects cannot be used as input arguments"
        )
    if isinstance(obj.owner, AddressOwner) and sender is not None and obj.owner.address != sender:
        raise rejected_inputs(_foreign(ref.object_id, obj.owner.address, sender))
    return obj


def _current(state: State, ref: ObjectRef) -> Object:
    obj = state.get(ref.object_id)
    if obj is None or ref.version > obj.version:
        raise rejected_inputs(_unknown(ref.object_id, ref.version))
    if obj.version != ref.version and not isinstance(obj.owner, ImmutableOwner):
        raise rejected_inputs(
            f"Transaction needs to be rebuilt because object {ref.object_id} version {ref.version} is unavailable for "
            f"consumption, current version: {obj.version}"
        )
    if obj.digest != ref.digest:
        raise rejected_inputs(f"Invalid Object digest for object {ref.object_id}. Expected digest : {obj.digest}")
    return obj


def _unknown(object_id: ObjectId, version: int | None) -> str:
    return f"Could not find the referenced object {object_id} at version {version}"


def _foreign(object_id: ObjectId, owner: str, signer: str) -> str:
    return f"Object {object_id} is owned by account address {owner}, but given owner/signer address is {signer}"
