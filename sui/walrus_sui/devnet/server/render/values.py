"""Small things that many messages hold: times and JSON values."""

from typing import Any

from google.protobuf import struct_pb2, timestamp_pb2


def timestamp(unix_ms: int) -> timestamp_pb2.Timestamp:
    """Unix milliseconds as a protobuf time."""
    return timestamp_pb2.Timestamp(seconds=unix_ms // 1000, nanos=unix_ms % 1000 * 1_000_000)


def json_value(value: Any) -> struct_pb2.Value:
    """A JSON value as google.protobuf.Value. Numbers become doubles, so large integers must come in as text."""
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case bool():
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=float(value))
        case str():
            return struct_pb2.Value(string_value=value)
        case dict():
            fields = {str(name): json_value(item) for name, item in value.items()}
            return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=fields))
        case list() | tuple():
            items = struct_pb2.ListValue(values=[json_value(item) for item in value])
            return struct_pb2.Value(list_value=items)
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON value")
