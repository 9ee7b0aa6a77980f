"""Who asks: checks of signed requests from other storage nodes.

In order: the epoch is ours; the sender is a member of its committee; the time is within two minutes of ours; the signature
holds for this method, this receiver and this body; the nonce was not used before. Nonces are remembered for longer than a
request stays acceptable, and only those of requests whose signature holds, so that nobody but members can fill the memory.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from walrus_client.peers.signing import unix_ms
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec.types import Epoch, NodeId
from walrus_node.chain import ChainView
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui import bls, messages
from walrus_sui.types import CommitteeMember

MAX_SKEW_MS = 2 * 60 * 1000
NONCE_MEMORY_MS = 5 * 60 * 1000


class NonceMemory:
    """Which nonces were used within the last five minutes."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[NodeId, bytes], int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def use(self, sender: NodeId, nonce: bytes, now_ms: int) -> bool:
        """Remembers a nonce; False when it was used before."""
        while self._seen and next(iter(self._seen.values())) <= now_ms - NONCE_MEMORY_MS:
            self._seen.popitem(last=False)
        if (sender, nonce) in self._seen:
            return False
        self._seen[sender, nonce] = now_ms
        return True


class EnvelopeChecker:
    """Checks envelopes against the committee that the chain shows.

    Args:
        view: the chain's newest committee.
        now_ms: this node's clock.
    """

    def __init__(self, view: ChainView, *, now_ms: Callable[[], int] = unix_ms) -> None:
        self._view = view
        self._now_ms = now_ms
        self._nonces = NonceMemory()

    async def check(self, envelope: pb.Envelope, *, method: str, receiver: NodeId, body: bytes) -> CommitteeMember:
        """The member who sent the request.

        Raises:
            RequestRefused: INVALID_EPOCH, REQUEST_UNAUTHORIZED, MESSAGE_VERIFICATION_FAILED.
        """
        sender, epoch = NodeId("0x" + envelope.sender.hex()), Epoch(envelope.epoch)
        await self._view.knows(epoch)
        staking = self._view.staking
        if staking is None or staking.epoch != epoch:
            raise RequestRefused(
                Reason.INVALID_EPOCH,
                f"the request is for epoch {epoch}, the current one is {self._view.epoch}; refresh the committee",
                {"request_epoch": str(epoch), "server_epoch": str(self._view.epoch)},
            )
        member = staking.committee.by_id(sender)
        if member is None:
            raise RequestRefused(
                Reason.REQUEST_UNAUTHORIZED, f"{sender} is no member of the committee of epoch {epoch}"
            )
        now = self._now_ms()
        if abs(now - envelope.unix_ms) > MAX_SKEW_MS:
            raise _unverified(
                f"the request was signed at {envelope.unix_ms} ms, this node's clock shows {now} ms: set the clocks"
            )
        if len(envelope.nonce) != messages.NONCE_LENGTH:
            raise _unverified(f"a nonce has {messages.NONCE_LENGTH} bytes, not {len(envelope.nonce)}")
        message = messages.node_request(
            method,
            sender=sender,
            receiver=receiver,
            unix_ms=envelope.unix_ms,
            nonce=envelope.nonce,
            body=body,
            epoch=epoch,
        )
        if not await asyncio.to_thread(bls.verify, member.bls_public_key, message, envelope.signature):
            raise _unverified("the signature is not the sender's over this request to this node")
        if not self._nonces.use(sender, envelope.nonce, now):
            raise _unverified("this request was made before; sign each one anew")
        return member


def _unverified(message: str) -> RequestRefused:
    return RequestRefused(Reason.MESSAGE_VERIFICATION_FAILED, message)
