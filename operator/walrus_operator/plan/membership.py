"""Who is a member: which WalrusNodes run, which leave, and how.

Before the first committee the spec decides alone and nodes come and go freely. From the moment that stake is delegated, a
node that comes gets keys, a pod, a registration and stake, and holds shards from the next epoch on; a node that is no
longer asked for leaves by its `deletionPolicy` (`departures`). A node whose WalrusNode is gone although the template asks
for it was deleted by mistake and comes back as the same node, because its keys are still there; one that nobody asks for
is known by its key Secret until nothing is left of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from walrus_codec.types import NodeId
from walrus_operator.api import names, sizing
from walrus_operator.api.decisions import NodeWorkload
from walrus_operator.api.network import NetworkSpec
from walrus_operator.api.node import NodeSpec, NodeTemplate
from walrus_operator.api.world import NodeObject, Snapshot

SWITCHED_OFF = frozenset({"Hibernated", "Fenced"})
"""Desired states without a pod; each keeps its pod until the budget bears that it goes (`fences`)."""


class Leave(Enum):
    """How a node leaves."""

    DRAIN = auto()
    """Stake first; the pod stays until its shards have moved."""
    DELETE = auto()
    """Stake, pod and volume at once."""


@dataclass(frozen=True)
class Membership:
    """The outcome; names are those of WalrusNodes."""

    frozen: bool
    """Whether there is a committee or stake, so that nodes leave step by step."""
    members: tuple[NodeWorkload, ...]
    """Nodes that are asked for, with their specs."""
    templated: tuple[str, ...]
    """Members that are made from the template."""
    drained: frozenset[str]
    """Members that should run without stake."""
    leaving: dict[str, Leave]
    """Nodes that are no longer asked for, the ones to go first in front."""
    removed: frozenset[str]
    """Names whose objects can go, because nothing was staked yet."""
    misnamed: frozenset[str] = frozenset()
    """WalrusNodes made by hand under names of template nodes that nobody asks for; they are left as they are."""


def is_frozen(snapshot: Snapshot) -> bool:
    """Whether nodes hold stake or shards, as far as is known."""
    chain, known = snapshot.chain.value, snapshot.network.status.chain_id
    if chain is None or (known is not None and chain.chain_id != known):
        return known is not None
    ours = {NodeId(node.status.node_id) for node in snapshot.nodes if node.status.node_id}
    return chain.membership_frozen or any(chain.stakes.get(node_id, 0) for node_id in ours)


def known_names(snapshot: Snapshot) -> frozenset[str]:
    """Nodes that were accepted before: they have keys, or once had."""
    with_keys = {secret.node for secret in snapshot.secrets.values() if secret.node}
    remembered = {node.name for node in snapshot.nodes if node.status.public_keys is not None}
    return frozenset(with_keys | remembered)


def policy(snapshot: Snapshot, node: NodeObject | None) -> Leave:
    """How a node leaves; one without a WalrusNode was let go of by somebody who may do that."""
    if node is None:
        return Leave.DELETE
    chosen = node.spec.deletion_policy if node.spec is not None else "Drain"
    if chosen is None:
        network = snapshot.network.spec
        chosen = "Delete" if network is not None and network.chain.devnet is not None else "Drain"
    return Leave.DRAIN if chosen == "Drain" else Leave.DELETE


def decide(snapshot: Snapshot) -> Membership:
    """Compares the spec with what is there. The network's spec must be readable."""
    network = snapshot.network
    if network.spec is None:
        raise ValueError("membership needs a readable spec")
    frozen = is_frozen(snapshot)
    known = known_names(snapshot)
    everyone = {node.name: node for node in snapshot.nodes}
    present = {name: node for name, node in everyone.items() if not node.deleting}
    by_count = [names.node(network.name, ordinal) for ordinal in range(network.spec.nodes.count)]
    # A node with an ordinal that was made from the template and is beyond the count is no longer asked for;
    # with any other name it was made by hand and asks for itself.
    hand_made = [name for name in present if names.ordinal(network.name, name) is None]
    misnamed = frozenset(
        name for name in present if name not in {*by_count, *hand_made, *known} and not _ours(present[name])
    )
    # One that is being deleted and still there waits for us: it leaves, whatever the count says.
    going = set(everyone) - set(present)
    wanted = [name for name in (*by_count, *hand_made) if name not in going]
    leaving: dict[str, Leave] = {}
    removed: frozenset[str] = frozenset()
    if frozen:
        unasked = sorted(
            (known | set(everyone)) - {*wanted, *misnamed}, key=lambda name: (len(name), name), reverse=True
        )
        leaving = {name: policy(snapshot, everyone.get(name)) for name in unasked}
    else:
        removed = (known | frozenset(everyone)) - frozenset(wanted) - misnamed
    # A name that another network's node has stays that node's: of ours nothing is made, not even its keys.
    free = [name for name in wanted if name not in snapshot.foreign_nodes]
    workloads = tuple(workload(name, present.get(name), snapshot) for name in free if _readable(present.get(name)))
    # What does not fit is left as it is, as if its spec could not be read.
    workloads = tuple(member for member in workloads if memory_problem(network.spec, member.spec) is None)
    return Membership(
        frozen=frozen,
        members=workloads,
        templated=tuple(name for name in by_count if name in set(free)),
        drained=frozenset(member.name for member in workloads if member.spec.desired_state == "Drained"),
        leaving=leaving,
        removed=removed,
        misnamed=misnamed,
    )


def _ours(node: NodeObject) -> bool:
    """Whether the operator made the WalrusNode, or has taken it into the template."""
    return bool((node.live.get("metadata") or {}).get("ownerReferences"))


def name_problem(snapshot: Snapshot, network: NetworkSpec) -> str | None:
    """Which of the names that the template asks for is another network's; None when all are free."""
    ordinals = {name: names.ordinal(snapshot.network.name, name) for name in snapshot.foreign_nodes}
    taken = [name for name, number in ordinals.items() if number is not None and number < network.nodes.count]
    if not taken:
        return None
    first = min(taken, key=lambda name: (len(name), name))
    more = f" ({len(taken) - 1} more likewise)" if taken[1:] else ""
    return (
        f"WalrusNode {first} belongs to network {snapshot.foreign_nodes[first]}, and this network needs its name{more}: delete "
        "it, lower nodes.count, or give this network another name"
    )


def memory_problem(network: NetworkSpec, node: NodeTemplate) -> str | None:
    """Why a node of the network cannot live with its memory limit; None when it can."""
    code = sizing.params(network.shards, network.encoding)
    try:
        sizing.node_budgets(sizing.memory_limit(node.resources), code)
    except sizing.TooSmallError as error:
        return str(error)
    return None


def gateway_problem(network: NetworkSpec) -> str | None:
    """Why the gateway cannot live with its memory limit; None when it can."""
    code, gateway = sizing.params(network.shards, network.encoding), network.gateway
    try:
        sizing.gateway_budget(sizing.memory_limit(gateway.resources), code, gateway.max_body_size)
    except sizing.TooSmallError as error:
        return str(error)
    return None


def _readable(node: NodeObject | None) -> bool:
    return node is None or node.spec is not None


def workload(name: str, node: NodeObject | None, snapshot: Snapshot) -> NodeWorkload:
    """What should run of a node."""
    # A WalrusNode that does not exist yet is written in this pass; its spec is the template's.
    spec = node.spec if node is not None and node.spec is not None else template_spec(snapshot)
    return NodeWorkload(name=name, spec=spec, replicas=0 if spec.desired_state in SWITCHED_OFF else 1)


def template_spec(snapshot: Snapshot) -> NodeSpec:
    """Spec of a node that is made from the network's template."""
    network = snapshot.network
    if network.spec is None:
        raise ValueError("the template needs a readable spec")
    template = network.spec.nodes.template.model_dump(by_alias=True, exclude_none=True)
    return NodeSpec.model_validate({**template, "networkRef": {"name": network.name}})
