"""Programs put together by hand: calls by their Move names, with arguments as Python values.

A `Program` is one transaction while it grows. Each argument may be a Python value, an object in any form that
`walrus_sui.devnet.testing.values.address_of` reads, or the result of an earlier command. For a coin, a number may stand:
that much is taken off the sender's money. Nothing happens on the chain before `run`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from walrus_codec.types import ObjectId
from walrus_sui.devnet.genesis import WellKnown
from walrus_sui.devnet.ledger import gas
from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.objects import COIN_PREFIX, Object
from walrus_sui.devnet.ledger.programs import (
    GAS_COIN,
    Argument,
    MakeMoveVec,
    MoveCall,
    NestedResult,
    TransferObjects,
    Upgrade,
)
from walrus_sui.devnet.ledger.transactions import GasData, TransactionData
from walrus_sui.devnet.ledger.views import Simulated
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.module import Function
from walrus_sui.devnet.move.core.signatures import Parameter, substitute
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import ADDRESS, MoveType, Option, VecMap, Vector
from walrus_sui.devnet.testing import constructors, values
from walrus_sui.devnet.testing.accounts import Account, Node
from walrus_sui.devnet.testing.draft import Draft
from walrus_sui.devnet.testing.functions import find_function, match_types
from walrus_sui.devnet.testing.outcome import raise_failure
from walrus_sui.devnet.testing.values import ArgumentError

BUDGET = 5_000_000_000


class RunsPrograms(Protocol):
    """What a program needs of its chain."""

    ledger: Ledger
    network: WellKnown

    def type_of(self, text: str) -> MoveType:
        """The Move type of a published type's text."""

    def gas_coin(self, owner: Account, *, without: Sequence[ObjectId] = ()) -> Object:
        """A coin of SUI to pay with."""

    def package(self, alias: str) -> ObjectId:
        """Where calls to a package go."""

    def shared_at_genesis(self, head: tuple[str, str, str]) -> ObjectId | None:
        """The object of a type that every chain has one of."""

    def named(self, value: Any) -> Any:
        """The account, if the value is the name of one."""

    def rehearse(self, transaction: TransactionData) -> Simulated:
        """Runs without effect; raises what a failure deserves."""

    def submit(self, transaction: TransactionData, sender: Account) -> Executed:
        """Signs and executes."""


@dataclass(frozen=True)
class Returned:
    """Results of a command of a program; stands for the first one when it is used as an argument."""

    command: int
    function: Function
    type_arguments: tuple[MoveType, ...]

    def __getitem__(self, index: int) -> Argument:
        return NestedResult(self.command, index)

    @property
    def is_reference(self) -> bool:
        """Whether the function returns references, so that no transaction may call it."""
        return any(result.reference for result in self.function.signature.returns)


class Program:
    """Commands of one transaction. Arguments may be results of earlier commands."""

    def __init__(self, chain: RunsPrograms, sender: Account) -> None:
        self._chain = chain
        self.sender = sender
        self._draft = Draft(chain.ledger, sender)
        self._result_types: dict[Argument, TypeTag] = {}

    # Commands

    def call(self, function: str, /, *, types: Sequence[str] = (), at: str | None = None, **arguments: Any) -> Returned:
        """Adds a call; see `Chain.call` for the arguments.

        Raises:
            LookupError: there is no such function.
            ArgumentError: an argument is unknown, missing, or cannot stand for its parameter.
        """
        home, _, rest = function.partition("::")
        if home.startswith("0x"):
            at = at or home
            function = f"{self._chain.ledger.packages.alias_of(tags.normalize_address(home))}::{rest}"
        package, module, found = find_function(function)
        named = {name.lstrip("_"): value for name, value in arguments.items()}
        names = {parameter.name for parameter in found.signature.arguments}
        for bitmap, other in (("signers_bitmap", "members_bitmap"), ("members_bitmap", "signers_bitmap")):
            if bitmap in named and other in names:  # the contract has both names for the same thing
                named[other] = named.pop(bitmap)
        unknown = sorted(set(named) - names)
        if unknown:
            known = ", ".join(parameter.name for parameter in found.signature.arguments)
            raise ArgumentError(f"{function} has no argument {', '.join(unknown)}; it takes: {known or 'none'}")
        type_arguments = self._type_arguments(function, found, types, named)
        change: list[Argument] = []
        given = tuple(
            self._parameter(function, parameter, named, type_arguments, change)
            for parameter in found.signature.arguments
        )
        package_id = self._chain.package(package) if at is None else values.address_of(at)
        texts = tuple(self.published(item.tag) for item in type_arguments)
        returned = Returned(
            self._draft.add(MoveCall(package_id, module, found.name, texts, given)), found, type_arguments
        )
        for index, move_type in enumerate(self.types_of(returned)):
            self._result_types[returned[index]] = move_type.tag
        if change:
            self.transfer(change, self.sender)
        return returned

    def split(self, coin: Any, amounts: Sequence[int]) -> Argument:
        """Splits coins off; with one amount the result is that coin."""
        source = coin if isinstance(coin, Argument) else self.argument(coin, None, mutable=True)
        made = self._draft.split(source, amounts)
        tag = self._tag_of(coin)
        if tag is not None:
            self._result_types[made] = tag
        return made

    def split_gas(self, amount: int) -> Argument:
        """Takes SUI off the gas coin."""
        return self.split(GAS_COIN, [amount])

    def money(self, coin_type: str, amount: int) -> Argument:
        """A new coin of this amount, off the sender's coins of a type; they are merged when no single one suffices.

        Raises:
            ArgumentError: the sender has less.
        """
        if coin_type == self._chain.network.sui_type:
            return self.split_gas(amount)
        made = self._draft.money(coin_type, amount)
        self._result_types[made] = self._chain.type_of(f"{COIN_PREFIX}{coin_type}>").tag
        return made

    def vector(self, elements: Sequence[Any], element_type: str | None = None) -> Argument:
        """A vector of objects or results."""
        made = tuple(self.argument(element, None, mutable=True) for element in elements)
        return NestedResult(self._draft.add(MakeMoveVec(element_type, made)), 0)

    def upgrade(
        self, ticket: Any, modules: Sequence[bytes], dependencies: Sequence[ObjectId] = (), *, package: ObjectId
    ) -> Argument:
        """Upgrades a package; gives the receipt, which must be committed in the same transaction."""
        given = self.argument(ticket, None, mutable=True)
        return NestedResult(self._draft.add(Upgrade(tuple(modules), tuple(dependencies), package, given)), 0)

    def transfer(self, objects: Sequence[Any], recipient: Any) -> None:
        """Sends objects away."""
        sent = tuple(self.argument(value, None, mutable=True) for value in objects)
        self._draft.add(
            TransferObjects(sent, self._draft.pure(bytes.fromhex(values.address_of(self.named(recipient))[2:])))
        )

    # The transaction

    def types_of(self, returned: Returned) -> tuple[MoveType, ...]:
        """Types of a command's results."""
        arguments = tuple(item.tag for item in returned.type_arguments)
        results = returned.function.signature.returns
        return tuple(registry.resolve(substitute(result.tag, arguments)) for result in results)

    def published(self, tag: TypeTag) -> str:
        """A type as text, as this chain writes it."""
        return str(self._chain.network.packages.published(tag))

    def transaction(self) -> TransactionData:
        """The transaction as it stands, paid with the sender's largest coin."""
        coin = self._chain.gas_coin(self.sender, without=self._draft.objects)
        data = GasData((coin.ref,), self.sender.address, gas.REFERENCE_GAS_PRICE, BUDGET)
        return TransactionData(self._draft.kind, self.sender.address, data)

    def run(self) -> Executed:
        """Signs and executes; raises like `Chain.call`."""
        transaction = self.transaction()
        self._chain.rehearse(transaction)
        return self._chain.submit(transaction, self.sender)

    def run_for_values(self, returned: Returned) -> list[Any]:
        """Executes and gives the values that one of its commands returned, decoded."""
        transaction = self.transaction()
        simulated = self._chain.rehearse(transaction)
        self._chain.submit(transaction, self.sender)
        return self._outputs(simulated, returned)

    def inspect(self, returned: Returned) -> list[Any]:
        """Values that a command would return, references followed; nothing is executed. Raises like `Chain.call`."""
        simulated = self._chain.ledger.simulate(self.transaction(), checks=False)
        # A result that must be used fails the transaction only after the function has returned it.
        if len(simulated.outputs) <= returned.command:
            raise_failure(simulated.executed.effects.failure)
        return self._outputs(simulated, returned)

    def _outputs(self, simulated: Simulated, returned: Returned) -> list[Any]:
        found = simulated.outputs[returned.command].return_values
        return [self._chain.type_of(value.type).from_bcs(value.bcs) for value in found]

    # Arguments

    def argument(self, value: Any, move_type: MoveType | None, *, mutable: bool) -> Argument:
        """Makes an argument of a value; without a type it is an object."""
        if isinstance(value, Argument):
            return value
        if isinstance(value, Returned):
            return value[0]
        if move_type is None or "key" in move_type.abilities:
            return self._object_argument(value, move_type, mutable=mutable)
        made = constructors.construct(self, move_type, value)
        if made is not None:
            return made
        if isinstance(move_type, Vector) and not move_type.is_pure:
            items = [self.argument(item, move_type.element, mutable=True) for item in value]
            return self.vector(items, self.published(move_type.element.tag))
        if isinstance(move_type, Option) and "key" in move_type.element.abilities:
            return self._option(value, move_type)
        if isinstance(move_type, VecMap):
            return self._map(value, move_type)
        if not move_type.is_pure:
            raise ArgumentError(f"a {move_type.tag.name} is made by a call: put it into a program and pass its result")
        return self._draft.pure(values.to_bcs(move_type, self.named(value) if move_type is ADDRESS else value))

    def _parameter(
        self,
        function: str,
        parameter: Parameter,
        named: dict[str, Any],
        type_arguments: tuple[MoveType, ...],
        change: list[Argument],
    ) -> Argument:
        tag = substitute(parameter.tag, tuple(item.tag for item in type_arguments))
        move_type = registry.resolve(tag)
        try:
            if parameter.name not in named:
                return self._default(move_type, mutable=parameter.reference != "&")
            made = self.argument(named[parameter.name], move_type, mutable=parameter.reference != "&")
        except ArgumentError as error:
            raise ArgumentError(f"{function}, argument {parameter.name}: {error}") from None
        if parameter.reference and isinstance(named[parameter.name], int) and "key" in move_type.abilities:
            change.append(made)  # a coin that was made for this call and is only lent to it
        return made

    def named(self, value: Any) -> Any:
        """The account, if the value is the name of one; otherwise the value."""
        return self._chain.named(value)

    def owns_object(self, address: str) -> bool:
        """Whether an address is the id of a live object."""
        return self._chain.ledger.object(ObjectId(address)) is not None

    def _default(self, move_type: MoveType, *, mutable: bool) -> Argument:
        found = self._chain.shared_at_genesis(move_type.tag.head)
        if found is not None:
            return self._draft.object(found, mutable=mutable)
        made = constructors.default(self, move_type)
        if made is None:
            raise ArgumentError("is missing")
        return made

    def _object_argument(self, value: Any, move_type: MoveType | None, *, mutable: bool) -> Argument:
        if isinstance(value, int | float) and move_type is not None:
            coin_type = self.published(move_type.tag)
            if not coin_type.startswith(COIN_PREFIX):
                raise ArgumentError(f"{value} is no {move_type.tag.name}: give its id or a handle")
            if not isinstance(value, int) or value < 0:
                raise ArgumentError(
                    f"{value} is no amount: give a whole number of the smallest unit, an id or a handle"
                )
            return self.money(coin_type[len(COIN_PREFIX) : -1], value)
        if isinstance(value, Node) and (move_type is None or move_type.tag.name == "StorageNodeCap"):
            value = value.cap_id
        return self._draft.object(values.address_of(value), mutable=mutable)

    def _option(self, value: Any, move_type: Option) -> Argument:
        text = [self.published(move_type.element.tag)]
        if value is None:
            return self.call("option::none", types=text)[0]
        return self.call("option::some", types=text, e=self.argument(value, move_type.element, mutable=True))[0]

    def _map(self, value: Any, move_type: VecMap) -> Argument:
        entries = values.plain(move_type, value)
        text = [self.published(move_type.key.tag), self.published(move_type.value.tag)]
        keys, items = list(entries), list(entries.values())
        return self.call("vec_map::from_keys_values", types=text, keys=keys, values=items)[0]

    # Types

    def _type_arguments(
        self, function: str, found: Function, texts: Sequence[str], named: dict[str, Any]
    ) -> tuple[MoveType, ...]:
        if texts or not found.signature.type_parameters:
            network = self._chain.network
            short = {"WAL": network.wal_type, "SUI": network.sui_type}
            return tuple(self._chain.type_of(short.get(text, text)) for text in texts)
        known: dict[int, TypeTag] = {}
        for parameter in found.signature.arguments:
            tag = self._tag_of(named.get(parameter.name))
            if tag is not None:
                match_types(parameter.tag, tag, known)
        if len(known) != len(found.signature.type_parameters):
            raise ArgumentError(f"{function}: its type arguments do not follow from the arguments: give types=[...]")
        return tuple(registry.resolve(known[index]) for index in sorted(known))

    def _tag_of(self, value: Any) -> TypeTag | None:
        if isinstance(value, Returned):
            return self._result_types.get(value[0])
        if isinstance(value, NestedResult):
            return self._result_types.get(value)
        try:
            obj = self._chain.ledger.object(value.cap_id if isinstance(value, Node) else values.address_of(value))
        except ArgumentError:
            return None
        return None if obj is None or obj.is_package else self._chain.type_of(obj.type).tag
