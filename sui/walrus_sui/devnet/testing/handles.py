"""Objects as tests hold them: by id, read when they are looked at.

A `Handle` is what a call returns for an object and what `Chain.handle` makes from an id. It keeps nothing but the id, so
it is never stale: ``blob.certified_epoch`` is the field as it is now, whoever changed it.
"""

from typing import Any, Protocol

from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.objects import Object


class ReadsObjects(Protocol):
    """What a handle needs of its chain."""

    ledger: Ledger

    def value(self, object_id: ObjectId) -> Any:
        """An object decoded."""


class ObjectGone(LookupError):  # noqa: N818 - a condition
    """There is no such object on the chain: it was deleted, wrapped into another one, or never made."""


class Handle:
    """An object; other attributes than those below are fields of its Move struct, read anew each time.

    Attributes:
        id: canonical id.
    """

    __slots__ = ("_chain", "id")

    def __init__(self, chain: ReadsObjects, object_id: ObjectId) -> None:
        self._chain = chain
        self.id = object_id

    @property
    def exists(self) -> bool:
        """Whether the object is live: neither deleted nor wrapped."""
        return self._chain.ledger.object(self.id) is not None

    @property
    def stored(self) -> Object:
        """The live version as the ledger holds it: ``version``, ``owner``, ``type``, ``digest``, ``contents``.

        Raises:
            ObjectGone: it is not live.
        """
        found = self._chain.ledger.object(self.id)
        if found is None:
            raise ObjectGone(f"object {self.id} is not live: it was deleted, wrapped, or never made")
        return found

    def read(self) -> Any:
        """The whole struct decoded; a copy that later transactions do not change.

        Raises:
            ObjectGone: it is not live.
        """
        return self._chain.value(self.stored.object_id)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.read(), name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        found = self._chain.ledger.object(self.id)
        kind = "gone" if found is None else "::".join(found.type.split("<")[0].split("::")[1:])
        return f"<{kind} {self.id}>"
