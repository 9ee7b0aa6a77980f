"""A node's key files, read.

Three are always there; the next keys' files may come and go while the node runs (see `keyring`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from walrus_node.config import KeysConfig
from walrus_node.errors import ConfigError
from walrus_sui.errors import KeyFileError
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey


@dataclass(frozen=True)
class NodeKeys:
    """The secrets, loaded."""

    protocol: BlsKey
    network: NetworkKey
    sui: SuiKey
    next_protocol: BlsKey | None = None
    next_network: NetworkKey | None = None


def load_keys(config: KeysConfig) -> NodeKeys:
    """Reads the key files; raises `ConfigError`."""
    try:
        return NodeKeys(
            protocol=BlsKey.load(config.protocol),
            network=NetworkKey.load(config.network),
            sui=SuiKey.load(config.sui),
            next_protocol=_if_there(BlsKey, config.next_protocol),
            next_network=_if_there(NetworkKey, config.next_network),
        )
    except KeyFileError as error:
        raise ConfigError(str(error)) from error


_K = TypeVar("_K", BlsKey, NetworkKey)


def _if_there(kind: type[_K], path: Path | None) -> _K | None:
    """The key of a rotation; None when there is none under way."""
    return kind.load(path) if path is not None and path.exists() else None
