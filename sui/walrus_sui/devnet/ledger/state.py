"""The live objects, and who owns them.

A plain dictionary by id, and an index from owner (address or object) to types to ids, so that a question about one
type of coin does not walk over all blobs of an account. Execution reads it and never writes; `put` and `remove` apply
effects that are final.
"""

from collections.abc import Callable, Iterable, Iterator

from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger.objects import AddressOwner, Object, ObjectOwner


class State:
    """All live objects."""

    def __init__(self, objects: Iterable[Object] = ()) -> None:
        self._objects: dict[ObjectId, Object] = {}
        self._owned: dict[str, dict[str, dict[ObjectId, None]]] = {}
        for obj in objects:
            self.put(obj)

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Object]:
        return iter(self._objects.values())

    def get(self, object_id: ObjectId) -> Object | None:
        """The live version of an object, None if there is none."""
        return self._objects.get(object_id)

    def owned_by(self, owner: str, wanted: Callable[[str], bool] | None = None) -> list[Object]:
        """Objects of an address or of an object, sorted by id.

        Args:
            owner: canonical address or id.
            wanted: which types, given their canonical texts; None for all.
        """
        types = self._owned.get(owner, {})
        ids = sorted(key for text, found in types.items() if wanted is None or wanted(text) for key in found)
        return [self._objects[object_id] for object_id in ids]

    def put(self, obj: Object) -> None:
        """Makes a version the live one."""
        self.remove(obj.object_id)
        self._objects[obj.object_id] = obj
        owner = _owner_key(obj)
        if owner is not None:
            self._owned.setdefault(owner, {}).setdefault(obj.type, {})[obj.object_id] = None

    def remove(self, object_id: ObjectId) -> None:
        """Takes an object out, if it is there."""
        obj = self._objects.pop(object_id, None)
        owner = None if obj is None else _owner_key(obj)
        if obj is None or owner is None:
            return
        types = self._owned[owner]
        del types[obj.type][object_id]
        if not types[obj.type]:
            del types[obj.type]
        if not types:
            del self._owned[owner]


def _owner_key(obj: Object) -> str | None:
    if isinstance(obj.owner, AddressOwner):
        return obj.owner.address
    if isinstance(obj.owner, ObjectOwner):
        return obj.owner.object_id
    return None
