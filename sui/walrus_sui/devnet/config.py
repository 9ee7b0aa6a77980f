"""The devnet's configuration file: how its chain begins, and how the process runs.

Life of the file: an operator or ``local up`` writes YAML, `load` reads it once at the start. What concerns the chain's
beginning goes to `GenesisConfig` and is fixed once the data directory exists, except ``checkpoint_interval_ms``
(10 to 60000); the rest may change between starts:

    faucet_amount_sui: 1000         # SUI for each faucet request
    tls_hosts: [demo-devnet.ns]     # further names in the TLS certificate; localhost, 127.0.0.1 and the host's are in it
    clock: real                     # or manual: time stands until the admin interface moves it
    admin_token_file: null          # file with the token of the admin interface; without one it is off
    retention: {checkpoints: 1000000, object_versions: 100000}    # how much of the past stays on disk
    telemetry: {log_format: json, log_level: info, otlp_endpoint: null}

All other keys belong to genesis; an unknown one is an error.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.ledger.records import GenesisError

MIST_PER_SUI: Final = 1_000_000_000
MAX_FILE: Final = 1024 * 1024
MIN_INTERVAL_MS: Final = 10
MAX_INTERVAL_MS: Final = 60_000
MIN_TOKEN: Final = 16
MIN_RETENTION: Final = 100


class ConfigError(Exception):
    """The configuration file cannot be used. Remedy: correct the field that the message names."""


class TelemetryConfig(BaseModel):
    """Logs, traces and measurements, as `walrus_sui.telemetry.setup` takes them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    log_format: Literal["json", "text"] = "json"
    """One JSON object a line, or text for people."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important messages that are logged."""
    otlp_endpoint: str | None = None
    """An OpenTelemetry collector, `http://host:4317`, for spans and metrics; `OTEL_EXPORTER_OTLP_ENDPOINT` when absent."""


class RetentionConfig(BaseModel):
    """How much of the past stays on disk, in checkpoints; null keeps all."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    checkpoints: int | None = Field(default=1_000_000, ge=MIN_RETENTION)
    """Newest checkpoints that are kept with their transactions."""
    object_versions: int | None = Field(default=100_000, ge=MIN_RETENTION)
    """Newest checkpoints over which former versions of objects are kept."""


class RunConfig(BaseModel):
    """How the process runs; may change between starts."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    faucet_amount_sui: int = Field(default=1000, ge=1, le=1_000_000)
    """SUI for each faucet request."""
    tls_hosts: tuple[str, ...] = ()
    """Further names in the TLS certificate; localhost, 127.0.0.1 and the host's are in it."""
    clock: Literal["real", "manual"] = "real"
    """Manual: time stands until the admin interface moves it."""
    admin_token_file: Path | None = None
    """File with the token of the admin interface, at least 16 characters; without one the interface is off."""
    retention: RetentionConfig = RetentionConfig()
    """How much of the past stays on disk."""
    telemetry: TelemetryConfig = TelemetryConfig()
    """Logs, spans and metrics."""

    def admin_token(self) -> str | None:
        """The admin interface's token; None when it is off.

        Raises:
            ConfigError: the file cannot be read, or its token is too short to be one.
        """
        if self.admin_token_file is None:
            return None
        try:
            token = self.admin_token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"admin_token_file: {error}") from error
        if len(token) < MIN_TOKEN:
            raise ConfigError(
                f"admin_token_file: the token has {len(token)} characters, at least {MIN_TOKEN} are needed"
            )
        return token


@dataclass(frozen=True)
class DevnetConfig:
    """All of the file."""

    genesis: GenesisConfig
    run: RunConfig


def load(path: Path) -> DevnetConfig:
    """Reads a configuration file.

    Raises:
        ConfigError: it cannot be read, is not YAML, or a field is unknown or out of range.
    """
    try:
        if path.stat().st_size > MAX_FILE:
            raise ConfigError(f"{path}: larger than {MAX_FILE} bytes")
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        return parse(document)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse(document: Any) -> DevnetConfig:
    """Reads a configuration that has been parsed from YAML; an empty file is all defaults.

    Raises:
        ConfigError: a field is unknown or out of range.
    """
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise ConfigError("the file holds names and values, like `n_shards: 100`")
    ours = {name: value for name, value in document.items() if name in RunConfig.model_fields}
    theirs = {name: value for name, value in document.items() if name not in ours}
    try:
        genesis, run = GenesisConfig.from_mapping(theirs), RunConfig.model_validate(ours)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors(include_url=False)
        )
        raise ConfigError(problems) from None
    except GenesisError as error:
        raise ConfigError(str(error)) from None
    if genesis.n_shards % 3 != 1:
        raise ConfigError(
            "n_shards: must be 1 more than a multiple of 3, so that clients and contract agree on quorums"
        )
    if run.clock == "manual" and run.admin_token_file is None:
        raise ConfigError("clock: a manual clock is moved by the admin interface: set admin_token_file too")
    if not MIN_INTERVAL_MS <= genesis.checkpoint_interval_ms <= MAX_INTERVAL_MS:
        raise ConfigError(f"checkpoint_interval_ms: must be {MIN_INTERVAL_MS} to {MAX_INTERVAL_MS}")
    return DevnetConfig(genesis, run)
