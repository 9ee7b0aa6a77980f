"""The live objects, and who owns them.

A plain dictionary by id, and an index from owner (address or object) to types to ids, so that a question about one
type of coin does not walk over all blobs of an account. Execution reads it and never writes; `put` and `remove` apply
effects that are final.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger.objects import AddressOwner, Object, ObjectOwner


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that is not decoded yet: what the index needs of it, and its bytes.

    Attributes:
        object_id: canonical id.
        owner: as `owner_key` tells it.
        type: canonical type text.
        data: `Object.to_bcs`.
    """

    object_id: ObjectId
    owner: str
    type: str
    data: bytes


class State:
    """All live objects; stored ones are decoded when they are first asked for."""

    def __init__(self, objects: Iterable[Object | StoredObject] = ()) -> None:
        self._objects: dict[ObjectId, Object | StoredObject] = {}
        self._owned: dict[str, dict[str, dict[ObjectId, None]]] = {}
        for obj in objects:
            self._objects[obj.object_id] = obj
            self._index(obj)

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Object]:
        return (self._decoded(object_id) for object_id in list(self._objects))

    def get(self, object_id: ObjectId) -> Object | None:
        """The live version of an object, None if there is none."""
        return self._decoded(object_id) if object_id in self._objects else None

    def of_type(self, text: str) -> Iterator[Object]:
        """Objects of exactly one type."""
        return (self._decoded(object_id) for object_id, obj in list(self._objects.items()) if obj.type == text)

    def owned_by(self, owner: str, wanted: Callable[[str], bool] | None = None) -> list[Object]:
        """Objects of an address or of an object, sorted by id.

        Args:
            owner: canonical address or id.
            wanted: which types, given their canonical texts; None for all.
        """
        types = self._owned.get(owner, {})
        ids = sorted(key for text, found in types.items() if wanted is None or wanted(text) for key in found)
        return [self._decoded(object_id) for object_id in ids]

    def put(self, obj: Object) -> None:
        """Makes a version the live one."""
        self.remove(obj.object_id)
        self._objects[obj.object_id] = obj
        self._index(obj)

    def remove(self, object_id: ObjectId) -> None:
        """Takes an object out, if it is there."""
        obj = self._objects.pop(object_id, None)
        if obj is None:
            return
        owner = owner_key(obj)
        if not owner:
            return
        types = self._owned[owner]
        del types[obj.type][object_id]
        if not types[obj.type]:
            del types[obj.type]
        if not types:
            del self._owned[owner]

    def _index(self, obj: Object | StoredObject) -> None:
        owner = owner_key(obj)
        if owner:
            self._owned.setdefault(owner, {}).setdefault(obj.type, {})[obj.object_id] = None

    def _decoded(self, object_id: ObjectId) -> Object:
        obj = self._objects[object_id]
        if isinstance(obj, StoredObject):
            obj = self._objects[object_id] = Object.from_bcs(obj.data)
        return obj


def owner_key(obj: Object | StoredObject) -> str:
    """The address or object that owns an object; empty for shared and immutable ones."""
    match obj.owner:
        case str(key):
            return key
        case AddressOwner(address):
            return address
        case ObjectOwner(object_id):
            return object_id
    return ""
