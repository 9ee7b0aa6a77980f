"""Nodes lose their volume, change their keys, come, go, and go for good, under a reader and a writer that never fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.conftest import NAMESPACE, NETWORK
from tests.e2e.direct import NodeFace
from tests.e2e.network import (
    BackgroundWriter,
    everybody_holds_what_the_chain_says,
    hibernated,
    next_epoch,
    ordinal,
    own_words,
    slivers_rebuilt,
    store,
)
from tests.e2e.support import BackgroundReader, Gateway, Kubectl, until

from walrus_codec import blob_id as blob_ids
from walrus_sui.client import ChainClient

MIB = 2**20
ROTATED = ordinal(1)
PATIENCE = 600
"""Seconds for shards to move: their new owners rebuild what nobody gives them, on two cores for all nodes."""


@pytest.fixture
def writer(gateway: Gateway, reader: BackgroundReader) -> Iterator[BackgroundWriter]:
    background = BackgroundWriter(gateway, reader)
    yield background
    background.stop()
    assert background.failures == []


def count(kubectl: Kubectl, nodes: int) -> None:
    kubectl.patch("wnet", NETWORK, {"spec": {"nodes": {"count": nodes}}})


async def keys_of(chain: ChainClient, kubectl: Kubectl, name: str) -> tuple[bytes, bytes]:
    """The public keys of a member of the committee, as the chain has them."""
    node = kubectl.get("wn", name)["status"]["nodeId"]
    committee = (await chain.staking()).committee
    member = next(member for member in committee.members if member.node_id == node)
    return member.bls_public_key, member.network_public_key


def guest(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "walrus-operator.dev/v1alpha1",
        "kind": "WalrusNode",
        "metadata": {"name": name},
        "spec": {"networkRef": {"name": NETWORK}, "deletionPolicy": "Drain"},
    }


async def test_a_lost_volume_is_recovered_from_the_others(
    kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader, chain: ChainClient
) -> None:
    data = os.urandom(2 * MIB)
    reader.watch(store(gateway, data), data)
    name = ordinal(4)
    before = own_words(name)["node_id"]
    pod, claim = (kubectl.get(kind, key)["metadata"]["uid"] for kind, key in volume(name))
    # The claim alone: Kubernetes keeps it until its pod has gone, which is the operator's part.
    kubectl("delete", "pvc", f"data-{name}-0", "--wait=false")

    def replaced() -> bool:
        now = [kubectl.get(kind, key).get("metadata", {}).get("uid") for kind, key in volume(name)]
        return None not in now and pod not in now and claim not in now

    until("a new pod on a new volume", replaced, seconds=180)
    kubectl("wait", "--for=condition=Ready", f"pod/{name}-0", "--timeout=180s")
    kubectl.wait("wn", name, "Synced", "True", seconds=300)
    assert own_words(name)["node_id"] == before
    committee = (await chain.staking()).committee
    member = next(member for member in committee.members if member.node_id == before)
    face = NodeFace(NAMESPACE, f"{name}-0", member, committee.n_shards)
    blobs = [blob_ids.parse(blob_id) for blob_id in reader.known()]
    assert await face.slivers_of(blobs) == 2 * member.weight * len(blobs)
    assert slivers_rebuilt(name) >= 2 * member.weight * len(blobs)
    assert kubectl.condition("wnet", NETWORK, "Available")["status"] == "True"
    reader.read_all()


def volume(name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("pod", f"{name}-0"), ("pvc", f"data-{name}-0")


async def test_nodes_come_and_go_for_epochs_under_load(
    kubectl: Kubectl, reader: BackgroundReader, writer: BackgroundWriter, chain: ChainClient
) -> None:
    old = await keys_of(chain, kubectl, ROTATED)
    pod = kubectl.get("pod", f"{ROTATED}-0")["metadata"]["uid"]
    kubectl.patch("wn", ROTATED, {"spec": {"rotateKeys": {"protocol": "another", "network": "another"}}})
    kubectl.wait("wn", ROTATED, "KeysCurrent", "False", seconds=60)

    next_epoch(kubectl)
    kubectl.apply(guest("guest"))
    kubectl.wait("wn", "guest", "InCommittee", "True", seconds=240)
    holdings = await everybody_holds_what_the_chain_says(chain, kubectl)
    assert len(holdings) == 11
    assert holdings["guest"]

    # One drains and one is gone at once.
    next_epoch(kubectl)
    kubectl("delete", "wn", "guest", "--wait=false")
    count(kubectl, 9)
    until("the pod of the deleted one gone", lambda: not kubectl.get("statefulset", ordinal(9)), seconds=60)
    assert kubectl.condition("wn", "guest", "DeletionBlocked")["reason"] == "HoldsShards"
    assert kubectl.get("statefulset", "guest")
    until("nothing left of both", lambda: len(kubectl.items("wn")) == 9, seconds=PATIENCE)
    for name in ("guest", ordinal(9)):
        for kind in ("statefulset", "service", "configmap"):
            assert kubectl.get(kind, name) == {}
        assert kubectl.get("secret", f"{name}-keys") == {}
        until("its volume gone", lambda name=name: not kubectl.get("pvc", f"data-{name}-0"), seconds=60)
    assert set(await everybody_holds_what_the_chain_says(chain, kubectl)) == {ordinal(number) for number in range(9)}

    # One comes under the name of the one that left: another node.
    next_epoch(kubectl)
    count(kubectl, 10)
    kubectl.wait("wn", ordinal(9), "InCommittee", "True", seconds=240)
    assert len(await everybody_holds_what_the_chain_says(chain, kubectl)) == 10
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=120)

    # Meanwhile one has taken both of its keys' successors, and never restarted for it.
    kubectl.wait("wn", ROTATED, "KeysCurrent", "True", seconds=PATIENCE)
    new = await keys_of(chain, kubectl, ROTATED)
    assert not set(old) & set(new)
    status = kubectl.get("wn", ROTATED)["status"]
    assert status["keysFor"] == {"protocol": "another", "network": "another"}
    assert set(kubectl.get("secret", f"{ROTATED}-keys")["data"]) == {"protocol.key", "network.key", "sui.key"}
    assert kubectl.get("pod", f"{ROTATED}-0")["metadata"]["uid"] == pod
    assert len(writer.stored) > 20
    reader.read_all()


async def test_a_third_of_the_shards_gone_for_good_and_later_as_many_again(
    kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader, writer: BackgroundWriter, chain: ChainClient
) -> None:
    next_epoch(kubectl)
    lost = sum(kubectl.get("wn", ordinal(number))["status"]["weight"] for number in (7, 8, 9))
    assert lost <= 33
    count(kubectl, 6)
    until("three pods gone", lambda: not kubectl.get("statefulset", ordinal(7)), seconds=120)
    # The fourth would be one too many, until the shards of the three have moved.

    def refused() -> dict[str, Any] | None:
        found = kubectl.condition("wn", ordinal(6), "DeletionBlocked")
        return found if found["reason"] == "FaultBudgetExceeded" else None

    blocked = until("the fourth one waits", refused, seconds=30)
    assert f"{lost} of 33 are unavailable already" in blocked["message"]
    count(kubectl, 7)
    reader.read_all()
    until("their shards moved", lambda: len(kubectl.items("wn")) == 7, seconds=PATIENCE)
    holdings = await everybody_holds_what_the_chain_says(chain, kubectl)
    assert len(holdings) == 7

    # Redundancy is whole again: as many shards go once more, and everything reads.
    asleep = [ordinal(6), ordinal(5)]
    assert 20 <= sum(len(holdings[name]) for name in asleep) <= 33
    with hibernated(kubectl, asleep):
        writer.stop()
        reader.read_all()
        for blob_id, data in writer.stored.items():
            assert gateway.read(blob_id).content == data
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=180)
