"""Budgets, limits and volumes fit together: what is rendered never exceeds what the pod may have."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_client.gateway.body import footprint
from walrus_client.gateway.config import GatewayConfig
from walrus_codec.types import Axis
from walrus_node.config import NodeConfig
from walrus_operator.api import sizing
from walrus_operator.api.network import NetworkSpec
from walrus_operator.api.node import NodeSpec
from walrus_operator.api.sizing import DISK_RESERVE, MIB, NODE_BASE, TooSmallError
from walrus_operator.api.world import ObjectKey, Observed

codes = st.one_of(
    st.builds(sizing.params, st.sampled_from([4, 10, 100, 253]), st.just("isal")),
    st.builds(sizing.params, st.sampled_from([4, 10, 100, 1000]), st.just("rs2")),
)
limits = st.integers(64 * MIB, 1 << 36)


@given(limits, codes)
def test_a_node_takes_no_more_than_its_limit_and_bears_the_largest_blob(limit, code) -> None:
    need = sizing.least(code)
    assert need.read > code.sliver_size(Axis.PRIMARY, code.max_blob_size)
    try:
        found = sizing.node_budgets(limit, code)
    except TooSmallError:
        assert limit < NODE_BASE + need.total
        return
    assert NODE_BASE + found.total <= limit
    assert all(vars(found)[name] >= least for name, least in vars(need).items())
    assert limit - NODE_BASE - found.total < 8, "nothing to speak of is left over"


@given(limits, codes, st.one_of(st.none(), st.integers(1, 1 << 34)))
def test_a_gateway_takes_no_more_than_its_limit_and_accepts_what_fits(limit, code, largest) -> None:
    try:
        found = sizing.gateway_budget(limit, code, largest)
    except TooSmallError:
        return
    assert sizing.GATEWAY_BASE + found.workers * sizing.WORKER + found.memory <= limit
    assert 1 <= found.workers <= sizing.WORKERS
    accepted = min(found.max_body_size or code.max_blob_size, code.max_blob_size)
    assert footprint(code, accepted) <= found.memory
    if largest is None and found.max_body_size is not None:
        assert footprint(code, accepted + 1) > found.memory


@pytest.mark.parametrize("code", [sizing.params(100, "isal"), sizing.params(4, "rs2"), sizing.params(1000, "rs2")])
def test_exactly_enough_is_enough_and_a_byte_less_is_told_with_the_arithmetic(code) -> None:
    enough = NODE_BASE + sizing.least(code).total
    assert sizing.node_budgets(enough, code) == sizing.least(code)
    with pytest.raises(TooSmallError) as raised:
        sizing.node_budgets(enough - 1, code)
    *terms, total = [int(number) for number in re.findall(r"(\d+) MiB", str(raised.value))][1:]
    assert terms[0] == 256
    assert 0 <= sum(terms) - total < len(terms), "up to rounding up"
    assert total * MIB >= enough


def test_the_defaults_of_the_custom_resources_fit() -> None:
    network, node = NetworkSpec(), NodeSpec.model_validate({"networkRef": {"name": "demo"}})
    for shards, encoding in ((10, "isal"), (100, "isal"), (253, "isal"), (1000, "rs2")):
        code = sizing.params(shards, encoding)
        found = sizing.node_budgets(sizing.memory_limit(node.resources), code)
        assert found is not None
        assert sizing.gateway_budget(sizing.memory_limit(network.gateway.resources), code, None) is not None
    assert (
        sizing.gateway_budget(
            sizing.memory_limit(network.gateway.resources), sizing.params(100, "isal"), None
        ).max_body_size
        is None
    ), "the largest blob of the default network is accepted"
    assert sizing.node_budgets(sizing.memory_limit(node.resources), sizing.params(100, "isal")).upload >= 64 * MIB
    assert sizing.volume_problem(node.storage.size, node.votes.node_capacity) is None


def test_numbers_that_the_node_has_too() -> None:
    limits = NodeConfig.model_fields["limits"].default
    assert limits.disk_reserve == DISK_RESERVE
    assert (
        NodeConfig.model_fields["sync"].default.concurrent_shards * 4 * MIB
        == sizing.least(sizing.params(10, "isal")).sync
    )


def test_without_a_limit_the_defaults_hold() -> None:
    code = sizing.params(10, "isal")
    assert sizing.memory_limit(None) is None
    assert sizing.node_budgets(None, code) is None
    assert sizing.gateway_budget(None, code, 7) is None


@pytest.mark.parametrize(
    ("size", "capacity"), [("10Gi", 7_851_737_088), ("1Gi", 603_979_776), ("256Mi", 1), ("1Mi", 1)]
)
def test_a_node_offers_what_its_volume_holds(size: str, capacity: int) -> None:
    assert sizing.capacity(size, None) == capacity
    assert (sizing.volume_problem(size, None) is None) is (capacity > 1)


def test_a_volume_must_hold_what_is_offered_and_the_reserve() -> None:
    gib = 1 << 30
    assert sizing.volume_problem("1Gi", gib - DISK_RESERVE) is None
    problem = sizing.volume_problem("1Gi", gib - DISK_RESERVE + 1)
    assert problem is not None
    assert f"{gib} bytes" in problem
    assert f"{gib - DISK_RESERVE + 1} that the node offers + {DISK_RESERVE} that stay free = {gib + 1}" in problem


def small(**changes: Any) -> World:
    world = World(network=network_manifest(shards=10, nodes={"count": 4}, **changes))
    world.bring_up()
    return world


def file_of(world: World, name: str, file: str) -> Any:
    return yaml.safe_load(world.objects[ObjectKey("ConfigMap", name)]["data"][file])


def test_what_is_rendered_is_a_configuration_and_keeps_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    world = small()
    config = NodeConfig.model_validate(file_of(world, "demo-0", "node.yaml"))
    bounds = config.limits
    taken = bounds.upload_memory + bounds.read_memory + bounds.background_memory + bounds.compute_memory
    assert NODE_BASE + taken + config.recovery.memory + 4 * MIB * config.sync.concurrent_shards <= 1 << 30
    assert config.registration.node_capacity == sizing.capacity("10Gi", None)
    gateway = GatewayConfig.model_validate(file_of(world, "demo-gateway", "gateway.yaml"))
    assert gateway.key_file == Path("/keys/${POD_NAME}.key")
    assert (
        gateway.limits.memory + sizing.GATEWAY_BASE + (gateway.limits.compute_workers or 0) * sizing.WORKER <= 2 << 30
    )


def test_a_node_whose_limit_is_too_small_is_left_as_it_is_and_says_why() -> None:
    world = small()
    before = world.objects[ObjectKey("StatefulSet", "demo-2")]["metadata"]["generation"]
    world.edit_node("demo-2", resources={"limits": {"memory": "250Mi"}})
    world.pass_once()
    assert world.says("Valid", "demo-2") == ("False", "MemoryLimitTooSmall")
    assert "raise resources.limits.memory" in world.condition("Valid", "demo-2")["message"]
    assert world.says("Ready", "demo-2") == ("False", "NotValid")
    assert world.objects[ObjectKey("StatefulSet", "demo-2")]["metadata"]["generation"] == before
    assert world.says("Valid", "demo-1") == ("True", "Accepted")


@pytest.mark.parametrize(
    ("part", "spec"),
    [
        ("gateway", {"gateway": {"resources": {"limits": {"memory": "128Mi"}}}}),
        (
            "gateway",
            {"shards": 100, "gateway": {"maxBodySize": 100_000_000, "resources": {"limits": {"memory": "512Mi"}}}},
        ),
        ("shards", {"nodes": {"count": 4, "template": {"resources": {"limits": {"memory": 1000}}}}}),
    ],
)
def test_a_network_whose_limits_are_too_small_says_so_and_starts_nothing_of_it(part: str, spec: dict[str, Any]) -> None:
    world = World(network=network_manifest(**({"shards": 10, "nodes": {"count": 4}} | spec)))
    world.settle()
    assert world.says("Valid") == ("False", "MemoryLimitTooSmall")
    assert part in world.condition("Valid")["message"]
    sets = {key.name for key in world.objects if key.kind == "StatefulSet"}
    assert ("demo-gateway" in sets) is (part != "gateway")
    assert ("demo-0" in sets) is (part == "gateway")


@pytest.mark.parametrize(
    ("condition", "reason", "sentence"),
    [
        ("CAPACITY_REACHED", "CapacityReached", "raise votes.nodeCapacity"),
        ("DISK_NEARLY_FULL", "DiskNearlyFull", "give the node a larger one"),
        ("DISK_FAILING", "DiskFailing", "it is full"),
        ("OF_A_LATER_RELEASE", "DiskFailing", "it is full"),
    ],
)
def test_what_a_node_says_of_its_storage_is_its_condition(
    monkeypatch: pytest.MonkeyPatch, condition: str, reason: str, sentence: str
) -> None:
    world = small()
    assert world.says("StorageOk", "demo-1") == ("True", "TakesSlivers")
    infos = world.infos

    def failing():
        found = dict(infos())
        info = found["demo-1"]
        assert info.value is not None
        found["demo-1"] = Observed(replace(info.value, storage=condition, storage_message="it is full"), info.seen_at)
        return found

    monkeypatch.setattr(world, "infos", failing)
    world.settle()
    assert world.says("StorageOk", "demo-1") == ("False", reason)
    assert sentence in world.condition("StorageOk", "demo-1")["message"]
    assert world.says("StorageOk", "demo-2") == ("True", "TakesSlivers")
    assert world.says("Ready", "demo-1") == ("True", "Serving"), "it serves what it has"


def test_a_node_that_offers_more_than_its_volume_holds_is_warned_of() -> None:
    world = small()
    world.edit_node("demo-1", votes={"nodeCapacity": 250_000_000_000})
    world.settle()
    assert world.says("StorageOk", "demo-1") == ("False", "VolumeTooSmall")
    assert "250000000000 that the node offers + 268435456" in world.condition("StorageOk", "demo-1")["message"]
    assert file_of(world, "demo-1", "node.yaml")["registration"]["node_capacity"] == 250_000_000_000
    world.silent_nodes.add("demo-2")
    world.settle()
    assert world.says("StorageOk", "demo-2") == ("Unknown", "NodeUnreachable")
