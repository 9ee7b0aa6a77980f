"""What is done to good input: bytes change, go or come; fields of messages take odd values; streams lose their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from hypothesis import strategies as st

NUMBERS = [
    0,
    1,
    2,
    3,
    9,
    10,
    11,
    127,
    128,
    255,
    256,
    65_534,
    65_535,
    65_536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
]
_LARGEST = {
    FieldDescriptor.TYPE_UINT32: 2**32 - 1,
    FieldDescriptor.TYPE_UINT64: 2**64 - 1,
    FieldDescriptor.TYPE_ENUM: 2**31 - 1,
}


@st.composite
def changed_bytes(draw: st.DrawFn, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """The bytes after one to three changes; `others` give pieces to put in."""
    for _ in range(draw(st.integers(1, 3))):
        at, to = sorted(draw(st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))))
        match draw(st.sampled_from(["flip", "cut", "insert", "splice", "repeat", "end"])):
            case "flip" if data:
                at = min(at, len(data) - 1)
                data = data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
            case "cut":
                data = data[:at] + data[to:]
            case "insert":
                data = data[:at] + draw(st.binary(max_size=40)) + data[at:]
            case "splice" if others:
                other = draw(st.sampled_from(others))
                data = data[:at] + other[at:]
            case "repeat":
                data = data[:to] + data[at:to] * draw(st.integers(1, 20)) + data[to:]
            case _:
                data = data[:at]
    return data


@st.composite
def changed_message(draw: st.DrawFn, message: Message) -> bytes:
    """The message with one of its fields, at any depth, changed to another value that its type allows."""
    fields = list(_fields(message))
    if not fields:
        return draw(st.binary(max_size=20))
    holder, field = draw(st.sampled_from(fields))
    if field.is_repeated:
        entries = getattr(holder, field.name)
        kept = draw(st.lists(st.sampled_from(list(entries)), max_size=40)) if entries else []
        if field.type != FieldDescriptor.TYPE_MESSAGE and draw(st.booleans()):
            kept.append(draw(_value(field, kept[0] if kept else None)))
        holder.ClearField(field.name)
        getattr(holder, field.name).extend(kept)
    elif field.type == FieldDescriptor.TYPE_MESSAGE or draw(st.integers(0, 5)) == 0:
        holder.ClearField(field.name)
    else:
        setattr(holder, field.name, draw(_value(field, getattr(holder, field.name))))
    return message.SerializeToString()


@st.composite
def changed(draw: st.DrawFn, kind: type[Message], data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """A changed message, at the level of its fields or of its bytes."""
    if draw(st.booleans()):
        return draw(changed_message(kind.FromString(data)))
    return draw(changed_bytes(data, others))


@st.composite
def changed_stream(draw: st.DrawFn, kind: type[Message], parts: Sequence[bytes]) -> list[bytes]:
    """A stream of which parts were changed, lost, doubled or put elsewhere."""
    stream = list(parts)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(stream) - 1)))
        match draw(st.sampled_from(["change", "change", "lose", "double", "move", "end"])):
            case "change" if stream:
                stream[at] = draw(changed(kind, stream[at], parts)) if is_readable(kind, stream[at]) else b""
            case "lose":
                stream[at : at + 1] = []
            case "double":
                stream[at:at] = stream[at : at + 1]
            case "move" if stream:
                stream.insert(draw(st.integers(0, len(stream) - 1)), stream.pop(at))
            case _:
                stream = stream[:at]
    return stream


def is_readable(kind: type[Message], data: bytes) -> bool:
    """Whether the bytes are a message of this type."""
    try:
        kind.FromString(data)
    except DecodeError:
        return False
    return True


def _fields(message: Message) -> Any:
    for field, value in message.ListFields():
        yield message, field
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for part in value if field.is_repeated else [value]:
                yield from _fields(part)


def _value(field: FieldDescriptor, before: Any) -> st.SearchStrategy[Any]:
    match field.type:
        case FieldDescriptor.TYPE_BYTES:
            return st.one_of(changed_bytes(before or b""), st.binary(max_size=40))
        case FieldDescriptor.TYPE_STRING:
            return st.text(max_size=40)
        case FieldDescriptor.TYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.TYPE_DOUBLE:
            return st.floats()
        case _:
            return st.sampled_from([number for number in NUMBERS if number <= _LARGEST[field.type]])
