"""Rules without which two operators, or one with an old picture, take away what others need.

Each of these tests fails when its rule is taken out. Most rules of this kind are shown where they belong; here are those
that only show in a race, or in a process that may do less than it should.
"""

from __future__ import annotations

import asyncio
import copy

import pytest
from tests.unit.operator import fake_api
from tests.unit.operator.fake_api import Answer, Call, Cluster, Fault, Store, Transport, refuse
from tests.unit.operator.played import PlayedChain, PlayedNodes
from tests.unit.operator.support import SETTINGS, World
from tests.unit.operator.test_api_faults import NAMESPACE, Scene

from walrus_operator.api.decisions import (
    Action,
    CreateKeys,
    DeleteObject,
    DrainNode,
    FundTreasury,
    GrowClaim,
    KeyKind,
    Plan,
    SetFinalizer,
)
from walrus_operator.api.world import ObjectKey
from walrus_operator.apply.carry_out import Applier
from walrus_operator.observe.kube import KubeError
from walrus_operator.runtime import config, main, permissions
from walrus_operator.runtime.election import RENEW_DEADLINE
from walrus_operator.runtime.lease import Lease, LeaseLost
from walrus_operator.runtime.permissions import NETWORK_PERMISSIONS, OWN_PERMISSIONS

LEASE = ("Lease", "system", "walrus-operator")


# -- the Lease


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def leading(cluster: Cluster, clock: Clock) -> Lease:
    lease = Lease(cluster.client(), namespace=LEASE[1], name=LEASE[2], identity="a", clock=clock)
    assert await lease.campaign(asyncio.Event())
    await lease.guard()
    return lease


async def test_the_guard_reads_the_lease_and_not_only_the_clock() -> None:
    """A process that stood still, or whose clock did, still believes that it leads when somebody else does."""
    cluster, clock = Cluster(), Clock()
    lease = await leading(cluster, clock)
    cluster.store.objects[LEASE]["spec"]["holderIdentity"] = "b"
    assert lease.leads, "by its own clock"
    with pytest.raises(LeaseLost, match="belongs to b"):
        await lease.guard()
    assert lease.lost.is_set()


async def test_the_guard_wants_a_lease_that_is_there() -> None:
    cluster = Cluster()
    lease = await leading(cluster, Clock())
    del cluster.store.objects[LEASE]
    with pytest.raises(LeaseLost, match="belongs to nobody"):
        await lease.guard()
    assert lease.lost.is_set()


async def test_who_cannot_read_the_lease_does_nothing() -> None:
    cluster = Cluster()
    lease = await leading(cluster, Clock())
    cluster.transport.faults = lambda _call: fake_api.reset
    with pytest.raises(KubeError):
        await lease.guard()


async def test_the_guard_needs_no_answer_to_know_that_its_time_is_over() -> None:
    cluster, clock = Cluster(), Clock()
    lease = await leading(cluster, clock)
    clock.now += RENEW_DEADLINE
    before = len(cluster.transport.calls)
    with pytest.raises(LeaseLost, match="no longer ours"):
        await lease.guard()
    assert len(cluster.transport.calls) == before


# -- who asks it


def cluster_with(*keys: tuple[str, str]) -> Cluster:
    cluster = Cluster()
    for kind, name in keys:
        cluster.store.put((kind, "walrus", name), {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}})
    return cluster


def uid(cluster: Cluster, kind: str, name: str) -> str:
    return str(cluster.store.objects[kind, "walrus", name]["metadata"]["uid"])


async def carried_out(cluster: Cluster, *actions: Action, allowed: int) -> PlayedNodes:
    """Carries actions out under a guard that lets so many through."""
    left, nodes = [allowed], PlayedNodes()

    async def guard() -> None:
        if not left[0]:
            raise LeaseLost("somebody else leads")
        left[0] -= 1

    applier = Applier(cluster.client(), PlayedChain(), nodes, settings=SETTINGS)  # type: ignore[arg-type]
    plan = Plan(None, actions, (), (), (), 1.0)
    with pytest.raises(LeaseLost):
        await applier.carry_out(World().snapshot(), plan, guard=guard)
    return nodes


async def test_each_deletion_asks_the_lease_anew() -> None:
    cluster = cluster_with(("Pod", "demo-0-0"), ("Pod", "demo-1-0"))
    actions = [DeleteObject(ObjectKey("Pod", name), uid(cluster, "Pod", name)) for name in ("demo-0-0", "demo-1-0")]
    await carried_out(cluster, *actions, allowed=1)
    assert set(cluster.of("Pod")) == {"demo-1-0"}


@pytest.mark.parametrize("kind", ["deletes", "enlarges", "sets finalizers", "makes keys", "tells nodes"])
async def test_whatever_could_harm_asks_the_lease_first(kind: str) -> None:
    cluster = cluster_with(("Pod", "demo-0-0"), ("PersistentVolumeClaim", "data-demo-0-0"), ("WalrusNode", "demo-0"))
    claim, node = uid(cluster, "PersistentVolumeClaim", "data-demo-0-0"), uid(cluster, "WalrusNode", "demo-0")
    version = str(cluster.store.objects["WalrusNode", "walrus", "demo-0"]["metadata"]["resourceVersion"])
    actions: dict[str, Action] = {
        "deletes": DeleteObject(ObjectKey("PersistentVolumeClaim", "data-demo-0-0"), claim),
        "enlarges": GrowClaim("data-demo-0-0", claim, "20Gi"),
        "sets finalizers": SetFinalizer("demo-0", node, ("x/y",), version),
        "makes keys": CreateKeys("demo-0-keys", (("sui.key", KeyKind.SUI),)),
        "tells nodes": DrainNode("demo-0", "demo-0-0", uid(cluster, "Pod", "demo-0-0")),
    }
    before = copy.deepcopy(cluster.store.objects)
    nodes = await carried_out(cluster, actions[kind], allowed=0)
    assert cluster.store.objects == before
    assert cluster.transport.writes == 0
    assert not nodes.told


class Answering(PlayedChain):
    """A chain that would take money."""

    def client(self, _network: str) -> object:
        return object()


async def test_money_asks_the_lease_first() -> None:
    async def refused() -> None:
        raise LeaseLost("somebody else leads")

    cluster = Cluster()
    applier = Applier(cluster.client(), Answering(), PlayedNodes(), settings=SETTINGS)  # type: ignore[arg-type]
    plan = Plan(None, (FundTreasury(1, 1),), (), (), (), 1.0)
    with pytest.raises(LeaseLost):
        await applier.carry_out(World().snapshot(), plan, guard=refused)
    assert cluster.transport.calls == [], "not even the key that would sign is read"


# -- a chain that does not answer


def test_nobody_restarts_by_a_view_of_the_chain_that_is_not_of_this_pass() -> None:
    """Not even for the seconds in which a lost answer is no news."""
    world = World()
    world.bring_up()
    before = {name: pod.uid for name, pod in world.pods.items() if name.removesuffix("-0") in world.nodes()}
    world.chain_answers = False
    world.now += 5
    world.edit(image="walrus:2")
    for _ in range(6):
        world.pass_once()
        world.kubelet()
    assert {name: world.pods[name].uid for name in before} == before
    assert world.says("Progressing") == ("True", "ChainMirrorStale")
    world.chain_answers = True
    for _ in range(6):
        world.pass_once()
        world.kubelet()
    assert {name: world.pods[name].uid for name in before} != before


# -- what is deleted


async def test_only_the_very_object_that_was_seen_is_deleted() -> None:
    cluster = cluster_with(("Pod", "demo-0-0"))
    old = uid(cluster, "Pod", "demo-0-0")
    del cluster.store.objects["Pod", "walrus", "demo-0-0"]
    cluster.store.put(
        ("Pod", "walrus", "demo-0-0"), {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "demo-0-0"}}
    )
    assert uid(cluster, "Pod", "demo-0-0") != old
    assert not await cluster.client().delete("Pod", "walrus", "demo-0-0", uid=old)
    assert set(cluster.of("Pod")) == {"demo-0-0"}
    assert await cluster.client().delete("Pod", "walrus", "demo-0-0", uid=uid(cluster, "Pod", "demo-0-0"))


async def test_a_pod_that_came_back_meanwhile_is_not_the_one_to_go() -> None:
    """Somebody else deletes the pod in the same moment: its successor, which runs what is asked for, stays."""
    scene = Scene()
    await scene.settle()
    scene.change_image()
    replaced: list[str] = []

    async def too_late(transport: Transport, call: Call) -> Answer:
        key = ("Pod", NAMESPACE, call.name)
        transport.store.put(key, transport.store.objects.pop(key))
        replaced.append(call.name)
        return transport.serve(call)

    def fault(call: Call) -> Fault | None:
        return too_late if call.sort == "DELETE Pod" and not replaced else None

    scene.cluster.transport.faults = fault
    while not replaced:
        await scene.reconciler.reconcile(f"{NAMESPACE}/net")
        assert set(replaced) <= set(scene.cluster.of("Pod"))
        scene.cluster.run_controllers()


# -- what was done and does not show yet


async def test_what_was_deleted_is_remembered_until_it_shows() -> None:
    """The API server's lists lag behind: for some passes the deleted pod looks as ever, and nobody else may go meanwhile."""
    scene = Scene()
    await scene.settle()
    scene.change_image()
    behind = Store()
    deleted: list[str] = []

    async def stale(_transport: Transport, call: Call) -> Answer:
        return behind.handle(call)

    def fault(call: Call) -> Fault | None:
        if call.sort == "DELETE Pod":
            if not deleted:
                behind.objects = copy.deepcopy(scene.cluster.store.objects)
            deleted.append(call.name)
        return stale if deleted and call.sort.startswith("LIST Pod") and call.kind == "Pod" else None

    scene.cluster.transport.faults = fault
    while not deleted:
        await scene.one()
    for _ in range(4):
        await scene.one()
    assert len(deleted) == 1
    assert scene.status["rollout"]["state"] == "Held"
    assert "ExpectationPending" in str(scene.status["rollout"])
    scene.cluster.transport.faults = lambda _call: None
    await scene.settle()
    assert scene.status["rollout"]["state"] == "Complete"


# -- permissions


class Reviewed(Cluster):
    """A server that permits everything but this."""

    def __init__(self, *denied: tuple[str, str, str | None]) -> None:
        super().__init__()
        self.denied = set(denied)
        self.asked: list[tuple[str, str, str | None]] = []
        self.transport.faults = lambda call: self.review if call.kind == "SelfSubjectAccessReview" else None

    async def review(self, _transport: Transport, call: Call) -> Answer:
        about = call.body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
        question = about["verb"], resource, about.get("namespace")
        self.asked.append(question)
        return Answer(201, {"status": {"allowed": question not in self.denied}})


async def test_every_verb_is_asked_for_and_the_missing_ones_are_named() -> None:
    cluster = Reviewed(("delete", "pods", "b"), ("list", "pods", "b"), ("patch", "walrusnodes/status", "a"))
    cluster.denied.add(("update", "leases", "system"))
    lacking = await permissions.missing(cluster.client(), namespaces=["a", "b"], own_namespace="system")
    assert sorted(lacking) == [
        "list, delete pods in namespace b",
        "patch walrusnodes/status.walrus-operator.dev in namespace a",
        "update leases.coordination.k8s.io in namespace system",
    ]
    assert len(cluster.asked) == len(set(cluster.asked)) == 2 * len(NETWORK_PERMISSIONS) + len(OWN_PERMISSIONS)


async def test_an_operator_that_may_too_little_says_what_and_does_not_start() -> None:
    operator = main.Operator(config.read(["run"], {"POD_NAMESPACE": "system"}))
    may = Reviewed()
    assert await operator._obstacle(may.client(), [None]) is None
    may_not = Reviewed(("delete", "pods", None), ("patch", "secrets", None))
    said = await operator._obstacle(may_not.client(), [None])
    assert said is not None
    assert "delete pods in all namespaces" in said
    assert "patch secrets in all namespaces" in said
    assert said.startswith("the service account may not ")


async def test_an_answer_that_permits_nothing_in_so_many_words_permits_nothing() -> None:
    cluster = Reviewed()

    async def silent(_transport: Transport, _call: Call) -> Answer:
        return Answer(201, {"status": {}})

    cluster.transport.faults = lambda _call: silent
    lacking = await permissions.missing(cluster.client(), namespaces=[None], own_namespace="system")
    assert len(lacking) > 10


# -- objects that cannot be written


async def test_what_does_not_fit_the_type_of_an_object_stops_nothing_else() -> None:
    """Server-side apply says so with 500, which is no reason to try the whole pass again and again."""
    scene = Scene()
    text = "failed to create typed patch object (ns/net-gateway; apps/v1, Kind=StatefulSet): .spec.x: field not declared in schema"
    scene.cluster.transport.faults = lambda call: (
        refuse(500, "", text) if call.sort == "PATCH StatefulSet" and call.name == "net-gateway" else None
    )
    for _ in range(4):
        await scene.one()
    assert scene.failures == []
    assert scene.says("Valid")[:2] == ("False", "ObjectRejected")
    assert "field not declared in schema" in scene.says("Valid")[2]
    assert scene.says("Degraded")[1] != "ReconcileFailed"
    assert {"net-0", "net-1", "net-2", "net-3"} <= set(scene.cluster.of("StatefulSet"))
    scene.cluster.transport.faults = lambda _call: None
    await scene.settle()
    assert scene.says("Valid")[0] == "True"


async def test_a_walrusnode_of_another_network_keeps_its_name_and_everything_of_it() -> None:
    scene = Scene()
    other = {"apiVersion": "walrus-operator.dev/v1alpha1", "kind": "WalrusNode", "metadata": {"name": "net-2"}}
    key = ("WalrusNode", NAMESPACE, "net-2")
    scene.cluster.store.put(key, {**other, "spec": {"networkRef": {"name": "another"}}})
    before = copy.deepcopy(scene.cluster.store.objects[key])
    await scene.settle()
    assert scene.cluster.store.objects[key] == before
    assert scene.says("Valid")[:2] == ("False", "NameConflict")
    assert "net-2" not in scene.cluster.of("StatefulSet")
    assert "net-2-keys" not in scene.cluster.of("Secret")
    assert scene.failures == []


async def test_a_node_whose_objects_are_another_networks_is_told_so() -> None:
    scene = Scene()
    key = ("StatefulSet", NAMESPACE, "guest")
    scene.cluster.store.put(
        key,
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "guest"},
            "spec": {"replicas": 0, "template": {"metadata": {}, "spec": {"containers": []}}},
        },
    )
    guest = {"apiVersion": "walrus-operator.dev/v1alpha1", "kind": "WalrusNode", "metadata": {"name": "guest"}}
    scene.cluster.store.put(("WalrusNode", NAMESPACE, "guest"), {**guest, "spec": {"networkRef": {"name": "net"}}})
    await scene.settle()
    status = scene.cluster.of("WalrusNode")["guest"]["status"]
    valid = next(entry for entry in status["conditions"] if entry["type"] == "Valid")
    assert (valid["status"], valid["reason"]) == ("False", "NameConflict")
    assert valid["message"].startswith("StatefulSet/guest exists and does not belong to this network")
    assert scene.says("Valid")[:2] == ("False", "NameConflict")
