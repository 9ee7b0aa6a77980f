"""What the operator is started with: flags for people, environment for the chart."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from walrus_operator.api.world import Settings
from walrus_sui.release import release

DEFAULT_IMAGE = "walrus-on-kubernetes"


@dataclass(frozen=True)
class OperatorConfig:
    """The whole configuration of a process."""

    settings: Settings
    namespaces: tuple[str, ...]
    """Where networks may be; empty for everywhere."""
    identity: str
    """This candidate's name in the Lease."""
    lease_name: str
    listen_host: str
    listen_port: int
    log_format: Literal["json", "text"]
    log_level: str
    otlp_endpoint: str | None


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not host:port, such as 0.0.0.0:8080")
    return host.strip("[]"), int(port)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="walrus-operator", description="Runs Walrus networks on Kubernetes.")
    root.add_argument("--version", action="version", version=release(unknown="0"))
    commands = root.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the operator until it is told to stop")
    run.add_argument(
        "--namespaces", help="comma-separated namespaces with networks (default: $WATCH_NAMESPACES, or all)"
    )
    run.add_argument("--image", help="default image of all parts (default: $WALRUS_IMAGE)")
    run.add_argument("--lease-name", default="walrus-operator", help="name of the Lease that replicas compete for")
    run.add_argument("--listen", type=_address, default="0.0.0.0:8080", help="host:port of probes and metrics")
    run.add_argument("--log-format", choices=["json", "text"], default="json")
    run.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    run.add_argument("--otlp-endpoint", help="OpenTelemetry collector, http://host:4317")
    return root


def read(arguments: Sequence[str] | None, environment: Mapping[str, str] = os.environ) -> OperatorConfig:
    """Flags first, then environment, then defaults."""
    flags = parser().parse_args(arguments)
    host, port = flags.listen
    namespaces = flags.namespaces if flags.namespaces is not None else environment.get("WATCH_NAMESPACES", "")
    own = environment.get("POD_NAMESPACE", "default")
    return OperatorConfig(
        settings=Settings(
            image=flags.image or environment.get("WALRUS_IMAGE") or f"{DEFAULT_IMAGE}:{release(unknown='0')}",
            operator_namespace=own,
            cluster_domain=environment.get("CLUSTER_DOMAIN") or "cluster.local",
            version=release(unknown="0"),
        ),
        namespaces=tuple(sorted({name.strip() for name in namespaces.split(",") if name.strip()})),
        identity=environment.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
        lease_name=flags.lease_name,
        listen_host=host or "0.0.0.0",  # noqa: S104  (probes come from the kubelet)
        listen_port=port,
        log_format=cast("Literal['json', 'text']", flags.log_format),
        log_level=flags.log_level,
        otlp_endpoint=flags.otlp_endpoint,
    )
