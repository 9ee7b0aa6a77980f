"""The one table of error reasons that storage nodes give and clients understand.

Life of a reason: a handler of the node decides that a request cannot be served and raises `RequestRefused` with a
`Reason`; the gRPC face turns it into a status with `google.rpc.ErrorInfo` (`walrus_client.grpc_errors`), the REST
face into the error envelope; a client gets back the same `Reason`. Names, canonical status and HTTP code are those
of the official storage node (walrus-service, `node/errors.rs`), so that both faces are one table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum

DOMAIN = "storage.walrus.space"
"""Domain of every ErrorInfo that a storage node sends."""


class Status(Enum):
    """Canonical status: name as in `google.rpc.Code`, its number, and the HTTP code of the REST face."""

    INVALID_ARGUMENT = (3, 400)
    DEADLINE_EXCEEDED = (4, 504)
    NOT_FOUND = (5, 404)
    PERMISSION_DENIED = (7, 403)
    RESOURCE_EXHAUSTED = (8, 429)
    FAILED_PRECONDITION = (9, 400)
    OUT_OF_RANGE = (11, 416)
    INTERNAL = (13, 500)
    UNAVAILABLE = (14, 503)
    UNAUTHENTICATED = (16, 401)
    # gRPC has no code of its own for these two: they travel as PERMISSION_DENIED and keep their HTTP code.
    SIZE_EXCEEDED = (8, 403)
    UNAVAILABLE_FOR_LEGAL_REASONS = (7, 451)

    @property
    def grpc_number(self) -> int:
        """Number of the gRPC status code."""
        return self.value[0]

    @property
    def http(self) -> int:
        """HTTP status of the REST face."""
        return self.value[1]


class Reason(StrEnum):
    """Why a storage node refused a request; the names are API."""

    SHARD_NOT_ASSIGNED = "SHARD_NOT_ASSIGNED"
    INDEX_OUT_OF_RANGE = "INDEX_OUT_OF_RANGE"
    UNAVAILABLE = "UNAVAILABLE"
    METADATA_NOT_FOUND = "METADATA_NOT_FOUND"
    FORBIDDEN_BLOB = "FORBIDDEN_BLOB"
    SLIVER_NOT_FOUND = "SLIVER_NOT_FOUND"
    NOT_REGISTERED = "NOT_REGISTERED"
    MISSING_SLIVERS = "MISSING_SLIVERS"
    CACHE_SATURATED = "CACHE_SATURATED"
    INVALID_METADATA = "INVALID_METADATA"
    INVALID_BLOB = "INVALID_BLOB"
    UNSUPPORTED_ENCODING_TYPE = "UNSUPPORTED_ENCODING_TYPE"
    INVALID_SLIVER = "INVALID_SLIVER"
    SLIVER_INDEX_MISMATCH = "SLIVER_INDEX_MISMATCH"
    SLIVER_TOO_LARGE = "SLIVER_TOO_LARGE"
    INVALID_EPOCH = "INVALID_EPOCH"
    NO_SYMBOLS_SPECIFIED = "NO_SYMBOLS_SPECIFIED"
    RECOVERY_SYMBOL_OUT_OF_RANGE = "RECOVERY_SYMBOL_OUT_OF_RANGE"
    INVALID_PROOF = "INVALID_PROOF"
    MALFORMED_REQUEST = "MALFORMED_REQUEST"
    REQUEST_UNAUTHORIZED = "REQUEST_UNAUTHORIZED"
    MESSAGE_VERIFICATION_FAILED = "MESSAGE_VERIFICATION_FAILED"
    INTERNAL_ERROR = "INTERNAL_ERROR"

    @property
    def status(self) -> Status:
        """Canonical status that goes with this reason."""
        return _STATUS[self]

    @property
    def retryable(self) -> bool:
        """True when the same request may succeed later without a change on the asker's side."""
        return self in _RETRYABLE


_STATUS: dict[Reason, Status] = {
    Reason.SHARD_NOT_ASSIGNED: Status.INVALID_ARGUMENT,
    Reason.INDEX_OUT_OF_RANGE: Status.INVALID_ARGUMENT,
    Reason.UNAVAILABLE: Status.UNAVAILABLE,
    Reason.METADATA_NOT_FOUND: Status.NOT_FOUND,
    Reason.FORBIDDEN_BLOB: Status.UNAVAILABLE_FOR_LEGAL_REASONS,
    Reason.SLIVER_NOT_FOUND: Status.NOT_FOUND,
    Reason.NOT_REGISTERED: Status.FAILED_PRECONDITION,
    Reason.MISSING_SLIVERS: Status.FAILED_PRECONDITION,
    Reason.CACHE_SATURATED: Status.RESOURCE_EXHAUSTED,
    Reason.INVALID_METADATA: Status.INVALID_ARGUMENT,
    Reason.INVALID_BLOB: Status.FAILED_PRECONDITION,
    Reason.UNSUPPORTED_ENCODING_TYPE: Status.INVALID_ARGUMENT,
    Reason.INVALID_SLIVER: Status.INVALID_ARGUMENT,
    Reason.SLIVER_INDEX_MISMATCH: Status.INVALID_ARGUMENT,
    Reason.SLIVER_TOO_LARGE: Status.SIZE_EXCEEDED,
    Reason.INVALID_EPOCH: Status.INVALID_ARGUMENT,
    Reason.NO_SYMBOLS_SPECIFIED: Status.INVALID_ARGUMENT,
    Reason.RECOVERY_SYMBOL_OUT_OF_RANGE: Status.INVALID_ARGUMENT,
    Reason.INVALID_PROOF: Status.INVALID_ARGUMENT,
    Reason.MALFORMED_REQUEST: Status.INVALID_ARGUMENT,
    Reason.REQUEST_UNAUTHORIZED: Status.PERMISSION_DENIED,
    Reason.MESSAGE_VERIFICATION_FAILED: Status.INVALID_ARGUMENT,
    Reason.INTERNAL_ERROR: Status.INTERNAL,
}

_RETRYABLE = frozenset(
    {
        Reason.UNAVAILABLE,
        Reason.NOT_REGISTERED,
        Reason.CACHE_SATURATED,
        Reason.METADATA_NOT_FOUND,
        Reason.SLIVER_NOT_FOUND,
        Reason.INTERNAL_ERROR,
    }
)


class RequestRefused(Exception):  # noqa: N818 - it is an answer, not a fault of the program
    """A node's documented answer "no": the reason, a sentence that says what to do, and facts as strings."""

    def __init__(self, reason: Reason, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
