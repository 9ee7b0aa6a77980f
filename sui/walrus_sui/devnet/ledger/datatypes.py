"""Structs and enums as the chain describes them, read off the native modules' declarations.

Layouts come from registered classes. A type of the framework with a layout of its own (ids, strings, options, maps) has
no fields listed, and phantom type arguments of a field's type are left out, because Python classes do not carry them.
"""

from collections.abc import Iterable

from walrus_sui.devnet.ledger.queries import signature_type
from walrus_sui.devnet.ledger.views import Datatype, SignatureType
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.packages import Packages
from walrus_sui.devnet.move.core.signatures import type_parameter
from walrus_sui.devnet.move.core.structs import Enum, Struct, Wrapped
from walrus_sui.devnet.move.core.types import Bytes, MoveType


def datatype(packages: Packages, package: str, module: str, name: str) -> Datatype | None:
    """A struct or enum, given its package's id; None if there is none.

    Raises:
        tags.TypeTagError: the package is no address.
    """
    alias = packages.alias_of(tags.normalize_address(package))
    found = registry.module(alias, module)
    if found is None or name not in found.structs:
        return None
    declared = found.structs[name]
    # Bytes stand for the type arguments: only their names are looked at.
    built = declared.build(tuple(Bytes(type_parameter(index)) for index in range(declared.type_parameters)))
    fields: Iterable[tuple[str, MoveType]] = ()
    variants = None
    match built:
        case Struct():
            fields = built.fields
        case Wrapped():
            fields = (("pos0", built.inner),)
        case Enum():
            variants = tuple((cls.__name__, _fields(packages, inside)) for cls, inside in built.variants)
    return Datatype(
        packages.id_of(alias),
        module,
        name,
        tuple(sorted(ability.upper() for ability in declared.abilities)),
        declared.type_parameters,
        _fields(packages, fields),
        variants,
    )


def _fields(packages: Packages, fields: Iterable[tuple[str, MoveType]]) -> tuple[tuple[str, SignatureType], ...]:
    return tuple((name, signature_type(packages, move_type.tag)) for name, move_type in fields)
