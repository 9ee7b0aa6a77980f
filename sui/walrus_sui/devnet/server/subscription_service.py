"""SubscriptionService: a stream of checkpoints, from the next one on, without gaps."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Final

from walrus_proto.sui.rpc.v2 import checkpoint_pb2, subscription_service_pb2, subscription_service_pb2_grpc
from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.hub import Announcement
from walrus_sui.devnet.server import calls, filters, masks
from walrus_sui.devnet.server.masks import Mask
from walrus_sui.devnet.server.render import checkpoints

_CACHED: Final = 64


class SubscriptionService(subscription_service_pb2_grpc.SubscriptionServiceServicer):
    """Streams from one engine. Subscribers with the same mask share the rendering."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._rendered: OrderedDict[tuple[int, Mask], subscription_service_pb2.SubscribeCheckpointsResponse] = (
            OrderedDict()
        )

    @calls.stream
    async def SubscribeCheckpoints(
        self, request: subscription_service_pb2.SubscribeCheckpointsRequest
    ) -> AsyncIterator[subscription_service_pb2.SubscribeCheckpointsResponse]:
        """Each new checkpoint; without a mask only the cursor. Ends with an error when the reader falls behind.

        With a filter, checkpoints without a matching transaction come as their cursor alone.
        """
        mask = masks.of(request, checkpoint_pb2.Checkpoint.DESCRIPTOR, default="")
        wanted = filters.compiled(request.filter) if request.HasField("filter") else None
        subscription = self.engine.hub.subscribe()
        try:
            async for announcement in subscription:
                if wanted is None or any(map(wanted, announcement.transactions)):
                    yield self._render(announcement, mask)
                else:
                    cursor = announcement.checkpoint.sequence
                    yield subscription_service_pb2.SubscribeCheckpointsResponse(cursor=cursor)
        finally:
            self.engine.hub.unsubscribe(subscription)

    def _render(self, announcement: Announcement, mask: Mask) -> subscription_service_pb2.SubscribeCheckpointsResponse:
        # Masks of equal paths are the same object, so the pair names the rendering.
        key = (announcement.checkpoint.sequence, mask)
        found = self._rendered.get(key)
        if found is None:
            shown = checkpoints.checkpoint(
                announcement.checkpoint, announcement.transactions, self.engine.ledger.as_json, mask
            )
            found = subscription_service_pb2.SubscribeCheckpointsResponse(
                cursor=announcement.checkpoint.sequence, checkpoint=shown
            )
            self._rendered[key] = found
            if len(self._rendered) > _CACHED:
                self._rendered.popitem(last=False)
        return found
