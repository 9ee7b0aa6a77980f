"""Answers of pysui's generated classes turned into values of `wire`.

Every field of a protobuf answer is optional; a missing one that matters is `MalformedChainData`. Enums are compared by
name. Nothing here imports pysui: its objects are only read.
"""

from datetime import datetime
from typing import Any

from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.abi import move_types
from walrus_sui.abi.ptb import ObjectRef
from walrus_sui.client import wire
from walrus_sui.errors import MalformedChainData


def object_from(message: Any) -> wire.RawObject:
    """Convert an Object; fields that were not asked for are empty."""
    kind = message.owner.kind.name if message.owner is not None and message.owner.kind is not None else ""
    return wire.RawObject(
        ref=ObjectRef(
            _object_id(_required(message.object_id, "object id")),
            _required(message.version, "object version"),
            Digest(_required(message.digest, "object digest")),
        ),
        type=_type(message.object_type),
        owner=_address(message.owner.address) if kind == "ADDRESS" else None,
        shared_since=message.owner.version if kind == "SHARED" else None,
        contents=message.contents.value or b"" if message.contents is not None else b"",
        written_by=Digest(message.previous_transaction) if message.previous_transaction else None,
    )


def executed_from(message: Any) -> wire.Executed:
    """Convert an ExecutedTransaction."""
    effects = _required(message.effects, "effects")
    gas = effects.gas_used
    used = _gas_used(gas)
    gas_object = effects.gas_object
    return wire.Executed(
        digest=Digest(message.digest or effects.transaction_digest or ""),
        failure=_failure(_required(effects.status, "status")),
        gas_cost=used - (gas.storage_rebate or 0) if gas is not None else 0,
        gas_used=used,
        changed=tuple(_changed(item) for item in effects.changed_objects),
        gas_object_id=_object_id(gas_object.object_id) if gas_object is not None and gas_object.object_id else None,
        events=_events(message),
        objects=tuple(object_from(item) for item in message.objects.objects) if message.objects is not None else (),
        checkpoint=message.checkpoint,
    )


def simulated_from(message: Any) -> wire.Simulated:
    """Convert a SimulateTransactionResponse."""
    effects = _required(_required(message.transaction, "simulated transaction").effects, "effects")
    return wire.Simulated(
        failure=_failure(_required(effects.status, "status")),
        gas_used=_gas_used(effects.gas_used),
        returned=tuple(
            tuple(item.value.value or b"" if item.value is not None else b"" for item in output.return_values)
            for output in message.command_outputs
        ),
    )


def checkpoint_from(message: Any) -> wire.RawCheckpoint:
    """Convert a Checkpoint."""
    summary = _required(message.summary, "checkpoint summary")
    return wire.RawCheckpoint(
        sequence=_required(message.sequence_number, "checkpoint sequence number"),
        digest=Digest(message.digest or ""),
        timestamp_ms=_milliseconds(_required(summary.timestamp, "checkpoint timestamp")),
        transactions=tuple(
            (Digest(_required(transaction.digest, "transaction digest")), _events(transaction))
            for transaction in message.transactions
            if transaction.effects is None or transaction.effects.status is None or transaction.effects.status.success
        ),
    )


def service_info_from(message: Any) -> wire.ServiceInfo:
    """Convert a GetServiceInfoResponse."""
    return wire.ServiceInfo(
        chain_id=_required(message.chain_id, "chain id"),
        checkpoint_height=message.checkpoint_height or 0,
        lowest_available_checkpoint=message.lowest_available_checkpoint or 0,
    )


def _failure(status: Any) -> wire.Failure | None:
    if status.success:
        return None
    error = status.error
    if error is None:
        return wire.Failure("the chain gives no reason")
    kind = error.kind.name if error.kind is not None else ""
    abort = error.abort
    if abort is None or abort.location is None:
        text = error.description or kind or "the chain gives no reason"
        return wire.Failure(text, command=error.command, kind=kind)
    return wire.Failure(
        error.description or kind,
        module=abort.location.module or "",
        function=abort.location.function_name or "",
        code=abort.abort_code or 0,
        command=error.command,
        kind=kind,
    )


def _gas_used(gas: Any) -> int:
    return (gas.computation_cost or 0) + (gas.storage_cost or 0) if gas is not None else 0


def _changed(item: Any) -> wire.ChangedObject:
    object_id = _object_id(_required(item.object_id, "changed object id"))
    state = item.output_state.name if item.output_state is not None else ""
    ref = None
    if state == "OBJECT_WRITE":
        version = _required(item.output_version, "output version")
        ref = ObjectRef(object_id, version, Digest(_required(item.output_digest, "output digest")))
    owner = item.output_owner
    kind = owner.kind.name if owner is not None and owner.kind is not None else ""
    return wire.ChangedObject(
        object_id=object_id,
        type=_type(item.object_type),
        created=item.id_operation is not None and item.id_operation.name == "CREATED",
        ref=ref,
        owner=_address(owner.address) if kind == "ADDRESS" else None,
        before=item.input_version,
    )


def _events(transaction: Any) -> tuple[wire.RawEvent, ...]:
    if transaction.events is None:
        return ()
    return tuple(
        wire.RawEvent(_type(event.event_type), event.contents.value or b"" if event.contents is not None else b"")
        for event in transaction.events.events
    )


def _type(text: str | None) -> str:
    if not text or "::" not in text:
        return text or ""
    try:
        return move_types.canonical(text)
    except ValueError as error:
        raise MalformedChainData(str(error)) from error


def _object_id(text: str) -> ObjectId:
    try:
        return move_types.object_id(move_types.address_bytes(text))
    except ValueError as error:
        raise MalformedChainData(str(error)) from error


def _address(text: str | None) -> SuiAddress:
    return SuiAddress(_object_id(_required(text, "owner address")))


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _required(value: Any, what: str) -> Any:
    if value is None:
        raise MalformedChainData(f"the chain's answer lacks the {what}")
    return value
