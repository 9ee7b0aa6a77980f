"""The node's configuration file: YAML, checked whole before anything starts.

Life of a configuration: the operator's builder or a person writes it, `load` reads it once at the start, every part of
the node gets the piece that concerns it. `${NAME}` in any text value is replaced by the environment variable of that
name. Unknown keys are errors, so that a typing mistake cannot silently become a default.

    name: demo-0
    data_dir: /var/lib/walrus            # database in db/, certificate in tls/
    keys: {protocol: /keys/protocol.key, network: /keys/network.key, sui: /keys/sui.key,
           next_protocol: /keys/protocol-next.key, next_network: /keys/network-next.key}   # there while keys change
    chain: {network_config: "http://demo-devnet:9123/v1/network-config", faucet_url: null}
    public: {host: demo-0.demo-nodes.ns.svc.cluster.local, grpc_port: 9187, rest_port: 9185}
    listen: {host: 0.0.0.0, grpc_port: 9187, http_port: 9184}
    registration: {commission_rate: 6000, storage_price: 100000, write_price: 20000, node_capacity: 250000000000}
    telemetry: {log_format: json, log_level: info, otlp_endpoint: null}
    epoch_driver: {enabled: true}
    recovery: {concurrent_blobs: 8, memory: 67108864, grace_s: 15}
    sync: {concurrent_shards: 4, stall_s: null}
    scrub: {enabled: true, bytes_per_s: 16777216, pause_s: 86400}
    challenges: {network: "Off", node: "Vote", kept: "0.9", target: "1e-9"}
    admin: {listen: "0.0.0.0:9186", tokens_file: /admin/tokens}    # no such section, no such port
    limits: {upload_memory: 67108864, read_memory: 67108864, background_memory: 33554432, grace_period_s: 20}
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from walrus_client.challenges.policy import Mode, Policy
from walrus_node.errors import ConfigError
from walrus_node.sections import AdminConfig, Section

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

Port = Annotated[int, Field(ge=1, le=65_535)]
ListenPort = Annotated[int, Field(ge=0, le=65_535)]


class KeysConfig(Section):
    """Where the three key files lie."""

    protocol: Path
    """BLS key that signs confirmations."""
    network: Path
    """secp256r1 key of the TLS certificate."""
    sui: Path
    """Ed25519 key that sends the node's transactions."""
    next_protocol: Path | None = None
    """BLS key that is to take over. The file may come and go while the node runs; it is announced on chain when it is there."""
    next_network: Path | None = None
    """secp256r1 key that is to take over, likewise."""
    overlap_s: Annotated[float, Field(gt=0)] = 90.0
    """How long old and new network key are both valid before, and after, the change: until everybody has looked."""


class ChainConfig(Section):
    """Which network."""

    network_config: str
    """URL or file of the network's configuration; a devnet serves it at `/v1/network-config`."""
    faucet_url: str | None = None
    """Where the node gets SUI for gas; the configuration's faucet when absent."""
    call_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """How long one request to the chain may take."""


class PublicConfig(Section):
    """The address that is registered on chain."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    """Name or address under which clients and nodes reach this one."""
    grpc_port: Port = 9187
    """Port of the gRPC face."""
    rest_port: Port = 9185
    """Port of the official REST face: registered from the start, served by a later release."""

    @property
    def grpc_address(self) -> str:
        """The gRPC face as "host:port"."""
        return f"{self.host}:{self.grpc_port}"

    @property
    def rest_address(self) -> str:
        """The official REST face as "host:port"."""
        return f"{self.host}:{self.rest_port}"


class ListenConfig(Section):
    """Where the process listens; port 0 takes a free one (for tests)."""

    host: str = "0.0.0.0"  # noqa: S104 - a server in a pod listens on the pod's address, whatever it is
    """Address of both ports."""
    grpc_port: ListenPort = 9187
    """Port of the gRPC face."""
    http_port: ListenPort = 9184
    """Port of `/livez`, `/readyz` and `/metrics`."""


class RegistrationConfig(Section):
    """What the node votes for and asks for."""

    commission_rate: Annotated[int, Field(ge=0, le=10_000)] = 6_000
    """Share of the rewards that the node keeps, in basis points."""
    storage_price: Annotated[int, Field(ge=0, lt=2**64)] = 100_000
    """FROST per MiB and epoch of encoded size."""
    write_price: Annotated[int, Field(ge=0, lt=2**64)] = 20_000
    """FROST per MiB written."""
    node_capacity: Annotated[int, Field(ge=0, lt=2**64)] = 250_000_000_000
    """Bytes that the node offers."""
    image_url: str = ""
    """Picture of the node, for explorers."""
    project_url: str = ""
    """Home page of the node, for explorers."""
    description: str = ""
    """A few words on the node, for explorers."""


class TelemetryConfig(Section):
    """Logs and where spans and metrics are sent."""

    log_format: Literal["json", "text"] = "json"
    """One JSON object a line, or text for people."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important messages that are logged."""
    otlp_endpoint: str | None = None
    """An OpenTelemetry collector, `http://host:4317`, for spans and metrics; `OTEL_EXPORTER_OTLP_ENDPOINT` when absent."""


class EpochDriverConfig(Section):
    """Whether this node calls `voting_end` and `initiate_epoch_change` when they are due."""

    enabled: bool = True
    """False leaves both calls to the other nodes."""


class LimitsConfig(Section):
    """Bounds of memory (bytes) and time (seconds)."""

    upload_memory: Annotated[int, Field(ge=1 << 20)] = 64 << 20
    """Bytes for all slivers that are being received."""
    read_memory: Annotated[int, Field(ge=1 << 20)] = 64 << 20
    """Bytes for all slivers that are being sent."""
    compute_memory: Annotated[int, Field(ge=1 << 20)] = 256 << 20
    """Bytes for all slivers that are being verified."""
    compute_threads: Annotated[int, Field(ge=1)] | None = None
    """Workers that verify; one for each core when absent."""
    background_memory: Annotated[int, Field(ge=1 << 20)] = 32 << 20
    """Bytes for all symbols that other nodes fetch to recover, and proofs that are judged."""
    challenge_memory: Annotated[int, Field(ge=1 << 20)] = 32 << 20
    """Bytes for all slivers that are read for availability challenges."""
    disk_reserve: Annotated[int, Field(ge=0)] = 256 << 20
    """Bytes of disk that slivers leave free, for deletion and the chain's events; the last half of them to recovery too."""
    idle_stream_s: Annotated[float, Field(gt=0)] = 30.0
    """How long a caller may send nothing in the middle of an upload, or fetch nothing of an answer."""
    slowest_bytes_per_s: Annotated[float, Field(gt=0)] = 32 << 10
    """Bytes that a caller must send or fetch per second, over the whole of an upload or an answer."""
    registration_wait_s: Annotated[float, Field(ge=0)] = 5.0
    """How long a request may wait for a registration that the events have not brought yet."""
    grace_period_s: Annotated[float, Field(ge=0)] = 20.0
    """How long requests may go on after SIGTERM."""


class RecoveryConfig(Section):
    """Getting slivers back from other nodes."""

    concurrent_blobs: Annotated[int, Field(ge=1, le=1000)] = 8
    """Blobs that are worked on at a time."""
    memory: Annotated[int, Field(ge=1 << 20)] = 64 << 20
    """Bytes of symbols and slivers that they may hold together."""
    grace_s: Annotated[float, Field(ge=0)] = 15.0
    """How long uploads may go on after the certification; twice as long above 100 MiB, eight times above 4 GiB."""


class SyncConfig(Section):
    """Getting gained shards from their previous owners."""

    concurrent_shards: Annotated[int, Field(ge=1, le=64)] = 4
    """Shards that are transferred at a time; each holds some 4 MiB."""
    stall_s: Annotated[float, Field(gt=0)] | None = None
    """Seconds without progress after which a shard is recovered instead; absent: a tenth of the epoch, at most 12 h."""


class ScrubConfig(Section):
    """Verifying in the background that what is stored has not rotted."""

    enabled: bool = True
    """Whether it is done at all."""
    bytes_per_s: Annotated[int, Field(ge=1 << 16)] = 16 << 20
    """Bytes of metadata and slivers that are verified per second at most; a small blob counts as 64 KiB."""
    pause_s: Annotated[float, Field(ge=1)] = 86_400.0
    """Seconds from the end of a round through everything to the beginning of the next."""


ChallengeMode = Annotated[
    Literal["Off", "Report", "Vote"], BeforeValidator(lambda value: "Off" if value is False else value)
]
"""YAML reads a bare `Off` as false."""


class ChallengesConfig(Section):
    """Proving to the other nodes that the data is here, and looking whether they have theirs (docs/challenges.md).

    All but `node` must be the same on all nodes of a network; a change counts from the next epoch on.
    """

    network: ChallengeMode = "Report"
    """What the network does: `Off`, `Report` (challenge, sign verdicts) or `Vote` (also vote to slash)."""
    node: ChallengeMode = "Vote"
    """What this node does at most; it answers the others' challenges also with `Off`."""
    kept: str = "0.9"
    """Share of its data that a node must hold to count as honest."""
    target: str = "1e-9"
    """Probability with which a node that holds only this share may pass; more questions are asked the smaller it is."""
    latency_ms: Annotated[int, Field(ge=0)] = 20
    """Time for each answer, in milliseconds."""
    bytes_per_s: Annotated[int, Field(ge=1)] = 4_000_000
    """Speed at which answers must come besides."""
    grace_ms: Annotated[int, Field(ge=0)] = 2_000
    """Time once for each run, in milliseconds."""
    keep_epochs: Annotated[int, Field(ge=4)] = 8
    """How long reports and transcripts are kept."""
    policy_file: Path | None = None
    """File that says what the network does in each epoch, in place of all this (docs/challenges.md); it is read anew at the
    beginning of each epoch, and until it can be read there are no challenges. `node` remains the most that this node does."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        self.policy()
        return self

    def policy(self) -> Policy:
        """The network's policy, as long as no file has told another one.

        Raises:
            PolicyError: it cannot be carried out.
        """
        return Policy(
            mode=Mode(self.network) if self.policy_file is None else Mode.OFF,
            kept=self.kept,
            target=self.target,
            latency_ms=self.latency_ms,
            bytes_per_s=self.bytes_per_s,
            grace_ms=self.grace_ms,
            keep_epochs=self.keep_epochs,
        )


class NodeConfig(Section):
    """The whole file."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """The node's name on chain."""
    data_dir: Path
    """Folder of the database (`db/`) and the certificate (`tls/`); belongs to this node alone."""
    keys: KeysConfig
    """The three key files."""
    chain: ChainConfig
    """Which network."""
    public: PublicConfig
    """The address that is registered on chain."""
    listen: ListenConfig = ListenConfig()
    """Addresses and ports."""
    admin: AdminConfig | None = None
    """The admin port."""
    registration: RegistrationConfig = RegistrationConfig()
    """Votes and texts; a change is brought to the chain at the next start."""
    telemetry: TelemetryConfig = TelemetryConfig()
    """Logs, spans and metrics."""
    epoch_driver: EpochDriverConfig = EpochDriverConfig()
    """Whether this node moves the epochs on."""
    recovery: RecoveryConfig = RecoveryConfig()
    """Getting slivers back from other nodes."""
    sync: SyncConfig = SyncConfig()
    """Getting gained shards from their previous owners."""
    scrub: ScrubConfig = ScrubConfig()
    """Verifying in the background that what is stored has not rotted."""
    challenges: ChallengesConfig = ChallengesConfig()
    """Availability challenges."""
    limits: LimitsConfig = LimitsConfig()
    """Bounds of memory and time."""


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
