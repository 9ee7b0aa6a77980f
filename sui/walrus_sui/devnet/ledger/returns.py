"""What a called function gives back: its results with their types, and whether a transaction may have them at all."""

from typing import Any

from walrus_sui.devnet.ledger.failures import FailureKind
from walrus_sui.devnet.ledger.slots import CommandFailed
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core.module import Function
from walrus_sui.devnet.move.core.signatures import substitute
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import MoveType


def typed(function: Function, type_arguments: tuple[TypeTag, ...], returned: Any) -> list[tuple[MoveType, Any]]:
    """Each value with its type; copies of the values behind references."""
    results = function.signature.returns
    values = (returned,) if len(results) == 1 else returned or ()
    found: list[tuple[MoveType, Any]] = []
    for result, value in zip(results, values, strict=True):
        move_type = registry.resolve(substitute(result.tag, type_arguments))
        found.append((move_type, move_type.copy(value) if result.reference else value))
    return found


def check(function: Function) -> None:
    """Refuses a function that returns references.

    Raises:
        CommandFailed: it does.
    """
    for index, result in enumerate(function.signature.returns):
        if result.reference:
            note = f"{function.name} returns a reference; simulate it without checks to see the value"
            raise CommandFailed(FailureKind.INVALID_PUBLIC_FUNCTION_RETURN_TYPE, index=index, note=note)
