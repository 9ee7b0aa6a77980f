"""What a failed transaction becomes: an exception."""

from walrus_sui.devnet.ledger.failures import Failure, FailureKind
from walrus_sui.devnet.move.core.aborts import AbortCode, MoveAbort


class TransactionFailed(Exception):  # noqa: N818 - an outcome
    """The transaction ran and failed otherwise than by an abort; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.description)
        self.failure = failure


def raise_failure(failure: Failure | None) -> None:
    """Raises what a failed transaction deserves."""
    if failure is None:
        return
    if failure.kind is FailureKind.MOVE_ABORT and failure.location is not None:
        place = failure.location
        code = AbortCode(place.package, place.module, failure.abort_code or 0, failure.note)
        raise MoveAbort(code, function=place.function_name or "")
    raise TransactionFailed(failure)
