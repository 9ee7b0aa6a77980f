"""The client's one tree of errors, by cause; each message says what to do.

Errors of the chain (`walrus_sui.errors.ChainError`) and of the codec (`walrus_codec.errors.CodecError`) pass through
the client unchanged where they already say it best: a caller that wants to treat everything alike catches the three
bases. `reason` is the name that the gateway puts into its error envelope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from walrus_client.reasons import Reason


class ClientError(Exception):
    """Base of all errors of `walrus_client`."""

    reason: ClassVar[str] = "INTERNAL_ERROR"


class ConfigError(ClientError):
    """A configuration file cannot be used. Correct the places that the message names, then start again."""


class PortError(ClientError):
    """A port cannot be listened on. Stop what uses it, or configure another one."""


class ComputeError(ClientError):
    """A computation could not be carried out; its input was not judged."""


class ComputeCrashedError(ComputeError):
    """The worker process died (most often: killed for want of memory). The next call gets a new worker."""


class ComputeTimeoutError(ComputeError):
    """The worker took longer than the call's deadline and was stopped."""


class ComputeClosedError(ComputeError):
    """The call came after `Compute.close`: the process is shutting down. Ask another one."""

    reason: ClassVar[str] = "SHUTTING_DOWN"


class PeerError(ClientError):
    """A storage node did not do what was asked. `node` names it in messages."""

    reason: ClassVar[str] = "NODE_FAILED"
    retryable: ClassVar[bool] = False

    def __init__(self, node: str, message: str) -> None:
        super().__init__(f"storage node {node}: {message}")
        self.node = node
        self.message = message


class PeerUnreachableError(PeerError):
    """No connection; the node may be down or restarting."""

    retryable: ClassVar[bool] = True


class PeerTimeoutError(PeerError):
    """The node did not answer within the call's deadline."""

    retryable: ClassVar[bool] = True


class PeerIdentityError(PeerError):
    """The node's certificate does not carry the network key that is registered on chain. Nothing was sent to it."""


class PeerMisbehavedError(PeerError):
    """The node's answer breaks the protocol: wrong sizes, wrong signature, bytes that do not match the metadata."""


class PeerRefusedError(PeerError):
    """The node answered with one of the documented reasons; `retry_after_s` is when it wants to be asked again."""

    def __init__(
        self,
        node: str,
        reason: Reason,
        message: str,
        metadata: Mapping[str, str] | None = None,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(node, f"{reason}: {message}")
        self.refusal = reason
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s

    @property
    def may_succeed_later(self) -> bool:
        """True when the same request may succeed without a change on our side."""
        return self.refusal.retryable


class CommitteeUnknownError(ClientError):
    """The chain cannot be reached and no committee was ever read. Check the chain's address, then try again."""

    reason: ClassVar[str] = "CHAIN_UNREACHABLE"


class NetworkNotReadyError(ClientError):
    """The network has no committee yet. Wait for its first epoch change, then try again."""

    reason: ClassVar[str] = "NETWORK_NOT_READY"


@dataclass(frozen=True)
class NodeOutcome:
    """Why one node gave no confirmation (for the error's text and metadata)."""

    name: str
    weight: int
    problem: str


class TreasuryError(ClientError):
    """The purse cannot be filled. The message says whom to send money."""

    reason: ClassVar[str] = "INSUFFICIENT_FUNDS"


class LocalNetworkError(ClientError):
    """A local network cannot be brought up or found. The message has the reason and the end of a log."""


class StoreError(ClientError):
    """A blob could not be stored."""


class InsufficientConfirmationsError(StoreError):
    """Fewer nodes than a quorum confirmed in time. The registration is kept: the same store, repeated, uses it."""

    reason: ClassVar[str] = "INSUFFICIENT_CONFIRMATIONS"

    def __init__(self, *, weight: int, needed: int, n_shards: int, outcomes: Sequence[NodeOutcome]) -> None:
        problems = "; ".join(f"{entry.name} ({entry.weight} shards): {entry.problem}" for entry in outcomes)
        super().__init__(
            f"storage nodes with {weight} of {n_shards} shards confirmed the blob, {needed} are needed; "
            f"the registration is kept, please retry. {problems}"
        )
        self.weight = weight
        self.needed = needed
        self.outcomes = tuple(outcomes)


class LifetimeTooLongError(StoreError):
    """The blob was asked to live longer than the network sells storage ahead."""

    reason: ClassVar[str] = "MALFORMED_REQUEST"

    def __init__(self, epochs: int, limit: int) -> None:
        super().__init__(f"epochs is {epochs}; this network sells storage for 1 to {limit} epochs ahead")
        self.limit = limit


class EncodingUnsupportedError(StoreError):
    """The network does not accept this encoding type."""

    reason: ClassVar[str] = "UNSUPPORTED_ENCODING_TYPE"


class StorageFullError(StoreError):
    """The network has not enough free storage. Ask for fewer epochs, or wait until other blobs expire."""

    reason: ClassVar[str] = "STORAGE_EXHAUSTED"


class BlobInvalidError(ClientError):
    """The blob id is marked invalid, or the decoded bytes are not what its id commits to: nobody can read it."""

    reason: ClassVar[str] = "INVALID_BLOB"


class ReadError(ClientError):
    """A blob could not be read."""


class BlobNotFoundError(ReadError):
    """A quorum of the storage nodes does not know the blob."""

    reason: ClassVar[str] = "BLOB_NOT_FOUND"


class BlobForbiddenError(ReadError):
    """A quorum of the storage nodes refuses to serve the blob."""

    reason: ClassVar[str] = "FORBIDDEN_BLOB"


class BlobUnavailableError(ReadError):
    """Too few nodes answered just now. Try again with back-off; nothing is known to be lost."""

    reason: ClassVar[str] = "BLOB_UNAVAILABLE"


class StatusUnknownError(ReadError):
    """The nodes' answers do not agree on a status that more than f shards support."""

    reason: ClassVar[str] = "BLOB_UNAVAILABLE"
