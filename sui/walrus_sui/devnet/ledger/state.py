"""The live objects, and who owns them.

A plain dictionary by id with two indices: by owning address and by owning object. Execution reads it and never writes;
`put` and `remove` apply effects that are final.
"""

from collections.abc import Iterable, Iterator

from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger.objects import AddressOwner, Object, ObjectOwner


class State:
    """All live objects."""

    def __init__(self, objects: Iterable[Object] = ()) -> None:
        self._objects: dict[ObjectId, Object] = {}
        self._owned: dict[str, dict[ObjectId, None]] = {}
        for obj in objects:
            self.put(obj)

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Object]:
        return iter(self._objects.values())

    def get(self, object_id: ObjectId) -> Object | None:
        """The live version of an object, None if there is none."""
        return self._objects.get(object_id)

    def owned_by(self, owner: str) -> list[Object]:
        """Objects of an address or of an object, sorted by id."""
        return [self._objects[object_id] for object_id in sorted(self._owned.get(owner, ()))]

    def put(self, obj: Object) -> None:
        """Makes a version the live one."""
        self.remove(obj.object_id)
        self._objects[obj.object_id] = obj
        owner = _owner_key(obj)
        if owner is not None:
            self._owned.setdefault(owner, {})[obj.object_id] = None

    def remove(self, object_id: ObjectId) -> None:
        """Takes an object out, if it is there."""
        obj = self._objects.pop(object_id, None)
        owner = None if obj is None else _owner_key(obj)
        if owner is not None:
            owned = self._owned[owner]
            del owned[object_id]
            if not owned:
                del self._owned[owner]


def _owner_key(obj: Object) -> str | None:
    if isinstance(obj.owner, AddressOwner):
        return obj.owner.address
    if isinstance(obj.owner, ObjectOwner):
        return obj.owner.object_id
    return None
