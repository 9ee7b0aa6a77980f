"""Every alert rests on metrics that exist, and leads to a runbook that exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "charts" / "walrus-operator" / "templates" / "prometheusrule.yaml"
WORDS = {"max", "sum", "by", "on", "unless", "and", "or", "absent", "increase"}


def alerts() -> list[dict[str, Any]]:
    """The rules, without what Helm fills in."""
    text = re.sub(r'\{\{ "(\{\{.*?\}\})" \}\}', r"\1", TEMPLATE.read_text(encoding="utf-8"))
    groups = text[text.index("spec:") : text.rindex("{{- end }}")]
    return [rule for group in yaml.safe_load(groups)["spec"]["groups"] for rule in group["rules"]]


def rows() -> dict[str, str]:
    """Metrics of the reference by their names at Prometheus, with their kind."""
    page = (ROOT / "docs" / "reference" / "telemetry.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `[a-z_.]+` \| `([a-z_]+)` \| (\w+) \|", page, re.MULTILINE))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_alerts_are_found() -> None:
    assert len(alerts()) >= 10
    assert len({rule["alert"] for rule in alerts()}) == len(alerts())


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_can_fire_and_says_what_to_do(rule: dict[str, Any]) -> None:
    known = rows()
    expression = re.sub(r'"[^"]*"', '""', rule["expr"])
    used = set(re.findall(r"\bwalrus_operator_[a-z_]+", expression))
    assert used
    assert used <= set(known)
    counters = {name for name in used if known[name] == "counter"}
    assert counters == set(re.findall(r"increase\((\w+)\[", expression)), "a counter says nothing by itself"
    rest = set(re.findall(r"[a-z_]+", re.sub(r"\[\w+\]", "", expression))) - used - WORDS
    labels = {"walrus_network", "walrus_condition", "walrus_state", "walrus_node_name"}
    assert rest <= labels
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"].endswith(".")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor in anchors(ROOT / page)


def test_the_page_lists_them_all_with_their_times() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| \[`(\w+)`\]\([^)]+\) \| (\w+) \| (.*) \|$", page, re.MULTILINE)
    assert [(name, severity) for name, severity, _ in told] == [
        (rule["alert"], rule["labels"]["severity"]) for rule in alerts()
    ]


@pytest.mark.parametrize("condition", ["Available", "Degraded", "Valid"])
def test_conditions_of_alerts_are_conditions(condition: str) -> None:
    assert any(f'walrus_condition="{condition}"' in rule["expr"] for rule in alerts())
    page = (ROOT / "docs" / "reference" / "conditions.md").read_text(encoding="utf-8")
    assert f"| `{condition}` |" in page
