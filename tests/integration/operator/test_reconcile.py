"""Passes against a real API server: everything is written once, drift is repaired, nothing else is touched.

The chain and the nodes' answers are played; pods stay pending, because no Kubernetes node has the label that they want.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.operator.played import PlayedChain, PlayedNodes

from walrus_codec.types import NodeId
from walrus_operator.api.world import Settings
from walrus_operator.apply.carry_out import Applier
from walrus_operator.observe.cluster import ClusterObserver
from walrus_operator.observe.findings import FindingsObserver
from walrus_operator.observe.kube import KubeClient, KubeError
from walrus_operator.observe.nodes import HttpNodeReader
from walrus_operator.observe.world import Observer
from walrus_operator.runtime.reconciler import Reconciler

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
SETTINGS = Settings(image="walrus-on-kubernetes:none", operator_namespace="walrus-system", version="0.1.0")

pytestmark = pytest.mark.usefixtures("alone")


class Operator:
    """One reconciler on the real API."""

    def __init__(self, kube: KubeClient, namespace: str) -> None:
        self.kube = kube
        self.key = f"{namespace}/net"
        self.chain = PlayedChain()
        findings = FindingsObserver(HttpNodeReader())
        nodes = PlayedNodes()
        observer = Observer(ClusterObserver(kube), self.chain, nodes, findings, settings=SETTINGS)  # type: ignore[arg-type]
        applier = Applier(kube, self.chain, nodes, settings=SETTINGS)  # type: ignore[arg-type]
        self.reconciler = Reconciler(observer, applier, kube, guard=self.guard, identity="test")

    async def guard(self) -> None:
        pass

    async def one(self) -> int:
        """One pass; returns its writes."""
        before = self.kube.writes
        await self.reconciler.reconcile(self.key)
        return self.kube.writes - before

    async def settle(self) -> None:
        """Passes until one of them, which began after the cluster's own controllers had come to rest, writes nothing."""
        deadline = asyncio.get_running_loop().time() + 60
        writing = 0
        while writing < 40:  # several for each node of a rollout, because evictions are closed and opened around it
            rested = await self.rested()
            if await self.one():
                writing += 1
            elif rested:
                return
            else:
                assert asyncio.get_running_loop().time() < deadline, "pods are not made, or not found unschedulable"
                await asyncio.sleep(0.1)
        raise AssertionError("passes go on writing")

    async def rested(self) -> bool:
        """All StatefulSets have the pods that they want, and the scheduler has said that these cannot run.

        What Kubernetes does after a pass shows in the status that the next one writes.
        """
        namespace = self.key.split("/")[0]
        sets = await self.kube.list("StatefulSet", namespace)
        pods = await self.kube.list("Pod", namespace)
        judged = [
            pod for pod in pods if any(entry["type"] == "PodScheduled" for entry in pod["status"].get("conditions", []))
        ]
        return (
            all(item["status"].get("observedGeneration") == item["metadata"]["generation"] for item in sets)
            and len(judged) == len(pods) == sum(item["spec"]["replicas"] for item in sets)
            and all(item["status"].get("replicas", 0) == item["spec"]["replicas"] for item in sets)
            and not any("deletionTimestamp" in item["metadata"] for item in (*sets, *pods))
        )


def network(**spec: Any) -> dict[str, Any]:
    template = {"nodeSelector": {"walrus-test/nowhere": "true"}}
    return {
        "apiVersion": "walrus-operator.dev/v1alpha1",
        "kind": "WalrusNetwork",
        "metadata": {"name": "net"},
        "spec": {
            "shards": 10,
            "chain": {"devnet": dict(template)},
            "nodes": {"count": 3, "template": dict(template)},
            "gateway": dict(template),
            **spec,
        },
    }


@pytest.fixture
def operator(kube: KubeClient, namespace: str) -> Operator:
    return Operator(kube, namespace)


def apply(kubectl: Kubectl, manifest: dict[str, Any]) -> None:
    kubectl("apply", "--filename", "-", text=json.dumps(manifest))


def get(kubectl: Kubectl, kind: str, name: str) -> dict[str, Any]:
    text = kubectl("get", kind, name, "--ignore-not-found", "-o", "json").stdout
    return json.loads(text) if text.strip() else {}


def says(kubectl: Kubectl, kind: str, name: str, type_: str) -> tuple[str, str]:
    entries = get(kubectl, kind, name)["status"]["conditions"]
    found = next(entry for entry in entries if entry["type"] == type_)
    return found["status"], found["reason"]


async def test_everything_is_written_once_and_a_second_pass_writes_nothing(
    kubectl: Kubectl, operator: Operator
) -> None:
    apply(kubectl, network())
    await operator.settle()
    assert await operator.one() == 0
    kinds = "statefulsets,services,configmaps,secrets,networkpolicies,poddisruptionbudgets,wn,se"
    names = kubectl("get", kinds, "-o", "name").stdout.split()
    assert {
        "statefulset.apps/net-devnet",
        "statefulset.apps/net-0",
        "statefulset.apps/net-1",
        "statefulset.apps/net-2",
        "statefulset.apps/net-gateway",
        "service/net-0",
        "service/net-gateway",
        "secret/net-0-keys",
        "secret/net-treasury",
        "secret/net-gateway-keys",
        "networkpolicy.networking.k8s.io/net-default",
        "poddisruptionbudget.policy/net-nodes",
        "walrusnode.walrus-operator.dev/net-2",
        "storageepoch.walrus-operator.dev/net-1",
    } <= set(names)
    # A new process knows nothing and still has nothing to write.
    again = Operator(operator.kube, operator.key.split("/")[0])
    assert await again.one() == 0


async def test_the_status_is_stored_whole(kubectl: Kubectl, operator: Operator) -> None:
    """A field that the schema lacks would be pruned and written again for ever; this names it."""
    apply(kubectl, network())
    await operator.settle()
    status = get(kubectl, "wnet", "net")["status"]
    assert status["chainId"] == "played"
    assert status["shards"]["display"] == "0/10"
    assert {entry["type"] for entry in status["conditions"]} == {
        *("Valid", "Ready", "Available", "CommitteeSynced", "Progressing", "Degraded", "RequiresUpdate", "Paused"),
        "ChallengesPassing",
    }
    assert all(entry["observedGeneration"] == 1 for entry in status["conditions"])
    node = get(kubectl, "wn", "net-0")["status"]
    assert node["publicKeys"]["suiAddress"].startswith("0x")
    assert node["weight"] in {3, 4}
    epoch = get(kubectl, "se", "net-1")["status"]
    assert sum(len(member["shards"]) for member in epoch["committee"]) == 10
    assert epoch["prices"] == {"storage": 1, "write": 2}


async def test_drift_is_repaired_and_foreign_fields_are_left(kubectl: Kubectl, operator: Operator) -> None:
    apply(kubectl, network())
    await operator.settle()
    kubectl("delete", "service", "net-1")
    kubectl("patch", "networkpolicy", "net-node", "--type=merge", "-p", '{"spec":{"ingress":[]}}')
    kubectl("label", "service", "net-0", "team=storage")
    kubectl("annotate", "statefulset", "net-0", "note=mine")
    assert await operator.one() == 2
    assert get(kubectl, "service", "net-1")["spec"]["clusterIP"] == "None"
    assert get(kubectl, "networkpolicy", "net-node")["spec"]["ingress"]
    assert get(kubectl, "service", "net-0")["metadata"]["labels"]["team"] == "storage"
    assert get(kubectl, "statefulset", "net-0")["metadata"]["annotations"]["note"] == "mine"


async def test_a_field_that_is_no_longer_wanted_goes(kubectl: Kubectl, operator: Operator) -> None:
    spec = network()
    spec["spec"]["nodes"]["template"]["annotations"] = {"note": "hello"}
    spec["spec"]["gateway"]["service"] = {"annotations": {"note": "hello"}}
    apply(kubectl, spec)
    await operator.settle()
    assert get(kubectl, "service", "net-gateway")["metadata"]["annotations"]["note"] == "hello"
    assert pod_annotations(kubectl, "net-0")["note"] == "hello"
    del spec["spec"]["nodes"]["template"]["annotations"]
    del spec["spec"]["gateway"]["service"]
    apply(kubectl, spec)
    await operator.settle()
    assert "note" not in get(kubectl, "service", "net-gateway")["metadata"]["annotations"]
    assert "annotations" not in get(kubectl, "wn", "net-0")["spec"]
    # What would restart a node waits for its turn: at most the first one, in whose pod nothing runs, has had it.
    notes = [pod_annotations(kubectl, name).get("note") for name in ("net-0", "net-1", "net-2")]
    assert notes.count("hello") >= 2
    assert says(kubectl, "wnet", "net", "Progressing")[0] == "True"


def pod_annotations(kubectl: Kubectl, node: str) -> dict[str, str]:
    found: dict[str, str] = get(kubectl, "statefulset", node)["spec"]["template"]["metadata"]["annotations"]
    return found


async def test_a_lost_key_secret_stays_lost_until_it_is_restored(kubectl: Kubectl, operator: Operator) -> None:
    apply(kubectl, network())
    await operator.settle()
    secret = get(kubectl, "secret", "net-1-keys")
    kubectl("delete", "secret", "net-1-keys")
    await operator.settle()
    assert get(kubectl, "secret", "net-1-keys") == {}
    assert says(kubectl, "wn", "net-1", "Valid") == ("False", "KeySecretLost")
    # Restored by hand, without any of our labels.
    secret["metadata"] = {"name": "net-1-keys"}
    apply(kubectl, secret)
    await operator.settle()
    assert says(kubectl, "wn", "net-1", "Valid") == ("True", "Accepted")


async def test_an_object_of_somebody_else_is_not_taken_over(kubectl: Kubectl, operator: Operator) -> None:
    kubectl("create", "configmap", "net-gateway", "--from-literal=mine=1")
    apply(kubectl, network())
    for _ in range(4):
        await operator.one()
    assert get(kubectl, "configmap", "net-gateway")["data"] == {"mine": "1"}
    assert says(kubectl, "wnet", "net", "Valid") == ("False", "NameConflict")
    kubectl("delete", "configmap", "net-gateway")
    await operator.settle()
    assert says(kubectl, "wnet", "net", "Valid") == ("True", "Accepted")


async def test_what_the_api_server_refuses_is_a_condition_with_its_words(kubectl: Kubectl, operator: Operator) -> None:
    spec = network()
    spec["spec"]["gateway"]["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}
    apply(kubectl, spec)
    for _ in range(4):
        await operator.one()
    assert says(kubectl, "wnet", "net", "Valid") == ("False", "ObjectRejected")
    entries = get(kubectl, "wnet", "net")["status"]["conditions"]
    assert "nodeSelectorTerms" in next(entry for entry in entries if entry["type"] == "Valid")["message"]
    # The rest of the network is there all the same.
    assert get(kubectl, "statefulset", "net-2")


async def test_a_hibernated_node_keeps_everything_but_its_pod(kubectl: Kubectl, operator: Operator) -> None:
    apply(kubectl, network())
    await operator.settle()
    kubectl("patch", "wn", "net-2", "--type=merge", "-p", '{"spec":{"desiredState":"Hibernated"}}')
    await operator.settle()
    assert get(kubectl, "statefulset", "net-2")["spec"]["replicas"] == 0
    assert get(kubectl, "secret", "net-2-keys")
    assert get(kubectl, "wn", "net-2")["spec"]["desiredState"] == "Hibernated"
    budget = get(kubectl, "poddisruptionbudget", "net-nodes")
    assert budget["spec"]["minAvailable"] == 2
    kubectl("patch", "wn", "net-2", "--type=merge", "-p", '{"spec":{"desiredState":"Active"}}')
    await operator.settle()
    assert get(kubectl, "statefulset", "net-2")["spec"]["replicas"] == 1


async def test_a_node_that_leaves_keeps_its_pod_until_its_shards_are_gone(kubectl: Kubectl, operator: Operator) -> None:
    spec = network()
    spec["spec"]["nodes"]["template"]["deletionPolicy"] = "Drain"
    apply(kubectl, spec)
    await operator.settle()
    assert get(kubectl, "wn", "net-2")["metadata"]["finalizers"] == ["walrus-operator.dev/drain"]
    spec["spec"]["nodes"]["count"] = 2
    apply(kubectl, spec)
    kubectl("delete", "wn", "net-2", "--wait=false")
    await operator.settle()
    assert says(kubectl, "wn", "net-2", "DeletionBlocked") == ("True", "HoldsShards")
    assert get(kubectl, "statefulset", "net-2")["spec"]["replicas"] == 1
    assert await operator.one() == 0
    operator.chain.left.add(NodeId(get(kubectl, "wn", "net-2")["status"]["nodeId"]))
    await operator.settle()
    for kind, name in (("wn", "net-2"), ("statefulset", "net-2"), ("service", "net-2"), ("secret", "net-2-keys")):
        assert get(kubectl, kind, name) == {}
    assert get(kubectl, "wn", "net-1")["metadata"]["finalizers"]
    # The network takes the finalizers of its nodes along.
    kubectl("delete", "wnet", "net", "--timeout=60s")
    async with asyncio.timeout(60):
        while kubectl("get", "wn", "-o", "name").stdout:
            await operator.reconciler.reconcile(operator.key)
            await asyncio.sleep(0.5)


async def test_what_the_fault_budget_does_not_bear_is_not_deleted(kubectl: Kubectl, operator: Operator) -> None:
    apply(kubectl, network())
    await operator.settle()
    kubectl("patch", "wnet", "net", "--type=merge", "-p", '{"spec":{"nodes":{"count":2}}}')
    await operator.settle()
    assert says(kubectl, "wn", "net-2", "DeletionBlocked") == ("True", "FaultBudgetExceeded")
    assert get(kubectl, "statefulset", "net-2")["spec"]["replicas"] == 1
    assert await operator.one() == 0


class Dying(KubeClient):
    """A connection of a process that dies after its first write."""

    def __init__(self, alive: KubeClient) -> None:
        super().__init__(alive._api)
        self._one = asyncio.Lock()

    async def write(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        async with self._one:
            if self.writes:
                raise KubeError("the process was killed", status=500)
            return await super().write(*arguments, **options)


def start(kubectl: Kubectl, name: str) -> None:
    """Plays the kubelet: the pod of a node runs and is ready."""
    status = {"phase": "Running", "podIP": "10.9.9.9", "podIPs": [{"ip": "10.9.9.9"}]}
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    change = json.dumps({"status": {**status, **ready}})
    kubectl("patch", "pod", f"{name}-0", "--subresource=status", "--type=strategic", "-p", change)


def images(kubectl: Kubectl) -> tuple[dict[str, str], dict[str, str], set[str]]:
    """Images of the nodes' pods, of the pods that their StatefulSets would make, and nodes whose pods are ready."""
    live: dict[str, str] = {}
    stored: dict[str, str] = {}
    ready: set[str] = set()
    for item in json.loads(kubectl("get", "pods,statefulsets", "-o", "json").stdout)["items"]:
        name, spec = item["metadata"]["name"], item["spec"]
        if item["kind"] == "StatefulSet":
            stored[name] = spec["template"]["spec"]["containers"][0]["image"]
        elif "deletionTimestamp" not in item["metadata"]:
            live[name.removesuffix("-0")] = spec["containers"][0]["image"]
            conditions = item["status"].get("conditions", [])
            if any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions):
                ready.add(name.removesuffix("-0"))
    return live, stored, ready


async def test_a_rollout_goes_on_wherever_it_was_killed_and_stops_at_what_the_budget_does_not_bear(
    kubectl: Kubectl, operator: Operator
) -> None:
    """Three nodes hold 4, 3 and 3 of 10 shards; f is 3. Each pass is that of a new process, and dies after one write."""
    apply(kubectl, network())
    await operator.settle()
    nodes, parts = ["net-0", "net-1", "net-2"], ["net-gateway", "net-devnet"]
    for name in (*nodes, *parts):
        start(kubectl, name)
    await operator.settle()
    heavy = max(nodes, key=lambda name: int(get(kubectl, "wn", name)["status"]["weight"]))
    light = [name for name in nodes if name != heavy]
    old = images(kubectl)[0][heavy]
    kubectl("patch", "wnet", "net", "--type=merge", "-p", '{"spec":{"image":"walrus:2"}}')

    async def roll(those: list[str]) -> None:
        while True:
            live, stored, ready = images(kubectl)
            away = [name for name in nodes if name not in ready]
            assert len(away) <= 1, "each of them is all that the budget bears"
            away += [name for name in parts if name not in ready]
            assert len(away) <= 1, "gateway and devnet wait for all others"
            for name in away:
                if live.get(name) == "walrus:2":
                    start(kubectl, name)
            if all(live.get(name) == stored[name] == "walrus:2" for name in those) and not away:
                return
            with contextlib.suppress(KubeError):
                await Operator(Dying(operator.kube), operator.key.split("/")[0]).one()

    await roll(light)
    live, stored, _ = images(kubectl)
    for name in (heavy, *parts):
        assert live[name] == stored[name] == old, "its template is kept, too"
    await operator.settle()
    assert says(kubectl, "wnet", "net", "Progressing") == ("True", "FaultBudgetExceeded")
    rollout = get(kubectl, "wnet", "net")["status"]["rollout"]
    assert (rollout["state"], rollout["display"], rollout["outdated"]) == ("Held", "2/3", 1)
    assert rollout["budget"] == {"allowed": 3, "reserve": 0, "unavailable": 0}
    assert await operator.one() == 0
    # The message has the command that allows it once.
    words = rollout["holds"][0]["message"].split("`")[1].split()
    assert words[:4] == ["kubectl", "annotate", "wn", heavy]
    kubectl(*words[1:])
    await roll([heavy, *parts])
    await operator.settle()
    assert get(kubectl, "wnet", "net")["status"]["rollout"]["state"] == "Complete"
    assert await operator.one() == 0


async def test_paused_writes_status_only(kubectl: Kubectl, operator: Operator) -> None:
    apply(kubectl, network())
    await operator.settle()
    kubectl("annotate", "wnet", "net", "walrus-operator.dev/reconcile=paused")
    kubectl("delete", "service", "net-1")
    await operator.settle()
    assert get(kubectl, "service", "net-1") == {}
    assert says(kubectl, "wnet", "net", "Paused") == ("True", "ReconcilePaused")
    kubectl("annotate", "wnet", "net", "walrus-operator.dev/reconcile-")
    await operator.settle()
    assert get(kubectl, "service", "net-1")


async def test_a_new_epoch_is_two_writes_and_transitions_are_events(kubectl: Kubectl, operator: Operator) -> None:
    apply(kubectl, network())
    await operator.settle()
    operator.chain.epoch = 2
    await operator.settle()
    assert says(kubectl, "se", "net-1", "Current") == ("False", "PastEpoch")
    assert says(kubectl, "se", "net-2", "Current") == ("True", "CurrentEpoch")
    events = json.loads(kubectl("get", "events", "-o", "json").stdout)["items"]
    assert "EpochStarted" in {event["reason"] for event in events}


async def test_a_network_that_goes_takes_everything_with_it(kubectl: Kubectl, operator: Operator) -> None:
    apply(kubectl, network())
    await operator.settle()
    kubectl("delete", "wnet", "net", "--timeout=60s")
    kinds = "statefulsets,services,configmaps,secrets,persistentvolumeclaims,networkpolicies,poddisruptionbudgets,wn,se"
    left = ["not looked at"]
    async with asyncio.timeout(60):
        while left:  # Kubernetes collects what the network owned, in its own time
            names = kubectl("get", kinds, "-o", "name").stdout.split()
            left = [name for name in names if name.partition("/")[2].startswith(("net", "data-net"))]
            await asyncio.sleep(0.5)
    assert await operator.reconciler.reconcile(operator.key) is None


async def test_a_hand_made_node_without_a_network_is_told_so(kubectl: Kubectl, operator: Operator) -> None:
    node = {
        "apiVersion": "walrus-operator.dev/v1alpha1",
        "kind": "WalrusNode",
        "metadata": {"name": "extra"},
        "spec": {"networkRef": {"name": "net"}},
    }
    apply(kubectl, node)
    assert await operator.reconciler.reconcile(operator.key) is None
    assert says(kubectl, "wn", "extra", "Valid") == ("False", "NetworkNotFound")
    writes = operator.kube.writes
    assert await operator.reconciler.reconcile(operator.key) is None
    assert operator.kube.writes == writes
    apply(kubectl, network())
    await operator.settle()
    assert says(kubectl, "wn", "extra", "Valid") == ("True", "Accepted")
    assert get(kubectl, "statefulset", "extra")


async def test_errors_of_the_api_have_status_and_words(kube: KubeClient, namespace: str) -> None:
    assert await kube.get("Service", namespace, "nothing") is None
    with pytest.raises(KubeError, match=r"invalid") as caught:
        await kube.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "x", "namespace": namespace},
                "spec": {"ports": [{"port": 70000}]},
            }
        )
    assert caught.value.invalid
    assert not await kube.delete("Service", namespace, "nothing", uid="x")
    silent = KubeClient(kube._api, timeout=0.0001)
    with pytest.raises(KubeError, match="no answer within"):
        await silent.list("Pod", None)
