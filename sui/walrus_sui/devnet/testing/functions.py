"""Functions by their Move names, and what their type parameters stand for."""

import difflib

from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import packages
from walrus_sui.devnet.move.core.module import Function
from walrus_sui.devnet.move.core.tags import TypeTag

_HOMES = (
    packages.WALRUS,
    packages.WAL,
    packages.WAL_EXCHANGE,
    packages.WALRUS_SUBSIDIES,
    packages.SUI,
    packages.STD,
)


def find_function(name: str) -> tuple[str, str, Function]:
    """Package alias, module and function of a Move name, ``module::name`` or ``package::module::name``.

    Raises:
        LookupError: no transaction can call such a function.
    """
    place, _, function = name.rpartition("::")
    home, _, module = place.rpartition("::")
    for package in [home] if home else _HOMES:
        found = registry.function(package, module, function)
        if found is not None:
            return package, module, found
    known = [f"{item.name}::{called}" for item in registry.MODULES for called in item.functions]
    near = difflib.get_close_matches("::".join(name.split("::")[-2:]), known, n=1)
    hint = f"did you mean {near[0]}?" if near else "write module::name."
    raise LookupError(
        f"no function {name} that a transaction can call: {hint} What only the contract itself calls is in"
        " walrus_sui.devnet.testing.internals"
    )


def match_types(pattern: TypeTag, tag: TypeTag, known: dict[int, TypeTag]) -> None:
    """Finds what the type parameters of a pattern stand for."""
    if pattern.name.startswith("$"):
        known.setdefault(int(pattern.name[1:]), tag)
    elif pattern.head == tag.head and len(pattern.params) == len(tag.params):
        for part, given in zip(pattern.params, tag.params, strict=True):
            match_types(part, given, known)
