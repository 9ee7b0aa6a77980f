"""Programs put together by hand: calls by their Move names, with arguments as Python values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.devnet.genesis import WellKnown
from walrus_sui.devnet.ledger import gas
from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.objects import AddressOwner, ImmutableOwner, Object, SharedOwner
from walrus_sui.devnet.ledger.programs import (
    GAS_COIN,
    Argument,
    CallInput,
    Command,
    Input,
    MakeMoveVec,
    MoveCall,
    NestedResult,
    OwnedObject,
    ProgrammableTransaction,
    Pure,
    SharedObject,
    SplitCoins,
    TransferObjects,
)
from walrus_sui.devnet.ledger.transactions import GasData, TransactionData
from walrus_sui.devnet.ledger.views import TypedValue
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import packages, tags
from walrus_sui.devnet.move.core.module import Function
from walrus_sui.devnet.move.core.signatures import substitute
from walrus_sui.devnet.move.core.types import MoveType
from walrus_sui.devnet.testing.accounts import Account
from walrus_sui.devnet.testing.outcome import raise_failure

BUDGET = 5_000_000_000
_HOMES = (packages.WALRUS, packages.WAL, packages.WAL_EXCHANGE, packages.SUI, packages.STD)


class RunsPrograms(Protocol):
    """What a program needs of its chain."""

    ledger: Ledger
    network: WellKnown

    def type_of(self, text: str) -> MoveType:
        """The Move type of a published type's text."""

    def gas_coin(self, owner: Account, *, without: Sequence[ObjectId] = ()) -> Object:
        """A coin of SUI to pay with."""

    def submit(self, transaction: TransactionData, sender: Account) -> Executed:
        """Signs and executes."""


@dataclass(frozen=True)
class Returned:
    """Results of a command of a program."""

    command: int
    function: Function
    type_arguments: tuple[MoveType, ...]

    @property
    def is_reference(self) -> bool:
        """Whether the function returns references, so that no transaction may call it."""
        return any(result.reference for result in self.function.signature.returns)


class Program:
    """Commands of one transaction. Arguments may be results of earlier commands."""

    def __init__(self, chain: RunsPrograms, sender: Account) -> None:
        self._chain = chain
        self._sender = sender
        self._inputs: list[CallInput] = []
        self._objects: dict[ObjectId, int] = {}
        self._commands: list[Command] = []

    def call(self, function: str, /, *, types: Sequence[str] = (), **arguments: Any) -> Returned:
        """Adds a call; see `Chain.call` for the arguments."""
        package, module, found = find_function(function)
        type_arguments = tuple(self._chain.type_of(text) for text in types)
        given: list[Argument] = []
        for parameter in found.signature.arguments:
            tag = substitute(parameter.tag, tuple(item.tag for item in type_arguments))
            value = arguments.pop(parameter.name) if parameter.name in arguments else self._default(tag, parameter.name)
            given.append(self._argument(value, registry.resolve(tag), mutable=parameter.reference != "&"))
        if arguments:
            raise TypeError(f"{function} has no arguments {sorted(arguments)}")
        package_id = self._chain.network.packages.id_of(package)
        type_texts = tuple(str(self._chain.network.packages.published(item.tag)) for item in type_arguments)
        self._commands.append(MoveCall(package_id, module, found.name, type_texts, tuple(given)))
        return Returned(len(self._commands) - 1, found, type_arguments)

    def split(self, coin: Any, amounts: Sequence[int]) -> Argument:
        """Splits coins off; with one amount the result is that coin."""
        source = coin if isinstance(coin, Argument) else self._object(coin, mutable=True)
        values = tuple(self._pure(amount.to_bytes(8, "little")) for amount in amounts)
        self._commands.append(SplitCoins(source, values))
        return NestedResult(len(self._commands) - 1, 0)

    def split_gas(self, amount: int) -> Argument:
        """Takes SUI off the gas coin."""
        return self.split(GAS_COIN, [amount])

    def vector(self, elements: Sequence[Any], element_type: str | None = None) -> Argument:
        """A vector of results."""
        made = tuple(self._argument(element, None, mutable=True) for element in elements)
        self._commands.append(MakeMoveVec(element_type, made))
        return NestedResult(len(self._commands) - 1, 0)

    def transfer(self, values: Sequence[Any], recipient: SuiAddress) -> None:
        """Sends objects away."""
        objects = tuple(self._argument(value, None, mutable=True) for value in values)
        self._commands.append(TransferObjects(objects, self._pure(bytes.fromhex(recipient[2:]))))

    def types_of(self, returned: Returned) -> tuple[MoveType, ...]:
        """Types of a command's results."""
        arguments = tuple(item.tag for item in returned.type_arguments)
        results = returned.function.signature.returns
        return tuple(registry.resolve(substitute(result.tag, arguments)) for result in results)

    def transaction(self) -> TransactionData:
        """The transaction as it stands, paid with the sender's largest coin."""
        coin = self._chain.gas_coin(self._sender, without=tuple(self._objects))
        kind = ProgrammableTransaction(tuple(self._inputs), tuple(self._commands))
        data = GasData((coin.ref,), self._sender.address, gas.REFERENCE_GAS_PRICE, BUDGET)
        return TransactionData(kind, self._sender.address, data)

    def run(self) -> Executed:
        """Signs and executes; raises like `Chain.call`."""
        return self._chain.submit(self.transaction(), self._sender)

    def run_for_values(self, returned: Returned) -> list[Any]:
        """Executes and gives the values that one of its commands returned."""
        transaction = self.transaction()
        simulated = self._chain.ledger.simulate(transaction)
        self._chain.submit(transaction, self._sender)
        return [self._decode(value) for value in simulated.outputs[returned.command].return_values]

    def inspect(self, returned: Returned) -> list[Any]:
        """Values that a command would return, references followed; nothing is executed. Raises like `Chain.call`."""
        simulated = self._chain.ledger.simulate(self.transaction(), checks=False)
        raise_failure(simulated.executed.effects.failure)
        return [self._decode(value) for value in simulated.outputs[returned.command].return_values]

    def _decode(self, value: TypedValue) -> Any:
        return self._chain.type_of(value.type).from_bcs(value.bcs)

    def _default(self, tag: tags.TypeTag, name: str) -> ObjectId:
        network = self._chain.network
        known = {
            "Clock": ObjectId(tags.normalize_address("0x6")),
            "System": network.system,
            "Staking": network.staking,
            "Exchange": network.exchange,
            "ProtectedTreasury": network.treasury,
        }
        if tag.name not in known:
            raise TypeError(f"argument {name} is missing")
        return known[tag.name]

    def _argument(self, value: Any, move_type: MoveType | None, *, mutable: bool) -> Argument:
        if isinstance(value, Argument):
            return value
        if isinstance(value, Returned):
            return NestedResult(value.command, 0)
        if move_type is None or "key" in move_type.abilities:
            return self._object(getattr(value, "id", value), mutable=mutable)
        return self._pure(move_type.to_bcs(value))

    def _pure(self, data: bytes) -> Argument:
        self._inputs.append(Pure(data))
        return Input(len(self._inputs) - 1)

    def _object(self, object_id: ObjectId, *, mutable: bool) -> Argument:
        known = self._objects.get(object_id)
        if known is None:
            known = self._objects[object_id] = len(self._inputs)
            self._inputs.append(self._chain_input(object_id, mutable=mutable))
        item = self._inputs[known]
        if mutable and isinstance(item, SharedObject):
            self._inputs[known] = replace(item, mutable=True)
        return Input(known)

    def _chain_input(self, object_id: ObjectId, *, mutable: bool) -> CallInput:
        obj = self._chain.ledger.object(object_id)
        if obj is None:
            raise KeyError(f"no object {object_id}")
        if isinstance(obj.owner, SharedOwner):
            return SharedObject(object_id, obj.owner.initial_version, mutable)
        if isinstance(obj.owner, AddressOwner | ImmutableOwner):
            return OwnedObject(obj.ref)
        raise TypeError(f"object {object_id} is a child of another object")


def find_function(name: str) -> tuple[str, str, Function]:
    """Package alias, module and function of a Move name.

    Raises:
        LookupError: there is none.
    """
    *home, module, function = name.split("::")
    for package in home or _HOMES:
        found = registry.function(package, module, function)
        if found is not None:
            return package, module, found
    raise LookupError(f"no function {name}")
