"""Values of a programmable transaction while it runs, and the rules by which commands take them.

Every input, the gas coin and every result is a `Slot`. Commands borrow from slots or move out of them; the type system is
Move's: what lacks ``copy`` can be moved once, what lacks ``drop`` must be gone at the end, immutable objects lend
themselves only for reading.

Source: Sui's execution layer (``programmable_transactions`` context and execution).
"""

from dataclasses import dataclass
from typing import Any, Final

from walrus_codec.bcs import BcsError
from walrus_sui.devnet.ledger.failures import ArgumentErrorKind, FailureKind, TypeArgumentErrorKind, UpgradeError
from walrus_sui.devnet.ledger.objects import Object
from walrus_sui.devnet.move.core.types import MoveType


class CommandFailed(Exception):  # noqa: N818 - an outcome
    """A command cannot be carried out; becomes the status of the transaction."""

    def __init__(
        self,
        kind: FailureKind,
        *,
        argument: int | None = None,
        argument_kind: ArgumentErrorKind | None = None,
        type_argument_kind: TypeArgumentErrorKind | None = None,
        upgrade: UpgradeError | None = None,
        index: int | None = None,
        sub_index: int | None = None,
        note: str = "",
    ) -> None:
        super().__init__(note or kind.name)
        self.kind = kind
        self.argument = argument
        self.argument_kind = argument_kind
        self.type_argument_kind = type_argument_kind
        self.upgrade = upgrade
        self.index = index
        self.sub_index = sub_index
        self.note = note


def bad_argument(
    argument: int,
    kind: ArgumentErrorKind,
    note: str = "",
    *,
    index: int | None = None,
    sub_index: int | None = None,
) -> CommandFailed:
    """The failure for a wrong argument."""
    return CommandFailed(
        FailureKind.COMMAND_ARGUMENT_ERROR,
        argument=argument,
        argument_kind=kind,
        index=index,
        sub_index=sub_index,
        note=note,
    )


class _Moved:
    def __repr__(self) -> str:
        return "<moved>"


MOVED: Final = _Moved()


@dataclass(slots=True)
class Slot:
    """One value.

    Attributes:
        move_type: its type; None for plain bytes, whose type is that of the parameter they are used for.
        value: the value, `MOVED` once it is gone.
        pure: bytes of a plain input.
        source: the object of an input.
        lends_mutably: whether it may be borrowed by ``&mut``.
        gives: whether it may be taken by value.
        is_gas: whether it is the gas coin.
        changed: whether it was borrowed by ``&mut``.
    """

    move_type: MoveType | None
    value: Any
    pure: bytes | None = None
    source: Object | None = None
    lends_mutably: bool = True
    gives: bool = True
    is_gas: bool = False
    changed: bool = False

    @property
    def is_left(self) -> bool:
        """Whether the value was not moved."""
        return self.value is not MOVED

    def _typed(self, argument: int, wanted: MoveType | None) -> tuple[MoveType, Any]:
        if self.pure is not None:
            return self._decoded(argument, wanted)
        if self.value is MOVED or self.move_type is None:
            raise bad_argument(argument, ArgumentErrorKind.INVALID_VALUE_USAGE, "the value was moved before")
        if wanted is not None and self.move_type.tag != wanted.tag:
            note = f"{wanted.tag} expected, {self.move_type.tag} given"
            raise bad_argument(argument, ArgumentErrorKind.TYPE_MISMATCH, note)
        return self.move_type, self.value

    def _decoded(self, argument: int, wanted: MoveType | None) -> tuple[MoveType, Any]:
        if wanted is None or not wanted.is_pure:
            note = f"{wanted.tag if wanted else 'an object'} cannot come from plain bytes"
            raise bad_argument(argument, ArgumentErrorKind.INVALID_USAGE_OF_PURE_ARG, note)
        try:
            return wanted, wanted.from_bcs(self.pure or b"")
        except BcsError as error:
            raise bad_argument(argument, ArgumentErrorKind.INVALID_BCS_BYTES, str(error)) from None

    def borrow(self, argument: int, wanted: MoveType | None, *, mutable: bool) -> tuple[MoveType, Any]:
        """Lends the value.

        Args:
            argument: which argument of the command, for the failure.
            wanted: type it must have; None for any.
            mutable: whether the borrower may change it.
        """
        move_type, value = self._typed(argument, wanted)
        if mutable:
            if not self.lends_mutably:
                raise bad_argument(argument, ArgumentErrorKind.INVALID_OBJECT_BY_MUT_REF)
            self.changed = True
        return move_type, value

    def take(self, argument: int, wanted: MoveType | None, *, gas_may_go: bool = False) -> tuple[MoveType, Any]:
        """Gives the value away; a copy if its type allows it.

        Args:
            argument: which argument of the command, for the failure.
            wanted: type it must have; None for any.
            gas_may_go: whether the command may take the gas coin.
        """
        move_type, value = self._typed(argument, wanted)
        if self.pure is not None:
            return move_type, value
        if "copy" in move_type.abilities:
            return move_type, move_type.copy(value)
        if self.is_gas and not gas_may_go:
            raise bad_argument(argument, ArgumentErrorKind.INVALID_GAS_COIN_USAGE)
        if not self.gives:
            raise bad_argument(argument, ArgumentErrorKind.INVALID_OBJECT_BY_VALUE)
        self.value = MOVED
        return move_type, value
