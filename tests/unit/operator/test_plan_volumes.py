"""Volumes are enlarged where they can be, and replaced one after the other where they cannot."""

from dataclasses import replace

import pytest
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_operator.api.markers import OVERRIDE_ANNOTATION, REPLACE_VOLUME_ANNOTATION
from walrus_operator.api.pods import Storage
from walrus_operator.api.world import ClaimView, ObjectKey
from walrus_operator.plan.volumes import Volume


@pytest.fixture
def world() -> World:
    found = World(network=network_manifest(shards=22, nodes={"count": 7}))
    found.bring_up()
    return found


def claims(world: World) -> dict[str, tuple[str, str]]:
    return {
        name.removeprefix("data-demo-").removesuffix("-0"): (claim.size, claim.uid)
        for name, claim in world.claims.items()
        if "devnet" not in name and "gateway" not in name
    }


def recover(world: World, rounds: int = 30) -> list[set[str]]:
    """Passes; a node whose volume was replaced recovers for three of them. Returns which did so at the same time."""
    known = claims(world)
    left: dict[str, int] = {}
    busy = []
    for _ in range(rounds):
        world.pass_once()
        world.kubelet()
        world.nodes_register()
        world.now += 40
        now = claims(world)
        left |= {f"demo-{number}": 3 for number in now if now[number][1] != known[number][1]}
        known = now
        world.statuses = {node: "RecoveryInProgress" for node, count in left.items() if count}
        busy.append(set(world.statuses))
        left = {node: count - 1 for node, count in left.items() if count}
    return busy


def test_a_larger_size_enlarges_volumes_in_place(world: World) -> None:
    world.grows = True
    before = claims(world)
    workloads = {key: live["metadata"]["uid"] for key, live in world.objects.items() if key.kind == "StatefulSet"}
    world.edit(nodes={"template": {"storage": {"size": "20Gi"}}})
    busy = recover(world)
    assert all(not together for together in busy)
    assert claims(world) == {number: ("20Gi", uid) for number, (_, uid) in before.items()}
    for number in before:
        live = world.objects[ObjectKey("StatefulSet", f"demo-{number}")]
        assert live["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "20Gi"
        assert live["metadata"]["uid"] != workloads[ObjectKey("StatefulSet", f"demo-{number}")]
    assert world.network["status"]["rollout"]["state"] == "Complete"
    world.settle()
    assert world.says("Valid") == ("True", "Accepted")


def test_volumes_that_cannot_grow_are_replaced_one_after_the_other_with_recovery_in_between(world: World) -> None:
    before = claims(world)
    world.edit(nodes={"template": {"storage": {"size": "20Gi"}}})
    busy = recover(world, 60)
    after = claims(world)
    assert {size for size, _ in after.values()} == {"20Gi"}
    assert all(after[number][1] != before[number][1] for number in before)
    assert max(len(together) for together in busy) == 1
    assert set().union(*busy) == {f"demo-{number}" for number in before}
    world.settle()
    assert world.network["status"]["rollout"]["state"] == "Complete"


def test_another_class_replaces_the_volume_of_one_node(world: World) -> None:
    before = claims(world)
    world.edit_node("demo-6", storage={"size": "10Gi", "storageClassName": "fast"})
    recover(world, 10)
    assert world.claims["data-demo-6-0"].storage_class == "fast"
    assert {number for number, claim in claims(world).items() if claim != before[number]} == {"6"}


def test_a_node_that_sleeps_wakes_with_the_volume_that_the_spec_asks_for(world: World) -> None:
    world.grows = True
    before = claims(world)
    world.edit_node("demo-6", desiredState="Hibernated")
    world.edit(nodes={"template": {"storage": {"size": "20Gi"}}})
    recover(world)
    assert "demo-6-0" not in world.pods
    assert claims(world)["6"] == before["6"]
    world.edit_node("demo-6", desiredState="Active")
    recover(world, 10)
    assert claims(world) == {number: ("20Gi", uid) for number, (_, uid) in before.items()}
    world.settle()
    assert world.says("Valid") == ("True", "Accepted")


def test_a_smaller_size_loses_nothing(world: World) -> None:
    before = claims(world)
    world.edit(nodes={"template": {"storage": {"size": "5Gi"}}})
    recover(world)
    assert claims(world) == before
    world.settle()
    assert world.network["status"]["rollout"]["state"] == "Complete"


def test_data_are_not_given_up_to_repair_a_pod(world: World) -> None:
    """The image is broken and the size changes: the pods are repaired first."""
    before = claims(world)
    world.broken.add("demo-0-0")
    del world.pods["demo-0-0"]
    world.kubelet()
    world.edit(nodes={"template": {"storage": {"size": "20Gi"}}})
    uid = None
    for _ in range(12):
        world.pass_once()
        world.kubelet()
        world.now += 40
        if uid is not None:
            assert world.pods["demo-0-0"].uid == uid, "a pod that is right is not deleted again and again"
        elif world.pods["demo-0-0"].made_from == world.snapshot().revisions["demo-0"]:
            uid = world.pods["demo-0-0"].uid
    assert uid is not None
    assert claims(world)["0"] == before["0"]
    world.broken.clear()
    world.pods["demo-0-0"] = replace(world.pods["demo-0-0"], ready=True, waiting=None)
    recover(world, 60)
    assert {size for size, _ in claims(world).values()} == {"20Gi"}


def test_no_volume_is_taken_that_the_fault_budget_does_not_bear(world: World) -> None:
    before = claims(world)
    for number in (5, 6):
        world.edit_node(f"demo-{number}", desiredState="Hibernated")
    world.settle()
    world.edit(nodes={"template": {"storage": {"size": "20Gi"}}})
    assert not any(recover(world))
    assert {number: uid for number, (_, uid) in claims(world).items()} == {n: uid for n, (_, uid) in before.items()}
    assert world.says("Progressing")[1] == "FaultBudgetExceeded"
    world.edit_node("demo-6", desiredState="Active")
    busy = recover(world, 60)
    assert max(len(together) for together in busy) == 1
    assert {size for number, (size, _) in claims(world).items() if number != "5"} == {"20Gi"}


def test_leave_for_one_restart_beyond_the_budget_is_no_leave_to_lose_data() -> None:
    world = World(network=network_manifest(shards=10, nodes={"count": 3}))
    world.bring_up()
    weights = {name: world.objects[ObjectKey("WalrusNode", name)]["status"]["weight"] for name in world.nodes()}
    heavy = max(weights, key=weights.__getitem__)
    assert weights[heavy] == 4
    world.edit(nodes={"template": {"storage": {"size": "20Gi"}}})
    for _ in range(2):
        recover(world, 30)
        pod = world.pods[f"{heavy}-0"]
        world.objects[ObjectKey("WalrusNode", heavy)]["metadata"]["annotations"] = {OVERRIDE_ANNOTATION: pod.uid}
    assert claims(world)[heavy.removeprefix("demo-")][0] == "10Gi"
    assert world.pods[f"{heavy}-0"].uid == pod.uid
    assert sorted(size for size, _ in claims(world).values()) == ["10Gi", "20Gi", "20Gi"]
    assert world.says("Progressing")[1] == "FaultBudgetExceeded"
    assert OVERRIDE_ANNOTATION not in world.condition("Progressing")["message"]


@pytest.mark.parametrize("leaves", [False, True])
def test_a_network_that_sleeps_wakes_with_the_volumes_that_the_spec_asks_for(world: World, leaves: bool) -> None:
    world.grows = True
    before = claims(world)
    if leaves:
        world.edit_node("demo-6", deletionPolicy="Drain")
        world.settle()
        world.edit(nodes={"count": 6})
        world.settle()
    world.edit(hibernated=True)
    world.edit(nodes={"template": {"storage": {"size": "20Gi"}}})
    world.edit_node("demo-6", storage={"size": "20Gi"})
    recover(world, 10)
    assert world.pods == {}
    assert claims(world) == before
    assert world.says("Valid") == ("True", "Accepted")
    world.edit(hibernated=False)
    recover(world)
    staying = {number for number in before if not leaves or number != "6"}
    assert {claims(world)[number] for number in staying} == {("20Gi", before[number][1]) for number in staying}
    assert len(world.pods) == 9
    assert world.says("Valid") == ("True", "Accepted")


@pytest.mark.parametrize("whole", [False, True], ids=["a node", "the network"])
def test_who_wakes_and_changes_volumes_at_once_gets_both(world: World, whole: bool) -> None:
    world.grows = True
    before = claims(world)
    world.edit_node("demo-6", desiredState="Active" if whole else "Hibernated")
    world.edit(hibernated=whole)
    recover(world, 6)
    assert "demo-6-0" not in world.pods
    world.edit_node("demo-6", desiredState="Active")
    world.edit(hibernated=False, nodes={"template": {"storage": {"size": "20Gi"}}})
    recover(world)
    assert claims(world) == {number: ("20Gi", uid) for number, (_, uid) in before.items()}
    assert len(world.pods) == 9
    assert world.says("Valid") == ("True", "Accepted")


def without_volume(world: World, node: str) -> None:
    """What the cluster makes of a claim whose class nobody provides."""
    claim, pod = world.claims[f"data-{node}-0"], world.pods[f"{node}-0"]
    world.claims[claim.name] = replace(claim, bound=False)
    world.pods[pod.name] = replace(pod, ready=False, phase="Pending", waiting="Unschedulable")
    world.broken.add(pod.name)
    world.silent_nodes.add(node)


def start_with_new_volumes(world: World, old: dict[str, tuple[str, str]]) -> None:
    """Passes; pods start whose claim is no longer one of these."""
    for _ in range(40):
        world.pass_once()
        waiting = {f"demo-{number}" for number, claim in claims(world).items() if old.get(number) == claim}
        world.broken, world.silent_nodes = {f"{node}-0" for node in waiting}, waiting
        world.kubelet()
        world.nodes_register()
        world.now += 40


@pytest.mark.parametrize("corrected", [{"storageClassName": "fast"}, {"storageClassName": None}, {"size": "1Gi"}])
def test_a_claim_that_never_got_a_volume_is_made_anew_when_the_spec_is_corrected(corrected: dict[str, str]) -> None:
    """A misspelt class, or a size that nobody has: there is no data to be careful with, and it would wait for ever."""
    storage = {"size": "900Ti", "storageClassName": "fsat"}
    world = World(network=network_manifest(shards=22, nodes={"count": 7, "template": {"storage": storage}}))
    world.settle()
    for number in range(7):
        without_volume(world, f"demo-{number}")
    world.registered.clear()
    world.settle()
    before = claims(world)
    assert {size for size, _ in before.values()} == {"900Ti"}
    live = world.network["spec"]["nodes"]["template"]["storage"]
    live |= corrected
    world.network["spec"]["nodes"]["template"]["storage"] = {key: value for key, value in live.items() if value}
    for node in world.nodes():
        world.objects[ObjectKey("WalrusNode", node)]["spec"]["storage"] = dict(
            world.network["spec"]["nodes"]["template"]["storage"]
        )
    start_with_new_volumes(world, before)
    after = claims(world)
    assert all(after[number][1] != before[number][1] for number in before)
    assert {world.claims[f"data-demo-{number}-0"].storage_class for number in before} == {
        live.get("storageClassName") or "standard"
    }
    assert {size for size, _ in after.values()} == {live["size"]}
    assert all(pod.ready for pod in world.pods.values())


def test_a_claim_without_a_volume_goes_also_when_its_pod_is_the_right_one_already(world: World) -> None:
    """The operator died in between, or somebody deleted the pod: only the claim is still the old one."""
    world.edit_node("demo-3", storage={"size": "10Gi", "storageClassName": "fast"})
    start_with_new_volumes(world, {})
    assert world.claims["data-demo-3-0"].storage_class == "fast"
    without_volume(world, "demo-3")
    world.claims["data-demo-3-0"] = replace(world.claims["data-demo-3-0"], storage_class="fsat")
    start_with_new_volumes(world, {"3": claims(world)["3"]})
    assert world.claims["data-demo-3-0"].storage_class == "fast"
    assert world.pods["demo-3-0"].ready


def test_a_claim_without_a_volume_is_left_alone_while_nothing_else_is_asked_for(world: World) -> None:
    without_volume(world, "demo-3")
    before = claims(world)
    recover(world, 5)
    assert claims(world) == before


def test_a_claim_that_never_got_a_volume_holds_nobody_up_and_takes_nobody_along(world: World) -> None:
    """Only the node that waits for its volume is touched, and nothing is recovered for it."""
    without_volume(world, "demo-3")
    before = claims(world)
    world.edit_node("demo-3", storage={"size": "10Gi", "storageClassName": "fast"})
    start_with_new_volumes(world, {"3": before["3"]})
    after = claims(world)
    assert {number for number in before if after[number] != before[number]} == {"3"}
    assert world.claims["data-demo-3-0"].storage_class == "fast"
    assert world.pods["demo-3-0"].ready


def ask(world: World, node: str, uid: str) -> None:
    world.objects[ObjectKey("WalrusNode", node)]["metadata"].setdefault("annotations", {})[
        REPLACE_VOLUME_ANNOTATION
    ] = uid


def test_a_volume_is_replaced_on_request_once(world: World) -> None:
    before = claims(world)
    ask(world, "demo-3", before["3"][1])
    world.settle()
    after = claims(world)
    assert {number for number in before if after[number] != before[number]} == {"3"}
    world.settle()
    assert claims(world) == after


def test_a_request_for_another_volume_is_none(world: World) -> None:
    before = claims(world)
    ask(world, "demo-3", "yes")
    world.settle()
    assert claims(world) == before


def test_a_request_waits_for_the_budget_and_says_the_arithmetic(world: World) -> None:
    before = claims(world)
    for number in (5, 6):
        world.edit_node(f"demo-{number}", desiredState="Hibernated")
    world.settle()
    ask(world, "demo-3", before["3"][1])
    world.settle()
    assert claims(world)["3"] == before["3"]
    assert world.says("DeletionBlocked", "demo-3") == ("True", "FaultBudgetExceeded")
    message = world.condition("DeletionBlocked", "demo-3")["message"]
    assert message.startswith("taking demo-3 away takes 3 shards, 6 of 7 are unavailable already")
    world.edit_node("demo-6", desiredState="Active")
    world.settle()
    assert claims(world)["3"] != before["3"]


@pytest.mark.parametrize(
    ("size", "storage_class", "fits"),
    [
        ("10Gi", "standard", True),
        ("10240Mi", "any", True),
        ("9Gi", "any", False),
        ("11Gi", "any", True),
        ("", None, True),
    ],
)
def test_a_claim_fits_that_is_as_large_as_asked_for(size: str, storage_class: str | None, fits: bool) -> None:
    claim = ClaimView("data", "uid", size=size, storage_class=storage_class)
    assert Volume(Storage(size="10Gi"), None, claim).fits is fits
    assert Volume(Storage(size="10Gi"), None, replace(claim, terminating=True)).fits
    assert not Volume(Storage(size="1Gi", storage_class_name="fast"), None, replace(claim, storage_class="slow")).fits
