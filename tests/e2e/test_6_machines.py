"""Machines are drained and fail, the leading operator freezes, strangers knock: the budget holds and doors stay shut."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.e2e import machines
from tests.e2e.conftest import NAMESPACE, NETWORK, NODE_LABEL, OPERATOR_LABEL
from tests.e2e.network import ordinal, own_words, store
from tests.e2e.support import BackgroundReader, Gateway, Kubectl, run, until

TOLERATED = 33
LEASE = "walrus-operator"


@pytest.fixture(autouse=True)
def whole(kubectl: Kubectl) -> None:
    """Each test begins with all ten nodes, so that as many may be evicted as the budget bears."""
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=180)
    until("three may be evicted", lambda: allowed(kubectl) == 3, seconds=60)


def allowed(kubectl: Kubectl) -> int:
    """Evictions that Kubernetes would allow now."""
    return int(kubectl.get("poddisruptionbudget", f"{NETWORK}-nodes")["status"].get("disruptionsAllowed", 0))


def eviction(pod: str, *, dry_run: bool) -> str:
    """Evicts a pod; what the API server says."""
    options = {"dryRun": ["All"]} if dry_run else {}
    wish = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": NAMESPACE},
        "deleteOptions": options,
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    done = run("kubectl", "create", "--raw", path, "-f", "-", text=json.dumps(wish), check=False)
    return done.stdout + done.stderr


def test_a_drain_takes_what_the_budget_bears_and_no_more(
    kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader
) -> None:
    data = os.urandom(2**20)
    reader.watch(store(gateway, data), data)
    places = machines.storage_nodes_by_machine(kubectl)
    machine = next((machine for machine, names in sorted(places.items()) if len(names) == 3), "")
    assert machine, f"the pods are not spread as ten are over three machines: {places}"
    drained = places[machine]
    weights = machines.weights(kubectl)
    assert sum(weights[name] for name in drained) <= TOLERATED
    others = [name for name in weights if name not in drained]
    assert "disruption budget" not in eviction(f"{others[0]}-0", dry_run=True)
    chosen = f"{NODE_LABEL},walrus-operator.dev/network={NETWORK}"
    drain = ("kubectl", "drain", machine, "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector", chosen)
    try:
        run(*drain, "--timeout=100s")
        # Their volumes are on the drained machine, so they wait for it; whoever it is, a fourth is one too many.
        until("the three counted as gone", lambda: allowed(kubectl) == 0, seconds=30)
        for name in others:
            assert "Cannot evict pod as it would violate the pod's disruption budget" in eviction(
                f"{name}-0", dry_run=False
            )
        ready = {pod["metadata"]["name"] for pod in kubectl.items("pods", "-l", NODE_LABEL) if is_ready(pod)}
        assert ready == {f"{name}-0" for name in others}
        reader.read_all()
        assert gateway.read(store(gateway, data[:1000])).content == data[:1000]
    finally:
        run("kubectl", "uncordon", machine)
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=180)


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


KNOCK = """
import json, socket, ssl, sys
from concurrent.futures import ThreadPoolExecutor

def answers(door):
    host, port, says = door
    try:
        with socket.create_connection((host, port), 5) as wire:
            if says == "tls":
                trusting = ssl._create_unverified_context()
                trusting.set_alpn_protocols(["h2"])
                with trusting.wrap_socket(wire) as face:
                    return bool(face.getpeercert(True))
            wire.sendall(says.encode())
            return bool(wire.recv(1))
    except OSError:
        return False

doors = json.loads(sys.argv[1])
with ThreadPoolExecutor(len(doors)) as knocking:
    print(json.dumps(list(knocking.map(answers, doors))))
"""
"""Run inside of a pod: which doors answer. That a connection opens says nothing where a proxy opens every one."""
GET = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
H2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


def doors(kubectl: Kubectl) -> dict[str, tuple[str, int, str]]:
    """Every port of every component, by pod address."""
    ips = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in kubectl.items("pods") if "podIP" in pod["status"]}
    node, chain, face = ips[f"{ordinal(0)}-0"], ips[f"{NETWORK}-devnet-0"], ips[f"{NETWORK}-gateway-0"]
    return {
        "node grpc": (node, 9187, "tls"),
        "node http": (node, 9184, GET),
        "node admin": (node, 9186, "tls"),
        "chain rpc": (chain, 9000, H2),
        "chain tls": (chain, 9443, "tls"),
        "chain faucet": (chain, 9123, GET),
        "chain metrics": (chain, 9184, GET),
        "gateway api": (face, 31415, GET),
        "gateway metrics": (face, 27182, GET),
    }


def stranger(name: str, image: str, labels: dict[str, str]) -> dict[str, Any]:
    """A pod in which somebody can knock at doors."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "knock",
                    "image": image,
                    "command": ["sleep", "300"],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }


def heard(where: Kubectl, pod: str, doors: dict[str, tuple[str, int, str]]) -> set[str]:
    """The doors that answer somebody in this pod."""
    words = where("exec", pod, "--", "python3", "-c", KNOCK, json.dumps(list(doors.values())))
    return {door for door, answered in zip(doors, json.loads(words), strict=True) if answered}


def test_strangers_are_heard_at_the_gateway_and_nowhere_else(kubectl: Kubectl, operator: Kubectl) -> None:
    watching = operator.items("pods", "--selector", OPERATOR_LABEL)[0]["status"]["podIP"]
    found = {**doors(kubectl), "operator http": (watching, 8080, GET)}
    image = kubectl.get("pod", f"{ordinal(0)}-0")["spec"]["containers"][0]["image"]
    strangers = [
        (kubectl, stranger("stranger", image, {}), {"gateway api"}),
        # Who wears the network's label, but is none of its parts, gets out to nothing at all.
        (kubectl, stranger("disguised", image, {"walrus-operator.dev/network": NETWORK}), set()),
        # The operator's own namespace is no password; its label is needed, too.
        (operator, stranger("neighbour", image, {}), {"gateway api"}),
    ]
    try:
        for where, pod, _ in strangers:
            where("delete", "pod", pod["metadata"]["name"], "--ignore-not-found")
            where.apply(pod)
        for where, pod, welcome in strangers:
            name = pod["metadata"]["name"]
            where("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")

            def only_the_welcome(
                where: Kubectl = where, name: str = name, welcome: set[str] = welcome
            ) -> bool:  # policies reach a new pod a moment after it has started
                return heard(where, name, found) == welcome

            until(f"{name} is heard at {welcome or 'no door'} only", only_the_welcome, seconds=60)
    finally:
        for where, pod, _ in strangers:
            where("delete", "pod", pod["metadata"]["name"], "--ignore-not-found", "--grace-period=1")
    # They are there: what a node may reach answers, and nothing else does, not even the Kubernetes API.
    api = run("kubectl", "get", "service", "kubernetes", "-n", "default", "-o", "jsonpath={.spec.clusterIP}").stdout
    from_node = {**found, "kubernetes": (api, 443, "tls")}
    assert heard(kubectl, f"{ordinal(1)}-0", from_node) == {"node grpc", "chain rpc", "chain tls", "chain faucet"}
    assert own_words(ordinal(0))["node_id"]  # its HTTP port is open to who may ask


def lease(operator: Kubectl) -> dict[str, Any]:
    return dict(operator.get("lease", LEASE)["spec"])


def test_when_the_leading_operator_freezes_the_other_one_leads_within_seconds(
    kubectl: Kubectl, operator: Kubectl
) -> None:
    holder = lease(operator)["holderIdentity"]
    machine = machines.machine_of(operator.get("pod", holder))
    machines.kind_only(machine)
    standby = next(
        pod["metadata"]["name"]
        for pod in operator.items("pods", "--selector", OPERATOR_LABEL)
        if pod["metadata"]["name"] != holder and is_ready(pod)
    )
    before, process = restarts(operator, holder), machines.process_of(holder, machine)
    machines.signal(machine, process, "STOP")
    frozen = datetime.now(UTC)
    try:
        until("the standby leads", lambda: lease(operator)["holderIdentity"] == standby, seconds=60)
        took = datetime.fromisoformat(lease(operator)["acquireTime"]) - frozen
        assert took.total_seconds() <= 20
        kubectl("delete", "service", ordinal(2))
        until("it works", lambda: kubectl.get("service", ordinal(2)), seconds=60)
    finally:
        machines.signal(machine, process, "CONT")
    # The old one wakes up, finds out, ends, and comes back as a standby.
    until("the old one stands by", lambda: restarts(operator, holder) > before, seconds=90)
    until("it is ready", lambda: is_ready(operator.get("pod", holder)), seconds=60)
    assert lease(operator)["holderIdentity"] == standby
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=120)


def restarts(operator: Kubectl, pod: str) -> int:
    return sum(status["restartCount"] for status in operator.get("pod", pod)["status"]["containerStatuses"])


def test_a_machine_stops_and_comes_back(kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader) -> None:
    data = os.urandom(2**20)
    reader.watch(store(gateway, data), data)
    weights = machines.weights(kubectl)
    chain = machines.machine_of(kubectl.get("pod", f"{NETWORK}-devnet-0"))
    places = {
        machine: names
        for machine, names in sorted(machines.storage_nodes_by_machine(kubectl).items())
        if machine != chain and sum(weights[name] for name in names) <= TOLERATED
    }
    assert places, "pods are spread so that no machine can be lost"
    machine, lost = next(iter(places.items()))
    machines.kind_only(machine)
    with machines.cordoned(machine), reader.paused():
        face = kubectl.get("pod", f"{NETWORK}-gateway-0")
        if machines.machine_of(face) == machine:  # the tests look through it
            kubectl("delete", "pod", f"{NETWORK}-gateway-0", "--wait=true")
            until("a new gateway", lambda: kubectl.get("pod", f"{NETWORK}-gateway-0"), seconds=60)
            kubectl("wait", "--for=condition=Ready", f"pod/{NETWORK}-gateway-0", "--timeout=120s")
    uids = {name: kubectl.get("pod", f"{name}-0")["metadata"]["uid"] for name in lost}
    with machines.stopped_machine(machine):
        off = sum(weights[name] for name in lost)
        until("the column", lambda: f"{100 - off}/100" in kubectl("get", "wnet", NETWORK), seconds=90)
        assert kubectl.condition("wnet", NETWORK, "Available")["status"] == "True"
        until("the lost ones counted", lambda: allowed(kubectl) == 3 - len(lost), seconds=30)
        reader.read_all()
        assert gateway.read(store(gateway, data[:2000])).content == data[:2000]
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=240)
    # The same pods on the same volumes: nothing was moved, and nothing rebuilt elsewhere.
    assert {name: kubectl.get("pod", f"{name}-0")["metadata"]["uid"] for name in lost} == uids
    reader.read_all()


def test_a_namespace_ends_although_its_nodes_are_to_be_drained_and_its_network_is_at_work(kubectl: Kubectl) -> None:
    """Everything goes in no order, and the operator must neither hold on to it nor fill it again."""
    name = f"{NAMESPACE}-ends"
    run("kubectl", "delete", "namespace", name, "--ignore-not-found", "--timeout=120s")
    run("kubectl", "create", "namespace", name)
    here = Kubectl(name)
    nowhere = {"nodeSelector": {"walrus-test/nowhere": "true"}}
    here.apply(
        {
            "apiVersion": "walrus-operator.dev/v1alpha1",
            "kind": "WalrusNetwork",
            "metadata": {"name": "short"},
            "spec": {
                "shards": 10,
                "chain": {"devnet": nowhere},
                "nodes": {"count": 4, "template": {**nowhere, "deletionPolicy": "Drain"}},
                "gateway": {"replicas": 0},
            },
        }
    )
    every = {"short-devnet", "short-gateway", *(f"short-{number}" for number in range(4))}
    until("all made", lambda: {item["metadata"]["name"] for item in here.items("statefulsets")} == every, seconds=60)
    run("kubectl", "delete", "namespace", name, "--timeout=120s")
    assert kubectl.condition("wnet", NETWORK, "Degraded")["status"] == "False"
