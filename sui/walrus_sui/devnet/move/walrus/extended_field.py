"""A field that is stored as an object of its own, so that its owner stays small (contract module extended_field)."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import UID, MoveType
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

    def destroy(self, rt: Runtime, field: ExtendedField) -> T:
        """Ends the field and gives its value."""
        value = self._field.remove(rt, field.id, _KEY)
        rt.delete_uid(field.id)
        return value


@MODULE.public("<T: store>(value: T, ctx: &mut TxContext): ExtendedField<T>")
def new(rt: Runtime, types: tuple[MoveType, ...], value: Any) -> ExtendedField:
    """A field with its first value."""
    return Extended[Any](types[0]).new(rt, value)


@MODULE.public("<T: store>(field: &ExtendedField<T>): &T")
def borrow(rt: Runtime, types: tuple[MoveType, ...], field: ExtendedField) -> Any:
    """The value."""
    return Extended[Any](types[0]).borrow(rt, field)


@MODULE.public("<T: store>(field: &mut ExtendedField<T>): &mut T")
def borrow_mut(rt: Runtime, types: tuple[MoveType, ...], field: ExtendedField) -> Any:
    """The value, which may be changed in place."""
    return Extended[Any](types[0]).borrow_mut(rt, field)


@MODULE.public("<T: store>(field: &mut ExtendedField<T>, value: T): T")
def swap(rt: Runtime, types: tuple[MoveType, ...], field: ExtendedField, value: Any) -> Any:
    """Puts a value in and gives the old one back."""
    return Extended[Any](types[0]).swap(rt, field, value)


@MODULE.public("<T: store>(field: ExtendedField<T>): T")
def destroy(rt: Runtime, types: tuple[MoveType, ...], field: ExtendedField) -> Any:
    """Ends the field and gives its value."""
    return Extended[Any](types[0]).destroy(rt, field)
