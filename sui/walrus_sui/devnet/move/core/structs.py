"""Structs and enums: registered Python classes with the BCS of their Move counterparts.

A struct is a dataclass whose fields stand in Move's order; an enum is a union of such classes, numbered in order. Both
are made through a `Module` (``@MODULE.struct("key, store")``), which gives them their tag and abilities.
"""

# ruff: noqa: D102 - write, read, to_json and copy are described once, in MoveType

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

from walrus_codec import bcs
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import JSON, Abilities, MoveType, type_of


def parse_abilities(text: str) -> Abilities:
    """Reads ``"key, store"``.

    Raises:
        ValueError: an ability that Move does not have.
    """
    found = frozenset(part.strip() for part in text.split(",") if part.strip())
    if not found <= {"copy", "drop", "store", "key"}:
        raise ValueError(f"{text!r} are no abilities")
    return found


class Struct(MoveType):
    """A struct whose values are instances of one dataclass.

    Type arguments may only be phantom here: the layout does not depend on them.
    """

    def __init__(self, tag: TypeTag, abilities: Abilities, cls: type[Any]) -> None:
        super().__init__(tag, abilities)
        self.cls = cls
        self.fields: tuple[tuple[str, MoveType], ...] = ()

    def bind(self) -> None:
        """Reads the layout off the class; done once the class is complete, so that it may refer to itself."""
        hints = get_type_hints(self.cls, include_extras=True)
        self.fields = tuple((field.name, type_of(hints[field.name])) for field in dataclasses.fields(self.cls))
        self._readers = [move_type.read for _, move_type in self.fields]

    def with_tag(self, tag: TypeTag) -> "Struct":
        """The same struct under a tag with type arguments."""
        other = Struct(tag, self.abilities, self.cls)
        other.fields, other._readers = self.fields, self._readers
        return other

    def write(self, value: Any, out: bytearray) -> None:
        for name, move_type in self.fields:
            move_type.write(getattr(value, name), out)
        if not self.fields:  # Move gives a struct without fields a hidden boolean
            out.append(0)

    def read(self, reader: bcs.Reader) -> Any:
        if not self.fields:
            reader.boolean()
        return self.cls(*[read(reader) for read in self._readers])

    def to_json(self, value: Any) -> JSON:
        return {name: move_type.to_json(getattr(value, name)) for name, move_type in self.fields}


class Wrapped(MoveType):
    """A struct with one positional field (``struct Committee(VecMap<…>)``), in Python the field's value itself."""

    def __init__(self, tag: TypeTag, abilities: Abilities, inner: MoveType) -> None:
        super().__init__(tag, abilities)
        self.inner = inner

    def write(self, value: Any, out: bytearray) -> None:
        self.inner.write(value, out)

    def read(self, reader: bcs.Reader) -> Any:
        return self.inner.read(reader)

    def to_json(self, value: Any) -> JSON:
        return {"pos0": self.inner.to_json(value)}


class Enum(MoveType):
    """An enum: the variant's number, then the fields of its class."""

    def __init__(self, tag: TypeTag, abilities: Abilities, variants: Sequence[type[Any]]) -> None:
        super().__init__(tag, abilities)
        self.variants = tuple(_variant(cls) for cls in variants)
        self._numbers = {cls: number for number, cls in enumerate(variants)}

    def write(self, value: Any, out: bytearray) -> None:
        number = self._numbers[type(value)]
        out += bcs.uleb(number)
        for name, move_type in self.variants[number][1]:
            move_type.write(getattr(value, name), out)

    def read(self, reader: bcs.Reader) -> Any:
        number = reader.uleb()
        if number >= len(self.variants):
            raise bcs.BcsError(f"{self.tag} has no variant {number}")
        cls, fields = self.variants[number]
        return cls(*[move_type.read(reader) for _, move_type in fields])

    def to_json(self, value: Any) -> JSON:
        number = self._numbers[type(value)]
        fields = self.variants[number][1]
        return {"@variant": type(value).__name__, **{name: kind.to_json(getattr(value, name)) for name, kind in fields}}


def _variant(cls: type[Any]) -> tuple[type[Any], tuple[tuple[str, MoveType], ...]]:
    hints = get_type_hints(cls, include_extras=True)
    return cls, tuple((field.name, type_of(hints[field.name])) for field in dataclasses.fields(cls))


@dataclasses.dataclass(frozen=True)
class StructDeclaration:
    """A struct or enum as a module declares it.

    Attributes:
        name: in Move.
        abilities: of the struct itself; those of a concrete type may depend on its arguments.
        type_parameters: how many.
        build: makes the concrete type from its arguments.
    """

    name: str
    abilities: Abilities
    type_parameters: int
    build: Callable[[tuple[MoveType, ...]], MoveType]
