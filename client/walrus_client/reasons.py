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
    SLIVER_COUNT_EXCEEDS_LIMIT = "SLIVER_COUNT_EXCEEDS_LIMIT"
    MESSAGE_VERIFICATION_FAILED = "MESSAGE_VERIFICATION_FAILED"
    CHALLENGE_WINDOW = "CHALLENGE_WINDOW"
    NODE_DRAINING = "NODE_DRAINING"
    NODE_FENCED = "NODE_FENCED"
    TOKEN_REFUSED = "TOKEN_REFUSED"  # noqa: S105 - a name
    FAULTS_NOT_ENABLED = "FAULTS_NOT_ENABLED"
    UNKNOWN_LOOP = "UNKNOWN_LOOP"
    INTERNAL_ERROR = "INTERNAL_ERROR"

    @property
    def status(self) -> Status:
        """Canonical status that goes with this reason."""
        return _STATUS[self]

    @property
    def meaning(self) -> str:
        """What it says and what to do, for the reference page."""
        return _MEANING[self]

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
    Reason.SLIVER_COUNT_EXCEEDS_LIMIT: Status.INVALID_ARGUMENT,
    Reason.MESSAGE_VERIFICATION_FAILED: Status.INVALID_ARGUMENT,
    Reason.CHALLENGE_WINDOW: Status.UNAVAILABLE,
    Reason.NODE_DRAINING: Status.UNAVAILABLE,
    Reason.NODE_FENCED: Status.UNAVAILABLE,
    Reason.TOKEN_REFUSED: Status.UNAUTHENTICATED,
    Reason.FAULTS_NOT_ENABLED: Status.FAILED_PRECONDITION,
    Reason.UNKNOWN_LOOP: Status.NOT_FOUND,
    Reason.INTERNAL_ERROR: Status.INTERNAL,
}

_MEANING: dict[Reason, str] = {
    Reason.SHARD_NOT_ASSIGNED: "The node does not hold the shard of this sliver pair. Look at the newest committee.",
    Reason.INDEX_OUT_OF_RANGE: "A sliver or pair index is not below the number of shards.",
    Reason.UNAVAILABLE: "The node cannot serve just now: it starts, stops or is overloaded. Try again with back-off.",
    Reason.METADATA_NOT_FOUND: "The node has no metadata of the blob. Send the metadata first, or ask another node.",
    Reason.FORBIDDEN_BLOB: "The node refuses to serve the blob.",
    Reason.SLIVER_NOT_FOUND: "The node has no such sliver (yet). Ask another node.",
    Reason.NOT_REGISTERED: "The blob is not registered in the current epoch, as far as the node has heard. Register it, or wait a moment.",
    Reason.MISSING_SLIVERS: "The node has not all slivers of its shards, so it does not confirm. Send them first; `metadata.missing` says how many.",
    Reason.CACHE_SATURATED: "The node's memory is taken by other requests. Try again later.",
    Reason.INVALID_METADATA: "The metadata does not give the blob id, or has another number of hashes than the network has shards.",
    Reason.INVALID_BLOB: "The blob id was marked invalid on chain; it can never be stored again.",
    Reason.UNSUPPORTED_ENCODING_TYPE: "The network does not store blobs of this encoding.",
    Reason.INVALID_SLIVER: "The sliver is not what the metadata commits to.",
    Reason.SLIVER_INDEX_MISMATCH: "The sliver's index does not fit its pair: equal for primary, n - 1 - pair for secondary slivers.",
    Reason.SLIVER_TOO_LARGE: "The sliver, or a message, is larger than it may be.",
    Reason.INVALID_EPOCH: "The request names another epoch than the node's; `metadata` has both. Look at the chain again.",
    Reason.NO_SYMBOLS_SPECIFIED: "The request names no source whose symbol is wanted.",
    Reason.RECOVERY_SYMBOL_OUT_OF_RANGE: "The pair of a source or target is not below the number of shards.",
    Reason.INVALID_PROOF: "The symbols prove no wrong encoding: one of them, or the number of them, is not as it must be.",
    Reason.MALFORMED_REQUEST: "The message lacks a part, has it in the wrong order, or breaks off.",
    Reason.REQUEST_UNAUTHORIZED: "The asker may not ask for this.",
    Reason.SLIVER_COUNT_EXCEEDS_LIMIT: "More slivers of a shard were asked for at once than a node sends.",
    Reason.MESSAGE_VERIFICATION_FAILED: "A signed message cannot be verified.",
    Reason.CHALLENGE_WINDOW: "Availability challenges are under way, and the asker may be asked for these slivers itself: it must have them, not fetch them. Ask again when the window has ended, or declare that the node recovers.",
    Reason.NODE_DRAINING: "The node is about to be restarted: it takes no stores, sends no shards and takes no challenges. It serves reads. Ask other nodes, and this one in a minute.",
    Reason.NODE_FENCED: "Whoever runs the node has shut it off; it serves nobody until that is taken back. Ask other nodes.",
    Reason.TOKEN_REFUSED: "The call of the admin port has no token, or none of those that the node knows.",
    Reason.FAULTS_NOT_ENABLED: "The node was not started with `--enable-faults`, so it cannot be told to deviate.",
    Reason.UNKNOWN_LOOP: "The node has no loop of this name; `metadata.known` lists them.",
    Reason.INTERNAL_ERROR: "A fault of the node. Its log says more.",
}

_RETRYABLE = frozenset(
    {
        Reason.UNAVAILABLE,
        Reason.NOT_REGISTERED,
        Reason.CACHE_SATURATED,
        Reason.METADATA_NOT_FOUND,
        Reason.SLIVER_NOT_FOUND,
        Reason.CHALLENGE_WINDOW,
        Reason.NODE_DRAINING,
        Reason.NODE_FENCED,
        Reason.INTERNAL_ERROR,
    }
)


class RequestRefused(Exception):  # noqa: N818 - it is an answer, not a fault of the program
    """A node's documented answer "no": the reason, a sentence that says what to do, and facts as strings.

    `retry_after_s` is the node's advice when to ask again, None when it gives none.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        metadata: Mapping[str, str] | None = None,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s
