"""One transaction from loaded inputs to its outcome.

The inputs are decoded into slots, the commands run on a `Runtime`, and what is left in slots, run-time and children
becomes the set of writes. A failure drops all of that: then the inputs are written as they were, and only the gas coin
has changed.
"""

from collections.abc import Sequence
from dataclasses import replace

from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.devnet.ledger import digests, gas
from walrus_sui.devnet.ledger.effects import Event, GasUsed, IdOperation
from walrus_sui.devnet.ledger.failures import Failure, FailureKind, MoveLocation
from walrus_sui.devnet.ledger.inputs import LoadedInputs
from walrus_sui.devnet.ledger.interpreter import Interpreter
from walrus_sui.devnet.ledger.objects import (
    IMMUTABLE,
    PACKAGE_TYPE,
    AddressOwner,
    ImmutableOwner,
    Object,
    ObjectOwner,
    Owner,
    Package,
    SharedOwner,
)
from walrus_sui.devnet.ledger.programs import MoveCall, Pure, SharedObject
from walrus_sui.devnet.ledger.settlement import Draft, Outcome, Settlement, Writes
from walrus_sui.devnet.ledger.slots import CommandFailed, Slot
from walrus_sui.devnet.ledger.state import State
from walrus_sui.devnet.ledger.transactions import TransactionData
from walrus_sui.devnet.ledger.views import CommandOutput
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.aborts import MoveAbort, MoveFailure
from walrus_sui.devnet.move.core.runtime import ChainRules, Destination, Runtime, Stored
from walrus_sui.devnet.move.framework.coin import Balance, Coin


class Execution:
    """Runs one transaction against a state that it does not change.

    Args:
        state: live objects.
        rules: what genesis fixed.
        transaction: a checked programmable transaction.
        digest: its digest.
        inputs: its objects.
        strict: check that native code changes only what it borrowed mutably; a violation is a bug, not a failure.
        collect: keep the results of commands.
        inspect: let functions return references and leave results unused, as simulations without checks do.
    """

    def __init__(
        self,
        state: State,
        rules: ChainRules,
        *,
        transaction: TransactionData,
        digest: Digest,
        inputs: LoadedInputs,
        strict: bool = False,
        collect: bool = False,
        inspect: bool = False,
    ) -> None:
        self._state = state
        self._transaction = transaction
        self._inputs = inputs
        self._collect = collect
        self._inspect = inspect
        self._outputs: tuple[CommandOutput, ...] = ()
        self._settlement = Settlement(state, transaction, digest, inputs)
        self._rt = Runtime(
            sender=transaction.sender,
            digest=digests.to_bytes(digest),
            rules=rules,
            load=self._load,
            resolve=registry.resolve,
            strict=strict,
        )

    def run(self, epoch: int) -> Outcome:
        """Runs the transaction; `epoch` is the Sui epoch to state in the effects."""
        failure: Failure | None = None
        try:
            writes = self._run()
        except _Failed as failed:
            writes, failure = self._untouched(), failed.failure
        before = self._settlement.before(writes)
        used = self._settlement.charge(writes, before)
        if failure is None and not gas.fits(used, self._transaction.gas.budget):
            writes = self._untouched()
            failure = Failure(FailureKind.INSUFFICIENT_GAS, note="the budget does not cover the storage written")
            before = self._settlement.before(writes)
            used = self._settlement.charge(writes, before)
        metered = gas.fits(used, self._transaction.gas.budget)
        if not metered:  # not even the inputs can be written again at their price: all of the budget goes
            used = GasUsed(self._transaction.gas.budget, 0, 0, 0)
        outcome = self._settlement.settle(writes, before, failure, used, epoch=epoch, metered=metered)
        return replace(outcome, outputs=self._outputs) if self._outputs else outcome

    def _load(self, object_id: ObjectId) -> Stored | None:
        obj = self._state.get(object_id)
        if obj is None or not isinstance(obj.owner, ObjectOwner):
            return None
        return Stored(obj.owner.object_id, self._aliased(obj), obj.contents)

    def _package(self, object_id: ObjectId) -> Package | None:
        obj = self._state.get(object_id)
        return Package.from_bcs(obj.contents) if obj is not None and obj.is_package else None

    def _aliased(self, obj: Object) -> tags.TypeTag:
        return self._rt.rules.packages.aliased(tags.parse(obj.type))

    def _published(self, tag: tags.TypeTag) -> str:
        return str(self._rt.rules.packages.published(tag))

    # Running

    def _run(self) -> Writes:
        slots = [
            self._slot(given, obj) for given, obj in zip(self._transaction.inputs, self._inputs.objects, strict=True)
        ]
        gas_coin = self._gas_coin()
        gas_slot = None if gas_coin is None else self._gas_slot(gas_coin)
        interpreter = Interpreter(
            self._rt, slots, gas_slot, load_package=self._package, collect=self._collect, inspect=self._inspect
        )
        try:
            interpreter.run(self._transaction.commands)
            return self._writes(interpreter, slots, gas_coin)
        except CommandFailed as failed:
            raise _Failed(_command_failure(failed, interpreter.at)) from None
        except MoveFailure as failed:
            raise _Failed(self._move_failure(failed, interpreter.at)) from None
        finally:
            self._outputs = tuple(interpreter.outputs)

    def _slot(self, given: object, obj: Object | None) -> Slot:
        if isinstance(given, Pure) or obj is None:
            return Slot(None, None, pure=given.data if isinstance(given, Pure) else b"")
        try:
            move_type = registry.resolve(self._aliased(obj))
        except registry.UnknownType as error:
            note = f"object {obj.object_id}: {error}"
            raise _Failed(Failure(FailureKind.VM_INVARIANT_VIOLATION, note=note)) from None
        writable = given.mutable if isinstance(given, SharedObject) else not isinstance(obj.owner, ImmutableOwner)
        owned = isinstance(obj.owner, AddressOwner)
        return Slot(move_type, move_type.from_bcs(obj.contents), source=obj, lends_mutably=writable, gives=owned)

    def _gas_coin(self) -> Coin | None:
        if not self._inputs.payment:
            return None
        return Coin(self._inputs.payment[0].object_id, Balance(self._paid_in() - self._transaction.gas.budget))

    def _gas_slot(self, coin: Coin) -> Slot:
        first = self._inputs.payment[0]
        return Slot(registry.resolve(tags.parse(first.type)), coin, source=first, is_gas=True)

    def _paid_in(self) -> int:
        return sum(coin.coin_balance or 0 for coin in self._inputs.payment)

    # What is written

    def _writes(self, interpreter: Interpreter, slots: Sequence[Slot], gas_coin: Coin | None) -> Writes:
        rt = self._rt
        drafts: dict[ObjectId, Draft] = {}
        gone: dict[ObjectId, IdOperation] = {}
        for slot in slots:
            self._write_input(slot, drafts, gone)
        for child_id, change in rt.child_changes().items():
            if change.contents is None:
                gone[child_id] = IdOperation.NONE
            else:
                kind, owner = change.move_type, ObjectOwner(change.parent)
                drafts[child_id] = Draft(self._published(kind.tag), change.contents, owner, "store" in kind.abilities)
        for object_id, sent in rt.transfers.items():
            kind, owner_ = sent.move_type, self._owner(sent.destination, sent.recipient)
            text = self._published(kind.tag)
            drafts[object_id] = Draft(text, kind.to_bcs(sent.value), owner_, "store" in kind.abilities)
        for package in interpreter.packages:
            drafts[package.object_id] = Draft(
                PACKAGE_TYPE, package.to_bcs(), IMMUTABLE, has_public_transfer=True, package_version=package.version
            )
        gas_left = None
        if gas_coin is not None:
            gas_left = self._transaction.gas.budget + gas_coin.balance.value
            self._write_gas(gas_left, interpreter.gas_recipient, drafts, gone)
        gone |= dict.fromkeys(rt.deleted, IdOperation.DELETED)
        # Wrapped and re-sent objects live on; what was neither live before nor deleted now leaves no trace.
        gone = {
            object_id: operation
            for object_id, operation in gone.items()
            if object_id not in drafts and (operation is IdOperation.DELETED or self._state.get(object_id) is not None)
        }
        events = tuple(
            Event(by.package, by.module, rt.sender, self._published(emitted.move_type.tag), emitted.contents)
            for emitted, by in zip(rt.events, interpreter.emitters, strict=True)
        )
        return Writes(drafts, gone, frozenset(rt.created), events, gas_left)

    def _write_input(self, slot: Slot, drafts: dict[ObjectId, Draft], gone: dict[ObjectId, IdOperation]) -> None:
        obj = slot.source
        if obj is None or slot.move_type is None:
            return
        if not slot.lends_mutably:
            if self._rt.strict and slot.move_type.to_bcs(slot.value) != obj.contents:
                raise RuntimeError(f"{obj.type} {obj.object_id} was changed although only lent for reading")
        elif not slot.is_left:
            gone[obj.object_id] = IdOperation.NONE
        else:
            contents = slot.move_type.to_bcs(slot.value) if slot.changed else obj.contents
            drafts[obj.object_id] = Draft(obj.type, contents, obj.owner, obj.has_public_transfer)

    def _write_gas(
        self,
        gas_left: int,
        recipient: SuiAddress | None,
        drafts: dict[ObjectId, Draft],
        gone: dict[ObjectId, IdOperation],
    ) -> None:
        first, *smashed = self._inputs.payment
        contents = first.contents[:32] + gas_left.to_bytes(8, "little")
        owner = first.owner if recipient is None else AddressOwner(recipient)
        drafts[first.object_id] = Draft(first.type, contents, owner, has_public_transfer=True)
        gone |= {coin.object_id: IdOperation.DELETED for coin in smashed}

    def _owner(self, destination: Destination, recipient: SuiAddress | None) -> Owner:
        if destination is Destination.ADDRESS and recipient is not None:
            return AddressOwner(recipient)
        return SharedOwner(self._inputs.lamport_version) if destination is Destination.SHARED else IMMUTABLE

    def _untouched(self) -> Writes:
        """What a failed transaction writes: its mutable inputs as they were, and the gas coin."""
        drafts: dict[ObjectId, Draft] = {}
        gone: dict[ObjectId, IdOperation] = {}
        for given, obj in zip(self._transaction.inputs, self._inputs.objects, strict=True):
            read_only = isinstance(given, SharedObject) and not given.mutable
            if obj is not None and not read_only and not isinstance(obj.owner, ImmutableOwner):
                drafts[obj.object_id] = Draft(obj.type, obj.contents, obj.owner, obj.has_public_transfer)
        gas_left = None
        if self._inputs.payment:
            gas_left = self._paid_in()
            self._write_gas(gas_left, None, drafts, gone)
        return Writes(drafts, gone, frozenset(), (), gas_left)

    # Failures

    def _move_failure(self, failed: MoveFailure, command: int | None) -> Failure:
        if isinstance(failed, MoveAbort):
            package = self._rt.rules.packages.id_of(failed.package)
            location = MoveLocation(package, failed.module, failed.function)
            return Failure(FailureKind.MOVE_ABORT, command, location=location, abort_code=failed.code, note=failed.name)
        called = None if command is None else self._transaction.commands[command]
        place = MoveLocation(called.package, called.module, called.function) if isinstance(called, MoveCall) else None
        return Failure(FailureKind.MOVE_PRIMITIVE_RUNTIME_ERROR, command, location=place, note=str(failed))


class _Failed(Exception):  # noqa: N818 - carries a status
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.description)
        self.failure = failure


def _command_failure(failed: CommandFailed, command: int | None) -> Failure:
    return Failure(
        failed.kind,
        command,
        argument=failed.argument,
        argument_kind=failed.argument_kind,
        type_argument_kind=failed.type_argument_kind,
        upgrade=failed.upgrade,
        index=failed.index,
        sub_index=failed.sub_index,
        note=failed.note,
    )
