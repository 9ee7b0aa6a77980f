"""Volumes and keys go with their network or outlive it, together, and never because a StatefulSet went."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_operator.api.decisions import DeleteObject, SetOwners
from walrus_operator.api.world import ObjectKey, Owned, SecretView
from walrus_operator.plan import belongings

NODES = 4
VOLUMES = {"data-demo-devnet-0", *(f"data-demo-{number}-0" for number in range(NODES))}
KEYS = {"demo-treasury", "demo-gateway-keys", *(f"demo-{number}-keys" for number in range(NODES))}


@pytest.fixture
def world() -> World:
    found = World(network=network_manifest(shards=13, nodes={"count": NODES}))
    found.bring_up()
    return found


def owned(world: World) -> set[str]:
    """Names of what goes with the network."""
    found: dict[str, Any] = {**world.claims, **world.secrets}
    return {name for name, item in found.items() if item.owned is not None and item.owned.network}


def test_volumes_and_keys_are_owned_by_the_network_and_nothing_is_left_to_do(world: World) -> None:
    assert owned(world) == VOLUMES | KEYS | {"demo-admin"}
    decided, _ = world.pass_once()
    assert decided.actions == ()


def test_what_becomes_of_both_changes_with_the_policy(world: World) -> None:
    world.edit(persistentVolumeClaimPolicy="Retain")
    world.settle()
    assert owned(world) == {"demo-admin"}, "tokens go with the network whatever is kept"
    world.edit(persistentVolumeClaimPolicy="Delete")
    world.settle()
    assert owned(world) == VOLUMES | KEYS | {"demo-admin"}


def test_other_owners_stay(world: World) -> None:
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "backup", "uid": "b"}
    claim = world.claims["data-demo-1-0"]
    world.claims[claim.name] = replace(claim, owned=Owned(others=(other,), version="7"))
    decided, _ = world.pass_once()
    key = ObjectKey("PersistentVolumeClaim", claim.name)
    assert decided.actions == (SetOwners(key, claim.uid, Owned(others=(other,), version="7"), with_network=True),)
    assert world.claims[claim.name].owned.others == (other,)


def test_what_somebody_brought_is_left_alone(world: World) -> None:
    claim = world.claims["data-demo-1-0"]
    world.claims["data-backup-0"] = replace(claim, name="data-backup-0", uid="own", owned=Owned())
    world.secrets["demo-2-keys"] = replace(world.secrets["demo-2-keys"], owned=None)
    for policy in ("Retain", "Delete"):
        world.edit(persistentVolumeClaimPolicy=policy)
        world.settle()
        assert world.claims["data-backup-0"].owned == Owned()
        assert world.secrets["demo-2-keys"].owned is None


def test_a_treasury_of_somebody_else_is_never_owned() -> None:
    external = {"networkConfig": "contract", "treasurySecretRef": {"name": "wallet"}}
    world = World(network=network_manifest(chain={"external": external}))
    world.secrets = {name: SecretView(name, {}, uid=name, owned=Owned()) for name in ("wallet", "demo-0-keys")}
    assert [action.key.name for action in belongings.decide(world.snapshot())] == ["demo-0-keys"]


def test_a_claim_that_goes_is_not_changed(world: World) -> None:
    claim = world.claims["data-demo-1-0"]
    world.claims[claim.name] = replace(claim, terminating=True, owned=Owned())
    decided, _ = world.pass_once()
    assert not [action for action in decided.actions if isinstance(action, SetOwners)]


def test_a_stateful_set_that_somebody_deletes_finds_its_data_again(world: World) -> None:
    uids = {name: claim.uid for name, claim in world.claims.items()}
    for name in ("demo-1", "demo-devnet"):
        world.delete(ObjectKey("StatefulSet", name))
    world.kubelet()
    assert "demo-1-0" not in world.pods
    world.settle()
    assert "demo-1-0" in world.pods
    assert {name: claim.uid for name, claim in world.claims.items()} == uids


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_a_node_leaves_its_volume_and_keys_last_or_never(world: World, policy: str) -> None:
    world.edit(persistentVolumeClaimPolicy=policy, nodes={"count": 3})
    world.settle()
    assert "demo-3-0" not in world.pods
    assert "data-demo-3-0" in world.claims, "as long as the node has shards or stake, it may come back"
    world.choose_committee()
    log = len(world.log)
    world.settle()
    assert "demo-3" not in world.nodes()
    assert ("data-demo-3-0" in world.claims) is ("demo-3-keys" in world.secrets) is (policy == "Retain")
    gone = [entry.split("name='")[1].split("'")[0] for entry in world.log[log:] if entry.startswith("DeleteObject")]
    volume = ["data-demo-3-0", "demo-3-keys"] if policy == "Delete" else []
    assert [name for name in gone if "demo-3" in name] == [*volume, "demo-3"]


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_so_does_one_that_was_never_staked_with(policy: str) -> None:
    world = World(network=network_manifest(persistentVolumeClaimPolicy=policy))
    world.broken = {"demo-9-0"}
    world.pass_once()
    world.kubelet()
    assert "data-demo-9-0" in world.claims
    world.edit(nodes={"count": 9})
    decided, _ = world.pass_once()
    gone = [action.key.kind for action in decided.actions if isinstance(action, DeleteObject)]
    volume = ["PersistentVolumeClaim", "Secret"] if policy == "Delete" else []
    assert gone[-1] == "WalrusNode"
    assert [kind for kind in gone if kind in {"PersistentVolumeClaim", "Secret"}] == volume
    world.kubelet()
    world.settle()
    assert ("data-demo-9-0" in world.claims) is ("demo-9-keys" in world.secrets) is (policy == "Retain")
