"""The page of ports and metrics. Instruments are found in the syntax trees of all packages, so that none can be missed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, generate_latest

from reference_pages.tables import NOTE, ROOT, Rows, table
from walrus_operator.api import names as operator_names
from walrus_sui.telemetry import names


@dataclass(frozen=True)
class Instrument:
    """A measurement as the code makes it."""

    name: str
    kind: str
    unit: str
    description: str
    package: str


_KINDS = {
    "create_counter": "counter",
    "create_histogram": "histogram",
    "create_up_down_counter": "up-down counter",
    "create_observable_gauge": "gauge",
    "create_observable_up_down_counter": "up-down counter",
    "gauge": "gauge",
    "gauges": "gauge",
}
_PROCESS = {"walrus_sui": "all", "walrus_client": "gateway", "walrus_node": "node", "walrus_operator": "operator"}

_SPANS_ONLY = {names.ATTR_BLOB_ID, names.ATTR_BLOB_SIZE, names.RPC_SYSTEM}
_ATTRIBUTES = {
    "http.request.method": "Method of an HTTP request.",
    "http.response.status_code": "Status of its answer; 499 when the client went away.",
    "http.route": "What was asked for, such as `/v1/blobs/{blob_id}`.",
    "rpc.method": "A gRPC method, such as `walrus.node.v1.StorageNode/GetSlivers`.",
    "rpc.response.status_code": "How the call ended: `OK`, `NOT_FOUND` and so on.",
    "walrus.chain.function": "What a transaction does.",
    "walrus.condition": "Of a node, how its store is: `OK`, `CAPACITY_REACHED`, `DISK_NEARLY_FULL` or `DISK_FAILING`. "
    "Of a network, the type of a [condition](conditions.md).",
    "walrus.fault": "What a storage node did wrong: lied, failed or stalled.",
    "walrus.gate": "Name of the [gate](../rollouts.md) that holds.",
    "walrus.lane": "Which of a node's memory budgets: for writes, reads, background work or challenges.",
    "walrus.network": "Namespace and name of the network, `walrus/demo`. The operator says it itself; to the pages of nodes, "
    "gateways and devnets the network's PodMonitor adds it.",
    "walrus.node.name": "A storage node. On the pages of nodes the PodMonitor adds it.",
    "walrus.outcome": "How it ended.",
    "walrus.peer.name": "The storage node that was asked.",
    "walrus.reason": "A [reason](errors.md) of a refusal.",
    "walrus.shard.status": "Whether a shard is served, comes or goes.",
    "walrus.state": "Which nodes are counted: `ready`, `down`, `fenced`, `asleep` or `leaving`.",
    "walrus.work": "What a call is for.",
}
"""What the attributes of measurements mean, whoever makes them."""


def attributes() -> Rows:
    """Name, label and meaning of each attribute of measurements that `walrus_sui.telemetry.names` has."""
    found = {value for name, value in vars(names).items() if name.startswith(("ATTR_", "HTTP_", "RPC_"))}
    of_measurements = found - _SPANS_ONLY - {value for value in found if value.endswith(".duration")}
    if unknown := of_measurements - _ATTRIBUTES.keys():
        raise SystemExit(f"scripts/reference_pages/telemetry.py does not say what {sorted(unknown)} mean")
    return [(f"`{name}`", f"`{name.replace('.', '_')}`", _ATTRIBUTES[name]) for name in sorted(of_measurements)]


def instruments() -> list[Instrument]:
    """All instruments that any package makes under a name of `walrus_sui.telemetry.names`."""
    found = []
    for package in _PROCESS:
        for path in sorted(ROOT.glob(f"*/{package}/**/*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                made = _instrument(node, package, path)
                if made is not None:
                    found.append(made)
    return sorted(set(found), key=lambda entry: (entry.name, entry.description))


def _instrument(node: ast.AST, package: str, path: Path) -> Instrument | None:
    match node:
        case ast.Call(
            func=ast.Attribute(attr=function) | ast.Name(id=function),
            args=[ast.Attribute(value=ast.Name(id="names"), attr=constant), *rest],
        ) if function in _KINDS:
            keywords = {key.arg: key.value.value for key in node.keywords if isinstance(key.value, ast.Constant)}
            texts = [entry.value for entry in rest if isinstance(entry, ast.Constant)]
            description = keywords.get("description") or (texts[0] if texts else "")
            process = "devnet" if "devnet" in path.relative_to(ROOT).parts else _PROCESS[package]
            if "peers" in path.relative_to(ROOT).parts:
                process = "gateway, node"  # nodes are each other's clients
            return Instrument(
                getattr(names, constant), _KINDS[function], str(keywords.get("unit", "1")), str(description), process
            )
    return None


def prometheus_names(made: Iterable[Instrument]) -> dict[str, str]:
    """What the exporter itself calls each instrument."""
    reader = PrometheusMetricReader(disable_target_info=True)
    meter = MeterProvider(metric_readers=[reader]).get_meter("reference")
    found = {}
    for number, entry in enumerate(made):
        label = f"probe{number}"
        match entry.kind:
            case "counter":
                meter.create_counter(entry.name, unit=entry.unit).add(1, {label: "x"})
            case "histogram":
                meter.create_histogram(entry.name, unit=entry.unit).record(1, {label: "x"})
            case "gauge":
                meter.create_gauge(entry.name, unit=entry.unit).set(1, {label: "x"})
            case _:
                meter.create_up_down_counter(entry.name, unit=entry.unit).add(1, {label: "x"})
        page = generate_latest(REGISTRY).decode()
        name = next(line.partition("{")[0] for line in page.splitlines() if f'{label}="x"' in line)
        found[entry.name] = re.sub(r"_(bucket|count|sum)$", "", name) if entry.kind == "histogram" else name
    return found


def telemetry_page() -> list[str]:
    """Ports, probes, metrics and their names."""
    made = instruments()
    pages = prometheus_names(made)
    defined = {
        value
        for name, value in vars(names).items()
        if name.startswith(("CHAIN_", "DEVNET_", "NODE_", "CLIENT_", "OPERATOR_"))
    }
    unused = defined - {entry.name for entry in made}
    if unused:
        raise SystemExit(f"walrus_sui.telemetry.names has names that nothing measures: {sorted(unused)}")
    ports: Rows = [
        (
            str(operator_names.GRPC_PORT),
            "node",
            "StorageNode gRPC, TLS with the network key that is registered on chain",
        ),
        (str(operator_names.REST_PORT), "node", "registered for the official REST face, which a later release serves"),
        (
            str(operator_names.ADMIN_PORT),
            "node",
            "NodeAdmin gRPC, TLS with the same key and a token; only with a section `admin`",
        ),
        (str(operator_names.HTTP_PORT), "node", "HTTP: `/livez`, `/readyz`, `/metrics`"),
        (str(operator_names.DEVNET_RPC_PORT), "devnet", "`sui.rpc.v2` gRPC without TLS"),
        (str(operator_names.DEVNET_TLS_PORT), "devnet", "`sui.rpc.v2` gRPC with TLS"),
        (
            str(operator_names.DEVNET_FAUCET_PORT),
            "devnet",
            "HTTP: faucet, `/v1/network-config`, `/livez`, `/readyz`, `/metrics`",
        ),
        (str(operator_names.DEVNET_METRICS_PORT), "devnet", "HTTP: `/metrics` alone; only with `--metrics-port`"),
        (str(operator_names.GATEWAY_PORT), "gateway", "HTTP API; `/v1/api` describes it"),
        (str(operator_names.GATEWAY_METRICS_PORT), "gateway", "HTTP: `/livez`, `/readyz`, `/metrics`, `/v1/info`"),
        ("8080", "operator", "HTTP: `/livez`, `/readyz`, `/metrics`"),
    ]
    return [
        "# Ports and metrics",
        "",
        NOTE,
        "",
        "## Ports",
        "",
        *table(("port", "process", "what"), ports),
        "",
        "`walrusctl local up` takes the same ports where they are free, and others where not; the nodes' are always others.",
        "`walrusctl local status` and `local.json` in its folder tell them.",
        "",
        "## Metrics",
        "",
        "The names that start with `walrus.` are ours, all others follow the OpenTelemetry semantic conventions. The page",
        "`/metrics` writes them as the second column says; histograms have `_bucket`, `_count` and `_sum` behind the name. With",
        "`telemetry.otlp_endpoint` set, spans and metrics also go to a collector. Without one, a served gRPC call has a span",
        "only if its caller's `traceparent` puts it into a trace; it is measured in any case.",
        "",
        *table(
            ("name", "on `/metrics`", "kind", "process", "meaning"),
            (
                (f"`{entry.name}`", f"`{pages[entry.name]}`", entry.kind, entry.package, entry.description)
                for entry in made
            ),
        ),
        "",
        "## Attributes",
        "",
        "By these, measurements are told apart.",
        "",
        *table(("name", "label on `/metrics`", "meaning"), attributes()),
    ]
