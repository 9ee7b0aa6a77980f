"""The gateway's configuration file: YAML, checked whole before anything starts.

    listen: {host: 0.0.0.0, port: 31415, metrics_port: 27182}
    key_file: /keys/${POD_NAME}.key
    state_file: /tmp/network.json          what it remembers for a start without the chain; nothing when absent
    chain: {network_config: "http://demo-devnet:9123/v1/network-config"}
    telemetry: {log_format: json, log_level: info, otlp_endpoint: null}
    max_body_size: 10485760                the network's largest blob when absent
    limits: {memory: 1073741824, admission_wait_s: 10, body_stall_s: 60, drain_delay_s: 0, grace_period_s: 45}

`${NAME}` in any text is replaced by the environment variable of that name. Unknown keys are errors, so that a typing
mistake cannot silently become a default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from walrus_client.errors import ConfigError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_Port = Annotated[int, Field(ge=0, le=65_535)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ListenConfig(_Section):
    """Where the process listens; port 0 takes a free one (for tests)."""

    host: str = "127.0.0.1"
    """Address of the API."""
    port: _Port = 31_415
    """Port of the API."""
    metrics_port: _Port = 27_182
    """Port of `/livez`, `/readyz`, `/metrics` and `/v1/info`."""
    metrics_host: str | None = None
    """Address of the metrics port; that of the API when absent."""


class ChainConfig(_Section):
    """Which network."""

    network_config: str
    """URL or file of the network's configuration; a devnet serves it at `/v1/network-config`."""
    call_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """How long one request to the chain may take."""


class TelemetryConfig(_Section):
    """Logs and where spans and metrics are sent."""

    log_format: Literal["json", "text"] = "json"
    """One JSON object a line, or text for people."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important messages that are logged."""
    otlp_endpoint: str | None = None
    """An OpenTelemetry collector, `http://host:4317`, for spans and metrics; `OTEL_EXPORTER_OTLP_ENDPOINT` when absent."""


class LimitsConfig(_Section):
    """Bounds of memory (bytes) and time (seconds)."""

    memory: Annotated[int, Field(ge=1 << 20)] = 1 << 30
    """Bytes for all blobs that are being stored or read, in their encoded form."""
    admission_wait_s: Annotated[float, Field(ge=0)] = 10.0
    """How long a request waits for memory before it is answered with 429."""
    body_stall_s: Annotated[float, Field(gt=0)] = 60.0
    """How long a client may send nothing in the middle of a body, or take nothing of an answer."""
    slowest_bytes_per_s: Annotated[int, Field(ge=1)] = 32 << 10
    """Bytes that a client must send or take per second of waiting for it, over the whole of a body or an answer."""
    drain_delay_s: Annotated[float, Field(ge=0)] = 0.0
    """How long after SIGTERM new requests are still served while `/readyz` says no, so that load balancers stop sending them."""
    grace_period_s: Annotated[float, Field(ge=0)] = 45.0
    """How long requests may go on after that."""
    compute_workers: Annotated[int, Field(ge=1)] | None = None
    """Worker processes that encode and decode; one for each core when absent."""


class GatewayConfig(_Section):
    """The whole file."""

    key_file: Path
    """The Sui key that stores and pays; never one that another process uses."""
    chain: ChainConfig
    """Which network."""
    state_file: Path | None = None
    """Where the newest committee is kept, so that a start while the chain is away can read; nowhere when absent."""
    listen: ListenConfig = ListenConfig()
    """Addresses and ports."""
    telemetry: TelemetryConfig = TelemetryConfig()
    """Logs, spans and metrics."""
    limits: LimitsConfig = LimitsConfig()
    """Bounds of memory and time."""
    max_body_size: Annotated[int, Field(ge=1)] | None = None
    """Largest blob in bytes; the network's largest when absent."""


def load(path: Path, environment: Mapping[str, str] = os.environ) -> GatewayConfig:
    """Reads and checks a configuration file.

    Raises:
        ConfigError: The file cannot be read, or a value is wrong; the message names every wrong place.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must hold a mapping with at least key_file and chain")
    try:
        return GatewayConfig.model_validate(_expanded(document, environment))
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

    def variable(found: re.Match[str]) -> str:
        if found[1] not in environment:
            raise ConfigError(f"the configuration uses ${{{found[1]}}}, which is not set in the environment")
        return environment[found[1]]

    return _VARIABLE.sub(variable, value)
