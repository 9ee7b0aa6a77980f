"""Somebody edits by hand what nobody should: statuses, Secrets, finalizers, objects. The next pass says so, or puts it right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.operator.support import World

from walrus_operator.api import names
from walrus_operator.api.decisions import DeleteObject
from walrus_operator.api.world import ObjectKey, SecretView
from walrus_operator.plan.passes import plan


@pytest.fixture
def world() -> World:
    ready = World()
    ready.bring_up()
    return ready


def pods(world: World) -> dict[str, str]:
    return {name: pod.uid for name, pod in world.pods.items()}


def status(world: World, node: str) -> dict[str, object]:
    found: dict[str, object] = world.objects[ObjectKey("WalrusNode", node)]["status"]
    return found


@pytest.mark.parametrize("written", ["another", "nobody", ""])
def test_whose_shards_a_node_holds_is_the_chains_word_and_no_status(world: World, written: str) -> None:
    """A node that seems to hold nothing could be restarted beyond the budget."""
    true = str(status(world, "demo-3")["nodeId"])
    status(world, "demo-3")["nodeId"] = {"another": status(world, "demo-4")["nodeId"], "nobody": "0x" + "9" * 64}.get(
        written, ""
    )
    status(world, "demo-3")["weight"] = 0
    world.settle()
    assert (status(world, "demo-3")["nodeId"], status(world, "demo-3")["weight"]) == (true, 10)
    assert world.says("InCommittee", "demo-3") == ("True", "Member")


def test_an_edited_status_of_keys_is_a_condition_and_heals_when_it_is_set_back(world: World) -> None:
    known, before = dict(status(world, "demo-3")["publicKeys"]), pods(world)  # type: ignore[call-overload]  # a mapping
    status(world, "demo-3")["publicKeys"] = known | {"suiAddress": "0x" + "5" * 64}
    world.settle()
    assert world.says("Valid", "demo-3") == ("False", "KeySecretChanged")
    assert status(world, "demo-3")["weight"] == 10
    status(world, "demo-3")["publicKeys"] = known
    world.settle()
    assert world.says("Valid", "demo-3") == ("True", "Accepted")
    assert pods(world) == before


def new_node(world: World, secret: SecretView) -> None:
    world.secrets["extra-keys"] = secret
    world.objects[ObjectKey("WalrusNode", "extra")] = {
        "apiVersion": "walrus-operator.dev/v1alpha1",
        "kind": "WalrusNode",
        "metadata": {"name": "extra", "uid": "uid-extra", "generation": 1, "resourceVersion": "1"},
        "spec": {"networkRef": {"name": "demo"}},
    }


@pytest.mark.parametrize(
    ("file", "what"), [(names.SUI_KEY, "Sui"), (names.PROTOCOL_KEY, "protocol"), (names.NETWORK_KEY, "network")]
)
def test_two_nodes_never_run_with_the_keys_of_one(world: World, file: str, what: str) -> None:
    copied = world.secrets["demo-3-keys"]
    own = {name: f"own {name}" for name in copied.public} | {file: copied.public[file]}
    new_node(world, replace(copied, name="extra-keys", node="extra", uid="uid-secret", public=own))
    world.settle()
    assert world.says("Valid", "extra") == ("False", "KeySecretInvalid")
    assert f"holds the {what} key of node demo-3" in world.condition("Valid", "extra")["message"]
    assert world.says("Valid", "demo-3") == ("True", "Accepted")
    assert ObjectKey("StatefulSet", "extra") not in world.objects
    assert "extra-0" not in world.pods
    # The remedy that the message names.
    del world.secrets["extra-keys"]
    world.settle()
    assert world.says("Valid", "extra") == ("True", "Accepted")
    assert "extra-0" in world.pods


def test_a_node_without_usable_keys_is_not_started(world: World) -> None:
    nothing = dict.fromkeys(world.secrets["demo-3-keys"].public, None)
    new_node(world, SecretView("extra-keys", nothing, uid="uid-secret", node="extra"))
    world.settle()
    assert world.says("Valid", "extra") == ("False", "KeySecretInvalid")
    assert world.says("Ready", "extra") == ("False", "NotValid")
    assert ObjectKey("StatefulSet", "extra") not in world.objects


def lose(world: World) -> None:
    del world.secrets["demo-3-keys"]


def exchange(world: World) -> None:
    known = world.secrets["demo-3-keys"]
    world.secrets["demo-3-keys"] = replace(known, public={name: f"other {name}" for name in known.public})


@pytest.mark.parametrize("happens", [lose, exchange])
def test_a_node_whose_keys_are_gone_runs_on_and_is_restarted_when_they_are_back(
    world: World, happens: Callable[[World], None]
) -> None:
    """It has read them; the pod after it could not, or would be another node."""
    known, before = world.secrets["demo-3-keys"], pods(world)
    happens(world)
    world.edit(image="walrus:2")
    world.claims["data-demo-3-0"] = replace(world.claims["data-demo-3-0"], terminating=True)
    for _ in range(60):
        world.pass_once()
        world.kubelet()
        world.now += 31
    kept = [name for name, uid in pods(world).items() if uid == before[name] and "devnet" not in name]
    assert kept == ["demo-3-0"]
    assert world.says("DeletionBlocked", "demo-3") == ("True", "KeySecretLost")
    world.secrets["demo-3-keys"] = known
    for _ in range(6):
        world.pass_once()
        world.kubelet()
        world.now += 31
    assert world.pods["demo-3-0"].image == "walrus:2"


def test_an_rpc_that_is_behind_the_nodes_is_stale_and_a_single_liar_is_not_believed(world: World) -> None:
    known = {name: info.value for name, info in world.infos().items() if info.value is not None}

    def say(*liars: str) -> list[str]:
        snapshot = world.snapshot()
        infos = {
            name: replace(info, value=replace(known[name], epoch=2)) if name in liars else info
            for name, info in snapshot.infos.items()
        }
        decided = plan(replace(snapshot, infos=infos))
        world.carry_out(snapshot, decided)
        world.kubelet()
        return [action.key.name for action in decided.actions if isinstance(action, DeleteObject)]

    world.edit(image="walrus:2")
    four = [f"demo-{number}" for number in range(6, 10)]
    assert [say(*four) for _ in range(4)] == [[]] * 4
    assert world.says("Progressing") == ("True", "ChainMirrorStale")
    assert "4 nodes have seen a later one" in world.condition("Progressing")["message"]
    assert ["demo-0-0"] in [say(*four[:3]) for _ in range(3)], "33 shards may lie"


def test_a_finalizer_that_somebody_took_off_comes_back(world: World) -> None:
    world.edit(nodes={"template": {"deletionPolicy": "Drain"}})
    world.settle()
    meta = world.objects[ObjectKey("WalrusNode", "demo-9")]["metadata"]
    assert meta["finalizers"] == ["walrus-operator.dev/drain"]
    meta["finalizers"] = []
    world.settle()
    assert world.objects[ObjectKey("WalrusNode", "demo-9")]["metadata"]["finalizers"] == ["walrus-operator.dev/drain"]


@pytest.mark.parametrize("kind", ["StatefulSet", "ConfigMap", "Service"])
def test_what_somebody_deletes_is_made_again_as_it_was(world: World, kind: str) -> None:
    key = ObjectKey(kind, "demo-4")
    before, claim = world.objects[key]["metadata"]["annotations"], world.claims["data-demo-4-0"]
    del world.objects[key]
    world.pass_once()
    assert world.objects[key]["metadata"]["annotations"] == before
    world.settle()
    assert world.says("Ready", "demo-4") == ("True", "Serving")
    assert world.claims["data-demo-4-0"] == claim


def test_an_edited_configuration_is_set_back_without_a_restart(world: World) -> None:
    key, before = ObjectKey("ConfigMap", "demo-4"), pods(world)
    file = world.objects[key]["data"]["node.yaml"]
    world.objects[key]["data"]["node.yaml"] = "name: somebody-else\n"
    world.settle()
    assert world.objects[key]["data"]["node.yaml"] == file
    assert pods(world) == before


@pytest.mark.parametrize("skew", [-86_400, -3600, 3600, 86_400])
def test_an_operator_whose_clock_is_wrong_keeps_the_budget_and_says_what_it_waits_for(world: World, skew: int) -> None:
    world.now += skew
    world.edit(image="walrus:2", rollout={"minReadySeconds": 0})
    for _ in range(40):
        world.pass_once()
        weights = {node: status(world, node)["weight"] for node in world.nodes()}
        assert sum(int(str(weight)) for node, weight in weights.items() if f"{node}-0" not in world.pods) <= 33
        world.kubelet()
    assert {pod.image for name, pod in world.pods.items() if "gateway" not in name} == {"walrus:2"}
