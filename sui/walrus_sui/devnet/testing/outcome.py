"""What a transaction becomes: a receipt, or, if it failed, an exception."""

from dataclasses import dataclass
from typing import Any, Protocol

from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.effects import Effects, IdOperation
from walrus_sui.devnet.ledger.failures import Failure, FailureKind
from walrus_sui.devnet.move.core.aborts import AbortCode, MoveAbort
from walrus_sui.devnet.move.core.types import MoveType
from walrus_sui.devnet.testing.handles import Handle, ReadsObjects


class TransactionFailed(Exception):  # noqa: N818 - an outcome
    """The transaction ran and failed otherwise than by an abort; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.description)
        self.failure = failure


@dataclass(frozen=True)
class Receipt:
    """What a transaction did.

    Attributes:
        effects: all of it, with versions, digests and gas.
        events: decoded, in order; the class of each is named as in Move.
        created: objects that it made, dynamic fields included, by id.
    """

    effects: Effects
    events: tuple[Any, ...]
    created: tuple[Handle, ...]

    def event(self, name: str) -> Any:
        """The only event of a kind.

        Raises:
            LookupError: there is none, or more than one.
        """
        found = [event for event in self.events if type(event).__name__ == name]
        if len(found) != 1:
            raise LookupError(f"{len(found)} events {name} among {[type(event).__name__ for event in self.events]}")
        return found[0]


class KnowsTypes(ReadsObjects, Protocol):
    """What making a receipt needs of a chain."""

    def type_of(self, text: str) -> MoveType:
        """The Move type of a published type's text."""


def receipt(chain: KnowsTypes, executed: Executed) -> Receipt:
    """The receipt of a transaction that ran."""
    made = [item.object_id for item in executed.effects.changed_objects if item.operation is IdOperation.CREATED]
    live = tuple(Handle(chain, object_id) for object_id in made)
    events = tuple(chain.type_of(event.type).from_bcs(event.contents) for event in executed.events)
    return Receipt(executed.effects, events, live)


def raise_failure(failure: Failure | None) -> None:
    """Raises what a failed transaction deserves."""
    if failure is None:
        return
    if failure.kind is FailureKind.MOVE_ABORT and failure.location is not None:
        place = failure.location
        code = AbortCode(place.package, place.module, failure.abort_code or 0, failure.note)
        raise MoveAbort.of(code, function=place.function_name or "")
    raise TransactionFailed(failure)
