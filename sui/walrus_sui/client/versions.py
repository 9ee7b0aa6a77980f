"""Versions of objects, as effects and reads have told them: what the next program is built on.

Life of a version: learnt from the effects of a transaction or from a read, used for the next program without asking,
forgotten when the chain refuses it. What was seen once is never believed to be older again: endpoints that lag behind
are waited for. Coins are not kept here but in the purse; only their versions are noted.
"""

from collections import OrderedDict
from collections.abc import Iterable

from walrus_codec.types import ObjectId
from walrus_sui.abi.ptb import ObjectRef
from walrus_sui.client import wire
from walrus_sui.client.purse import token_of

_MAX = 4096


class Versions:
    """The newest known version of each object that was met lately."""

    def __init__(self) -> None:
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

    def outdated(self, objects: Iterable[wire.RawObject]) -> ObjectId | None:
        """Return the first of these objects that was seen in a newer version already."""
        behind = (item.ref.object_id for item in objects if item.ref.version < self._seen.get(item.ref.object_id, 0))
        return next(behind, None)
