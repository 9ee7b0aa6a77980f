"""Outcomes of transactions as messages: effects, failures, events, balance changes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from walrus_codec.types import ObjectId
from walrus_proto.sui.rpc.v2 import effects_pb2, object_pb2
from walrus_sui.devnet.ledger.digests import to_text
from walrus_sui.devnet.ledger.records import (
    AddressOwner,
    ArgumentErrorKind,
    Effects,
    Event,
    Executed,
    Failure,
    FailureKind,
    GasUsed,
    IdOperation,
    MoveLocation,
    Object,
    ObjectChange,
    UpgradeError,
)
from walrus_sui.devnet.server.masks import EVERYTHING, Mask
from walrus_sui.devnet.server.render import objects, transactions
from walrus_sui.devnet.server.render.objects import AsJson
from walrus_sui.devnet.server.render.values import json_value, timestamp

_SHOW_TYPES = ("changed_objects", "gas_object", "unchanged_consensus_objects")


def needs_objects(mask: Mask) -> bool:
    """Whether a mask over ExecutedTransaction wants what is rendered from input and output objects."""
    return mask.has("objects", "balance_changes") or mask.sub("effects").has(*_SHOW_TYPES)


_ID_OPERATIONS = {
    IdOperation.NONE: effects_pb2.ChangedObject.NONE,
    IdOperation.CREATED: effects_pb2.ChangedObject.CREATED,
    IdOperation.DELETED: effects_pb2.ChangedObject.DELETED,
}


def gas_used(value: GasUsed) -> effects_pb2.GasCostSummary:
    """What a transaction cost."""
    return effects_pb2.GasCostSummary(
        computation_cost=value.computation,
        storage_cost=value.storage,
        storage_rebate=value.rebate,
        non_refundable_storage_fee=value.non_refundable,
    )


def executed(
    value: Executed, as_json: AsJson, mask: Mask = EVERYTHING, *, position: int | None = None
) -> effects_pb2.ExecutedTransaction:
    """A transaction with its outcome, with what the mask wants of it.

    Args:
        value: its objects may be empty unless `needs_objects` of the mask.
        as_json: renders Move values.
        mask: over ExecutedTransaction.
        position: place within its checkpoint, None while it is in none.
    """
    message = effects_pb2.ExecutedTransaction(digest=value.digest)
    if value.checkpoint is not None:
        message.checkpoint = value.checkpoint
    if value.timestamp_ms is not None:
        message.timestamp.CopyFrom(timestamp(value.timestamp_ms))
    if position is not None:
        message.transaction_index = position
    if mask.has("transaction"):
        shown = transactions.transaction(value.transaction, value.tx_bytes, mask.sub("transaction"))
        message.transaction.CopyFrom(shown)
    if mask.has("signatures"):
        message.signatures.extend(transactions.signature(item) for item in value.signatures)
    if mask.has("effects"):
        inside = mask.sub("effects")
        touching = (*value.input_objects, *value.output_objects) if inside.has(*_SHOW_TYPES) else ()
        types = {item.object_id: item.type for item in touching}
        message.effects.CopyFrom(effects(value.effects, types, inside))
    if mask.has("events") and value.events:
        message.events.CopyFrom(events(value, as_json, mask.sub("events")))
    if mask.has("balance_changes"):
        message.balance_changes.extend(balance_changes(value.input_objects, value.output_objects))
    if mask.has("objects"):
        inside = mask.sub("objects").sub("objects")
        message.objects.objects.extend(objects.obj(item, as_json, inside) for item in touched([value]))
    return mask.prune(message)


def touched(transactions: Iterable[Executed]) -> list[Object]:
    """All object versions that stood before or after the transactions, each once, by id and version."""
    found = {
        (item.object_id, item.version): item
        for transaction in transactions
        for item in (*transaction.input_objects, *transaction.output_objects)
    }
    return [found[key] for key in sorted(found)]


def effects(value: Effects, types: Mapping[ObjectId, str], mask: Mask = EVERYTHING) -> effects_pb2.TransactionEffects:
    """Effects, with what the mask wants of them; `types` are those of the objects, as far as known."""
    message = effects_pb2.TransactionEffects(
        version=2,
        epoch=value.executed_epoch,
        transaction_digest=value.transaction_digest,
        events_digest=value.events_digest,
        lamport_version=value.lamport_version,
    )
    if mask.has("gas_used"):
        message.gas_used.CopyFrom(gas_used(value.gas_used))
    if mask.has("dependencies"):
        message.dependencies.extend(value.dependencies)
    message.status.success = value.succeeded
    if value.failure is not None:
        message.status.error.CopyFrom(_failure(value.failure))
    if mask.has("bcs"):
        message.bcs.name, message.bcs.value = "TransactionEffects", value.bcs
    if mask.has("digest"):
        message.digest = value.digest
    if mask.has("changed_objects"):
        message.changed_objects.extend(_change(item, types) for item in value.changed_objects)
    if (gas := value.gas_object) is not None and mask.has("gas_object"):
        message.gas_object.CopyFrom(_change(gas, types))
    for object_id, version, digest in value.unchanged_shared:
        message.unchanged_consensus_objects.add(
            kind=effects_pb2.UnchangedConsensusObject.READ_ONLY_ROOT,
            object_id=object_id,
            version=version,
            digest=digest,
            object_type=types.get(object_id),
        )
    return mask.prune(message)


def _change(value: ObjectChange, types: Mapping[ObjectId, str]) -> effects_pb2.ChangedObject:
    changed = effects_pb2.ChangedObject
    message = changed(
        object_id=value.object_id,
        input_state=changed.INPUT_OBJECT_STATE_EXISTS if value.before else changed.INPUT_OBJECT_STATE_DOES_NOT_EXIST,
        id_operation=_ID_OPERATIONS[value.operation],
        object_type=types.get(value.object_id),
    )
    if value.before is not None:
        message.input_version, message.input_digest = value.before.version, value.before.digest
        message.input_owner.CopyFrom(objects.owner(value.before.owner))
    if value.after is None:
        message.output_state = changed.OUTPUT_OBJECT_STATE_DOES_NOT_EXIST
        return message
    message.output_state = (
        changed.OUTPUT_OBJECT_STATE_PACKAGE_WRITE if value.is_package else changed.OUTPUT_OBJECT_STATE_OBJECT_WRITE
    )
    message.output_version, message.output_digest = value.after.version, value.after.digest
    message.output_owner.CopyFrom(objects.owner(value.after.owner))
    return message


def _failure(value: Failure) -> effects_pb2.ExecutionError:
    # The protobuf enum has UNKNOWN in front of the BCS variants, so each number is one higher.
    kind = effects_pb2.ExecutionError.ExecutionErrorKind.ValueType(value.kind + 1)
    message = effects_pb2.ExecutionError(description=value.description, kind=kind)
    if value.command is not None:
        message.command = value.command
    match value.kind:
        case FailureKind.MOVE_ABORT | FailureKind.MOVE_PRIMITIVE_RUNTIME_ERROR:
            if value.location is not None:
                message.abort.location.CopyFrom(_location(value.location))
            message.abort.abort_code = value.abort_code or 0
        case FailureKind.COMMAND_ARGUMENT_ERROR:
            message.command_argument_error.CopyFrom(_argument_error(value))
        case FailureKind.TYPE_ARGUMENT_ERROR:
            errors = effects_pb2.TypeArgumentError
            error = errors.TypeArgumentErrorKind.ValueType((value.type_argument_kind or 0) + 1)
            detail = errors(type_argument=value.argument or 0, kind=error)
            message.type_argument_error.CopyFrom(detail)
        case FailureKind.PACKAGE_UPGRADE_ERROR:
            if value.upgrade is not None:
                message.package_upgrade_error.CopyFrom(_upgrade_error(value.upgrade))
        case FailureKind.UNUSED_VALUE_WITHOUT_DROP:
            detail_index = effects_pb2.IndexError(index=value.index or 0, subresult=value.sub_index or 0)
            message.index_error.CopyFrom(detail_index)
        case FailureKind.INVALID_PUBLIC_FUNCTION_RETURN_TYPE:
            message.index_error.CopyFrom(effects_pb2.IndexError(index=value.index or 0))
        case _:
            pass
    return message


def _upgrade_error(value: UpgradeError) -> effects_pb2.PackageUpgradeError:
    errors = effects_pb2.PackageUpgradeError
    return errors(
        kind=errors.PackageUpgradeErrorKind.ValueType(value.kind + 1),
        package_id=value.package,
        ticket_id=value.ticket,
        digest=None if value.digest is None else to_text(value.digest),
    )


def _argument_error(value: Failure) -> effects_pb2.CommandArgumentError:
    errors = effects_pb2.CommandArgumentError
    kind = ArgumentErrorKind.TYPE_MISMATCH if value.argument_kind is None else value.argument_kind
    message = errors(argument=value.argument or 0, kind=errors.CommandArgumentErrorKind.ValueType(kind + 1))
    if value.index is not None:
        message.index_error.index = value.index
        if value.sub_index is not None:
            message.index_error.subresult = value.sub_index
    return message


def _location(value: MoveLocation) -> effects_pb2.MoveLocation:
    return effects_pb2.MoveLocation(
        package=value.package,
        module=value.module,
        function=value.function,
        instruction=value.instruction,
        function_name=value.function_name,
    )


def events(value: Executed, as_json: AsJson, mask: Mask = EVERYTHING) -> effects_pb2.TransactionEvents:
    """All events of a transaction in their order, with what the mask wants of them.

    As on a real node, events inside their transaction do not repeat its digest and checkpoint: the place in the list
    is the event's index.
    """
    message = effects_pb2.TransactionEvents(digest=value.effects.events_digest)
    if mask.has("bcs"):
        message.bcs.name, message.bcs.value = "TransactionEvents", value.events_bcs
    if mask.has("events"):
        with_json = mask.sub("events").has("json")
        message.events.extend(_event(event, as_json if with_json else None) for event in value.events)
    return mask.prune(message)


def _event(event: Event, as_json: AsJson | None) -> effects_pb2.Event:
    message = effects_pb2.Event(
        package_id=event.package,
        module=event.module,
        sender=event.sender,
        event_type=event.type,
        contents=object_pb2.Bcs(name=event.type, value=event.contents),
    )
    if as_json is not None and (rendered := as_json(event.type, event.contents)) is not None:
        message.json.CopyFrom(json_value(rendered))
    return message


def balance_changes(before: Iterable[Object], after: Iterable[Object]) -> list[effects_pb2.BalanceChange]:
    """What each address gained or lost of each coin, sorted by address and coin type; zero changes are left out.

    Objects that were only read stand on the input side alone; coins are never read-only inputs, because an immutable
    or shared object has no address owner.
    """
    totals: defaultdict[tuple[str, str], int] = defaultdict(int)
    for sign, side in ((-1, before), (1, after)):
        for item in side:
            if isinstance(item.owner, AddressOwner) and item.coin_type is not None:
                totals[item.owner.address, item.coin_type] += sign * (item.coin_balance or 0)
    return [
        effects_pb2.BalanceChange(address=address, coin_type=coin_type, amount=str(amount))
        for (address, coin_type), amount in sorted(totals.items())
        if amount
    ]
