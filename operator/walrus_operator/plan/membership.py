"""Who is a member: which WalrusNodes run, which are refused, which are gone although they hold shards.

Before the first committee the spec decides alone. From the moment that stake is delegated, every added or removed node
would move shards, which nodes cannot do yet; from then on the members are the nodes that have keys, and any difference
between them and the spec is reported and not carried out. A node that vanished from the spec keeps its pod and its data.
When the chain cannot be read and was known before, nothing may change either.
"""

from __future__ import annotations

from dataclasses import dataclass

from walrus_codec.types import NodeId
from walrus_operator.api import names
from walrus_operator.api.node import NodeSpec
from walrus_operator.api.world import NodeObject, NodeWorkload, Snapshot


@dataclass(frozen=True)
class Membership:
    """The outcome; names are those of WalrusNodes."""

    frozen: bool
    """Whether nodes can neither come nor go."""
    members: tuple[NodeWorkload, ...]
    """Nodes that should exist in Kubernetes, with their specs."""
    templated: tuple[str, ...]
    """Members that are made from the template."""
    refused: frozenset[str]
    """WalrusNodes, or names that the count asks for, that came too late."""
    orphaned: frozenset[str]
    """Members that the spec no longer asks for; their pods stay."""
    removed: frozenset[str]
    """Names whose objects can go, because nothing was staked yet."""


def is_frozen(snapshot: Snapshot) -> bool:
    """Whether the set of nodes may no longer change."""
    chain = snapshot.chain.value
    if chain is None:
        return snapshot.network.status.chain_id is not None
    ours = {NodeId(node.status.node_id) for node in snapshot.nodes if node.status.node_id}
    return chain.membership_frozen or any(chain.stakes.get(node_id, 0) for node_id in ours)


def known_names(snapshot: Snapshot) -> frozenset[str]:
    """Nodes that were accepted before: they have keys, or once had."""
    with_keys = {secret.node for secret in snapshot.secrets.values() if secret.node}
    remembered = {node.name for node in snapshot.nodes if node.status.public_keys is not None}
    return frozenset(with_keys | remembered)


def decide(snapshot: Snapshot) -> Membership:
    """Compares the spec with what is there. The network's spec must be readable."""
    network = snapshot.network
    if network.spec is None:
        raise ValueError("membership needs a readable spec")
    frozen = is_frozen(snapshot)
    known = known_names(snapshot)
    present = {node.name: node for node in snapshot.nodes if not node.deleting}
    by_count = [names.node(network.name, ordinal) for ordinal in range(network.spec.nodes.count)]
    # A node with an ordinal that was made from the template and is beyond the count is no longer asked for;
    # with any other name it was made by hand and asks for itself.
    hand_made = [name for name in present if names.ordinal(network.name, name) is None]
    wanted = [*by_count, *hand_made]
    if frozen:
        members = [name for name in wanted if name in known]
        orphaned = known - set(wanted)
        members += sorted(name for name in orphaned if name in present)
        refused = frozenset(set(wanted) - known) | frozenset(set(present) - known)
        removed: frozenset[str] = frozenset()
    else:
        members, orphaned, refused = wanted, frozenset(), frozenset()
        removed = (known | frozenset(present)) - frozenset(wanted)
    workloads = tuple(_workload(name, present.get(name), snapshot) for name in members if _readable(present.get(name)))
    return Membership(
        frozen=frozen,
        members=workloads,
        templated=tuple(name for name in by_count if name in set(members)),
        refused=refused,
        orphaned=frozenset(orphaned),
        removed=removed,
    )


def _readable(node: NodeObject | None) -> bool:
    return node is None or node.spec is not None


def _workload(name: str, node: NodeObject | None, snapshot: Snapshot) -> NodeWorkload:
    # A WalrusNode that does not exist yet is written in this pass; its spec is the template's.
    spec = node.spec if node is not None and node.spec is not None else template_spec(snapshot)
    return NodeWorkload(name=name, spec=spec, replicas=0 if spec.desired_state == "Hibernated" else 1)


def template_spec(snapshot: Snapshot) -> NodeSpec:
    """Spec of a node that is made from the network's template."""
    network = snapshot.network
    if network.spec is None:
        raise ValueError("the template needs a readable spec")
    template = network.spec.nodes.template.model_dump(by_alias=True, exclude_none=True)
    return NodeSpec.model_validate({**template, "networkRef": {"name": network.name}})
