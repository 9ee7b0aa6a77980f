"""The node's configuration file: YAML, checked whole before anything starts.

Life of a configuration: the operator's builder or a person writes it, `load` reads it once at the start, every part of
the node gets the piece that concerns it. `${NAME}` in any text value is replaced by the environment variable of that
name. Unknown keys are errors, so that a typing mistake cannot silently become a default.

    name: demo-0
    data_dir: /var/lib/walrus            # database in db/, certificate in tls/
    keys: {protocol: /keys/protocol.key, network: /keys/network.key, sui: /keys/sui.key}
    chain: {network_config: "http://demo-devnet:9123/v1/network-config", faucet_url: null}
    public: {host: demo-0.demo-nodes.ns.svc.cluster.local, grpc_port: 9187, rest_port: 9185}
    listen: {host: 0.0.0.0, grpc_port: 9187, http_port: 9184}
    registration: {commission_rate: 6000, storage_price: 100000, write_price: 20000, node_capacity: 250000000000}
    telemetry: {log_format: json, log_level: info, otlp_endpoint: null}
    epoch_driver: {enabled: true}
    recovery: {concurrent_blobs: 8, memory: 67108864, grace_s: 15}
    limits: {upload_memory: 67108864, read_memory: 67108864, compute_memory: 268435456, grace_period_s: 20}
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from walrus_node.errors import ConfigError
from walrus_sui.errors import KeyFileError
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

Port = Annotated[int, Field(ge=1, le=65_535)]
ListenPort = Annotated[int, Field(ge=0, le=65_535)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeysConfig(_Section):
    """Where the three key files lie."""

    protocol: Path
    network: Path
    sui: Path


class ChainConfig(_Section):
    """Which network; `network_config` is an URL or a file, `faucet_url` overrides the one in it."""

    network_config: str
    faucet_url: str | None = None
    call_timeout_s: Annotated[float, Field(gt=0)] = 10.0


class PublicConfig(_Section):
    """The address that is registered on chain."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    grpc_port: Port = 9187
    rest_port: Port = 9185

    @property
    def grpc_address(self) -> str:
        """The gRPC face as "host:port"."""
        return f"{self.host}:{self.grpc_port}"

    @property
    def rest_address(self) -> str:
        """The official REST face as "host:port"."""
        return f"{self.host}:{self.rest_port}"


class ListenConfig(_Section):
    """Where the process listens; port 0 takes a free one (for tests)."""

    host: str = "0.0.0.0"  # noqa: S104 - a server in a pod listens on the pod's address, whatever it is
    grpc_port: ListenPort = 9187
    http_port: ListenPort = 9184


class RegistrationConfig(_Section):
    """What the node votes for and asks for; prices in FROST per MiB, capacity in bytes, commission in basis points."""

    commission_rate: Annotated[int, Field(ge=0, le=10_000)] = 6_000
    storage_price: Annotated[int, Field(ge=0, lt=2**64)] = 100_000
    write_price: Annotated[int, Field(ge=0, lt=2**64)] = 20_000
    node_capacity: Annotated[int, Field(ge=0, lt=2**64)] = 250_000_000_000
    image_url: str = ""
    project_url: str = ""
    description: str = ""


class TelemetryConfig(_Section):
    """Logs and where spans and metrics are sent."""

    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otlp_endpoint: str | None = None


class EpochDriverConfig(_Section):
    """Whether this node calls `voting_end` and `initiate_epoch_change` when they are due."""

    enabled: bool = True


class LimitsConfig(_Section):
    """Bounds of memory (bytes) and time (seconds)."""

    upload_memory: Annotated[int, Field(ge=1 << 20)] = 64 << 20
    read_memory: Annotated[int, Field(ge=1 << 20)] = 64 << 20
    compute_memory: Annotated[int, Field(ge=1 << 20)] = 256 << 20
    compute_threads: Annotated[int, Field(ge=1)] | None = None
    idle_stream_s: Annotated[float, Field(gt=0)] = 30.0
    registration_wait_s: Annotated[float, Field(ge=0)] = 5.0
    grace_period_s: Annotated[float, Field(ge=0)] = 20.0


class RecoveryConfig(_Section):
    """Getting slivers back from other nodes.

    Attributes:
        concurrent_blobs: blobs that are worked on at a time.
        memory: bytes of symbols and slivers that they may hold together.
        grace_s: seconds that a blob's writer may still be uploading after its certification.
    """

    concurrent_blobs: Annotated[int, Field(ge=1, le=1000)] = 8
    memory: Annotated[int, Field(ge=1 << 20)] = 64 << 20
    grace_s: Annotated[float, Field(ge=0)] = 15.0


class NodeConfig(_Section):
    """The whole file."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    data_dir: Path
    keys: KeysConfig
    chain: ChainConfig
    public: PublicConfig
    listen: ListenConfig = ListenConfig()
    registration: RegistrationConfig = RegistrationConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    epoch_driver: EpochDriverConfig = EpochDriverConfig()
    recovery: RecoveryConfig = RecoveryConfig()
    limits: LimitsConfig = LimitsConfig()


@dataclass(frozen=True)
class NodeKeys:
    """The three secrets, loaded."""

    protocol: BlsKey
    network: NetworkKey
    sui: SuiKey


def load(path: Path, environment: Mapping[str, str] = os.environ) -> NodeConfig:
    """Reads and checks a configuration file.

    Raises:
        ConfigError: the file cannot be read, or a value is wrong; the message names every wrong place.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must hold a mapping with name, data_dir, keys, chain and public")
    try:
        return NodeConfig.model_validate(_expanded(document, environment))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        )
        raise ConfigError(f"{path}: {wrong}") from None


def load_keys(config: KeysConfig) -> NodeKeys:
    """Reads the key files; raises `ConfigError`."""
    try:
        return NodeKeys(
            protocol=BlsKey.load(config.protocol),
            network=NetworkKey.load(config.network),
            sui=SuiKey.load(config.sui),
        )
    except KeyFileError as error:
        raise ConfigError(str(error)) from error


def _expanded(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _expanded(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, environment) for item in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        try:
            return environment[match[1]]
        except KeyError:
            raise ConfigError(f"the configuration uses ${{{match[1]}}}, which is not set in the environment") from None

    return _VARIABLE.sub(variable, value)
