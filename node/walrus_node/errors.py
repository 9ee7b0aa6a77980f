"""The one tree of errors of the storage node, with the exit codes that they end the process with.

Refusals of requests are not here: they are answers (`walrus_client.reasons.RequestRefused`). What is here ends the
process or a part of it. Exit codes are API, the operator shows them: 0 a clean stop, 1 a fault of the program, 2 wrong
configuration or keys, 3 the store cannot be opened or is damaged, 4 the store belongs to another network or node,
5 the chain's events contradict what is stored. `walrus-node db` adds two that judge a folder (`walrus_node.db`).
"""

from __future__ import annotations

from typing import ClassVar


class WalrusNodeError(Exception):
    """Root of all errors that the node raises on purpose."""

    exit_code: ClassVar[int] = 1


class ConfigError(WalrusNodeError):
    """The configuration file or a key file is missing or wrong. Remedy: correct what the message names."""

    exit_code = 2


class StoreError(WalrusNodeError):
    """The database cannot be opened, is damaged, or comes from a newer release. Remedy: see the message."""

    exit_code = 3


class IdentityError(WalrusNodeError):
    """The data directory belongs to another chain or another node. Remedy: give this node its own data directory."""

    exit_code = 4


class EventConflictError(WalrusNodeError):
    """The chain's events cannot follow those that are stored.

    Remedy: check which chain is followed, or wipe the data directory.
    """

    exit_code = 5


class DiskError(StoreError):
    """The disk refuses writes: it is full, read-only or broken. A running node waits until it takes them again."""


class DamagedError(StoreError):
    """One stored value cannot be read as what it is, though the database works: bits have changed on disk."""


class ShardNotHereError(StoreError):
    """A sliver was to be written to a shard that is not stored here or takes no writes."""


class MetadataMissingError(StoreError):
    """A sliver was to be written for a blob whose metadata is not stored (any more)."""
