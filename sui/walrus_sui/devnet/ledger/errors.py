"""Why a transaction is refused before it runs: nothing is charged, nothing is stored.

A server answers each with a gRPC status; the texts are those a Sui node uses where clients match on them.
"""

from enum import Enum


class RejectionKind(Enum):
    """Which gRPC status a refusal deserves."""

    INVALID = "INVALID_ARGUMENT"
    SIGNATURE = "INVALID_ARGUMENT "  # the same status, told apart for metrics and tests
    NOT_FOUND = "NOT_FOUND"


class LedgerError(Exception):
    """Base of all errors of the ledger."""


class Rejected(LedgerError):  # noqa: N818 - read as an outcome
    """The transaction was refused and did not run.

    Remedy: the message says what is wrong; a transaction with stale objects must be rebuilt with their current
    versions, a bad signature must be made again over the same bytes.
    """

    def __init__(self, message: str, *, kind: RejectionKind = RejectionKind.INVALID) -> None:
        super().__init__(message)
        self.kind = kind


class GenesisError(LedgerError):
    """The genesis configuration cannot be used; the message names the field."""


class RestoreError(LedgerError):
    """Stored rows do not fit together or belong to another genesis. Remedy: use the data directory's own config."""
