"""Dynamic fields and the collections built on them (modules dynamic_field, dynamic_object_field, table, object_table, bag).

A contract module declares each of its collections once with the types of key and value, and then uses the declaration
as a typed door: ``RATES = Table(U32, PoolExchangeRate)`` and ``RATES.add(rt, pool.exchange_rates, epoch, rate)``. What
stands in the owner's BCS is `TableValue` (id and size); the entries are objects of their own.
"""

# ruff: noqa: D102 - write, read, to_json and copy are described once, in MoveType

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.aborts import AbortCode, MoveAbort, as_u64
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import SUI
from walrus_sui.devnet.move.core.runtime import E_FIELD_ALREADY_EXISTS, FieldValue, Runtime
from walrus_sui.devnet.move.core.types import ID_TYPE, JSON, UID, MoveType, type_of, u64

K = TypeVar("K")
V = TypeVar("V")

DYNAMIC_FIELD = Module(SUI, "dynamic_field")
DYNAMIC_OBJECT_FIELD = Module(SUI, "dynamic_object_field")
TABLE = Module(SUI, "table")
OBJECT_TABLE = Module(SUI, "object_table")
BAG = Module(SUI, "bag")

for _code in (0, 1, 2):
    DYNAMIC_FIELD.error(_code, ("EFieldAlreadyExists", "EFieldDoesNotExist", "EFieldTypeMismatch")[_code])
E_TABLE_NOT_EMPTY: AbortCode = TABLE.error(0, "ETableNotEmpty")
E_BAG_NOT_EMPTY: AbortCode = BAG.error(0, "EBagNotEmpty")


class FieldType(MoveType):
    """``0x2::dynamic_field::Field<K, V>``."""

    def __init__(self, key: MoveType, value: MoveType) -> None:
        super().__init__(tags.struct(SUI, "dynamic_field", "Field", key.tag, value.tag), frozenset({"key"}))
        self.key = key
        self.value = value

    def write(self, value: Any, out: bytearray) -> None:
        out += bytes.fromhex(value.id[2:])
        self.key.write(value.name, out)
        self.value.write(value.value, out)

    def read(self, reader: bcs.Reader) -> FieldValue:
        return FieldValue(ObjectId("0x" + reader.fixed(32).hex()), self.key.read(reader), self.value.read(reader))

    def to_json(self, value: Any) -> JSON:
        return {"id": value.id, "name": self.key.to_json(value.name), "value": self.value.to_json(value.value)}


class WrapperType(MoveType):
    """``0x2::dynamic_object_field::Wrapper<K>``, in Python the key itself."""

    def __init__(self, key: MoveType) -> None:
        tag = tags.struct(SUI, "dynamic_object_field", "Wrapper", key.tag)
        super().__init__(tag, frozenset({"copy", "drop", "store"}))
        self.key = key

    def write(self, value: Any, out: bytearray) -> None:
        self.key.write(value, out)

    def read(self, reader: bcs.Reader) -> Any:
        return self.key.read(reader)

    def to_json(self, value: Any) -> JSON:
        return {"name": self.key.to_json(value)}


DYNAMIC_FIELD.generic("Field", 2, "key", FieldType)
DYNAMIC_OBJECT_FIELD.generic("Wrapper", 1, "copy, drop, store", WrapperType)


class DynamicField(Generic[K, V]):
    """Dynamic fields with keys and values of one type each (module dynamic_field)."""

    def __init__(self, key: Any, value: Any) -> None:
        self._key = type_of(key)
        self._field = FieldType(self._key, type_of(value))

    def exists(self, rt: Runtime, parent: ObjectId, key: K) -> bool:
        """Whether there is a field under this key, of whatever type."""
        return rt.has_child(parent, rt.field_id(parent, self._key, key))

    def add(self, rt: Runtime, parent: ObjectId, key: K, value: V) -> None:
        """Adds a field; aborts if the key is taken."""
        field_id = rt.field_id(parent, self._key, key)
        if rt.has_child(parent, field_id):
            raise MoveAbort.of(E_FIELD_ALREADY_EXISTS, function="add")
        if field_id in rt.deleted:
            del rt.deleted[field_id]
        else:
            rt.created[field_id] = None
        rt.add_child(parent, field_id, self._field, FieldValue(field_id, key, value))

    def borrow(self, rt: Runtime, parent: ObjectId, key: K) -> V:
        """The value, which must not be changed; aborts if there is none."""
        field: FieldValue = rt.borrow_child(parent, rt.field_id(parent, self._key, key), self._field, mutable=False)
        value: V = field.value
        return value

    def borrow_mut(self, rt: Runtime, parent: ObjectId, key: K) -> V:
        """The value, which may be changed in place; aborts if there is none."""
        value: V = self._borrow_field(rt, parent, key).value
        return value

    def replace(self, rt: Runtime, parent: ObjectId, key: K, value: V) -> None:
        """Assigns through a mutable borrow, for values that cannot be changed in place."""
        self._borrow_field(rt, parent, key).value = value

    def remove(self, rt: Runtime, parent: ObjectId, key: K) -> V:
        """Takes the field out; aborts if there is none."""
        field_id = rt.field_id(parent, self._key, key)
        field: FieldValue = rt.remove_child(parent, field_id, self._field)
        rt.delete_uid(field_id)
        value: V = field.value
        return value

    def remove_opt(self, rt: Runtime, parent: ObjectId, key: K) -> V | None:
        """Takes the field out, if there is one."""
        return self.remove(rt, parent, key) if self.exists(rt, parent, key) else None

    def _borrow_field(self, rt: Runtime, parent: ObjectId, key: K) -> FieldValue:
        field: FieldValue = rt.borrow_child(parent, rt.field_id(parent, self._key, key), self._field, mutable=True)
        return field


class DynamicObjectField(Generic[K, V]):
    """Dynamic fields whose values stay objects that can be found by their own id (module dynamic_object_field)."""

    def __init__(self, key: Any, value: Any) -> None:
        self._wrapper = WrapperType(type_of(key))
        self._fields: DynamicField[K, ObjectId] = DynamicField(self._wrapper, ID_TYPE)
        self._value = type_of(value)

    def exists(self, rt: Runtime, parent: ObjectId, key: K) -> bool:
        """Whether there is an object under this key."""
        return self._fields.exists(rt, parent, key)

    def add(self, rt: Runtime, parent: ObjectId, key: K, value: Any) -> None:
        """Adds an object; aborts if the key is taken."""
        self._fields.add(rt, parent, key, value.id)
        rt.add_child(rt.field_id(parent, self._wrapper, key), value.id, self._value, value)

    def borrow(self, rt: Runtime, parent: ObjectId, key: K) -> V:
        """The object, which must not be changed; aborts if there is none."""
        return self._borrow(rt, parent, key, mutable=False)

    def borrow_mut(self, rt: Runtime, parent: ObjectId, key: K) -> V:
        """The object, which may be changed in place; aborts if there is none."""
        return self._borrow(rt, parent, key, mutable=True)

    def remove(self, rt: Runtime, parent: ObjectId, key: K) -> V:
        """Takes the object out; aborts if there is none."""
        field_id = rt.field_id(parent, self._wrapper, key)
        child_id = self._fields.remove(rt, parent, key)
        value: V = rt.remove_child(field_id, child_id, self._value)
        return value

    def _borrow(self, rt: Runtime, parent: ObjectId, key: K, *, mutable: bool) -> V:
        child_id = self._fields.borrow(rt, parent, key)
        value: V = rt.borrow_child(rt.field_id(parent, self._wrapper, key), child_id, self._value, mutable=mutable)
        return value


@TABLE.struct("store", name="Table", phantom=2)
@OBJECT_TABLE.struct("store", name="ObjectTable", phantom=2)
@BAG.struct("key, store", name="Bag")
@dataclass(slots=True)
class TableValue:
    """What a table, object table or bag looks like inside its owner.

    Attributes:
        id: parent of its entries.
        size: how many there are.
    """

    id: UID
    size: u64

    @classmethod
    def new(cls, rt: Runtime) -> "TableValue":
        """An empty collection."""
        return cls(rt.new_uid(), 0)


class Table(Generic[K, V]):
    """Door to the tables of one type (modules table and, for any mix of types, bag)."""

    def __init__(self, key: Any, value: Any) -> None:
        self._fields: DynamicField[K, V] = DynamicField(key, value)

    def contains(self, rt: Runtime, table: TableValue, key: K) -> bool:
        """Whether the key is there."""
        return self._fields.exists(rt, table.id, key)

    def add(self, rt: Runtime, table: TableValue, key: K, value: V) -> None:
        """Adds an entry; aborts if the key is taken."""
        self._fields.add(rt, table.id, key, value)
        table.size = as_u64(table.size + 1)

    def borrow(self, rt: Runtime, table: TableValue, key: K) -> V:
        """The value, which must not be changed; aborts if there is none."""
        return self._fields.borrow(rt, table.id, key)

    def borrow_mut(self, rt: Runtime, table: TableValue, key: K) -> V:
        """The value, which may be changed in place; aborts if there is none."""
        return self._fields.borrow_mut(rt, table.id, key)

    def replace(self, rt: Runtime, table: TableValue, key: K, value: V) -> None:
        """Assigns to an entry that exists."""
        self._fields.replace(rt, table.id, key, value)

    def remove(self, rt: Runtime, table: TableValue, key: K) -> V:
        """Takes an entry out; aborts if there is none."""
        value = self._fields.remove(rt, table.id, key)
        table.size = as_u64(table.size - 1)
        return value


class ObjectTable(Generic[K, V]):
    """Door to the object tables of one type (module object_table)."""

    def __init__(self, key: Any, value: Any) -> None:
        self._fields: DynamicObjectField[K, V] = DynamicObjectField(key, value)

    def contains(self, rt: Runtime, table: TableValue, key: K) -> bool:
        """Whether the key is there."""
        return self._fields.exists(rt, table.id, key)

    def add(self, rt: Runtime, table: TableValue, key: K, value: V) -> None:
        """Adds an object; aborts if the key is taken."""
        self._fields.add(rt, table.id, key, value)
        table.size = as_u64(table.size + 1)

    def borrow(self, rt: Runtime, table: TableValue, key: K) -> V:
        """The object, which must not be changed; aborts if there is none."""
        return self._fields.borrow(rt, table.id, key)

    def borrow_mut(self, rt: Runtime, table: TableValue, key: K) -> V:
        """The object, which may be changed in place; aborts if there is none."""
        return self._fields.borrow_mut(rt, table.id, key)

    def remove(self, rt: Runtime, table: TableValue, key: K) -> V:
        """Takes an object out; aborts if there is none."""
        value = self._fields.remove(rt, table.id, key)
        table.size = as_u64(table.size - 1)
        return value
