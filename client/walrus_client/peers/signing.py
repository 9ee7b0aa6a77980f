"""Signed requests from one storage node to another: who asks is proved by the BLS key that is registered on chain.

The signature covers method, sender, receiver, time, a nonce and the hash of the request's body (`messages.node_request`),
so it can neither be passed on, nor used for something else, nor be repeated.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from walrus_codec.types import Epoch, NodeId
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui import messages
from walrus_sui.keys import Signer


def unix_ms() -> int:
    """This machine's clock."""
    return time.time_ns() // 1_000_000


class RequestSigner:
    """Signs in the name of one node.

    Args:
        node_id: the sender.
        key: its protocol key.
        now_ms: its clock.
    """

    def __init__(self, node_id: NodeId, key: Signer, *, now_ms: Callable[[], int] = unix_ms) -> None:
        self._node_id = node_id
        self._key = key
        self._now_ms = now_ms

    def sign(self, method: str, receiver: NodeId, epoch: Epoch, body: bytes) -> pb.Envelope:
        """The envelope for one call; takes some milliseconds, so call it in a thread."""
        nonce, now = secrets.token_bytes(messages.NONCE_LENGTH), self._now_ms()
        message = messages.node_request(
            method, sender=self._node_id, receiver=receiver, unix_ms=now, nonce=nonce, body=body, epoch=epoch
        )
        return pb.Envelope(
            sender=bytes.fromhex(self._node_id[2:]),
            epoch=epoch,
            unix_ms=now,
            nonce=nonce,
            signature=self._key.sign(message),
        )
