"""What metrics tell of a network is what its status tells."""

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_operator.api.decisions import StandingNumbers
from walrus_operator.runtime import gauges, networks


@pytest.fixture
def world() -> World:
    found = World(network=network_manifest(shards=40, nodes={"count": 4}))
    found.bring_up()
    return found


def figures(world: World) -> StandingNumbers:
    return world.pass_once()[0].standing


def states(world: World) -> dict[str, int]:
    return {state: count for state, count in figures(world).nodes.items() if count}


def test_a_network_without_a_committee_lacks_nothing() -> None:
    world = World(network=network_manifest(shards=40, nodes={"count": 4}))
    first = figures(world)
    assert (first.unavailable, first.tolerated, first.epoch) == (0, 13, 0)
    assert first.conditions["Ready"] == "False"


def test_a_network_at_rest(world: World) -> None:
    found = figures(world)
    assert found.conditions == {
        entry["type"]: entry["status"] for entry in world.network["status"]["conditions"] if "reason" in entry
    }
    assert (found.unavailable, found.tolerated, found.epoch, found.hibernated) == (0, 13, 1, False)
    assert found.nodes == {"ready": 4, "down": 0, "fenced": 0, "asleep": 0, "leaving": 0}


def test_each_node_is_in_one_state(world: World) -> None:
    world.silent_nodes = {"demo-3"}
    world.settle()
    assert figures(world).unavailable == 10
    assert states(world) == {"ready": 3, "down": 1}
    world.silent_nodes = set()
    world.edit_node("demo-2", desiredState="Fenced")
    world.settle()
    assert states(world) == {"ready": 3, "fenced": 1}
    world.edit_node("demo-2", desiredState="Hibernated")
    world.settle()
    assert states(world) == {"ready": 3, "asleep": 1}
    assert figures(world).unavailable == 10
    world.edit_node("demo-2", desiredState="Active")
    world.settle()
    world.edit(nodes={"count": 3})
    world.settle()
    assert states(world) == {"ready": 3, "leaving": 1}


def test_a_network_that_sleeps_says_that_it_should(world: World) -> None:
    world.edit(hibernated=True)
    world.settle()
    found = figures(world)
    assert found.hibernated
    assert found.unavailable == 40
    assert states(world) == {"asleep": 4}


def test_a_paused_or_unreadable_network_is_measured_too(world: World) -> None:
    world.network["metadata"]["annotations"] = {"walrus-operator.dev/reconcile": "paused"}
    assert figures(world).nodes["ready"] == 4
    world.network["spec"]["shards"] = "many"
    assert figures(world).conditions == {"Valid": "False", "Ready": "False"}


def test_they_are_published_for_each_network(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    monkeypatch.setattr(gauges, "meter", lambda: meter)
    metrics = networks.NetworkMetrics()
    conditions = {"Ready": "True", "Degraded": "False", "Available": "Unknown"}
    metrics.update("ns/demo", StandingNumbers(conditions, {"ready": 4}, 3, 13, hibernated=True, epoch=7))
    metrics.update("ns/new", StandingNumbers())
    metrics.update("ns/gone", StandingNumbers(epoch=1))
    metrics.forget("ns/gone")
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        (metric.name, *(value for _, value in sorted(dict(point.attributes).items()))): point.value
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
    }
    assert found == {
        ("walrus.operator.condition", "Ready", "ns/demo"): 1,
        ("walrus.operator.condition", "Degraded", "ns/demo"): 0,
        ("walrus.operator.condition", "Available", "ns/demo"): -1,
        ("walrus.operator.nodes", "ns/demo", "ready"): 4,
        **{
            (f"walrus.operator.{name}", f"ns/{network}"): value
            for network, values in (("demo", (3, 13, 1)), ("new", (0, 0, 0)))
            for name, value in zip(("shards.unavailable", "shards.tolerated", "hibernated"), values, strict=True)
        },
        ("walrus.operator.epoch", "ns/demo"): 7,
    }
