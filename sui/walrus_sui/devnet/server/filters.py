"""Transaction filters of subscriptions: from a request's message to a predicate over executed transactions.

A filter is a list of terms of which one must hold; a term is a list of literals, each perhaps negated, that must all
hold. Addresses and types may be spelled in any way. Paths (`package::module::function`) may stop early, then they mean
all that is inside.

Source: the comments of sui.rpc.v2 (filter.proto).
"""

from collections.abc import Callable, Sequence
from typing import Final

from walrus_proto.sui.rpc.v2 import filter_pb2
from walrus_sui.devnet.ledger.records import AddressOwner, Executed, MoveCall, ObjectChange
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.server import faults, resolve

MAX_TERMS: Final = 32
MAX_LITERALS: Final = 32
Predicate = Callable[[Executed], bool]


def compiled(message: filter_pb2.TransactionFilter) -> Predicate:
    """The filter as a predicate.

    Raises:
        Fault: INVALID_ARGUMENT, it has no or too many terms or literals, or one that cannot be understood.
    """
    if not 1 <= len(message.terms) <= MAX_TERMS:
        raise faults.invalid("filter.terms", f"{len(message.terms)} terms, 1 to {MAX_TERMS} are allowed")
    terms = [_term(term, f"filter.terms[{index}]") for index, term in enumerate(message.terms)]
    return lambda executed: any(all(holds(executed) for holds in term) for term in terms)


def _term(message: filter_pb2.TransactionTerm, field: str) -> list[Predicate]:
    if not 1 <= len(message.literals) <= MAX_LITERALS:
        text = f"{len(message.literals)} literals, 1 to {MAX_LITERALS} are allowed"
        raise faults.invalid(f"{field}.literals", text)
    return [_literal(literal, f"{field}.literals[{index}]") for index, literal in enumerate(message.literals)]


def _literal(message: filter_pb2.TransactionLiteral, field: str) -> Predicate:
    holds = _predicate(message, field)
    return (lambda executed: not holds(executed)) if message.negated else holds


def _predicate(message: filter_pb2.TransactionLiteral, field: str) -> Predicate:
    match message.WhichOneof("predicate"):
        case "sender":
            sender = _address(message.sender.address, f"{field}.sender.address")
            return lambda executed: executed.transaction.sender == sender
        case "affected_address":
            address = _address(message.affected_address.address, f"{field}.affected_address.address")
            return lambda executed: any(address in _moved(change) for change in executed.effects.changed_objects)
        case "affected_object":
            object_id = _address(message.affected_object.object_id, f"{field}.affected_object.object_id")
            return lambda executed: any(item.object_id == object_id for item in executed.effects.changed_objects)
        case "move_call":
            path = _path(message.move_call.function, f"{field}.move_call.function", longest=3)
            return lambda executed: any(
                (call.package, call.module, call.function)[: len(path)] == path
                for call in executed.transaction.commands
                if isinstance(call, MoveCall)
            )
        case "emit_module":
            path = _path(message.emit_module.module, f"{field}.emit_module.module", longest=2)
            return lambda executed: any((item.package, item.module)[: len(path)] == path for item in executed.events)
        case "event_type":
            return _event_type(message.event_type.event_type, f"{field}.event_type.event_type")
        case "event_stream_head":
            _address(message.event_stream_head.stream_id, f"{field}.event_stream_head.stream_id")
            return lambda _: False  # the devnet has no authenticated event streams
        case "package_write":
            return lambda executed: any(item.is_package and item.after for item in executed.effects.changed_objects)
        case _:
            raise faults.missing(f"{field}.predicate")


def _address(text: str, field: str) -> str:
    if not text:
        raise faults.missing(field)
    return resolve.address(field, text)


def _path(text: str, field: str, *, longest: int) -> tuple[str, ...]:
    package, *names = text.split("::")
    if len(names) >= longest or not all(names):
        raise faults.invalid(field, f"invalid {field}: 1 to {longest} parts with :: between them are allowed")
    return (_address(package, field), *names)


def _event_type(text: str, field: str) -> Predicate:
    if "<" in text:
        exact = str(resolve.type_tag(field, text))
        return lambda executed: any(event.type == exact for event in executed.events)
    path = _path(text, field, longest=3)
    return lambda executed: any(tags.parse(event.type).head[: len(path)] == path for event in executed.events)


def _moved(change: ObjectChange) -> Sequence[str]:
    """Whose state moved: owners of an object that came, went, or changed hands."""
    owners = [state.owner for state in (change.before, change.after) if state is not None]
    if len(owners) == 2 and owners[0] == owners[1]:
        return ()
    return [owner.address for owner in owners if isinstance(owner, AddressOwner)]
