"""Runs the commands of a programmable transaction, one after the other, against the native modules.

It works on a `Runtime` and on slots only: the caller loads the inputs before and turns what is left into effects after.
Any failure ends the run; the caller then throws run-time and slots away.

Source: Sui's execution layer (``programmable_transactions``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.devnet.ledger import returns, upgrades
from walrus_sui.devnet.ledger.cliques import Cliques
from walrus_sui.devnet.ledger.failures import ArgumentErrorKind, FailureKind, TypeArgumentErrorKind
from walrus_sui.devnet.ledger.objects import COIN_PREFIX, Package
from walrus_sui.devnet.ledger.programs import (
    Argument,
    Command,
    GasCoin,
    Input,
    MakeMoveVec,
    MergeCoins,
    MoveCall,
    NestedResult,
    Result,
    SplitCoins,
    TransferObjects,
    Upgrade,
    arguments_of,
)
from walrus_sui.devnet.ledger.slots import CommandFailed, Slot, bad_argument
from walrus_sui.devnet.ledger.upgrades import LoadPackage
from walrus_sui.devnet.ledger.views import CommandOutput, TypedValue
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.aborts import U64_MAX
from walrus_sui.devnet.move.core.module import Function
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.signatures import Parameter, substitute
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import ADDRESS, U64, MoveType, Vector
from walrus_sui.devnet.move.framework.coin import Balance, Coin
from walrus_sui.devnet.move.framework.package import UPGRADE_RECEIPT, UPGRADE_TICKET, UpgradeReceipt


@dataclass(frozen=True, slots=True)
class EmittedBy:
    """Which call emitted an event."""

    package: ObjectId
    module: str


class Interpreter:
    """One run of a transaction's commands.

    Functions that return references cannot be called, except with `inspect`: then the values behind the references come
    back, and no result need be used.

    Attributes:
        emitters: for each event of the run-time, the call that emitted it.
        outputs: what each command gave, if `collect`.
        packages: new packages.
        gas_recipient: who gets the gas coin, if it was sent away.
        at: index of the current command.
    """

    def __init__(
        self,
        rt: Runtime,
        inputs: Sequence[Slot],
        gas: Slot | None,
        *,
        collect: bool = False,
        inspect: bool = False,
        load_package: LoadPackage = lambda _: None,
    ) -> None:
        self._rt = rt
        self._inputs = inputs
        self._gas = gas
        self._results: list[list[Slot]] = []
        self._collect = collect
        self._inspect = inspect
        self._load_package = load_package
        self._cliques: Cliques | None = None  # only where a private entry function is called
        self.packages: list[Package] = []
        self.emitters: list[EmittedBy] = []
        self.outputs: list[CommandOutput] = []
        self.gas_recipient: SuiAddress | None = None
        self.at: int | None = None

    def run(self, commands: Sequence[Command]) -> None:
        """Runs all commands.

        Raises:
            CommandFailed: a command cannot be carried out.
            MoveFailure: native code aborted.
        """
        if not self._inspect and any(self._is_private(command) for command in commands):
            self._cliques = Cliques()
        for index, command in enumerate(commands):
            self.at = index
            lent: list[tuple[Argument, MoveType, Any]] = []
            results = self._command(command, lent)
            slots = [Slot(move_type, value) for move_type, value in results]
            if self._cliques is not None:
                self._cliques.join(self._slots(arguments_of(command)), slots)
            self._results.append(slots)
            if self._collect:
                self._note_output(results, lent)
        self.at = None
        if not self._inspect:
            self._check_leftovers()

    def _command(self, command: Command, lent: list[tuple[Argument, MoveType, Any]]) -> list[tuple[MoveType, Any]]:
        match command:
            case MoveCall():
                return self._move_call(command, lent)
            case TransferObjects():
                return self._transfer(command)
            case SplitCoins():
                return self._split(command)
            case MergeCoins():
                return self._merge(command)
            case MakeMoveVec():
                return self._make_vector(command)
            case Upgrade():
                return self._upgrade(command)
            case _:
                raise CommandFailed(FailureKind.FEATURE_NOT_YET_SUPPORTED)

    def _note_output(self, results: list[tuple[MoveType, Any]], lent: list[tuple[Argument, MoveType, Any]]) -> None:
        self.outputs.append(
            CommandOutput(
                tuple(self._typed(move_type, value) for move_type, value in results),
                tuple((argument, self._typed(move_type, value)) for argument, move_type, value in lent),
            )
        )

    def _typed(self, move_type: MoveType, value: Any) -> TypedValue:
        return TypedValue(str(self._rt.rules.packages.published(move_type.tag)), move_type.to_bcs(value))

    def _check_leftovers(self) -> None:
        for index, results in enumerate(self._results):
            for sub_index, slot in enumerate(results):
                if slot.is_left and slot.move_type is not None and "drop" not in slot.move_type.abilities:
                    note = f"a result of type {slot.move_type.tag} was not used"
                    raise CommandFailed(
                        FailureKind.UNUSED_VALUE_WITHOUT_DROP, index=index, sub_index=sub_index, note=note
                    )

    # Arguments

    def _slot(self, argument: Argument, place: int) -> Slot:
        match argument:
            case GasCoin():
                if self._gas is None:
                    raise bad_argument(place, ArgumentErrorKind.INVALID_GAS_COIN_USAGE)
                return self._gas
            case Input(index):
                if index >= len(self._inputs):
                    raise bad_argument(place, ArgumentErrorKind.INDEX_OUT_OF_BOUNDS, index=index)
                return self._inputs[index]
            case Result(index):
                if index >= len(self._results):
                    raise bad_argument(place, ArgumentErrorKind.INDEX_OUT_OF_BOUNDS, index=index)
                if len(self._results[index]) != 1:
                    raise bad_argument(place, ArgumentErrorKind.INVALID_RESULT_ARITY, index=index)
                return self._results[index][0]
            case NestedResult(index, sub_index):
                if index >= len(self._results):
                    raise bad_argument(place, ArgumentErrorKind.INDEX_OUT_OF_BOUNDS, index=index)
                if sub_index >= len(self._results[index]):
                    kind = ArgumentErrorKind.SECONDARY_INDEX_OUT_OF_BOUNDS
                    raise bad_argument(place, kind, index=index, sub_index=sub_index)
                return self._results[index][sub_index]

    def _slots(self, arguments: Sequence[Argument]) -> list[Slot]:
        return [self._slot(argument, place) for place, argument in enumerate(arguments)]

    # Move calls

    def _is_private(self, command: Command) -> bool:
        if not isinstance(command, MoveCall):
            return False
        package = self._rt.rules.packages.alias_of(command.package)
        function = registry.function(package, command.module, command.function)
        return function is not None and not function.is_public

    def _move_call(self, command: MoveCall, lent: list[tuple[Argument, MoveType, Any]]) -> list[tuple[MoveType, Any]]:
        package = self._rt.rules.packages.alias_of(command.package)
        function = registry.function(package, command.module, command.function)
        if function is None:
            note = f"no function {command.package}::{command.module}::{command.function}"
            raise CommandFailed(FailureKind.FUNCTION_NOT_FOUND, note=note)
        type_arguments = self._type_arguments(function, command.type_arguments)
        if not self._inspect:
            returns.check(function)
        parameters = function.signature.arguments
        if len(parameters) != len(command.arguments):
            note = f"{command.module}::{command.function} takes {len(parameters)} arguments, {len(command.arguments)} given"
            raise CommandFailed(FailureKind.ARITY_MISMATCH, note=note)
        argument_tags = tuple(move_type.tag for move_type in type_arguments)
        values = self._arguments(parameters, command.arguments, argument_tags, lent)
        if not function.is_public and self._cliques is not None:
            hot = self._cliques.first_hot(self._slots(command.arguments))
            if hot is not None:
                note = f"{function.name} is private, and the argument hangs together with a value that must be used up first"
                raise bad_argument(hot, ArgumentErrorKind.INVALID_ARGUMENT_TO_PRIVATE_ENTRY_FUNCTION, note)
        emitted = len(self._rt.events)
        self._rt.upgrades = self._rt.rules.packages.upgrades_behind(command.package)
        returned = function.run(self._rt, *([type_arguments] if type_arguments else []), *values)
        self.emitters += [EmittedBy(command.package, command.module)] * (len(self._rt.events) - emitted)
        return returns.typed(function, argument_tags, returned)

    def _type_arguments(self, function: Function, texts: Sequence[str]) -> tuple[MoveType, ...]:
        wanted = function.signature.type_parameters
        if len(wanted) != len(texts):
            raise CommandFailed(FailureKind.TYPE_ARITY_MISMATCH, note=f"{len(wanted)} type arguments expected")
        found: list[MoveType] = []
        for index, (abilities, text) in enumerate(zip(wanted, texts, strict=True)):
            move_type = self._resolve(text, index)
            if not abilities <= move_type.abilities:
                kind = TypeArgumentErrorKind.CONSTRAINT_NOT_SATISFIED
                raise CommandFailed(FailureKind.TYPE_ARGUMENT_ERROR, argument=index, type_argument_kind=kind)
            found.append(move_type)
        return tuple(found)

    def _resolve(self, text: str, index: int) -> MoveType:
        try:
            return registry.resolve(self._rt.rules.packages.aliased(tags.parse(text)))
        except (registry.UnknownType, tags.TypeTagError) as error:
            kind = TypeArgumentErrorKind.TYPE_NOT_FOUND
            raise CommandFailed(
                FailureKind.TYPE_ARGUMENT_ERROR, argument=index, type_argument_kind=kind, note=str(error)
            ) from None

    def _arguments(
        self,
        parameters: Sequence[Parameter],
        arguments: Sequence[Argument],
        type_arguments: tuple[TypeTag, ...],
        lent: list[tuple[Argument, MoveType, Any]],
    ) -> list[Any]:
        values: list[Any] = []
        uses: dict[int, str] = {}
        for place, (parameter, argument) in enumerate(zip(parameters, arguments, strict=True)):
            slot = self._slot(argument, place)
            wanted = registry.resolve(substitute(parameter.tag, type_arguments))
            if parameter.reference:
                mutable = parameter.reference == "&mut"
                earlier = uses.get(id(slot))
                if earlier is not None and (mutable or earlier == "&mut"):
                    note = "a value that is borrowed mutably cannot be used twice in one call"
                    raise bad_argument(place, ArgumentErrorKind.INVALID_VALUE_USAGE, note)
                move_type, value = slot.borrow(place, wanted, mutable=mutable)
                uses[id(slot)] = parameter.reference
                if mutable:
                    lent.append((argument, move_type, value))
            else:
                if id(slot) in uses and slot.pure is None:
                    note = "a value that is borrowed cannot be moved by the same call"
                    raise bad_argument(place, ArgumentErrorKind.INVALID_VALUE_USAGE, note)
                _, value = slot.take(place, wanted)
            values.append(value)
        return values

    # Other commands

    def _transfer(self, command: TransferObjects) -> list[tuple[MoveType, Any]]:
        taken: list[tuple[MoveType, Any, bool]] = []
        for place, argument in enumerate(command.objects):
            slot = self._slot(argument, place)
            move_type, value = slot.take(place, None, gas_may_go=True)
            if not {"key", "store"} <= move_type.abilities:
                raise CommandFailed(FailureKind.INVALID_TRANSFER_OBJECT, note=f"{move_type.tag} cannot be transferred")
            taken.append((move_type, value, slot.is_gas))
        place = len(command.objects)
        _, recipient = self._slot(command.address, place).take(place, ADDRESS)
        for move_type, value, is_gas in taken:
            if is_gas:
                self.gas_recipient = recipient
            else:
                self._rt.transfer(move_type, value, recipient)
        return []

    def _coin(self, argument: Argument, place: int) -> tuple[MoveType, Coin]:
        move_type, value = self._slot(argument, place).borrow(place, None, mutable=True)
        if not str(move_type.tag).startswith(COIN_PREFIX):
            raise bad_argument(place, ArgumentErrorKind.TYPE_MISMATCH, f"a coin expected, {move_type.tag} given")
        coin: Coin = value
        return move_type, coin

    def _split(self, command: SplitCoins) -> list[tuple[MoveType, Any]]:
        move_type, coin = self._coin(command.coin, 0)
        amounts = [
            self._slot(argument, place).take(place, U64)[1] for place, argument in enumerate(command.amounts, start=1)
        ]
        results: list[tuple[MoveType, Any]] = []
        for amount in amounts:
            if amount > coin.balance.value:
                note = f"{amount} to split off, {coin.balance.value} left"
                raise CommandFailed(FailureKind.INSUFFICIENT_COIN_BALANCE, note=note)
            coin.balance.value -= amount
            results.append((move_type, Coin(self._rt.new_uid(), Balance(amount))))
        return results

    def _merge(self, command: MergeCoins) -> list[tuple[MoveType, Any]]:
        move_type, coin = self._coin(command.coin, 0)
        target = self._slot(command.coin, 0)
        for place, argument in enumerate(command.sources, start=1):
            slot = self._slot(argument, place)
            if slot is target:
                raise bad_argument(place, ArgumentErrorKind.INVALID_VALUE_USAGE, "a coin cannot be merged into itself")
            _, source = slot.take(place, move_type)
            if coin.balance.value + source.balance.value > U64_MAX:
                raise CommandFailed(FailureKind.COIN_BALANCE_OVERFLOW)
            coin.balance.join(source.into_balance(self._rt))
        return []

    def _upgrade(self, command: Upgrade) -> list[tuple[MoveType, Any]]:
        _, ticket = self._slot(command.ticket, 0).take(0, UPGRADE_TICKET)
        new_id = self._rt.new_uid()
        self.packages.append(upgrades.upgrade(command, ticket, new_id, self._load_package))
        return [(UPGRADE_RECEIPT, UpgradeReceipt(ticket.cap, new_id))]

    def _make_vector(self, command: MakeMoveVec) -> list[tuple[MoveType, Any]]:
        wanted = None if command.element_type is None else self._resolve(command.element_type, 0)
        values: list[Any] = []
        for place, argument in enumerate(command.elements):
            element, value = self._slot(argument, place).take(place, wanted)
            if wanted is None and "key" not in element.abilities:
                note = "without a type, the elements of a vector must be objects"
                raise bad_argument(place, ArgumentErrorKind.TYPE_MISMATCH, note)
            wanted = element
            values.append(value)
        if wanted is None:
            raise CommandFailed(FailureKind.ARITY_MISMATCH, note="a vector needs a type or an element")
        move_type = registry.resolve(tags.vector(wanted.tag))
        return [(move_type, values if isinstance(move_type, Vector) else bytes(values))]
