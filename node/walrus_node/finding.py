"""Which network the node works for: its configuration, from a URL or a file, and whether the node may work for it."""

from __future__ import annotations

from collections.abc import Callable

from walrus_node.errors import ConfigError
from walrus_node.loops import Backoff, until_done
from walrus_sui import network_config
from walrus_sui.errors import NetworkConfigError, PublicNetworkRefused
from walrus_sui.network_config import NetworkConfig


async def find(source: str, *, backoff: Callable[[], Backoff], public_networks: bool) -> NetworkConfig:
    """Loads the network's configuration; one behind a URL is waited for.

    Args:
        source: URL or file.
        backoff: makes the pauses between attempts.
        public_networks: whether the node may work for one, if the configuration allows it.

    Raises:
        ConfigError: the file is not a network's configuration, or the node must not work for this network.
    """
    network = await _load(source, backoff)
    try:
        network.require_registering_allowed()
    except PublicNetworkRefused as error:
        raise ConfigError(f"chain.network_config: {error}") from error
    if network.public_network is not None and not public_networks:
        raise ConfigError(
            f"--slow-disk and --enable-faults are for tests, and refused on {network.public_network}: start the node "
            "without them"
        )
    return network


async def _load(source: str, backoff: Callable[[], Backoff]) -> NetworkConfig:
    if source.startswith(("http://", "https://")):
        return await until_done("network configuration", lambda: network_config.load(source), backoff=backoff())
    try:
        return await network_config.load(source)
    except NetworkConfigError as error:
        raise ConfigError(f"chain.network_config: {error}") from error
