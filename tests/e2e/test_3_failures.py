"""Nodes hibernate, pods die, the devnet restarts, the chain is away: what is promised holds, and nothing is lost."""

from __future__ import annotations

import os

from tests.e2e.conftest import EPOCHS, NAMESPACE, NETWORK, chain_client
from tests.e2e.direct import NodeFace
from tests.e2e.network import hibernated, ordinal, own_words, slivers_rebuilt, store, without_budget
from tests.e2e.support import BackgroundReader, Gateway, Kubectl, until

from walrus_codec import blob_id as blob_ids
from walrus_codec.types import ObjectId
from walrus_sui.client import ChainClient

MIB = 2**20


def test_three_of_ten_nodes_may_sleep(kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader) -> None:
    before = os.urandom(2 * MIB)
    old = store(gateway, before)
    reader.watch(old, before)
    names = [ordinal(7), ordinal(8), ordinal(9)]
    weight = sum(kubectl.get("wn", name)["status"]["weight"] for name in names)
    assert weight <= 33
    with hibernated(kubectl, names):
        assert gateway.read(old).content == before
        data = os.urandom(MIB)
        new = store(gateway, data)
        assert gateway.read(new).content == data
        reader.watch(new, data)
        reader.read_all()
        available = kubectl.condition("wnet", NETWORK, "Available")
        assert available["status"] == "True"
        until("the column", lambda: f"{100 - weight}/100" in kubectl("get", "wnet", NETWORK), seconds=120)
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=120)


def test_beyond_the_bound_a_store_gets_the_documented_error_and_nothing_is_lost(
    kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader
) -> None:
    data = os.urandom(MIB)
    with reader.paused():
        with without_budget(kubectl), hibernated(kubectl, [ordinal(number) for number in range(5, 10)]):
            kubectl.wait("wnet", NETWORK, "Available", "False", seconds=120)
            answer = gateway.store(data, epochs=EPOCHS)
            assert answer.status_code == 504, answer.text
            assert answer.json()["error"]["details"][0]["reason"] == "INSUFFICIENT_CONFIRMATIONS"
        kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=180)
    blob_id = store(gateway, data)
    assert gateway.read(blob_id).content == data
    reader.watch(blob_id, data)
    reader.read_all()


async def test_a_deleted_node_pod_comes_back_with_its_data(
    kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader, chain: ChainClient
) -> None:
    data = os.urandom(MIB)
    reader.watch(store(gateway, data), data)
    name = ordinal(4)
    node_id = kubectl.get("wn", name)["status"]["nodeId"]
    uid = kubectl.get("pod", f"{name}-0")["metadata"]["uid"]
    kubectl("delete", "pod", f"{name}-0", "--wait=true")
    fresh = until("a new pod", lambda: kubectl.get("pod", f"{name}-0"), seconds=120)
    assert fresh["metadata"]["uid"] != uid
    kubectl("wait", "--for=condition=Ready", f"pod/{name}-0", "--timeout=180s")
    assert own_words(name)["node_id"] == node_id
    committee = (await chain.staking()).committee
    member = next(member for member in committee.members if str(member.node_id) == node_id)
    face = NodeFace(NAMESPACE, f"{name}-0", member, committee.n_shards)
    blobs = [blob_ids.parse(blob_id) for blob_id in reader.known()]
    assert await face.slivers_of(blobs) == 2 * member.weight * len(blobs)
    assert slivers_rebuilt(name) == 0  # they were on its own disk
    kubectl.wait("wn", name, "Ready", "True", seconds=120)
    reader.read_all()


async def test_the_devnet_restarts_as_the_same_chain(
    kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader
) -> None:
    old = os.urandom(MIB)
    created = gateway.store(old, epochs=EPOCHS).json()["newlyCreated"]["blobObject"]
    reader.watch(created["blobId"], old)
    before = kubectl.get("wnet", NETWORK)["status"]["chainId"]
    async with chain_client() as chain:
        assert await chain.chain_id() == before
        blob = await chain.blob(ObjectId(created["id"]))
    pod = f"{NETWORK}-devnet-0"
    kubectl("delete", "pod", pod, "--wait=true")
    until("the devnet's new pod", lambda: kubectl.get("pod", pod), seconds=120)
    kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=180s")
    async with chain_client() as chain:
        assert await chain.chain_id() == before
        assert await chain.blob(ObjectId(created["id"])) == blob
    data = os.urandom(MIB)
    answer = until(
        "a store works again", lambda: (done := gateway.store(data)).status_code == 200 and done, seconds=120
    )
    blob_id = answer.json()["newlyCreated"]["blobObject"]["blobId"]
    assert gateway.read(blob_id).content == data
    epoch = kubectl.get("wnet", NETWORK)["status"]["epoch"]
    until("epochs go on", lambda: kubectl.get("wnet", NETWORK)["status"]["epoch"] > epoch, seconds=300)
    assert kubectl.get("wnet", NETWORK)["status"]["chainId"] == before
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=120)
    reader.read_all()


def test_while_the_chain_is_away_reads_go_on_and_everybody_says_so(
    kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader
) -> None:
    data = os.urandom(MIB)
    blob_id = store(gateway, data)
    reader.watch(blob_id, data)
    kubectl("annotate", "wnet", NETWORK, "walrus-operator.dev/reconcile=paused")
    try:
        kubectl.wait("wnet", NETWORK, "Paused", "True", seconds=120)
        kubectl("scale", "statefulset", f"{NETWORK}-devnet", "--replicas=0")
        synced = kubectl.wait("wnet", NETWORK, "CommitteeSynced", "False", seconds=120)
        assert synced["reason"] == "ChainUnreachable"
        until("/status says so", lambda: gateway.status().status_code == 503, seconds=120)
        assert gateway.read(blob_id).content == data
        refused = gateway.store(os.urandom(1000))
        assert refused.status_code in {503, 504}, refused.text
    finally:
        kubectl("scale", "statefulset", f"{NETWORK}-devnet", "--replicas=1")
        kubectl("annotate", "wnet", NETWORK, "walrus-operator.dev/reconcile-")
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=180)
    until("/status is fine again", lambda: gateway.status().status_code == 200, seconds=120)


def test_a_lost_key_secret_is_a_condition_and_never_made_anew(kubectl: Kubectl, reader: BackgroundReader) -> None:
    name = ordinal(3)
    secret = kubectl.get("secret", f"{name}-keys")
    kubectl("delete", "secret", f"{name}-keys")
    try:
        condition = kubectl.wait("wn", name, "Valid", "False", seconds=120)
        assert condition["reason"] == "KeySecretLost"
        assert kubectl.get("secret", f"{name}-keys") == {}
    finally:
        for key in ("resourceVersion", "uid", "creationTimestamp", "managedFields"):
            secret["metadata"].pop(key, None)
        kubectl.apply(secret)
    kubectl.wait("wn", name, "Valid", "True", seconds=120)
    kubectl.wait("wn", name, "Ready", "True", seconds=120)


def test_the_admin_token_is_exchanged_while_everything_runs(kubectl: Kubectl, reader: BackgroundReader) -> None:
    """By Secret and kubelet, to all nodes; the operator asks them all the while, and no pod restarts."""

    def pods() -> dict[str, str]:
        names = [f"{ordinal(number)}-0" for number in range(10)]
        return {name: kubectl.get("pod", name)["metadata"]["uid"] for name in names}

    def token() -> dict[str, str]:
        found: dict[str, str] = kubectl.get("wnet", NETWORK)["status"]["adminToken"]
        return found

    before, first = pods(), token()["present"]
    text = f"e2e-{os.urandom(4).hex()}"
    kubectl.patch("wnet", NETWORK, {"spec": {"rotateAdminToken": text}})
    until("the new token is the only one", lambda: token().get("madeFor") == text, seconds=300)
    assert token().keys() == {"present", "madeFor"}
    assert token()["present"] != first
    assert pods() == before
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=60)
    assert all(kubectl.condition("wn", ordinal(number), "Ready")["status"] == "True" for number in range(10))
