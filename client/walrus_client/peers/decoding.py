"""Takes answers that cannot be decoded for what they are: the fault of the node, not of this process.

grpc.aio writes a traceback for every message that its deserializer refuses, and gives None to the caller. Through this
channel it gives the None alone: the caller blames the node, once and by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc.aio
from google.protobuf.message import DecodeError


class LenientChannel:
    """What a generated stub needs of a channel; answers that are no message of the documented type become None."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.unary_unary = _lenient(channel.unary_unary)
        self.unary_stream = _lenient(channel.unary_stream)
        self.stream_unary = _lenient(channel.stream_unary)
        self.stream_stream = _lenient(channel.stream_stream)


def _lenient(make: Callable[..., Any]) -> Callable[..., Any]:
    def with_lenient_decoder(method: str, *, response_deserializer: Callable[[bytes], Any], **options: Any) -> Any:
        def decode(data: bytes) -> Any:
            try:
                return response_deserializer(data)
            except DecodeError:
                return None

        return make(method, response_deserializer=decode, **options)

    return with_lenient_decoder
