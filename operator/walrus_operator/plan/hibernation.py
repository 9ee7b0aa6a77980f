"""A whole network that sleeps with its data: `spec.hibernated`.

It goes to sleep from the outside in, each step when the pods of the one before have ended: the gateway, so that no store is
cut off; the nodes, which flush what they have while the chain still answers; the embedded chain. Volumes, keys, stake and all
other objects stay. It wakes all at once: nodes wait for the chain by themselves. While the chain sleeps no epoch passes and
nothing expires; on a chain of somebody else's the epochs go on, and nodes that sleep too long lose their seats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from walrus_operator.api import names
from walrus_operator.api.conditions import Condition, ConditionType, Kind, Reason, Truth, condition
from walrus_operator.api.decisions import Awake
from walrus_operator.api.world import Manifest, Snapshot
from walrus_operator.plan.membership import Membership


@dataclass(frozen=True)
class Sleep:
    """How far a network is asleep.

    Attributes:
        asked: whether it should sleep.
        awake: what should have pods now.
        nodes: whether storage nodes should.
        ending: pods that are still there.
    """

    asked: bool
    awake: Awake
    nodes: bool
    ending: tuple[str, ...]

    @property
    def asleep(self) -> bool:
        """Whether it sleeps."""
        return self.asked and not self.ending


def decide(snapshot: Snapshot) -> Sleep:
    """What should have pods."""
    network = snapshot.network
    if network.spec is None or not network.spec.hibernated:
        return Sleep(False, Awake(), True, ())
    gateways = _gateway_pods(snapshot)
    return Sleep(
        asked=True,
        awake=Awake(devnet=bool(node_pods(snapshot) or gateways), gateway=False),
        nodes=bool(gateways),
        ending=tuple(sorted(snapshot.pods, key=lambda name: (len(name), name))),
    )


def node_pods(snapshot: Snapshot) -> set[str]:
    """Pods of storage nodes, whoever made them."""
    return set(snapshot.pods) - _gateway_pods(snapshot) - {names.pod(names.devnet(snapshot.network.name))}


def _gateway_pods(snapshot: Snapshot) -> set[str]:
    return {name for name in snapshot.pods if name.startswith(f"{names.gateway(snapshot.network.name)}-")}


def put_to_bed(members: Membership, sleep: Sleep) -> Membership:
    """The same nodes, without pods when their time has come."""
    if sleep.nodes:
        return members
    return replace(members, members=tuple(replace(member, replicas=0) for member in members.members))


def kept(templates: Mapping[str, Manifest], network: str, sleep: Sleep) -> Mapping[str, Manifest]:
    """StatefulSets whose templates wait for their turn; those of nodes without pods need not."""
    if sleep.nodes:
        return templates
    parts = {names.devnet(network), names.gateway(network)}
    return {name: live for name, live in templates.items() if name in parts}


def conditions(found: tuple[Condition, ...], sleep: Sleep) -> tuple[Condition, ...]:
    """The network's conditions, of which most say nothing while it sleeps."""
    if not sleep.asked:
        return found
    moving: Truth = "True" if sleep.ending else "False"
    if sleep.ending:
        more = f" and {len(sleep.ending) - 1} more" if len(sleep.ending) > 1 else ""
        stand = f"going to sleep: {sleep.ending[0]}{more} still there"
    else:
        stand = "the network sleeps, with its data; set spec.hibernated: false to wake it"
    said = {
        ConditionType.READY: _say(ConditionType.READY, "False", stand),
        ConditionType.AVAILABLE: _say(ConditionType.AVAILABLE, "False", stand),
        ConditionType.COMMITTEE_SYNCED: _say(ConditionType.COMMITTEE_SYNCED, "Unknown", stand),
        ConditionType.PROGRESSING: _say(ConditionType.PROGRESSING, moving, stand),
    }
    sound = condition(Kind.NETWORK, ConditionType.DEGRADED, "False", Reason.AS_EXPECTED, stand)
    # What is broken on purpose is not broken; lost keys are, also in sleep.
    on_purpose = {Reason.CHAIN_UNREACHABLE, Reason.MEMBERS_DOWN, Reason.PREVIOUS_NODE_NOT_REJOINED}
    return tuple(
        sound if entry.type is ConditionType.DEGRADED and entry.reason in on_purpose else said.get(entry.type, entry)
        for entry in found
    )


def _say(type_: ConditionType, status: Truth, message: str) -> Condition:
    return condition(Kind.NETWORK, type_, status, Reason.HIBERNATED, message)
