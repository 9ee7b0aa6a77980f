"""Attributes of a blob object: a map of texts that belongs to the object, not to the blob id (contract module metadata).

They lie in a dynamic field of the object under the key ``b"metadata"``, for blobs and for pooled blobs alike.
"""

from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import AbortCode, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import BYTES, string
from walrus_sui.devnet.move.framework.collections import map_insert, map_remove
from walrus_sui.devnet.move.framework.fields import DynamicField

MODULE = Module(WALRUS, "metadata")

METADATA_DF = b"metadata"


@MODULE.struct("drop, store")
@dataclass(slots=True)
class Metadata:
    """The attributes, in the order in which they were last set."""

    metadata: dict[string, string]

    def insert_or_update(self, key: str, value: str) -> None:
        """Sets an attribute, which becomes the last one."""
        self.metadata.pop(key, None)
        map_insert(self.metadata, key, value)


FIELD: DynamicField[bytes, Metadata] = DynamicField(BYTES, Metadata)


@MODULE.public("(): Metadata")
def new(_rt: Runtime) -> Metadata:
    """No attributes."""
    return Metadata({})


@MODULE.public("(self: &mut Metadata, key: String, value: String)")
def insert_or_update(_rt: Runtime, self: Metadata, key: str, value: str) -> None:
    """Sets an attribute."""
    self.insert_or_update(key, value)


@MODULE.public("(self: &mut Metadata, key: &String): (String, String)")
def remove(_rt: Runtime, self: Metadata, key: str) -> tuple[str, str]:
    """Takes an attribute out; aborts if it is not there."""
    return key, map_remove(self.metadata, key)


@MODULE.public("(self: &mut Metadata, key: &String): Option<String>")
def remove_if_exists(_rt: Runtime, self: Metadata, key: str) -> str | None:
    """Takes an attribute out, if it is there."""
    return self.metadata.pop(key, None)


@dataclass(frozen=True, slots=True)
class Attributes:
    """Door to the attributes of one kind of object.

    Attributes:
        duplicate: the kind's abort code for attributes that are there already.
        missing: its code for attributes that are not there.
    """

    duplicate: AbortCode
    missing: AbortCode

    def add_metadata(self, rt: Runtime, owner: ObjectId, metadata: Metadata) -> None:
        """Gives an object attributes; aborts if it has some."""
        require(not FIELD.exists(rt, owner, METADATA_DF), self.duplicate)
        FIELD.add(rt, owner, METADATA_DF, metadata)

    def add_or_replace_metadata(self, rt: Runtime, owner: ObjectId, metadata: Metadata) -> Metadata | None:
        """Gives an object attributes; returns those that it had."""
        old = FIELD.remove_opt(rt, owner, METADATA_DF)
        self.add_metadata(rt, owner, metadata)
        return old

    def take_metadata(self, rt: Runtime, owner: ObjectId) -> Metadata:
        """Takes the attributes away; aborts if there are none."""
        require(FIELD.exists(rt, owner, METADATA_DF), self.missing)
        return FIELD.remove(rt, owner, METADATA_DF)

    def insert_or_update_metadata_pair(self, rt: Runtime, owner: ObjectId, key: str, value: str) -> None:
        """Sets one attribute, the first one included."""
        if not FIELD.exists(rt, owner, METADATA_DF):
            self.add_metadata(rt, owner, new(rt))
        FIELD.borrow_mut(rt, owner, METADATA_DF).insert_or_update(key, value)

    def remove_metadata_pair(self, rt: Runtime, owner: ObjectId, key: str) -> tuple[str, str]:
        """Takes one attribute out; aborts if it is not there."""
        return remove(rt, self.metadata(rt, owner), key)

    def remove_metadata_pair_if_exists(self, rt: Runtime, owner: ObjectId, key: str) -> str | None:
        """Takes one attribute out, if it is there."""
        if not FIELD.exists(rt, owner, METADATA_DF):
            return None
        return remove_if_exists(rt, self.metadata(rt, owner), key)

    def metadata(self, rt: Runtime, owner: ObjectId) -> Metadata:
        """The attributes, to be changed; aborts if there are none."""
        require(FIELD.exists(rt, owner, METADATA_DF), self.missing)
        return FIELD.borrow_mut(rt, owner, METADATA_DF)


def discard(rt: Runtime, owner: ObjectId) -> None:
    """Ends the attributes of an object that ends, if there are any."""
    FIELD.remove_opt(rt, owner, METADATA_DF)
