"""Messages between the compute pool and its workers: one pickled object and the descriptors of its segments.

    | u32 length | u8 number of descriptors | pickle ... |     (descriptors ride with the first byte)

Both ends are ours and the socket pair is private, so pickle is safe here. Bulk data never travels in the pickle: it
lies in segments, and the object names offsets in them.
"""

from __future__ import annotations

import array
import os
import pickle
import socket
import struct
from collections.abc import Sequence
from typing import Any

_HEAD = struct.Struct("<IB")
_MAX_FDS = 8


def send(channel: socket.socket, message: object, fds: Sequence[int] = ()) -> None:
    """Writes one message; blocks until all is written."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    head = _HEAD.pack(len(body), len(fds))
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    channel.sendmsg([head], ancillary)
    channel.sendall(body)


def receive(channel: socket.socket) -> tuple[Any, list[int]]:
    """Reads one message and its descriptors, which the caller then owns.

    Raises:
        EOFError: The other side is gone.
        TimeoutError: The socket's time-out passed.
    """
    room = socket.CMSG_LEN(_MAX_FDS * array.array("i").itemsize)
    head, ancillary, _flags, _address = channel.recvmsg(_HEAD.size, room)
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received = array.array("i")
            received.frombytes(data[: len(data) - len(data) % received.itemsize])
            fds.extend(received)
    try:
        head += _exactly(channel, _HEAD.size - len(head))
        length, count = _HEAD.unpack(head)
        if count != len(fds):
            raise EOFError("the descriptors of a message were lost; is the limit of open files reached?")
        return pickle.loads(_exactly(channel, length)), fds  # noqa: S301 - private socket pair, see above
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise


def _exactly(channel: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        piece = channel.recv(min(size - len(parts), 1 << 20))
        if not piece:
            raise EOFError("the other side is gone")
        parts += piece
    return bytes(parts)
