"""What a native function sees of the ledger while it runs.

One `Runtime` lives as long as one transaction. Functions take fresh ids from it, emit events, send objects away, and
reach dynamic fields through it; all on working copies. When the transaction ends well, the ledger asks for
`child_changes` and the transfers and writes them; when it fails, the run-time is thrown away and nothing has happened.

Values are decoded from the stored BCS when first touched and encoded again at the end; a child whose bytes did not
change was not written. Functions that only look use ``borrow``, whose value must not be changed: with `strict` that is
checked, which the tests do.

Source: Sui framework (modules tx_context, object, event, transfer, dynamic_field) and its object run-time.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.aborts import AbortCode, MoveAbort
from walrus_sui.devnet.move.core.packages import SUI, Packages
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import MoveType, type_of

E_FIELD_ALREADY_EXISTS = AbortCode(SUI, "dynamic_field", 0, "EFieldAlreadyExists")
E_FIELD_DOES_NOT_EXIST = AbortCode(SUI, "dynamic_field", 1, "EFieldDoesNotExist")
E_FIELD_TYPE_MISMATCH = AbortCode(SUI, "dynamic_field", 2, "EFieldTypeMismatch")

_SCOPE_CHILD, _SCOPE_NEW = b"\xf0", b"\xf1"


@dataclass(frozen=True)
class ChainRules:
    """What a chain fixed at genesis beside its objects.

    Attributes:
        packages: where packages are published.
        encoding_types: encoding types that the contract accepts; a real network has only 1 (RS2).
    """

    packages: Packages
    encoding_types: frozenset[int]


@dataclass(frozen=True, slots=True)
class Stored:
    """A child object as the ledger holds it: its owner's id, its type and its BCS."""

    parent: ObjectId
    tag: TypeTag
    contents: bytes


class Destination(Enum):
    """Where an object goes at the end of the transaction."""

    ADDRESS = "address"
    SHARED = "shared"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Transfer:
    """An object that was sent away.

    Attributes:
        move_type: its type.
        value: its value.
        destination: what becomes of it.
        recipient: for addresses.
    """

    move_type: MoveType
    value: Any
    destination: Destination
    recipient: SuiAddress | None = None


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event with its type, and its BCS at the time it was emitted."""

    move_type: MoveType
    contents: bytes


@dataclass(slots=True)
class Child:
    """A dynamic field or child object in its working state.

    Attributes:
        parent: id of its owner.
        move_type: its type.
        value: its value; None once it was removed.
        original: its stored BCS; None if the transaction made it.
        writable: whether it was borrowed mutably or made.
    """

    parent: ObjectId
    move_type: MoveType
    value: Any
    original: bytes | None
    writable: bool


@dataclass(frozen=True, slots=True)
class ChildChange:
    """A child after the transaction.

    Attributes:
        parent: id of its owner.
        move_type: its type.
        contents: its BCS; None if it is no child any more.
    """

    parent: ObjectId
    move_type: MoveType
    contents: bytes | None


@dataclass
class FieldValue:
    """Value of ``0x2::dynamic_field::Field<K, V>``."""

    id: ObjectId
    name: Any
    value: Any


@dataclass
class Runtime:
    """State of one running transaction.

    Attributes:
        sender: who signed.
        digest: 32 bytes of the transaction's digest, from which new ids come.
        rules: what genesis fixed.
        load: gives a stored child object, None if there is none.
        resolve: gives the `MoveType` of a tag.
        strict: check that borrowed values were not changed.
        upgrades: how many upgrades of the Walrus contract lie behind the package that is called now.
        created: ids made by this transaction.
        deleted: ids ended by this transaction.
        transfers: objects sent away, by id, in the order of the last transfer.
        events: in order.
    """

    sender: SuiAddress
    digest: bytes
    rules: ChainRules
    load: Callable[[ObjectId], Stored | None]
    resolve: Callable[[TypeTag], MoveType]
    strict: bool = False
    upgrades: int = 0
    created: dict[ObjectId, None] = field(default_factory=dict)
    deleted: dict[ObjectId, None] = field(default_factory=dict)
    transfers: dict[ObjectId, Transfer] = field(default_factory=dict)
    events: list[Emitted] = field(default_factory=list)
    _children: dict[ObjectId, Child] = field(default_factory=dict)
    _count: int = 0

    # Identity and events

    def new_uid(self) -> ObjectId:
        """A fresh object id (``object::new``)."""
        counter = self._count.to_bytes(8, "little")
        self._count += 1
        raw = hashlib.blake2b(_SCOPE_NEW + self.digest + counter, digest_size=32).hexdigest()
        uid = ObjectId("0x" + raw)
        self.created[uid] = None
        return uid

    def delete_uid(self, uid: ObjectId) -> None:
        """Ends an object id (``object::delete``)."""
        if uid in self.created:
            del self.created[uid]
        else:
            self.deleted[uid] = None

    def emit(self, event: object) -> None:
        """Emits an instance of a registered struct as an event."""
        move_type = type_of(type(event))
        self.events.append(Emitted(move_type, move_type.to_bcs(event)))

    # Objects

    def transfer(self, move_type: MoveType, value: Any, recipient: SuiAddress) -> None:
        """Sends an object to an address."""
        self._send(Transfer(move_type, value, Destination.ADDRESS, recipient))

    def share(self, move_type: MoveType, value: Any) -> None:
        """Makes an object shared."""
        self._send(Transfer(move_type, value, Destination.SHARED))

    def freeze(self, move_type: MoveType, value: Any) -> None:
        """Makes an object immutable."""
        self._send(Transfer(move_type, value, Destination.FROZEN))

    def _send(self, transfer: Transfer) -> None:
        self.transfers.pop(transfer.value.id, None)
        self.transfers[transfer.value.id] = transfer

    # Children

    def field_id(self, parent: ObjectId, key_type: MoveType, key: Any) -> ObjectId:
        """Id of a dynamic field: a hash of parent, key and key type."""
        raw = key_type.to_bcs(key)
        tag = tags.to_bcs(self.rules.packages.published(key_type.tag))
        parts = (_SCOPE_CHILD, bytes.fromhex(parent[2:]), len(raw).to_bytes(8, "little"), raw, tag)
        return ObjectId("0x" + hashlib.blake2b(b"".join(parts), digest_size=32).hexdigest())

    def has_child(self, parent: ObjectId, child_id: ObjectId) -> bool:
        """Whether the object has this child now."""
        child = self._child(child_id)
        return child is not None and child.value is not None and child.parent == parent

    def add_child(self, parent: ObjectId, child_id: ObjectId, move_type: MoveType, value: Any) -> None:
        """Adds a child; the caller has checked that there is none."""
        known = self._child(child_id)
        original = known.original if known is not None and known.parent == parent else None
        self._children[child_id] = Child(parent, move_type, value, original, writable=True)

    def borrow_child(self, parent: ObjectId, child_id: ObjectId, move_type: MoveType, *, mutable: bool) -> Any:
        """The child's working value; it may be changed only if `mutable`.

        Raises:
            MoveAbort: there is no such child, or it has another type.
        """
        child = self._child(child_id)
        if child is None or child.value is None or child.parent != parent:
            raise MoveAbort.of(E_FIELD_DOES_NOT_EXIST, function="borrow_child_object")
        if child.move_type.tag != move_type.tag:
            raise MoveAbort.of(E_FIELD_TYPE_MISMATCH, function="borrow_child_object")
        child.writable = child.writable or mutable
        return child.value

    def remove_child(self, parent: ObjectId, child_id: ObjectId, move_type: MoveType) -> Any:
        """Takes the child out and returns its value.

        Raises:
            MoveAbort: there is no such child, or it has another type.
        """
        value = self.borrow_child(parent, child_id, move_type, mutable=True)
        self._children[child_id].value = None
        return value

    def _child(self, child_id: ObjectId) -> Child | None:
        child = self._children.get(child_id)
        if child is None:
            stored = self.load(child_id)
            if stored is None:
                return None
            move_type = self.resolve(stored.tag)
            value = move_type.from_bcs(stored.contents)
            child = Child(stored.parent, move_type, value, stored.contents, writable=False)
            self._children[child_id] = child
        return child

    def child_changes(self) -> dict[ObjectId, ChildChange]:
        """Children that are new, changed or gone, with their BCS.

        Raises:
            RuntimeError: strict, and a value that was only borrowed was changed: a bug in a native module.
            ArithmeticFailure: a value does not fit its type.
        """
        changes: dict[ObjectId, ChildChange] = {}
        for child_id, child in self._children.items():
            if not child.writable:
                if self.strict and child.move_type.to_bcs(child.value) != child.original:
                    raise RuntimeError(f"{child.move_type} {child_id} was changed although only borrowed")
                continue
            contents = None if child.value is None else child.move_type.to_bcs(child.value)
            if contents != child.original:
                changes[child_id] = ChildChange(child.parent, child.move_type, contents)
        return changes
