"""Dashboards show what is measured, by labels that are there, from pods that a PodMonitor finds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
CHARTS = ROOT / "charts"
BOARDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(CHARTS.glob("*/dashboards/*.json"))
}
GOLDEN = sorted((ROOT / "tests" / "unit" / "operator" / "golden").glob("*.yaml"))
NETWORK_MONITOR = CHARTS / "walrus-testnet" / "templates" / "podmonitor.yaml"
OPERATOR_MONITOR = CHARTS / "walrus-operator" / "templates" / "podmonitor.yaml"

BY_PROMETHEUS = {"namespace", "pod", "container", "job", "instance", "le", "__name__"}
"""Labels that a PodMonitor gives to everything, and those of Prometheus itself."""
WORDS = {"by", "or", "and", "unless", "vector", "scalar", "bool"}
FUNCTIONS = {"sum", "max", "min", "count", "rate", "increase", "histogram_quantile"}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """All panels but the titles of rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board: dict[str, Any]) -> Iterator[str]:
    """What is asked of Prometheus, by panels and by variables."""
    for panel in panels(board):
        yield from (target["expr"] for target in panel["targets"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["definition"]


def metrics(query: str) -> set[str]:
    """Names of the metrics in a query."""
    named = set(re.findall(r'__name__=~"([^"]*)"', query))
    if asked := re.fullmatch(r"label_values\((.*), \w+\)", query):
        query = asked[1]
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\bby \([^)]*\)", " ", query)
    words = set(re.findall(r"[a-z_][a-z0-9_]*", bare))
    return (words | {name for names in named for name in names.split("|")}) - WORDS - FUNCTIONS


def labels(query: str) -> set[str]:
    """Labels by which a query chooses, groups or lists."""
    chosen = {
        found for part in re.findall(r"\{([^}]*)\}", query) for found in re.findall(r'(\w+)(?:=~|!~|!=|=)"', part)
    }
    grouped = {name.strip() for part in re.findall(r"\bby \(([^)]*)\)", query) for name in part.split(",")}
    return chosen | grouped | set(re.findall(r"^label_values\(.*, (\w+)\)$", query))


def reference() -> tuple[dict[str, str], set[str]]:
    """Names of metrics at Prometheus with their kinds, and labels, as the reference has them."""
    page, attributes = (ROOT / "docs/reference/telemetry.md").read_text(encoding="utf-8").split("## Attributes")
    kinds = dict(re.findall(r"^\| `[a-z_.]+` \| `([a-z_]+)` \| ([a-z -]+) \|", page, re.MULTILINE))
    return kinds, set(re.findall(r"^\| `[a-z_.]+` \| `([a-z_]+)` \|", attributes, re.MULTILINE))


def exported() -> set[str]:
    """All names of series; `up` is Prometheus' own."""
    kinds, _ = reference()
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    return {"up"} | {name + suffix for name, kind in kinds.items() for suffix in suffixes.get(kind, ("",))}


def monitor(path: Path) -> dict[str, Any]:
    """The spec of a PodMonitor without what Helm fills in."""
    text = path.read_text(encoding="utf-8")
    ports = re.search(r"range list (.*?) \}\}", text)
    plain = re.sub(r"^\s*\{\{.*\}\}\n", "", text[text.index("\nspec:") + 1 :], flags=re.MULTILINE)
    plain = re.sub(r"^\s*(interval|matchLabels):.*\n", "", plain, flags=re.MULTILINE)
    spec = yaml.safe_load(re.sub(r"\{\{.*?\}\}", "FILLED", plain))["spec"]
    endpoints = spec["podMetricsEndpoints"]
    if ports:
        spec["podMetricsEndpoints"] = [{**endpoints[0], "port": port} for port in re.findall(r'"(\w+)"', ports[1])]
    return spec


def test_the_dashboards_are_found_and_told_apart() -> None:
    assert {board["title"] for board in BOARDS.values()} == {"Walrus network", "Walrus operator"}
    assert {board["uid"] for board in BOARDS.values()} == set(BOARDS)
    assert all(board["schemaVersion"] >= 39 and board["id"] is None for board in BOARDS.values())


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
def test_every_panel_says_what_it_shows_in_which_unit(board: dict[str, Any]) -> None:
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles) > 10
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels(board):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0, panel["title"]


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
def test_panels_neither_overlap_nor_leave_the_page(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
def test_the_data_source_and_all_else_is_chosen_on_the_page(board: dict[str, Any]) -> None:
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    uids = set(re.findall(r'"uid": "([^"]*)"', json.dumps(board))) - {board["uid"]}
    assert uids == {"${datasource}"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board))) - {"__rate_interval", "__all"}
    assert used == variables.keys()


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
def test_only_what_is_measured_is_asked_for(board: dict[str, Any]) -> None:
    _, known = reference()
    series = exported()
    for query in queries(board):
        assert metrics(query), query
        assert metrics(query) <= series, f"{metrics(query) - series} in {query}"
        assert labels(query) <= known | BY_PROMETHEUS, f"{labels(query) - known} in {query}"
    for panel in panels(board):
        for target in panel["targets"]:
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert shown <= labels(target["expr"]), panel["title"]


def test_a_query_is_read_rightly() -> None:
    query = 'sum by (a_label) (rate(a_total{b="x, c=", d!~"y|z"}[$__rate_interval])) / scalar(max(other))'
    assert metrics(query) == {"a_total", "other"}
    assert labels(query) >= {"a_label", "b", "d"}
    assert metrics('label_values({__name__=~"one|two"}, a_label)') == {"one", "two"}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_the_networks_monitor_reads_each_pod_once_by_a_port_that_it_has(golden: Path) -> None:
    asked = {endpoint["port"] for endpoint in monitor(NETWORK_MONITOR)["podMetricsEndpoints"]}
    found = {}
    for manifest in yaml.safe_load_all(golden.read_text(encoding="utf-8")):
        if manifest["kind"] == "StatefulSet":
            template = manifest["spec"]["template"]
            (container,) = template["spec"]["containers"]
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            found[container["name"]] = {ports[name] for name in asked & ports.keys()}
            assert "walrus-operator.dev/network" in template["metadata"]["labels"]
            is_node = template["metadata"]["labels"]["app.kubernetes.io/component"] == "node"
            assert ("walrus-operator.dev/node" in template["metadata"]["labels"]) == is_node
    expected = {"node": {9184}, "gateway": {27182}, "devnet": {9184}}
    assert found == {name: expected[name] for name in found}
    assert {"node", "gateway"} <= found.keys()


def test_the_networks_monitor_says_whose_a_measurement_is() -> None:
    for endpoint in monitor(NETWORK_MONITOR)["podMetricsEndpoints"]:
        rules = {rule["targetLabel"]: rule for rule in endpoint["relabelings"]}
        assert rules.keys() == {"walrus_network", "walrus_node_name"}
        network, node = rules["walrus_network"], rules["walrus_node_name"]
        meta = "__meta_kubernetes_pod_label_walrus_operator_dev_"
        assert network["sourceLabels"] == ["__meta_kubernetes_namespace", f"{meta}network"]
        assert network["separator"] == "/"  # as the operator names a network
        assert node["sourceLabels"] == [f"{meta}node"]


def test_the_operators_monitor_asks_a_port_of_its_pods() -> None:
    deployment = (CHARTS / "walrus-operator" / "templates" / "deployment.yaml").read_text(encoding="utf-8")
    for endpoint in monitor(OPERATOR_MONITOR)["podMetricsEndpoints"]:
        assert re.search(rf"ports:\n\s+- name: {endpoint['port']}\n\s+containerPort: 8080\n", deployment)
