"""A field that is stored as an object of its own, so that its owner stays small (contract module extended_field)."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import UID
from walrus_sui.devnet.move.framework.fields import DynamicField

MODULE = Module(WALRUS, "extended_field")

T = TypeVar("T")


@MODULE.struct("copy, drop, store")
@dataclass(frozen=True, slots=True)
class Key:
    """Key of the one dynamic field."""


@MODULE.struct("key, store", phantom=1)
@dataclass(slots=True)
class ExtendedField:
    """What stands in the owner: the parent of the dynamic field."""

    id: UID


_KEY = Key()


class Extended(Generic[T]):
    """Door to the extended fields of one type."""

    def __init__(self, value: Any) -> None:
        self._field: DynamicField[Key, T] = DynamicField(Key, value)

    def new(self, rt: Runtime, value: T) -> ExtendedField:
        """A field with its first value."""
        field = ExtendedField(rt.new_uid())
        self._field.add(rt, field.id, _KEY, value)
        return field

    def borrow(self, rt: Runtime, field: ExtendedField) -> T:
        """The value, which must not be changed."""
        return self._field.borrow(rt, field.id, _KEY)

    def borrow_mut(self, rt: Runtime, field: ExtendedField) -> T:
        """The value, which may be changed in place."""
        return self._field.borrow_mut(rt, field.id, _KEY)

    def swap(self, rt: Runtime, field: ExtendedField, value: T) -> T:
        """Puts a value in and gives the old one back."""
        old = self._field.remove(rt, field.id, _KEY)
        self._field.add(rt, field.id, _KEY, value)
        return old
