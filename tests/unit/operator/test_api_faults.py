"""Whatever the API server answers to whichever call, and wherever the process dies: the network ends as it should.

The operator's own code runs from the HTTP client upwards against a server in memory (`fake_api`). One undisturbed run, from
an empty namespace through a rollout, lists the kinds of calls that there are; then each kind of call meets each kind of
fault. After every pass: no more shards are away than the network bears, and no key was made anew.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.operator import fake_api
from tests.unit.operator.fake_api import Call, Cluster, Fault, Transport, refuse
from tests.unit.operator.played import PlayedChain, PlayedNodes

from walrus_operator.api.world import Settings
from walrus_operator.apply.carry_out import Applier
from walrus_operator.observe.cluster import ClusterObserver
from walrus_operator.observe.findings import FindingsObserver
from walrus_operator.observe.kube import KubeError
from walrus_operator.observe.nodes import HttpNodeReader
from walrus_operator.observe.world import Observer
from walrus_operator.runtime import reconciler
from walrus_operator.runtime.lease import LeaseLost
from walrus_operator.runtime.reconciler import Reconciler

SETTINGS = Settings(image="walrus:1", version="0.1.0")
NAMESPACE, NAME = "ns", "net"
NETWORK = ("WalrusNetwork", NAMESPACE, NAME)
TOLERATED = 3
PATIENCE = 60
"""Passes within which everything is as it should be."""


class Scene:
    """A network of four nodes with ten shards, three of which may be away, and the operator that looks after it."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        spec = {"shards": 10, "chain": {"devnet": {}}, "nodes": {"count": 4, "template": {"deletionPolicy": "Drain"}}}
        manifest = {"apiVersion": "walrus-operator.dev/v1alpha1", "kind": "WalrusNetwork", "spec": spec}
        self.cluster.store.put(NETWORK, {**manifest, "metadata": {"name": NAME}})
        self.keys: dict[str, Any] = {}
        self.seen: set[str] = set()
        """Nodes and parts that have had a pod."""
        self.leads = True
        self.failures: list[str] = []
        self.start()

    def start(self, *, timeout: float = 5.0) -> None:
        """A new process: it knows nothing."""
        kube = self.cluster.client(timeout=timeout)
        chain = PlayedChain()
        findings = FindingsObserver(HttpNodeReader())
        self.nodes = PlayedNodes()
        observer = Observer(ClusterObserver(kube), chain, self.nodes, findings, settings=SETTINGS)  # type: ignore[arg-type]
        applier = Applier(kube, chain, self.nodes, settings=SETTINGS)  # type: ignore[arg-type]
        self.reconciler = Reconciler(observer, applier, kube, guard=self.guard, identity="test")

    async def guard(self) -> None:
        if not self.leads:
            raise LeaseLost("somebody else leads")

    async def one(self) -> int:
        """A pass, what the cluster makes of it, and what must hold whatever happened; how much was written."""
        before = self.cluster.transport.writes
        try:
            await self.reconciler.reconcile(f"{NAMESPACE}/{NAME}")
        except (KubeError, LeaseLost, ExceptionGroup) as error:
            self.failures.append(str(error))
        self.check()
        self.cluster.run_controllers()
        return self.cluster.transport.writes - before

    def check(self) -> None:
        weights = {
            name: live.get("status", {}).get("weight", 0) for name, live in self.cluster.of("WalrusNode").items()
        }
        there = {name.removesuffix("-0") for name in self.cluster.of("Pod")}
        self.seen |= there
        assert sum(weight for name, weight in weights.items() if name in self.seen - there) <= TOLERATED
        for name, secret in self.cluster.of("Secret").items():
            assert self.keys.setdefault(name, secret["data"]) == secret["data"], f"the keys in {name} are others now"

    async def settle(self) -> None:
        """Passes until an undisturbed one writes nothing."""
        transport = self.cluster.transport
        for _ in range(PATIENCE):
            before = transport.wronged, len(self.failures)
            if not await self.one() and (transport.wronged, len(self.failures)) == before:
                return
        raise AssertionError(f"passes go on writing or failing: {self.failures[-1:]}")

    def change_image(self) -> None:
        live = copy.deepcopy(self.cluster.store.objects[NETWORK])
        live["spec"]["image"] = "walrus:2"
        self.cluster.store.put(NETWORK, live)

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.cluster.store.objects[NETWORK].get("status", {}))

    def says(self, type_: str) -> tuple[str, str, str]:
        entry = next(entry for entry in self.status["conditions"] if entry["type"] == type_)
        return entry["status"], entry["reason"], entry["message"]

    async def story(self) -> None:
        """From an empty namespace through a rollout to rest."""
        await self.settle()
        self.change_image()
        await self.settle()

    def outcome(self) -> dict[str, Any]:
        """What there is in the end, without what differs from run to run."""
        found = {}
        for (kind, _, name), live in self.cluster.store.objects.items():
            if kind == "Event":
                continue
            content = {key: value for key, value in live.items() if key not in {"metadata", "status", "data"}}
            conditions = live.get("status", {}).get("conditions", [])
            said = {entry["type"]: (entry["status"], entry["reason"]) for entry in conditions if "reason" in entry}
            found[f"{kind}/{name}"] = (content, said)
        return found


def differing(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))


@pytest.fixture(scope="module")
def undisturbed() -> Callable[[], Any]:
    """Calls and outcome of a run without faults, made once."""
    made: list[tuple[list[Call], dict[str, Any]]] = []

    async def run() -> tuple[list[Call], dict[str, Any]]:
        if not made:
            scene = Scene()
            await scene.story()
            assert scene.failures == []
            made.append((scene.cluster.transport.calls, scene.outcome()))
        return made[0]

    return run


FAULTS: dict[str, Fault] = {
    "403": refuse(403, "Forbidden", "may not do that"),
    "404": refuse(404, "NotFound", "not here"),
    "409": refuse(409, "Conflict", "the object has been modified"),
    "410": refuse(410, "Expired", "the continue token is too old"),
    "413": refuse(413, "RequestEntityTooLarge", "too large"),
    "422": refuse(422, "Invalid", "spec.x: Invalid value"),
    "429": refuse(429, "TooManyRequests", "too busy"),
    "500": refuse(500, "InternalError", "etcd has no leader"),
    "reset": fake_api.reset,
    "late": fake_api.dawdle,
    "answer lost": fake_api.swallow,
    "nonsense": fake_api.nonsense,
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_kind_of_call_may_fail_once_in_each_way(fault: str, undisturbed: Callable[[], Any]) -> None:
    calls, outcome = await undisturbed()
    sorts = sorted({call.sort for call in calls})
    assert len(sorts) > 25
    scene = Scene()
    hit: set[str] = set()

    def once(call: Call) -> Fault | None:
        if call.sort in hit:
            return None
        hit.add(call.sort)
        return FAULTS[fault]

    scene.cluster.transport.faults = once
    await scene.story()
    assert hit >= set(sorts) - {"LIST Pod continued"}
    assert differing(scene.outcome(), outcome) == []
    assert scene.says("Degraded")[0] == "False"


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_comes_together_it_ends_alike(seed: int, undisturbed: Callable[[], Any]) -> None:
    """Every seventh call is answered wrongly, processes die, somebody deletes objects, and a rollout goes on meanwhile."""
    _, outcome = await undisturbed()
    chance, scene = random.Random(seed), Scene()
    faults = list(FAULTS.values())
    scene.cluster.transport.faults = lambda _call: chance.choice(faults) if chance.random() < 0.15 else None
    objects = scene.cluster.store.objects
    for number in range(40):
        if number == 15:
            scene.change_image()
        if chance.random() < 0.1:
            scene.start()
        if chance.random() < 0.1:
            lost = sorted(key for key in objects if key[0] in {"Service", "ConfigMap", "NetworkPolicy"})
            if lost:
                del objects[chance.choice(lost)]
        await scene.one()
    scene.cluster.transport.faults = lambda _call: None
    await scene.settle()
    assert len(scene.failures) > 5
    assert differing(scene.outcome(), outcome) == []


UNTOLD = {"GET WalrusNetwork", "PATCH WalrusNetwork/status", "POST Event"}
"""Calls without which nothing can be told, and one that nothing depends on."""


async def test_what_goes_on_failing_is_told_in_the_status_and_forgotten_when_it_ends(
    undisturbed: Callable[[], Any],
) -> None:
    """Each kind of call is forbidden for three passes, in the middle of a rollout."""
    calls, outcome = await undisturbed()
    start = Scene()
    await start.settle()
    start.change_image()
    rolling = {call.sort for call in calls[len(start.cluster.transport.calls) :]} - UNTOLD
    told = 0
    for sort in sorted(rolling):
        scene = copied(start)
        scene.cluster.transport.faults = lambda call, sort=sort: FAULTS["403"] if call.sort == sort else None
        for _ in range(3):
            await scene.one()
        if scene.failures:
            told += 1
            status, reason, message = scene.says("Degraded")
            assert (status, reason) == ("True", "ReconcileFailed"), sort
            assert message.endswith("403 may not do that")
        scene.cluster.transport.faults = lambda _call: None
        await scene.settle()
        assert differing(scene.outcome(), outcome) == [], sort
        assert scene.says("Degraded")[0] == "False"
    assert told > len(rolling) / 2


def copied(scene: Scene) -> Scene:
    """The same cluster and a new process."""
    fresh = Scene()
    store = fresh.cluster.store
    store.objects, store.version = copy.deepcopy(scene.cluster.store.objects), scene.cluster.store.version
    fresh.keys, fresh.seen = dict(scene.keys), set(scene.seen)
    return fresh


def killed_after(scene: Scene, writes: int) -> Callable[[Call], Fault | None]:
    """The process ends with the answer to this write."""
    limit = scene.cluster.transport.writes + writes
    return lambda _call: fake_api.reset if scene.cluster.transport.writes >= limit else None


@pytest.mark.parametrize("first", ["from nothing", "a rollout"])
async def test_killed_after_each_write_in_turn_it_always_ends_alike(first: str) -> None:
    start = Scene()
    if first == "a rollout":
        await start.settle()
        start.change_image()
    whole = copied(start)
    await whole.settle()
    outcome, needed = whole.outcome(), whole.cluster.transport.writes
    assert needed > 20
    for number in range(needed):
        scene = copied(start)
        scene.cluster.transport.faults = killed_after(scene, number)
        while not scene.failures:
            await scene.one()
        scene.cluster.transport.faults = lambda _call: None
        scene.start()
        await scene.settle()
        assert differing(scene.outcome(), outcome) == [], f"killed after write {number}"


async def test_a_server_that_is_too_busy_is_asked_again_when_it_says() -> None:
    scene = Scene()
    busy = {"GET WalrusNetwork": 3, "LIST Pod": 1, "POST Secret": 2, "PATCH StatefulSet": 1}

    def fault(call: Call) -> Fault | None:
        if busy.get(call.sort, 0):
            busy[call.sort] -= 1
            status = 503 if call.sort == "LIST Pod" else 429
            return refuse(status, "TooManyRequests", "too busy", **{"Retry-After": "0"})
        return None

    scene.cluster.transport.faults = fault
    await scene.settle()
    assert scene.failures == []
    assert set(busy.values()) == {0}


async def test_a_server_that_wants_more_time_than_a_call_has_is_left_alone_at_once() -> None:
    scene = Scene()
    scene.cluster.transport.faults = lambda _call: refuse(429, "TooManyRequests", "too busy", **{"Retry-After": "30"})
    await scene.one()
    assert len(scene.cluster.transport.calls) == 1
    assert scene.failures == [
        "GET /apis/walrus-operator.dev/v1alpha1/namespaces/ns/walrusnetworks/net: 429 too busy",
    ]


async def test_a_server_that_does_not_answer_ends_the_pass_in_time() -> None:
    scene = Scene()
    await scene.settle()
    scene.start(timeout=0.5)
    scene.cluster.transport.faults = lambda call: fake_api.hang if call.sort == "LIST Pod" else None
    for _ in range(2):
        await scene.one()
    assert scene.says("Degraded")[:2] == ("True", "ReconcileFailed")
    assert scene.says("Degraded")[2].startswith("GET /api/v1/namespaces/ns/pods: no answer within")


async def test_a_list_whose_rest_has_expired_is_read_anew() -> None:
    scene = Scene()
    await scene.settle()
    hit: list[Call] = []

    def fault(call: Call) -> Fault | None:
        if "continue" in call.query and len(hit) < 3:
            hit.append(call)
            return FAULTS["410"]
        return None

    scene.cluster.transport.faults = fault
    assert await scene.one() == 0
    assert len(hit) == 3
    assert scene.failures == []


async def test_in_a_namespace_that_goes_nothing_is_made_and_nothing_fails() -> None:
    scene = Scene()
    await scene.settle()
    del scene.cluster.store.objects["StatefulSet", NAMESPACE, "net-1"]
    del scene.cluster.store.objects["Service", NAMESPACE, "net-1"]
    cause = {"reason": "NamespaceTerminating", "field": "metadata.namespace"}

    async def going(_transport: Transport, _call: Call) -> fake_api.Answer:
        answer = fake_api.refusal(403, "Forbidden", "unable to create new content in namespace ns")
        answer.body["details"] = {"causes": [cause]}
        return answer

    scene.cluster.transport.faults = lambda call: (
        going if call.method == "PATCH" and call.name == "net-1" and not call.subresource else None
    )
    for _ in range(3):
        await scene.one()
    assert scene.failures == []
    assert scene.says("Degraded")[1] != "ReconcileFailed"


async def test_who_no_longer_leads_writes_no_object_and_tells_nothing() -> None:
    scene = Scene()
    await scene.settle()
    scene.change_image()
    scene.leads = False
    before = copy.deepcopy({kind: scene.cluster.of(kind) for kind in ("StatefulSet", "ConfigMap", "Secret", "Pod")})
    for _ in range(3):
        await scene.one()
    assert len(scene.failures) == 3
    assert {kind: scene.cluster.of(kind) for kind in before} == before
    assert scene.says("Degraded")[0] == "False"


async def test_a_pod_is_not_deleted_while_what_it_would_be_made_of_cannot_be_written() -> None:
    scene = Scene()
    await scene.settle()
    scene.change_image()
    pods = {name: live["metadata"]["uid"] for name, live in scene.cluster.of("Pod").items()}
    for fault in ("422", "409"):
        scene.cluster.transport.faults = lambda call, fault=fault: (
            FAULTS[fault] if call.sort == "PATCH StatefulSet" else None
        )
        for _ in range(4):
            await scene.one()
        assert {name: live["metadata"]["uid"] for name, live in scene.cluster.of("Pod").items()} == pods
    assert scene.says("Valid")[0] == "True", "a conflict is nobody's mistake"
    scene.cluster.transport.faults = lambda _call: None
    await scene.settle()
    assert scene.status["rollout"]["state"] == "Complete"


async def test_a_deletion_that_was_refused_is_not_waited_for() -> None:
    scene = Scene()
    await scene.settle()
    scene.change_image()
    scene.cluster.transport.faults = lambda call: FAULTS["422"] if call.sort == "DELETE Pod" else None
    for _ in range(3):
        await scene.one()
    assert scene.says("Valid")[1] == "ObjectRejected"
    assert scene.status["rollout"]["state"] != "Held"
    scene.cluster.transport.faults = lambda _call: None
    await scene.settle()
    assert scene.status["rollout"]["state"] == "Complete"


async def test_a_pass_that_takes_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "PASS_TIMEOUT", 0.05)
    scene = Scene()
    scene.cluster.transport.faults = lambda call: fake_api.hang if call.sort == "LIST Pod" else None
    for _ in range(2):
        with pytest.raises(reconciler.PassTimeoutError, match="not done within"):
            await scene.reconciler.reconcile(f"{NAMESPACE}/{NAME}")
    assert "the pass was not done within" in scene.says("Degraded")[2]
