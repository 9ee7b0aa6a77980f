"""Where a Walrus network lives: its chain endpoint and its objects.

Life of a configuration: the embedded devnet serves it at `GET /v1/network-config`, or a user writes it as a file for a
real network; everyone else loads it once at the start. The names are those of the official client configuration
(`system_object`, `staking_object`, `exchange_objects`, ...), with ours beside them. Package ids are not in it: they are
read from the objects, so that an upgrade of the contract needs no new configuration.
"""

import asyncio
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from walrus_codec.types import EncodingType, ObjectId
from walrus_sui.errors import NetworkConfigError, PublicNetworkRefused
from walrus_sui.public_networks import PUBLIC_STAKING_OBJECTS, PUBLIC_SYSTEM_OBJECTS

_OBJECT_FIELDS = (
    "system_object",
    "staking_object",
    "treasury_object",
    "slashing_manager",
    "upgrade_manager",
    "walrus_subsidies_object",
)


@dataclass(frozen=True)
class NetworkConfig:
    """A Walrus network, as its participants need to know it.

    Attributes:
        rpc_url: Sui gRPC endpoint, "http://host:port" (h2c) or "https://host:port".
        system_object: id of the shared System.
        staking_object: id of the shared Staking.
        exchange_objects: ids of WAL exchanges; none on networks where WAL is bought elsewhere.
        wal_type: Move type of the token, "0x...::wal::WAL".
        treasury_object: id of the WAL ProtectedTreasury, needed by the epoch change.
        slashing_manager: id of the SlashingManager; None when the deployment has none.
        upgrade_manager: id of the UpgradeManager; None when unknown.
        walrus_subsidies_object: id of the WalrusSubsidies; None on networks without.
        faucet_url: where SUI is given away; None on networks without one.
        encoding: label of the default encoding, "rs2" or "isal".
        n_shards: shards of the network.
        max_epochs_ahead: longest storage period in epochs.
        epoch_duration_ms: length of an epoch.
        chain_id: base58 genesis digest, checked at connection when given.
        allow_public_network: register nodes even on the public Walrus networks, whose clients these nodes cannot serve
            yet.
        rpc_ca: PEM of the only root that the endpoint's certificate may come from; None means the system's roots.
    """

    rpc_url: str
    system_object: ObjectId
    staking_object: ObjectId
    wal_type: str
    treasury_object: ObjectId
    exchange_objects: tuple[ObjectId, ...] = ()
    slashing_manager: ObjectId | None = None
    upgrade_manager: ObjectId | None = None
    walrus_subsidies_object: ObjectId | None = None
    faucet_url: str | None = None
    encoding: str = "rs2"
    n_shards: int = 0
    max_epochs_ahead: int = 53
    epoch_duration_ms: int = 0
    chain_id: str | None = None
    rpc_ca: str | None = None
    allow_public_network: bool = False

    @property
    def encoding_type(self) -> EncodingType:
        """The default encoding of new blobs."""
        return EncodingType.parse(self.encoding)

    @property
    def public_network(self) -> str | None:
        """Name of the public Walrus network that the objects belong to; None for all others."""
        return PUBLIC_SYSTEM_OBJECTS.get(self.system_object) or PUBLIC_STAKING_OBJECTS.get(self.staking_object)

    def require_registering_allowed(self) -> None:
        """Refuse public networks unless they are allowed in so many words.

        Raises:
            PublicNetworkRefused: the objects are those of a public network and `allow_public_network` is not set.
        """
        if self.public_network is not None and not self.allow_public_network:
            raise PublicNetworkRefused(
                f"the network is {self.public_network}, whose clients need the official REST face that this node does "
                "not have: use a Walrus deployment of your own, or set allow_public_network to true in the network "
                "configuration if you know what you do"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_json` reads; fields that are None are left out."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value is not None
        }

    @classmethod
    def from_json(cls, document: Any) -> "NetworkConfig":
        """Read the JSON object; unknown names are ignored, because official configurations carry many more.

        Raises:
            NetworkConfigError: a required name is missing or a value is malformed.
        """
        if not isinstance(document, dict):
            raise NetworkConfigError("a network configuration is an object with names and values")
        known = {f.name for f in fields(cls)}
        values = {name: value for name, value in document.items() if name in known and value is not None}
        endpoints = document.get("rpc_urls")  # the official configuration lists several; one is used
        if "rpc_url" not in values and isinstance(endpoints, list) and endpoints:
            values["rpc_url"] = endpoints[0]
        required = ("rpc_url", "system_object", "staking_object", "wal_type", "treasury_object")
        missing = [name for name in required if name not in values]
        if missing:
            raise NetworkConfigError(f"the network configuration lacks {', '.join(missing)}")
        for name in _OBJECT_FIELDS:
            if name in values:
                values[name] = _object_id(name, values[name])
        exchanges = values.get("exchange_objects", [])
        if not isinstance(exchanges, list | tuple):
            raise NetworkConfigError("exchange_objects is a list of object ids")
        values["exchange_objects"] = tuple(_object_id("exchange_objects", item) for item in exchanges)
        for name in ("n_shards", "max_epochs_ahead", "epoch_duration_ms"):
            if name in values and (not isinstance(values[name], int) or values[name] < 0):
                raise NetworkConfigError(f"{name} is a whole number, not {values[name]!r}")
        if not isinstance(values.get("allow_public_network", False), bool):
            raise NetworkConfigError(f"allow_public_network is true or false, not {values['allow_public_network']!r}")
        for name in ("rpc_url", "faucet_url", "wal_type", "encoding", "chain_id", "rpc_ca"):
            if name in values and not isinstance(values[name], str):
                raise NetworkConfigError(f"{name} is a text, not {values[name]!r}")
        config = cls(**values)
        try:
            _ = config.encoding_type
        except ValueError:
            raise NetworkConfigError(f'encoding is "rs2" or "isal", not {config.encoding!r}') from None
        return config


async def load(url_or_path: str, *, timeout: float = 10.0) -> NetworkConfig:  # noqa: ASYNC109  (bounds one request)
    """Load a configuration from a URL (JSON) or a file (JSON or YAML).

    Raises:
        NetworkConfigError: cannot be fetched within `timeout` seconds, or is not a configuration.
    """
    if url_or_path.startswith(("http://", "https://")):
        document = await _fetch(url_or_path, timeout)
    else:
        document = await asyncio.to_thread(_read, Path(url_or_path))
    try:
        return NetworkConfig.from_json(document)
    except NetworkConfigError as error:
        raise NetworkConfigError(f"{url_or_path}: {error}") from None


async def _fetch(url: str, timeout: float) -> Any:  # noqa: ASYNC109
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as session,
            session.get(url) as response,
        ):
            if response.status != 200:
                raise NetworkConfigError(f"{url} answered with HTTP {response.status}")
            return json.loads(await response.text())
    except aiohttp.InvalidURL as error:
        raise NetworkConfigError(
            f"cannot fetch the network configuration from {url}: that is no URL of a host"
        ) from error
    except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise NetworkConfigError(f"cannot fetch the network configuration from {url}: {why}") from error


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise NetworkConfigError(f"cannot read the network configuration {path}: {error}") from error


def _object_id(name: str, value: Any) -> ObjectId:
    digits = value.removeprefix("0x").lower() if isinstance(value, str) else ""
    if not digits or len(digits) > 64 or any(c not in "0123456789abcdef" for c in digits):
        raise NetworkConfigError(f'{name} holds object ids, "0x" and up to 64 hex digits, not {value!r}')
    return ObjectId("0x" + digits.rjust(64, "0"))
