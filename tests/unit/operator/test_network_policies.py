"""Who may talk to whom: the policies, judged by a plain reading of Kubernetes' rules, over all pairs of pods and all ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest
from tests.unit.operator.chain_world import NAMESPACE, network_manifest
from tests.unit.operator.support import SETTINGS

from walrus_operator.api.world import Manifest, Settings
from walrus_operator.build import common, policies
from walrus_operator.observe import reading


@dataclass(frozen=True)
class Peer:
    """A pod, or something outside of the cluster, which has no labels and an address."""

    name: str
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    outside: bool = False


def part(component: str, number: int = 0, *, network: str = "demo", namespace: str = NAMESPACE) -> Peer:
    name = f"{namespace}/{network} {component} {number}"
    return Peer(name, namespace, common.labels(network, component))


NODE, OTHER_NODE, DEVNET, GATEWAY = part("node"), part("node", 1), part("devnet"), part("gateway")
OPERATOR = Peer("operator", SETTINGS.operator_namespace, {common.NAME_LABEL: common.OPERATOR_NAME})
SCRAPER = Peer("scraper", "monitoring")
OUTSIDE = Peer("outside", "", outside=True)
STRANGERS = [
    Peer("stranger", NAMESPACE),
    Peer("neighbour of the operator", SETTINGS.operator_namespace),
    Peer("false operator", NAMESPACE, {common.NAME_LABEL: common.OPERATOR_NAME}),
    part("node", network="second"),
    part("gateway", network="second"),
    part("node", namespace="elsewhere"),
    part("devnet", namespace="elsewhere"),
    Peer("tenant", "elsewhere"),
]
PEERS = [NODE, OTHER_NODE, DEVNET, GATEWAY, OPERATOR, SCRAPER, OUTSIDE, *STRANGERS]
PORTS = [9184, 9185, 9186, 9187, 9000, 9443, 9123, 31415, 27182, 53, 443, 4317]

NODE_GRPC, NODE_HTTP, NODE_ADMIN, GATEWAY_API, GATEWAY_METRICS = 9187, 9184, 9186, 31415, 27182
FAUCET, DEVNET_METRICS = 9123, 9184
CHAIN = {9000, 9443, FAUCET}


def built(**spec: Any) -> list[Manifest]:
    return policies.network_policies(reading.network(network_manifest(**spec)), SETTINGS)


def picks(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, "the twin knows no other kind of selector"
    return selector.get("matchLabels", {}).items() <= labels.items()


def is_named(peer: Peer, rules: list[Mapping[str, Any]] | None, policy: Manifest) -> bool:
    """Whether a rule's peers name this one; no list means everybody."""
    if rules is None:
        return True
    for rule in rules:
        assert set(rule) <= {"podSelector", "namespaceSelector", "ipBlock"}
        if "ipBlock" in rule:
            if rule["ipBlock"]["cidr"] in {"0.0.0.0/0", "::/0"}:
                return True
            continue
        if peer.outside:
            continue
        if "namespaceSelector" in rule:
            right_place = picks(rule["namespaceSelector"], {"kubernetes.io/metadata.name": peer.namespace})
        else:
            right_place = peer.namespace == policy["metadata"]["namespace"]
        if right_place and picks(rule.get("podSelector", {}), peer.labels):
            return True
    return False


def one_way(found: list[Manifest], peer: Peer, other: Peer, port: int, direction: str) -> bool:
    """Whether the policies over a pod let it speak (Egress) or be spoken to (Ingress)."""
    key, side = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    over = [
        policy
        for policy in found
        if not peer.outside
        and policy["metadata"]["namespace"] == peer.namespace
        and picks(policy["spec"]["podSelector"], peer.labels)
        and direction in policy["spec"]["policyTypes"]
    ]
    if not over:
        return True
    return any(
        is_named(other, rule.get(side), policy)
        and any(
            entry["port"] == port and entry.get("protocol", "TCP") == "TCP"
            for entry in rule.get("ports", [{"port": port}])
        )
        for policy in over
        for rule in policy["spec"].get(key, [])
    )


def open_doors(found: list[Manifest]) -> set[tuple[str, str, int]]:
    return {
        (source.name, target.name, port)
        for source, target, port in product(PEERS, PEERS, PORTS)
        if source != target
        and one_way(found, source, target, port, "Egress")
        and one_way(found, target, source, port, "Ingress")
    }


def into(component: Peer, doors: set[tuple[str, str, int]]) -> dict[int, set[str]]:
    """Who gets in, by port."""
    found: dict[int, set[str]] = {}
    for source, target, port in doors:
        if target == component.name:
            found.setdefault(port, set()).add(source)
    return found


def named(*peers: Peer) -> set[str]:
    return {peer.name for peer in peers}


def test_every_part_hears_only_whom_it_must() -> None:
    doors = open_doors(built())
    assert into(NODE, doors) == {
        NODE_GRPC: named(OTHER_NODE, GATEWAY),
        NODE_HTTP: named(OPERATOR),
        NODE_ADMIN: named(OPERATOR),
    }
    assert into(DEVNET, doors) == dict.fromkeys(CHAIN, named(NODE, OTHER_NODE, GATEWAY, OPERATOR))
    everybody = named(*PEERS) - named(GATEWAY)
    assert into(GATEWAY, doors) == {
        # A node has no business there, and what is stolen of one must not get out by it.
        GATEWAY_API: everybody - named(NODE, OTHER_NODE, DEVNET),
        GATEWAY_METRICS: named(OPERATOR),
    }


@pytest.mark.parametrize("part", [NODE, DEVNET, GATEWAY], ids=["node", "devnet", "gateway"])
def test_what_is_stolen_of_a_part_gets_nowhere_else(part: Peer) -> None:
    doors = open_doors(built())
    reached = {(target, port) for source, target, port in doors if source == part.name and port != 53}
    chain = {(DEVNET.name, port) for port in CHAIN}
    nodes = {(peer.name, NODE_GRPC) for peer in (NODE, OTHER_NODE) if peer != part}
    assert reached == (set() if part == DEVNET else chain | nodes)
    # Names are asked of whoever answers, in and out of the cluster.
    assert {port for source, target, port in doors if (source, target) == (part.name, OUTSIDE.name)} == {53}


def test_on_a_real_chain_parts_leave_the_cluster_and_nobody_else_comes_in() -> None:
    doors = open_doors(built(chain={"external": {"networkConfig": "https://example.com/x"}}, encoding="rs2"))
    assert {port for source, target, port in doors if (source, target) == (NODE.name, OUTSIDE.name)} == set(PORTS)
    assert into(NODE, doors) == {
        NODE_GRPC: named(OTHER_NODE, GATEWAY),
        NODE_HTTP: named(OPERATOR),
        NODE_ADMIN: named(OPERATOR),
    }


def test_monitoring_reads_the_metrics_and_nothing_else() -> None:
    monitoring = {"scrapeNamespaces": ["monitoring"], "otlpEndpoint": "http://collector.monitoring:4317"}
    more = open_doors(built(monitoring=monitoring)) - open_doors(built())
    scraped = {(SCRAPER.name, NODE.name, NODE_HTTP), (SCRAPER.name, OTHER_NODE.name, NODE_HTTP)}
    scraped |= {(SCRAPER.name, DEVNET.name, DEVNET_METRICS), (SCRAPER.name, GATEWAY.name, GATEWAY_METRICS)}
    assert {door for door in more if door[2] != 4317} == scraped
    assert {source for source, _, port in more if port == 4317} == named(NODE, OTHER_NODE, DEVNET, GATEWAY)


def test_an_operator_elsewhere_is_let_in_from_there_only() -> None:
    settings = Settings(image="x", operator_namespace="monitoring")
    found = policies.network_policies(reading.network(network_manifest()), settings)
    assert into(NODE, open_doors(found)) == {NODE_GRPC: named(OTHER_NODE, GATEWAY)}
