"""The chart grants exactly what the operator asks for at its start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from walrus_operator.runtime.permissions import NETWORK_PERMISSIONS, OWN_PERMISSIONS, Permission, summary

CHART = Path(__file__).parents[3] / "charts" / "walrus-operator" / "templates"


def expanded(rules: list[dict[str, Any]]) -> set[Permission]:
    return {
        Permission(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_rules_of_the_chart_and_of_the_check_are_the_same() -> None:
    text = (CHART / "_helpers.tpl").read_text()
    start = text.index('{{- define "operator.rules" -}}') + len('{{- define "operator.rules" -}}')
    rules = yaml.safe_load(text[start : text.index("{{- end }}", start)])
    assert expanded(rules) == set(NETWORK_PERMISSIONS)


def test_the_lease_rule_too() -> None:
    text = (CHART / "rbac.yaml").read_text()
    start = text.index("  - apiGroups: [coordination.k8s.io]")
    rules = yaml.safe_load(text[start : text.index("---", start)])
    assert expanded(rules) == set(OWN_PERMISSIONS)


def test_missing_permissions_are_told_by_resource() -> None:
    lacking = [
        (Permission("", "pods", "get"), "a"),
        (Permission("", "pods", "list"), "a"),
        (Permission("apps", "statefulsets", "patch"), None),
    ]
    assert summary(lacking) == ["get, list pods in namespace a", "patch statefulsets.apps in all namespaces"]


def test_no_verb_is_a_star() -> None:
    assert not [permission for permission in NETWORK_PERMISSIONS if "*" in str(permission)]
