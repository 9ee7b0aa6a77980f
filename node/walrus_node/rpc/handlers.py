"""Method handlers of gRPC made anew, with another behaviour: how a server's interceptors change what a method does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import grpc

_MAKERS: Final[dict[tuple[bool, bool], Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def behavior_of(handler: Any) -> Any:
    """What a method does; a handler has one of the four forms."""
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


def with_behavior(
    handler: Any,
    behavior: Any,
    *,
    decode: Callable[[bytes], Any] | None = None,
    encode: Callable[[Any], bytes] | None = None,
) -> Any:
    """A handler of the same form that does something else.

    Args:
        handler: the method's.
        behavior: what it does now.
        decode: reads a request in another way.
        encode: writes an answer in another way.
    """
    make = _MAKERS[handler.request_streaming, handler.response_streaming]
    return make(behavior, decode or handler.request_deserializer, encode or handler.response_serializer)
