"""Modules: the tables that join Move names to Python.

Each Move module is one Python module with one `Module` in it. Structs, abort codes and functions register there at
import; the registry of all modules (`walrus_sui.devnet.move.registry`) answers type and function look-ups from them.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from walrus_sui.devnet.move.core.aborts import AbortCode
from walrus_sui.devnet.move.core.packages import STD, SUI
from walrus_sui.devnet.move.core.signatures import Signature, parse_signature
from walrus_sui.devnet.move.core.structs import Enum, Struct, StructDeclaration, Wrapped, parse_abilities
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import MoveType

T = TypeVar("T", bound=type[Any])
F = TypeVar("F", bound=Callable[..., Any])

_PRELUDE = {
    "String": (STD, "string", "String"),
    "AsciiString": (STD, "ascii", "String"),
    "Option": (STD, "option", "Option"),
    "ID": (SUI, "object", "ID"),
    "UID": (SUI, "object", "UID"),
    "TxContext": (SUI, "tx_context", "TxContext"),
    "VecMap": (SUI, "vec_map", "VecMap"),
}


@dataclass(frozen=True)
class Function:
    """A callable function.

    Attributes:
        name: in Move.
        signature: what calls are checked against.
        is_public: otherwise it is an ``entry`` function that only transactions may call.
        is_entry: whether it is declared ``entry``.
        run: takes the run-time, the type arguments if it has type parameters, then the arguments without ``TxContext``.
    """

    name: str
    signature: Signature
    is_public: bool
    is_entry: bool
    run: Callable[..., Any]


class Module:
    """One Move module.

    Attributes:
        package: alias or framework address of its package.
        name: its name.
        structs: declared structs and enums by name.
        functions: callable functions by name.
        errors: declared abort codes by number.
    """

    def __init__(self, package: str, name: str, *, uses: Sequence["Module"] = ()) -> None:
        self.package = package
        self.name = name
        self.structs: dict[str, StructDeclaration] = {}
        self.functions: dict[str, Function] = {}
        self.errors: dict[int, AbortCode] = {}
        self._uses = tuple(uses)

    def tag(self, name: str, *params: TypeTag) -> TypeTag:
        """Tag of one of its structs."""
        return TypeTag(name, params, self.package, self.name)

    def concrete(self, name: str, *params: MoveType) -> MoveType:
        """One of its structs with type arguments."""
        return self.structs[name].build(params)

    def struct(self, abilities: str = "", *, name: str = "", phantom: int = 0) -> Callable[[T], T]:
        """Registers a dataclass as a struct.

        Args:
            abilities: ``"key, store"``.
            name: in Move, if the class is called otherwise.
            phantom: number of phantom type parameters.
        """

        def register(cls: T) -> T:
            move_name = name or cls.__name__
            base = Struct(self.tag(move_name), parse_abilities(abilities), cls)
            base.bind()
            cls.__move_type__ = base

            def build(params: tuple[MoveType, ...]) -> MoveType:
                return base.with_tag(self.tag(move_name, *(param.tag for param in params))) if params else base

            self.structs[move_name] = StructDeclaration(move_name, base.abilities, phantom, build)
            return cls

        return register

    def generic(self, name: str, parameters: int, abilities: str, build: Callable[..., MoveType]) -> None:
        """Registers a struct whose layout depends on its type arguments."""
        self.structs[name] = StructDeclaration(name, parse_abilities(abilities), parameters, lambda args: build(*args))

    def native(self, move_type: MoveType) -> MoveType:
        """Registers a struct with a layout of its own."""
        name, abilities = move_type.tag.name, move_type.abilities
        self.structs[name] = StructDeclaration(name, abilities, 0, lambda _: move_type)
        return move_type

    def wrapper(self, name: str, abilities: str, inner: MoveType) -> MoveType:
        """Registers a struct with one positional field."""
        return self.native(Wrapped(self.tag(name), parse_abilities(abilities), inner))

    def enum(self, name: str, abilities: str, *variants: type[Any]) -> MoveType:
        """Registers an enum; the variants' classes in Move's order."""
        move_type = Enum(self.tag(name), parse_abilities(abilities), variants)
        self.structs[name] = StructDeclaration(name, move_type.abilities, 0, lambda _: move_type)
        return move_type

    def error(self, code: int, name: str) -> AbortCode:
        """Registers an abort code."""
        if code in self.errors:
            raise ValueError(f"{self.name} has abort code {code} twice")
        self.errors[code] = AbortCode(self.package, self.name, code, name)
        return self.errors[code]

    def public(self, signature: str, *, name: str = "", entry: bool = False) -> Callable[[F], F]:
        """Registers a public function, or a ``public entry`` one, with its Move signature."""
        return self._function(signature, name, is_public=True, is_entry=entry)

    def entry(self, signature: str, *, name: str = "") -> Callable[[F], F]:
        """Registers a private entry function with its Move signature."""
        return self._function(signature, name, is_public=False, is_entry=True)

    def _function(self, text: str, name: str, *, is_public: bool, is_entry: bool) -> Callable[[F], F]:
        def register(run: F) -> F:
            move_name = name or run.__name__
            signature = parse_signature(text, self._lookup)
            wanted = ["rt", *(["types"] if signature.type_parameters else [])]
            wanted += [parameter.name for parameter in signature.arguments]
            given = [item.lstrip("_") for item in inspect.signature(run).parameters]
            if given != wanted:
                raise TypeError(f"{self.name}::{move_name} takes {given}, its signature says {wanted}")
            self.functions[move_name] = Function(move_name, signature, is_public, is_entry, run)
            return run

        return register

    def _lookup(self, name: str) -> tuple[str, str, str]:
        for module in (self, *self._uses):
            if name in module.structs:
                return module.package, module.name, name
        return _PRELUDE[name]
