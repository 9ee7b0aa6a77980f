"""Keys and volumes are exchanged against a server in memory, and the operator dies after each of its writes in turn.

The chain is one on which nodes announce a next key at once, and no node needs time to recover: what is proved is that no
write is missing, none comes too early, and nothing that was there is lost on the way.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.unit.operator.fake_api import Call, refuse
from tests.unit.operator.test_api_faults import NAME, NAMESPACE, NETWORK, Scene, killed_after

from walrus_codec.types import SuiAddress
from walrus_operator.api import names
from walrus_operator.api.chain_view import RegisteredKeys
from walrus_operator.observe import reading

NODE = ("WalrusNode", NAMESPACE, "own")
"""Made by hand, so that the network's template does not write its spec."""
SECRET = ("Secret", NAMESPACE, "own-keys")
REFUSED = refuse(403, "Forbidden", "only dynamically provisioned pvc can be resized")
PLACES = ((names.PROTOCOL_KEY, names.NEXT_PROTOCOL_KEY), (names.NETWORK_KEY, names.NEXT_NETWORK_KEY))


def enlarges(call: Call) -> bool:
    """Whether a volume is to be enlarged; its owners may be others at any time."""
    return call.sort == "PATCH PersistentVolumeClaim" and "spec" in call.body


class Exchange(Scene):
    """A network of which one node was made by hand."""

    def __init__(self, *, grows: bool = True) -> None:
        self.grows = grows
        super().__init__()
        self.edit(NETWORK, nodes={"count": 3})
        own = {"apiVersion": "walrus-operator.dev/v1alpha1", "kind": "WalrusNode", "metadata": {"name": NODE[2]}}
        self.cluster.store.put(NODE, {**own, "spec": {"networkRef": {"name": NAME}}})

    def start(self, *, timeout: float = 5.0) -> None:
        super().start(timeout=timeout)
        chain: Any = self.reconciler._observer.chain
        chain.keys = self.announced
        self.cluster.transport.faults = self.resizing

    def resizing(self, call: Any) -> Any:
        return REFUSED if enlarges(call) and not self.grows else None

    def announced(self, sui: SuiAddress) -> RegisteredKeys | None:
        for secret in self.cluster.of("Secret").values():
            public = reading.secret(secret).public
            if public.get(names.SUI_KEY) == sui:
                protocol, network = (str(public.get(following, public[file])) for file, following in PLACES)
                return RegisteredKeys(protocol, None, protocol, network)
        return None

    def check(self) -> None:
        """As always, but a next key may take the place of the present one, and only that."""
        for name, secret in self.cluster.of("Secret").items():
            before, now = self.keys.get(name, secret["data"]), secret["data"]
            for file, following in PLACES:
                assert now.get(file) in {before.get(file), before.get(following)}
                assert (
                    now.get(following) == before.get(following)
                    or following not in before
                    or (following not in now and now[file] == before[following])
                )
            rest = {file: text for file, text in before.items() if file not in {*PLACES[0], *PLACES[1]}}
            assert rest.items() <= now.items()
            self.keys[name] = now
        super().check()

    def edit(self, key: tuple[str, str, str], **spec: Any) -> None:
        live = copy.deepcopy(self.cluster.store.objects[key])
        live["spec"] |= spec
        self.cluster.store.put(key, live)

    def node_says(self, type_: str) -> tuple[str, str]:
        entries = self.cluster.store.objects[NODE]["status"]["conditions"]
        entry = next(entry for entry in entries if entry["type"] == type_)
        return entry["status"], entry["reason"]

    def again(self) -> Exchange:
        """The same cluster and a new process."""
        fresh = Exchange(grows=self.grows)
        store = fresh.cluster.store
        store.objects, store.version = copy.deepcopy(self.cluster.store.objects), self.cluster.store.version
        fresh.keys, fresh.seen = dict(self.keys), set(self.seen)
        return fresh

    async def killed(self, number: int) -> Exchange:
        """The story goes on after a process that died with its write of this number."""
        scene = self.again()
        dying = killed_after(scene, number)
        scene.cluster.transport.faults = lambda call: dying(call) or scene.resizing(call)
        while not scene.failures:
            await scene.one()
        scene.start()
        await scene.settle()
        return scene


async def test_keys_take_over_wherever_the_operator_dies() -> None:
    start = Exchange()
    await start.settle()
    first = dict(start.cluster.store.objects[SECRET]["data"])
    pods = {name: live["metadata"]["uid"] for name, live in start.cluster.of("Pod").items()}
    start.edit(NODE, rotateKeys={"protocol": "1", "network": "1"})
    whole = start.again()
    await whole.settle()
    needed = whole.cluster.transport.writes
    assert needed >= 6  # two keys made, two promoted, and what is said of it
    for number in range(needed):
        scene = await start.killed(number)
        data = scene.cluster.store.objects[SECRET]["data"]
        assert data.keys() == first.keys()
        changed = {file for file in first if data[file] != first[file]}
        assert changed == {names.PROTOCOL_KEY, names.NETWORK_KEY}, f"killed after write {number}"
        status = scene.cluster.store.objects[NODE]["status"]
        assert (
            status["publicKeys"]["protocol"]
            == reading.secret(scene.cluster.store.objects[SECRET]).public["protocol.key"]
        )
        assert status["keysFor"] == {"protocol": "1", "network": "1"}
        assert scene.node_says("KeysCurrent") == ("True", "KeysInUse")
        assert {name: live["metadata"]["uid"] for name, live in scene.cluster.of("Pod").items()} == pods
        assert scene.says("Valid")[0] == "True"


STEPS = {"DELETE StatefulSet", "PATCH StatefulSet", "PATCH PersistentVolumeClaim", "DELETE Pod"}
"""Writes that each change of a volume takes."""


@pytest.mark.parametrize("grows", [True, False], ids=["enlarged", "replaced"])
async def test_a_volume_changes_wherever_the_operator_dies(grows: bool) -> None:
    start = Exchange(grows=grows)
    await start.settle()
    claims = {name: live["metadata"]["uid"] for name, live in start.cluster.of("PersistentVolumeClaim").items()}
    pods = {name: live["metadata"]["uid"] for name, live in start.cluster.of("Pod").items()}
    assert len(claims) == 5
    start.edit(NODE, storage={"size": "12Gi"})
    whole = start.again()
    await whole.settle()
    done = [call.sort for call in whole.cluster.transport.calls if call.writes]
    assert set(done) >= STEPS | (set() if grows else {"DELETE PersistentVolumeClaim"})
    needed = whole.cluster.transport.writes
    for number in range(needed):
        scene = await start.killed(number)
        for name, live in scene.cluster.of("PersistentVolumeClaim").items():
            changes = name == "data-own-0"
            assert (live["metadata"]["uid"] != claims[name]) is (changes and not grows), f"killed after {done[:number]}"
            if "devnet" not in name:
                assert live["spec"]["resources"]["requests"]["storage"] == ("12Gi" if changes else "10Gi")
        live = scene.cluster.of("StatefulSet")["own"]
        assert live["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "12Gi"
        others = {name for name, pod in scene.cluster.of("Pod").items() if pod["metadata"]["uid"] != pods[name]}
        assert others == {"own-0"}, f"killed after {done[:number]}"
        assert scene.status["rollout"]["state"] == "Complete"
        assert scene.says("Valid")[0] == "True"


@pytest.mark.parametrize(
    "says",
    [
        refuse(403, "Forbidden", "exceeded quota: storage, requested: requests.storage=2Gi"),
        refuse(403, "Forbidden", 'User "operator" cannot patch resource "persistentvolumeclaims"'),
        refuse(422, "Invalid", "admission webhook denied the request"),
    ],
    ids=["quota", "right", "policy"],
)
async def test_no_data_are_given_up_because_something_else_forbids_a_larger_volume(says: Any) -> None:
    scene = Exchange()
    await scene.settle()
    claims = {name: live["metadata"]["uid"] for name, live in scene.cluster.of("PersistentVolumeClaim").items()}
    scene.cluster.transport.faults = lambda call: says if call.sort == "PATCH PersistentVolumeClaim" else None
    scene.edit(NODE, storage={"size": "12Gi"})
    for _ in range(8):
        await scene.one()
    assert {name: live["metadata"]["uid"] for name, live in scene.cluster.of("PersistentVolumeClaim").items()} == claims
    assert scene.says("Valid")[:2] == ("False", "ObjectRejected")
    scene.cluster.transport.faults = lambda _call: None
    await scene.settle()
    grown = scene.cluster.of("PersistentVolumeClaim")["data-own-0"]
    assert grown["metadata"]["uid"] == claims["data-own-0"]
    assert grown["spec"]["resources"]["requests"]["storage"] == "12Gi"
    assert scene.says("Valid")[0] == "True"
