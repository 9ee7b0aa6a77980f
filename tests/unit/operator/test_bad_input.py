"""What passes the schema and cannot work is a condition with a remedy after one pass, and nothing is half done for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operator.chain_world import NAMESPACE, network_manifest
from tests.unit.operator.support import SETTINGS, World

from walrus_operator.api import sizing
from walrus_operator.api.base import API_VERSION, DURATION_PATTERN, quantity, seconds
from walrus_operator.api.decisions import CreateKeys, Delegate, FundTreasury
from walrus_operator.api.network import MAX_DEVNET_STAKE
from walrus_operator.api.node import MAX_NAME
from walrus_operator.api.schema import crds
from walrus_operator.api.world import ObjectKey
from walrus_operator.build import objects
from walrus_operator.observe.chain import ChainObserver, ChainQuestions
from walrus_operator.observe.kube import KubeError
from walrus_operator.plan.passes import plan

YEAR = 365 * 24 * 3600


def found(schema: Any, field: str) -> Iterator[dict[str, Any]]:
    """Schemas of all fields of that name."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == field and isinstance(value, dict) and "type" in value:
                yield value
            yield from found(value, field)
    if isinstance(schema, list):
        for value in schema:
            yield from found(value, field)


def size_rules() -> set[str]:
    """The regular expressions that sizes of volumes must match; CEL's are those of RE2, which Python reads alike."""
    rules = [rule["rule"] for schema in found(crds(), "size") for rule in schema.get("x-kubernetes-validations", [])]
    assert len(rules) == 3, "network's template, devnet and WalrusNode"
    return {rule.removeprefix("self.matches('").removesuffix("')") for rule in rules}


(SIZE,) = size_rules()


@pytest.mark.parametrize(
    "size", ["10Gi", "0.5Gi", "1.5Ti", "999Pi", "999999999Gi", "500G", "1", "10737418240", "256Mi"]
)
def test_sizes_that_volumes_may_have(size: str) -> None:
    assert re.fullmatch(SIZE, size)


@pytest.mark.parametrize(
    "size",
    ["0", "0Gi", "00", "0.0Gi", "0.5", "-1Gi", "1e3", "1E", "100m", "1000Pi", "1" + "0" * 30, "9" * 19, "1.Gi", "", "Gi", "1 Gi"],
)  # fmt: skip
def test_sizes_that_are_refused(size: str) -> None:
    assert not re.fullmatch(SIZE, size)


@given(st.from_regex(SIZE, fullmatch=True))
def test_every_size_that_is_accepted_fits_into_the_numbers_of_the_chain(size: str) -> None:
    """A node whose configuration says more than 64 bits hold would end at once, again and again."""
    value = quantity(size)
    assert value is not None
    assert Decimal(0) < value < 2**63
    assert 1 <= sizing.capacity(size, None) < 2**63
    text = sizing.volume_problem(size, None)
    assert (text is not None) is (value < sizing.DISK_RESERVE + 1)


@given(st.from_regex(DURATION_PATTERN, fullmatch=True))
def test_every_duration_that_can_be_written_can_be_counted(text: str) -> None:
    """CEL refuses to count more than 292 years, and would say so in its own words instead of ours."""
    if text:
        assert seconds(text) < 290 * YEAR


def test_an_epoch_of_ages_is_refused_by_the_pattern() -> None:
    assert not re.fullmatch(DURATION_PATTERN, "9999999999h")


@pytest.mark.parametrize("number", [10**9, 10**18, 2**63 - 1])
def test_a_node_count_that_the_rules_refuse_is_no_overflow_for_them(number: int) -> None:
    """The rule on stake multiplies: it must not be asked for counts that another rule refuses."""
    schema = next(crd for crd in crds() if crd["spec"]["names"]["kind"] == "WalrusNetwork")
    spec = schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    rule = next(rule["rule"] for rule in spec["x-kubernetes-validations"] if "template.stake" in rule["rule"])
    skipped, most = rule.split(" || ")[1], 1000 * 1_000_000_000
    assert skipped == "self.nodes.count > self.shards"
    assert number > 1000
    assert most < 2**63


# -- stake


def money(world: World) -> list[Any]:
    return [action for action in plan(world.snapshot()).actions if isinstance(action, Delegate | FundTreasury)]


def test_more_stake_than_a_devnet_has_moves_no_money_and_says_the_arithmetic() -> None:
    stake = MAX_DEVNET_STAKE // 4
    world = World(network=network_manifest(shards=10, nodes={"count": 4, "template": {"stake": stake}}))
    node = by_hand("extra")
    node["spec"]["stake"] = 1
    world.objects[ObjectKey("WalrusNode", "extra")] = node
    world.settle()
    assert not world.delegations
    assert money(world) == []
    assert world.says("Valid") == ("False", "SpecInvalid")
    message = world.condition("Valid")["message"]
    assert f"{MAX_DEVNET_STAKE + 1} WAL" in message
    assert "lower stake" in message
    assert "demo-gateway-0" in world.pods, "all the rest goes on"
    world.edit(nodes={"template": {"stake": stake - 1}})
    world.settle()
    assert world.says("Valid") == ("True", "Accepted")
    assert len(world.delegations) == 5


# -- names


def test_a_name_of_another_networks_node_is_left_to_it() -> None:
    world = World(network=network_manifest(shards=10, nodes={"count": 4}))
    decided = plan(world.snapshot(foreign_nodes={"demo-2": "other", "demo-9": "other", "elsewhere": "other"}))
    assert decided.workload is not None
    assert [node.name for node in decided.workload.nodes] == ["demo-0", "demo-1", "demo-3"]
    made = objects.manifests(decided.workload, SETTINGS)
    assert not [manifest for manifest in made if manifest["metadata"]["name"] == "demo-2"]
    assert "demo-2-keys" not in [action.secret for action in decided.actions if isinstance(action, CreateKeys)]
    valid = next(entry for entry in decided.network_conditions if entry.type == "Valid")
    assert (valid.status, valid.reason) == ("False", "NameConflict")
    assert valid.message.startswith(
        "WalrusNode demo-2 belongs to network other, and this network needs its name: delete it"
    )


def test_nothing_goes_of_a_running_node_whose_name_was_taken() -> None:
    world = World(network=network_manifest(shards=10, nodes={"count": 4}))
    world.bring_up()
    taken = world.objects.pop(ObjectKey("WalrusNode", "demo-2"))
    snapshot = world.snapshot(foreign_nodes={"demo-2": "other"})
    assert not [action for action in plan(snapshot).actions if "demo-2" in repr(action)]
    world.objects[ObjectKey("WalrusNode", "demo-2")] = taken
    world.settle()
    assert world.says("Valid") == ("True", "Accepted")


def by_hand(name: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": NAMESPACE, "uid": "e", "generation": 1, "resourceVersion": "1"}
    return {"apiVersion": API_VERSION, "kind": "WalrusNode", "metadata": meta, "spec": {"networkRef": {"name": "demo"}}}


@pytest.mark.parametrize("running", [False, True])
def test_a_node_made_by_hand_with_a_number_beyond_the_count_is_told_so_and_not_taken_away(running: bool) -> None:
    world = World(network=network_manifest(shards=10, nodes={"count": 4}))
    if running:
        world.bring_up()
    key = ObjectKey("WalrusNode", "demo-7")
    world.objects[key] = by_hand("demo-7")
    world.settle()
    assert world.says("Valid", "demo-7") == ("False", "NameConflict")
    assert "nodes.count is 4: make the node under a name that does not" in world.condition("Valid", "demo-7")["message"]
    assert world.says("Ready", "demo-7") == ("False", "NotValid")
    assert "demo-7-keys" not in world.secrets
    assert ObjectKey("StatefulSet", "demo-7") not in world.objects
    world.edit(nodes={"count": 8})
    world.settle()
    assert world.says("Valid", "demo-7") == ("True", "Accepted")
    world.edit(nodes={"count": 7})
    world.settle()
    assert key not in world.objects or world.says("Ready", "demo-7")[1] == "Leaving", "it is the template's by then"


def test_the_longest_names_fit_everywhere() -> None:
    """Labels, Services and pods have at most 63 characters; a StatefulSet's pods carry its name and a hash of 10 in one."""
    network = network_manifest(shards=1000, encoding="rs2", nodes={"count": 1000}, gateway={"replicas": 16})
    network["metadata"]["name"] = longest = "n" * 40
    world = World(network=network)
    decided = plan(world.snapshot())
    assert decided.workload is not None
    by_hand = replace(decided.workload.nodes[0], name="m" * MAX_NAME)
    last = decided.workload.nodes[-1]
    assert last.name == f"{longest}-999"
    made = list(objects.manifests(replace(decided.workload, nodes=(by_hand, last)), SETTINGS))
    assert {manifest["kind"] for manifest in made} >= {"StatefulSet", "Service", "ConfigMap", "PodDisruptionBudget"}
    for manifest in made:
        name = manifest["metadata"]["name"]
        assert len(name) <= 63, name
        template = manifest["spec"].get("template", {}) if manifest["kind"] == "StatefulSet" else {}
        for labels in (manifest["metadata"].get("labels", {}), template.get("metadata", {}).get("labels", {})):
            assert all(len(value) <= 63 for value in labels.values()), name
        if manifest["kind"] == "StatefulSet":
            assert len(f"{name}-") + 10 <= 63
            assert len(f"{name}-{manifest['spec']['replicas']}") <= 63


# -- somebody else's chain


def test_a_foreign_chain_that_never_answered_says_what_can_be_done() -> None:
    spec = {"chain": {"devnet": None, "external": {"networkConfig": "https://nonsense.invalid/x"}}, "encoding": "rs2"}
    world = World(network=network_manifest(**spec), chain_answers=False)
    decided, _ = world.pass_once()
    assert (decided.workload, decided.actions) == (None, ())
    assert world.says("Ready") == ("False", "ChainStarting")
    assert world.condition("Ready")["message"].endswith(
        "If chain.external.networkConfig is right, let the operator reach what it names; if not, delete the network and "
        "create it anew, because it cannot change"
    )


NOT_A_CHAIN: dict[str, Any] = {
    "no port": {"rpc_url": "http://127.0.0.1:99999"},
    "a port in letters": {"rpc_url": "http://127.0.0.1:abc"},
    "half an address": {"rpc_url": "http://["},
    "no URL": {"rpc_url": "nonsense"},
    "no type": {"rpc_url": "http://127.0.0.1:1", "wal_type": "x"},
    "no certificate": {"rpc_url": "https://127.0.0.1:1", "rpc_ca": "nonsense"},
    "no configuration": [1],
}


@pytest.mark.parametrize("document", NOT_A_CHAIN.values(), ids=NOT_A_CHAIN)
async def test_a_configuration_of_nonsense_is_a_chain_that_does_not_answer(document: Any) -> None:
    """Not a pass that fails: the network's own condition says why, and the rest of the pass goes on."""
    one = "0x" + "1" * 64
    if isinstance(document, dict):
        names = {"system_object": one, "staking_object": one, "treasury_object": one, "wal_type": f"{one}::wal::WAL"}
        document = {**names, **document}

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(document)

    app = web.Application()
    app.router.add_get("/config", answer)
    observer = ChainObserver()
    try:
        async with TestServer(app) as server:
            seen = await observer.look("walrus/demo", ChainQuestions(config_url=str(server.make_url("/config"))))
        assert seen.value is None
        assert seen.error
        assert observer.client("walrus/demo") is None
    finally:
        await observer.close()


# -- the API server's refusals


@pytest.mark.parametrize(
    ("status", "text", "invalid"),
    [
        (500, "failed to create typed patch object (ns/x; apps/v1): .spec.x: field not declared in schema", True),
        (500, "etcd has no leader", False),
        (503, "failed to create typed patch object", False),
        (400, "unknown", True),
        (422, "spec.x: Invalid value", True),
    ],
)
def test_which_refusals_are_the_objects_own_fault(status: int, text: str, invalid: bool) -> None:
    assert KubeError(f"PATCH /x: {status} {text}", status=status).invalid is invalid


def test_a_reserve_that_leaves_nothing_is_named_as_the_way_out() -> None:
    world = World(network=network_manifest(shards=10, nodes={"count": 4}, rollout={"reserve": 3}))
    world.bring_up()
    world.edit(image="walrus:2")
    world.settle()
    message = world.condition("Progressing")["message"]
    assert "0 of 0 are unavailable already (3 more are kept in reserve)" in message
    assert "lower spec.rollout.reserve, take stake from it" in message
    world.edit(rollout={"reserve": 0})
    for _ in range(60):
        world.pass_once()
        world.kubelet()
        world.now += 40
    assert world.network["status"]["rollout"]["state"] == "Complete"
