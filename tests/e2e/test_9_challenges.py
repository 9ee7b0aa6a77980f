"""A node that lacks half of its slivers: the others find it in the next epoch that asks, and its commission burns.

The network is one of its own, with four nodes of which three see the cheater; f is 3 of 10 shards.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from tests.e2e.conftest import install
from tests.e2e.support import Gateway, Kubectl, port_forward, run, until

from walrus_proto.sui.rpc.v2 import state_service_pb2, state_service_pb2_grpc
from walrus_sui import network_config
from walrus_sui.client import ChainClient

NAMESPACE = "walrus-e2e-challenges"
NETWORK = "proof"
CHEATER = f"{NETWORK}-3"
PAUSE = "walrus-operator.dev/reconcile"
FAULTS = "/tmp/faults"
VALUES = {
    "shards": "10",
    "nodes.count": "4",
    "epochDuration": "1m",
    "challenges.mode": "Vote",
    # The machine has other work; whoever answers right must not be too late.
    "challenges.graceMilliseconds": "10000",
}


@pytest.fixture
def proof(kubectl: Kubectl) -> Iterator[Kubectl]:
    run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=240s", timeout=300)
    run("kubectl", "create", "namespace", NAMESPACE)
    run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    values = ",".join(f"network.{key}={value}" for key, value in VALUES.items())
    install(NETWORK, "walrus-testnet", NAMESPACE, "--set", values)
    here = Kubectl(NAMESPACE)
    here.wait("wnet", NETWORK, "Ready", "True", seconds=400)
    yield here
    run("kubectl", "delete", "namespace", NAMESPACE, "--timeout=240s", timeout=300)


class Ledger:
    """The chain, asked past the operator and the gateway."""

    def __init__(self, client: ChainClient, rpc_port: int, wal_type: str) -> None:
        self._client, self._port, self._wal_type = client, rpc_port, wal_type

    def _read_supply(self) -> int:
        with grpc.insecure_channel(f"localhost:{self._port}") as channel:
            stub = state_service_pb2_grpc.StateServiceStub(channel)
            request = state_service_pb2.GetCoinInfoRequest(coin_type=self._wal_type)
            return int(stub.GetCoinInfo(request, timeout=20).treasury.total_supply)

    async def supply(self) -> tuple[int, int] | None:
        """Epoch and WAL supply; None when the epoch changed between two looks, by which rewards burn too."""
        before = (await self._client.staking()).epoch
        supply = await asyncio.to_thread(self._read_supply)
        return (before, supply) if (await self._client.staking()).epoch == before else None


@contextlib.asynccontextmanager
async def ledger() -> AsyncIterator[Ledger]:
    service = f"svc/{NETWORK}-devnet"
    with port_forward(NAMESPACE, service, 9000) as rpc, port_forward(NAMESPACE, service, 9123) as faucet:
        config = await network_config.load(f"http://127.0.0.1:{faucet}/v1/network-config")
        config = dataclasses.replace(config, rpc_url=f"http://localhost:{rpc}", faucet_url=f"http://127.0.0.1:{faucet}")
        async with ChainClient(config) as client:
            yield Ledger(client, rpc, config.wal_type)


def make_it_cheat(kubectl: Kubectl, node: str) -> None:
    """Starts the node's pod with faults, which no custom resource can ask for, past the operator."""
    kubectl("annotate", "wnet", NETWORK, f"{PAUSE}=paused")
    kubectl.wait("wnet", NETWORK, "Paused", "True", seconds=60)
    command = "/spec/template/spec/containers/0/command/-"
    patch = [{"op": "add", "path": command, "value": word} for word in ("--enable-faults", FAULTS)]
    kubectl("patch", "statefulset", node, "--type", "json", "--patch", json.dumps(patch))

    def seen() -> bool:
        live = kubectl.get("statefulset", node)
        return live["status"].get("observedGeneration") == live["metadata"]["generation"]

    until(f"the controller sees what {node} is to run", seen, seconds=60)
    kubectl("delete", "pod", f"{node}-0")

    def cheats() -> bool:
        pod = kubectl.get("pod", f"{node}-0")
        conditions = (pod.get("status") or {}).get("conditions") or []
        ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
        return ready and FAULTS in pod["spec"]["containers"][0]["command"]

    until(f"{node} restarted with faults", cheats, seconds=180)
    kubectl("exec", f"{node}-0", "--", "python3", "-c", f"open({FAULTS!r}, 'w').write('drop 0.5\\n')")
    # The operator puts the StatefulSet right again; the pod says that it is made from the same, so it stays.
    kubectl("annotate", "wnet", NETWORK, f"{PAUSE}-")


def results(kubectl: Kubectl) -> list[dict[str, Any]]:
    """What the StorageEpochs say of challenges, newest first."""
    statuses = [item.get("status") or {} for item in kubectl.items("se")]
    found = [{"epoch": status["epoch"], **status["challenges"]} for status in statuses if status.get("challenges")]
    return sorted(found, key=lambda entry: -int(entry["epoch"]))


async def test_a_node_that_lacks_slivers_is_found_and_its_commission_burns(proof: Kubectl) -> None:
    with contextlib.closing(Gateway(NAMESPACE, f"{NETWORK}-gateway")) as gateway:
        for size in (2_000, 20_000, 50_000, 100_000):
            answer = await asyncio.to_thread(gateway.store, os.urandom(size), epochs="50")
            assert answer.status_code == 200, answer.text
    await asyncio.to_thread(make_it_cheat, proof, CHEATER)
    supplies: dict[int, list[int]] = {}
    slashed: dict[str, Any] | None = None
    async with asyncio.timeout(900), ledger() as chain:
        while slashed is None:
            seen = await chain.supply()
            if seen is not None:
                supplies.setdefault(seen[0], []).append(seen[1])
            known = await asyncio.to_thread(results, proof)
            slashed = next((entry for entry in known if entry["executed"]), None)
            await asyncio.sleep(1)
        # The same epoch to its end, so that nothing that burns in it is missed.
        while (seen := await chain.supply()) is None or seen[0] == slashed["epoch"]:
            if seen is not None:
                supplies.setdefault(seen[0], []).append(seen[1])
            await asyncio.sleep(1)

    epoch = slashed["epoch"]

    def everything() -> dict[str, Any] | None:
        entry = next(entry for entry in results(proof) if entry["epoch"] == epoch)
        return entry if entry["votes"] >= 3 and entry["burned"] else None

    # Nodes are asked one by one, so whoever has executed it may have told of it before all had told of their votes.
    slashed = until(f"all that is known of epoch {epoch}", everything, seconds=60)
    rows = {row["node"]: row for row in slashed["members"]}
    cheater = rows.pop(CHEATER)
    assert (cheater["slashed"], slashed["executed"], cheater["reasons"][0]) == (True, 1, "MISSING"), slashed
    assert cheater["failedShards"] >= 7, "2f + 1 saw it"
    assert cheater["votes"] == 3, slashed
    assert all((row["failed"], row["votes"], row["slashed"]) == (0, 0, False) for row in rows.values()), slashed
    burned = max(supplies[epoch]) - min(supplies[epoch])
    assert burned == cheater["burned"] == slashed["burned"] > 0, (supplies, slashed)
    assert supplies[epoch] == sorted(supplies[epoch], reverse=True)

    proof.wait("wn", CHEATER, "ChallengesPassing", "False", seconds=60)
    assert proof.condition("wnet", NETWORK, "ChallengesPassing")["reason"] == "ChallengesFailed"
    header, *lines = proof("get", "se").splitlines()
    assert {"PASSED", "FAILED", "VOTES", "SLASHED"} <= set(header.split())
    assert any(line.split()[0] == f"{NETWORK}-{epoch}" for line in lines)
    done = run("walrusctl", "--namespace", NAMESPACE, "challenges", "--epoch", str(epoch), "--output", "json")
    page = json.loads(done.stdout)
    accused = {entry["challenged"] for entry in page["verdicts"] if entry["verdict"] == "FAIL"}
    assert (accused, page["signaturesChecked"]) == ({CHEATER}, True), page
    events = proof.items("events", "--field-selector", f"involvedObject.name={CHEATER}")
    assert {"ChallengesFailed", "Slashed"} <= {event["reason"] for event in events}
