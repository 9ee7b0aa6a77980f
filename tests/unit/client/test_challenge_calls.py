"""Challenges over real gRPC that the asked node ends before the asking one has said all."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.client.fakes import FakeNode, abort

from walrus_client.challenges.messages import Refusal
from walrus_client.errors import PeerError
from walrus_client.peers import NodeClient, RequestSigner
from walrus_client.peers.challenges import Hello, Ready, Refused, Reply, response_to_pb
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec.types import Epoch, NodeId
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.keys import BlsKey

HELLO = Hello(Epoch(1), attempt=0, blobs=1, root=bytes(32), samples=197)
SIGNER = RequestSigner(NodeId("0x" + "07" * 32), BlsKey.generate())
READY = Ready(1, bytes(32), bytes(96))
REFUSED = Refused(Refusal.BUSY, bytes(96))


class Terse(FakeNode):
    """Says one thing to whoever opens a challenge, and ends it."""

    says: Reply | RequestRefused

    async def Challenge(self, request_iterator: Any, context: Any) -> AsyncIterator[pb.ChallengeResponse]:
        assert (await anext(aiter(request_iterator))).WhichOneof("part") == "opening"
        if isinstance(self.says, RequestRefused):
            await abort(context, self.says)
        else:
            yield response_to_pb(self.says)


@pytest.fixture
async def node() -> AsyncIterator[Terse]:
    fake = Terse(1, range(10))
    await fake.start()
    yield fake
    await fake.stop()


def sending() -> set[asyncio.Task[Any]]:
    """Tasks in which gRPC waits for what is to be sent."""
    return {task for task in asyncio.all_tasks() if "request_iterator" in repr(task.get_coro())}


@pytest.mark.parametrize("says", [READY, REFUSED, RequestRefused(Reason.UNAVAILABLE, "not now")])
@pytest.mark.parametrize("asks", [True, False])
async def test_nothing_is_left_of_a_challenge_that_ends_early(
    node: Terse, says: Reply | RequestRefused, asks: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A task that waits for more to send would be found by the collector one day, which complains in the log."""
    node.says = says
    client = NodeClient(node.member)
    await client.get_info()
    before = sending()
    fails = isinstance(says, RequestRefused)
    with pytest.raises(PeerError, match="not now") if fails else contextlib.nullcontext():
        async with client.challenge(HELLO, SIGNER) as call:
            assert call.reply == says
            if asks:
                call.send_seed(bytes(96))
                assert await call.next() is None
    async with asyncio.timeout(10):
        while waiting := sending() - before:
            await asyncio.wait(waiting, timeout=0.1)
    gc.collect()
    await asyncio.sleep(0)
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
    await client.close()
