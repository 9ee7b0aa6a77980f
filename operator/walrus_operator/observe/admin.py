"""The nodes' admin API (`walrus.admin.v1`, port 9186): asked over TLS with the key that the node has registered, with a token.

Life of a connection: opened when a pod is asked for the first time, kept from pass to pass, closed when the pod is gone or its
key is no longer the node's. Which keys are the node's is known from its Secret, whose keys are those on chain, the next one
beside the present one while they are exchanged; so a node can be asked before it has registered, and while the chain is away.

Of several tokens the newest goes first. A node that refuses it gets the one before, in the same pass; which one it took is part
of the answer, and by that the planner knows when the old one may go. No token is ever sent to who does not have the node's key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import grpc.aio
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration

from walrus_client.errors import PeerRefusedError
from walrus_client.peers.calling import Caller
from walrus_client.peers.decoding import LenientChannel
from walrus_client.reasons import Reason
from walrus_operator.api import names
from walrus_operator.api.world import NodeInfo
from walrus_operator.observe import answers, reading
from walrus_proto.admin.v1 import admin_pb2 as pb
from walrus_proto.admin.v1 import admin_pb2_grpc
from walrus_proto.node.v1 import node_pb2

log = logging.getLogger(__name__)

T = TypeVar("T")

CALL_TIMEOUT = 3.0
DRAIN_SPARE = 2.0
"""Seconds that a node has for its answer when its time to drain is over."""
DRAIN_HOLD = 60
"""Seconds after which a node that was drained and not restarted takes everything again."""
_MAX_SHARDS = 1 << 12
"""No network has more."""


@dataclass(frozen=True)
class AdminParty:
    """Whom to ask: one pod's admin port, and by what it is known."""

    name: str
    uid: str
    """Of the pod; the one after it is somebody else."""
    ip: str
    host: str
    """What its certificate is for."""
    network_keys: frozenset[bytes]
    """Keys that its certificate may carry."""

    @property
    def grpc_address(self) -> str:
        """host:port."""
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{host}:{names.ADMIN_PORT}"


class AdminClient:
    """Connections to the admin ports of all nodes of all networks."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], tuple[AdminParty, Caller]] = {}

    async def keep(self, network: str, parties: Mapping[str, AdminParty]) -> None:
        """Closes connections to what is no longer there."""
        gone = [
            key for key, (known, _) in self._open.items() if key[0] == network and not _same(known, parties.get(key[1]))
        ]
        await asyncio.gather(*(self._open.pop(key)[1].close() for key in gone))

    async def state(self, network: str, party: AdminParty, tokens: Sequence[str]) -> NodeInfo:
        """What the node says about itself.

        Raises:
            PeerError: it was not reached, is somebody else, or refused.
            ValueError: its answer is none.
        """
        answer, token = await self._call(
            network, party, tokens, lambda stub, sent: stub.GetState(pb.GetStateRequest(), **sent), seconds=CALL_TIMEOUT
        )
        return replace(info(answer), token=reading.fingerprint(token))

    async def drain(self, network: str, party: AdminParty, tokens: Sequence[str], seconds: float) -> bool:
        """Has the node end what is under way and take nothing new; True when nothing was left before the time was over.

        Raises:
            PeerError: it was not reached, is somebody else, or refused.
        """
        request = pb.DrainRequest(timeout=Duration(seconds=int(seconds)), hold=Duration(seconds=DRAIN_HOLD))
        answer, _ = await self._call(
            network, party, tokens, lambda stub, sent: stub.Drain(request, **sent), seconds=seconds + DRAIN_SPARE
        )
        return answer.quiet

    async def resume(self, network: str, party: AdminParty, tokens: Sequence[str]) -> None:
        """Has the node take everything again.

        Raises:
            PeerError: it was not reached, is somebody else, or refused.
        """
        await self._call(
            network, party, tokens, lambda stub, sent: stub.Resume(pb.ResumeRequest(), **sent), seconds=CALL_TIMEOUT
        )

    async def close(self) -> None:
        """Closes all connections."""
        callers = [caller for _, caller in self._open.values()]
        self._open.clear()
        await asyncio.gather(*(caller.close() for caller in callers))

    async def _call(
        self,
        network: str,
        party: AdminParty,
        tokens: Sequence[str],
        call: Callable[[admin_pb2_grpc.NodeAdminAsyncStub, Mapping[str, Any]], Awaitable[T]],
        *,
        seconds: float,
    ) -> tuple[T, str]:
        """The answer, and the token that was taken."""
        caller = await self._caller(network, party)
        async with asyncio.timeout(seconds):
            *newer, last = reversed(tokens)
            for token in newer:
                try:
                    return await _with_token(caller, call, token, seconds), token
                except PeerRefusedError as error:
                    if error.refusal is not Reason.TOKEN_REFUSED:
                        raise
            return await _with_token(caller, call, last, seconds), last

    async def _caller(self, network: str, party: AdminParty) -> Caller:
        key = (network, party.name)
        known = self._open.get(key)
        if known is None or not _same(known[0], party):
            self._open[key] = (party, Caller(party, server_name=party.host))
            if known is not None:
                await known[1].close()
        elif known[0] != party:
            self._open[key] = (party, known[1])
            void = known[1].channel.adopt(party)
            if void is not None:
                await void.close(grace=None)
        return self._open[key][1]


def _same(known: AdminParty, party: AdminParty | None) -> bool:
    """Whether it is the same pod, whose keys may be others now."""
    return party is not None and replace(party, network_keys=known.network_keys) == known


async def _with_token(
    caller: Caller,
    call: Callable[[admin_pb2_grpc.NodeAdminAsyncStub, Mapping[str, Any]], Awaitable[T]],
    token: str,
    seconds: float,
) -> T:
    sent = {"metadata": (("authorization", f"Bearer {token}"),), "timeout": seconds}
    return await caller.call_on(lambda channel: call(_stub(channel), sent))


def _stub(channel: grpc.aio.Channel) -> admin_pb2_grpc.NodeAdminAsyncStub:
    return cast("admin_pb2_grpc.NodeAdminAsyncStub", admin_pb2_grpc.NodeAdminStub(cast(Any, LenientChannel(channel))))


def info(answer: pb.GetStateResponse) -> NodeInfo:
    """What GetState says, within the bounds of `answers`.

    Raises:
        ValueError: a field is missing or out of bounds.
    """
    said: node_pb2.GetInfoResponse = answer.info
    if answer.ByteSize() > answers.MAX_ANSWER or len(said.shards) > _MAX_SHARDS:
        raise ValueError("the answer is too large")
    if not said.status:
        raise ValueError("not an answer of a storage node: it has no status")
    fields = json_format.MessageToDict(
        said, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return answers.parse({**fields, "node_id": f"0x{said.node_id.hex()}" if said.node_id else ""})
