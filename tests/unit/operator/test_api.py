"""Models, schemas, conditions: what the API promises."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from walrus_operator.api import generate, names, reference
from walrus_operator.api.base import quantity, seconds
from walrus_operator.api.conditions import TABLE, Condition, ConditionType, Kind, Reason, condition, merge
from walrus_operator.api.network import NetworkSpec
from walrus_operator.api.schema import ALL, crds


@pytest.mark.parametrize(("text", "value"), [("30s", 30), ("10m", 600), ("1h30m", 5400), ("2h0m5s", 7205)])
def test_durations(text: str, value: int) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "10", "1.5h", "s", "5m1h", "1d", "-5s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


@given(amount=st.integers(0, 10**6))
def test_quantities_have_values(amount: int) -> None:
    assert quantity(f"{amount}Ki") == amount * 1024
    assert quantity(f"{amount * 1000}m") == amount == quantity(amount)
    assert quantity("a lot") is None


def walk(schema: Any, path: str = "") -> Any:
    yield path, schema
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key != "default":
                yield from walk(value, f"{path}.{key}")
    if isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from walk(value, f"{path}[{index}]")


@pytest.mark.parametrize("crd", ALL, ids=lambda crd: crd.kind)
def test_schemas_are_structural(crd: Any) -> None:
    schema = crd.to_yaml_object()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for path, node in walk(schema):
        if isinstance(node, dict):
            assert "$ref" not in node, path
            assert node.get("additionalProperties") is not False, path
            assert "anyOf" not in node or node.get("x-kubernetes-int-or-string"), path
            assert node.get("type") != "null", path
            if node.get("type") == "object" and not path.endswith(("metadata", ".affinity")):
                described = "properties" in node or "additionalProperties" in node
                assert described or node.get("x-kubernetes-preserve-unknown-fields") or path.endswith(".spec"), path


def test_every_rule_has_a_message_that_says_something() -> None:
    for crd in crds():
        for path, node in walk(crd["spec"]):
            if isinstance(node, dict):
                for rule in node.get("x-kubernetes-validations", []):
                    assert len(rule["message"]) > 15, path


def test_every_field_is_described() -> None:
    for crd in crds():
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for path, node in walk(schema["properties"]["spec"]):
            if path.endswith(".properties"):
                assert all("description" in entry for entry in node.values()), path


def test_the_default_network_is_the_one_of_the_readme() -> None:
    spec = NetworkSpec()
    assert (spec.shards, spec.encoding, spec.nodes.count, spec.epoch_duration) == (100, "isal", 10, "10m")
    assert spec.chain.devnet is not None
    assert NetworkSpec.model_validate(json.loads(spec.model_dump_json(by_alias=True, exclude_none=True))) == spec


def test_generated_files_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_bare_crds_are_yaml() -> None:
    kinds = [document["spec"]["names"]["kind"] for document in yaml.safe_load_all(generate.bare_crds())]
    assert kinds == ["WalrusNetwork", "WalrusNode", "StorageEpoch"]


def test_text_that_looks_like_a_number_stays_text_for_kubernetes() -> None:
    """Its YAML takes 1e-9 for a number, which PyYAML does not, so that reading it back proves nothing."""
    for text in ("1e-9", "0.9", "10", "-.5E+3", "1."):
        assert generate._yaml({"default": text}) == f"default: '{text}'\n"
    assert generate._yaml({"default": 2}) == "default: 2\n"
    assert generate._yaml({"default": "30s"}) == "default: 30s\n"


def test_every_reason_is_documented_and_every_documented_one_exists() -> None:
    page = reference.conditions_page()
    assert {row.reason for row in TABLE} == set(Reason)
    assert {row.type for row in TABLE} == set(ConditionType)
    assert all(f"`{reason}`" in page for reason in Reason)


def test_an_undocumented_condition_cannot_be_made() -> None:
    with pytest.raises(KeyError, match="not in the table"):
        condition(Kind.EPOCH, ConditionType.READY, "True", Reason.SERVING, "no")


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    ready = Condition(ConditionType.READY, "False", Reason.CHAIN_STARTING, "waiting")
    first = merge([ready], [], now="2026-01-01T00:00:00Z", generation=1)
    stored = [entry.to_live() for entry in first]
    later = Condition(ConditionType.READY, "False", Reason.NODES_NOT_READY, "other words")
    second = merge([later], stored, now="2026-01-02T00:00:00Z", generation=2)
    assert second[0].last_transition_time == "2026-01-01T00:00:00Z"
    assert (second[0].reason, second[0].observed_generation) == ("NodesNotReady", 2)
    turned = Condition(ConditionType.READY, "True", Reason.SERVING, "ok")
    third = merge([turned], stored, now="2026-01-03T00:00:00Z", generation=2)
    assert third[0].last_transition_time == "2026-01-03T00:00:00Z"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("demo-0", 0),
        ("demo-17", 17),
        ("demo-01", None),
        ("demo-x", None),
        ("other-1", None),
        ("demo-", None),
        ("demo", None),
    ],
)
def test_ordinals(name: str, number: int | None) -> None:
    assert names.ordinal("demo", name) == number
