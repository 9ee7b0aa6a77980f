"""Configuration files of a local network's processes, and what they may say. Pure: state in, documents out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from walrus_client.local.state import HOST, Layout, LocalState, Parameters
from walrus_sui.devnet import config as devnet_config

TELEMETRY = {"log_format": "text", "log_level": "info", "otlp_endpoint": None}


MIN_EPOCH_S = 30
"""Shorter epochs leave no time for the epoch change."""


def check(parameters: Parameters) -> None:
    """Looks whether there can be such a network, before anything is written.

    Raises:
        ValueError: There cannot; the message says what to choose.
    """
    try:
        made = devnet_config.parse(_chosen(parameters)).genesis
    except devnet_config.ConfigError as error:
        raise ValueError(str(error)) from None
    if made.epoch_duration_ms < MIN_EPOCH_S * 1000:
        raise ValueError(f"epoch_duration: {parameters.epoch_duration} is too short, choose at least {MIN_EPOCH_S}s")
    if parameters.nodes > parameters.n_shards:
        raise ValueError(
            f"{parameters.nodes} nodes cannot share {parameters.n_shards} shards: each needs one, choose fewer nodes"
        )


def _chosen(parameters: Parameters) -> dict[str, Any]:
    return {
        "n_shards": parameters.n_shards,
        "encoding": parameters.encoding,
        "epoch_duration": parameters.epoch_duration,
    }


def genesis(state: LocalState, *, seed: str) -> dict[str, Any]:
    """The devnet's configuration."""
    return {
        "seed": seed,
        **_chosen(state.parameters),
        # Nobody can be chosen before the stake arrives, which comes in one transaction: no need to wait longer.
        "epoch_zero_duration": "1s",
        "telemetry": TELEMETRY,
    }


def node(state: LocalState, layout: Layout, index: int) -> dict[str, Any]:
    """One node's configuration."""
    name = state.parameters.node_names[index]
    ports = state.ports.nodes[index]
    folder = layout.node(name)
    admin = {"listen": f"{HOST}:{ports.admin}", "tokens_file": str(admin_tokens(folder))}
    return {
        "name": name,
        "data_dir": str(folder / "data"),
        "keys": {kind: str(path) for kind, path in node_keys(folder).items()},
        "chain": {"network_config": state.network_config_url},
        "public": {"host": HOST, "grpc_port": ports.grpc, "rest_port": ports.rest},
        "listen": {"host": HOST, "grpc_port": ports.grpc, "http_port": ports.http},
        **({} if ports.admin is None else {"admin": admin}),
        "challenges": {"network": state.parameters.challenges},
        "telemetry": TELEMETRY,
    }


def admin_tokens(folder: Path) -> Path:
    """A node's file with the token of its admin port."""
    return folder / "admin.tokens"


def node_keys(folder: Path) -> dict[str, Path]:
    """A node's key files by kind."""
    return {kind: folder / "keys" / f"{kind}.key" for kind in ("protocol", "network", "sui")}


def gateway_key(layout: Layout) -> Path:
    """The gateway's key file."""
    return layout.gateway / "sui.key"


def gateway(state: LocalState, layout: Layout) -> dict[str, Any]:
    """The gateway's configuration."""
    return {
        "listen": {"host": HOST, "port": state.ports.api, "metrics_port": state.ports.metrics},
        "key_file": str(gateway_key(layout)),
        "state_file": str(layout.gateway / "network.json"),
        "chain": {"network_config": state.network_config_url},
        "telemetry": TELEMETRY,
    }
