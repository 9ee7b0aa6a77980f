"""Versions of objects, as effects and reads have told them: what the next program is built on.

Life of a version: learnt from the effects of a transaction or from a read, used for the next program without asking,
forgotten when the chain refuses it. What was seen once is never believed to be older again: endpoints that lag behind
are waited for. Coins are not kept here but in the purse; only their versions are noted.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

from walrus_codec.types import ObjectId
from walrus_sui.abi.ptb import ObjectRef
from walrus_sui.client import wire
from walrus_sui.client.purse import token_of
from walrus_sui.errors import ChainTimeout

_MAX = 4096
_FIRST_PAUSE = 0.1


class Versions:
    """The newest known version of each object that was met lately.

    Args:
        patience: seconds to wait for an endpoint that lags behind.
        pause: waits, given the seconds of the last pause, and returns those of the next one.
    """

    def __init__(self, *, patience: float, pause: Callable[[float], Awaitable[float]]) -> None:
        self._patience = patience
        self._pause = pause
        self._refs: OrderedDict[ObjectId, ObjectRef] = OrderedDict()
        self._seen: OrderedDict[ObjectId, int] = OrderedDict()

    def get(self, object_id: ObjectId) -> ObjectRef | None:
        """Return the version to use, or None when the chain must be asked."""
        return self._refs.get(object_id)

    def learn(self, executed: wire.Executed) -> None:
        """Follow all objects through a transaction."""
        for change in executed.changed:
            if change.ref is None:
                self._refs.pop(change.object_id, None)
            elif token_of(change.type):
                self.saw(change.ref)
            else:
                self.remember(change.ref)

    def remember(self, ref: ObjectRef) -> None:
        """Use this version from now on."""
        self.saw(ref)
        self._refs[ref.object_id] = ref
        self._refs.move_to_end(ref.object_id)
        if len(self._refs) > _MAX:
            self._refs.popitem(last=False)

    def saw(self, ref: ObjectRef) -> None:
        """Note that this version exists."""
        self._seen[ref.object_id] = max(ref.version, self._seen.get(ref.object_id, 0))
        self._seen.move_to_end(ref.object_id)
        if len(self._seen) > _MAX:
            self._seen.popitem(last=False)

    def forget(self, object_ids: Iterable[ObjectId]) -> None:
        """Ask the chain for these again; that they were seen remains."""
        for object_id in object_ids:
            self._refs.pop(object_id, None)

    async def caught_up(self, read: Callable[[], Awaitable[list[wire.RawObject]]]) -> list[wire.RawObject]:
        """Read until the endpoint shows no version older than what was seen already; raises `ChainTimeout`."""
        deadline, pause = time.monotonic() + self._patience, _FIRST_PAUSE
        while True:
            objects = await read()
            behind = [item for item in objects if item.ref.version < self._seen.get(item.ref.object_id, 0)]
            if not behind:
                return objects
            if time.monotonic() > deadline:
                raise ChainTimeout(f"the endpoint still shows an old version of {behind[0].ref.object_id}")
            pause = await self._pause(pause)
