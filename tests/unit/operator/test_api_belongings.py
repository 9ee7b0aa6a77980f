"""Volumes and keys against a server in memory whose garbage collector takes what only the deleted network owned."""

from __future__ import annotations

import copy

import pytest
from tests.unit.operator.fake_api import refuse
from tests.unit.operator.test_api_exchanges import NODE, Exchange
from tests.unit.operator.test_api_faults import NAMESPACE, NETWORK

KINDS = ("PersistentVolumeClaim", "Secret")


def there(scene: Exchange) -> set[str]:
    return {name for kind in KINDS for name in scene.cluster.of(kind)}


def collected(scene: Exchange) -> set[str]:
    """What goes when the network is deleted and no operator runs."""
    later = scene.again()
    before = there(later)
    del later.cluster.store.objects[NETWORK]
    for _ in range(3):
        later.cluster.run_controllers()
        for kind in KINDS:  # the kubelet lets volumes go that no pod uses
            for name, live in later.cluster.of(kind).items():
                if "deletionTimestamp" in live["metadata"]:
                    del later.cluster.store.objects[kind, NAMESPACE, name]
    assert later.cluster.of("Pod") == {}
    return before - there(later)


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
async def test_the_policy_holds_wherever_the_operator_died_while_it_was_changed(policy: str) -> None:
    start = Exchange()
    start.edit(NETWORK, persistentVolumeClaimPolicy="Retain" if policy == "Delete" else "Delete")
    await start.settle()
    everything = there(start)
    assert {"data-own-0", "own-keys", "data-net-devnet-0", "net-treasury", "net-admin"} <= everything
    assert collected(start) == ({"net-admin"} if policy == "Delete" else everything)
    start.edit(NETWORK, persistentVolumeClaimPolicy=policy)
    whole = start.again()
    await whole.settle()
    needed = whole.cluster.transport.writes
    assert needed >= len(everything) - 1
    for number in range(needed):
        scene = await start.killed(number)
        assert collected(scene) == (everything if policy == "Delete" else {"net-admin"})


async def test_owners_that_others_add_meanwhile_stay() -> None:
    scene = Exchange()
    await scene.settle()
    key = ("PersistentVolumeClaim", NAMESPACE, "data-own-0")
    uid = scene.cluster.store.objects[NODE]["metadata"]["uid"]
    other = {"apiVersion": "walrus-operator.dev/v1alpha1", "kind": NODE[0], "name": NODE[2], "uid": uid}
    live = copy.deepcopy(scene.cluster.store.objects[key])
    live["metadata"]["ownerReferences"] = [other]
    scene.cluster.store.put(key, live)
    stale = [refuse(409, "Conflict", "the object has been modified")]
    scene.cluster.transport.faults = lambda call: stale.pop() if call.sort == "PATCH " + key[0] and stale else None
    await scene.settle()
    owners = scene.cluster.store.objects[key]["metadata"]["ownerReferences"]
    assert [entry["kind"] for entry in owners] == ["WalrusNode", "WalrusNetwork"]
    assert "controller" not in owners[1], "StatefulSets make volume claims"
    assert not stale


async def test_a_deleted_stateful_set_finds_its_volume_again() -> None:
    scene = Exchange()
    await scene.settle()
    uids = {name: live["metadata"]["uid"] for name, live in scene.cluster.of("PersistentVolumeClaim").items()}
    scene.cluster.store.remove(("StatefulSet", NAMESPACE, "own"))
    scene.cluster.run_controllers()
    assert "own-0" not in scene.cluster.of("Pod")
    await scene.settle()
    assert "own-0" in scene.cluster.of("Pod")
    assert {name: live["metadata"]["uid"] for name, live in scene.cluster.of("PersistentVolumeClaim").items()} == uids
