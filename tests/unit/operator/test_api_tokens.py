"""The admin token is exchanged against a server in memory, and nodes are told before their pods go."""

from __future__ import annotations

import base64
import copy
from typing import Any

from tests.unit.operator.fake_api import Call, Fault, refuse
from tests.unit.operator.test_api_faults import NAMESPACE, NETWORK, Scene, killed_after

from walrus_operator.observe.reading import fingerprint

SECRET = ("Secret", NAMESPACE, "net-admin")


class Exchange(Scene):
    """A network whose operator may put a second token beside the first, and then take the first away; nothing else."""

    def check(self) -> None:
        now = self.tokens
        if now:
            before = self.lines or now
            assert now in (before, [*before, now[-1]], before[1:])
            assert 0 < len(now) < 3
            self.lines = now
            self.keys[SECRET[2]] = self.cluster.store.objects[SECRET]["data"]
        super().check()

    def start(self, *, timeout: float = 5.0) -> None:
        super().start(timeout=timeout)
        self.lines: list[str] = getattr(self, "lines", [])

    @property
    def tokens(self) -> list[str]:
        data = self.cluster.store.objects.get(SECRET, {}).get("data", {})
        return base64.b64decode(data.get("tokens", "")).decode().split()

    def ask(self, text: str) -> None:
        live = copy.deepcopy(self.cluster.store.objects[NETWORK])
        live["spec"]["rotateAdminToken"] = text
        self.cluster.store.put(NETWORK, live)

    def again(self) -> Exchange:
        """The same cluster and a new process."""
        fresh = Exchange()
        store = fresh.cluster.store
        store.objects, store.version = copy.deepcopy(self.cluster.store.objects), self.cluster.store.version
        fresh.keys, fresh.seen, fresh.lines = dict(self.keys), set(self.seen), list(self.lines)
        return fresh


async def test_a_token_takes_over_wherever_the_operator_dies() -> None:
    start = Exchange()
    await start.settle()
    (first,) = start.tokens
    pods = {name: live["metadata"]["uid"] for name, live in start.cluster.of("Pod").items()}
    start.ask("1")
    whole = start.again()
    await whole.settle()
    needed = whole.cluster.transport.writes
    assert needed >= 4  # a token added, one dropped, and what is said of it
    for number in range(needed):
        scene = start.again()
        scene.cluster.transport.faults = killed_after(scene, number)
        while not scene.failures:
            await scene.one()
        scene.cluster.transport.faults = lambda _call: None
        scene.start()
        await scene.settle()
        (token,) = scene.tokens
        assert token != first
        assert scene.status["adminToken"] == {"present": fingerprint(token), "madeFor": "1"}, f"killed after {number}"
        assert scene.says("Valid")[0] == "True"
        assert {name: live["metadata"]["uid"] for name, live in scene.cluster.of("Pod").items()} == pods
        assert token not in str([call.body for call in scene.cluster.transport.calls if call.kind != "Secret"])


async def test_a_token_of_somebody_else_is_not_overwritten() -> None:
    """The Secret is replaced between the look and the write."""
    scene = Exchange()
    await scene.settle()
    scene.nodes.stale = {"net-0"}
    scene.ask("1")
    await scene.settle()
    old, new = scene.tokens
    scene.nodes.stale = set()
    other = base64.b64encode(b"a-token-that-a-user-has-put-there-now\n").decode()

    def exchanged(call: Call) -> Fault | None:
        if call.sort == "GET Secret" and call.name == SECRET[2]:
            live = copy.deepcopy(scene.cluster.store.objects[SECRET])
            live["data"]["tokens"] = other
            scene.cluster.store.put(SECRET, live)
        return None

    scene.cluster.transport.faults = exchanged
    scene.check = lambda: None  # type: ignore[method-assign]  # it is changed from outside
    for _ in range(4):
        await scene.one()
    assert scene.cluster.store.objects[SECRET]["data"]["tokens"] == other
    assert scene.says("Valid")[:2] == ("False", "KeySecretChanged")
    assert scene.status["adminToken"]["next"] == fingerprint(new)
    assert old not in scene.tokens


async def test_the_wait_for_nodes_is_told_and_ends() -> None:
    scene = Exchange()
    await scene.settle()
    scene.nodes.stale = {"net-2"}
    scene.ask("1")
    await scene.settle()
    assert scene.status["adminToken"]["waitsFor"] == "a second token is there, and net-2 has not taken it yet"
    assert len(scene.tokens) == 2
    scene.nodes.stale = set()
    await scene.settle()
    assert len(scene.tokens) == 1
    told = [live["reason"] for live in scene.cluster.of("Event").values()]
    assert (told.count("AdminTokenRotationStarted"), told.count("AdminTokenRotated")) == (1, 1)


def deletions(scene: Scene, order: list[Any]) -> None:
    """Notes each deletion of a node's pod beside what nodes were told until then."""

    def note(call: Call) -> Fault | None:
        if call.sort == "DELETE Pod" and call.name in {f"net-{number}-0" for number in range(4)}:
            order.append((call.body["preconditions"]["uid"], list(scene.nodes.told)))
        return None

    scene.cluster.transport.faults = note


async def test_nodes_are_drained_before_their_pods_go() -> None:
    scene = Scene()
    await scene.settle()
    scene.change_image()
    order: list[Any] = []
    deletions(scene, order)
    await scene.settle()
    assert len(order) == 4
    assert all(uid in told for uid, told in order)
    assert scene.nodes.told == [uid for uid, _ in order], "each once, and none is told to go on"


async def test_a_node_whose_pod_may_not_go_serves_on() -> None:
    scene = Scene()
    await scene.settle()
    scene.change_image()
    refused = refuse(422, "Invalid", "a policy forbids it")
    scene.cluster.transport.faults = lambda call: refused if call.sort == "DELETE Pod" else None
    for _ in range(3):
        await scene.one()
    told = scene.nodes.told
    assert told
    assert told[1::2] == [f"-{uid}" for uid in told[::2]]
    scene.cluster.transport.faults = lambda _call: None
    await scene.settle()
    assert scene.status["rollout"]["state"] == "Complete"


async def test_pods_without_the_port_are_asked_in_clear_text_and_not_drained() -> None:
    """Those of an operator that knew no admin API; a rollout brings the port."""
    scene = Scene()
    await scene.settle()
    for live in scene.cluster.of("Pod").values():
        container = live["spec"]["containers"][0]
        container["ports"] = [port for port in container["ports"] if port["name"] != "admin"]
    scene.change_image()
    await scene.settle()
    assert scene.nodes.told == []
    assert scene.status["rollout"]["state"] == "Complete"
    ports = [
        live["spec"]["containers"][0]["ports"] for name, live in scene.cluster.of("Pod").items() if name[4].isdigit()
    ]
    assert all({"name": "admin", "containerPort": 9186, "protocol": "TCP"} in found for found in ports)
