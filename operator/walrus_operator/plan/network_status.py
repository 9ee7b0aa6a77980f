"""What to report of the network as a whole: its conditions (`network_conditions`) and the fields of its status.

What the chain has said once stays in the status while the chain is away.
"""

from __future__ import annotations

from walrus_operator.api import names
from walrus_operator.api.conditions import Condition, merge
from walrus_operator.api.decisions import StatusUpdate
from walrus_operator.api.network_status import GatewayStatus, NetworkStatus, NodeCounts, ShardCounts
from walrus_operator.api.world import NetworkObject, ObjectKey, Snapshot
from walrus_operator.plan import network_conditions
from walrus_operator.plan.chain_state import ChainState
from walrus_operator.plan.network_conditions import Facts
from walrus_operator.plan.times import iso


def report(snapshot: Snapshot, facts: Facts) -> tuple[tuple[Condition, ...], StatusUpdate]:
    """The network's conditions and status."""
    network = snapshot.network
    chain = snapshot.chain.value if facts.verdict.state is not ChainState.EXCHANGED else None
    asked_for = {member.name for member in facts.membership.members}
    should_run = [
        view for view in facts.nodes if view.node.name in asked_for and view.member is not None and view.member.replicas
    ]
    not_created = [
        member.name
        for member in facts.membership.members
        if member.replicas and member.name not in {view.node.name for view in facts.nodes}
    ]
    not_ready = [view.node.name for view in should_run if not view.ready] + not_created
    gateways_ready, gateways_wanted = gateways(snapshot)
    conditions = network_conditions.conditions(
        snapshot, facts, not_ready=not_ready, gateways_ready=gateways_ready, gateways_wanted=gateways_wanted
    )
    desired = len(should_run) + len(not_created)
    remembered = network.status
    spec = network.spec
    domain = snapshot.cluster_domain
    status = NetworkStatus(
        observed_generation=network.generation,
        epoch=chain.epoch if chain else remembered.epoch,
        epoch_state=chain.phase.value if chain else remembered.epoch_state,
        chain_id=remembered.chain_id or (chain.chain_id if chain else None),
        network_config=config_url(snapshot),
        system_object=chain.system_object if chain else remembered.system_object,
        staking_object=chain.staking_object if chain else remembered.staking_object,
        nodes=NodeCounts(
            desired=desired, ready=desired - len(not_ready), display=f"{desired - len(not_ready)}/{desired}"
        ),
        shards=ShardCounts(
            total=facts.shards.total,
            available=facts.shards.available,
            tolerated=facts.shards.tolerated,
            display=f"{facts.shards.available}/{facts.shards.total}",
        ),
        gateway=GatewayStatus(
            ready=gateways_ready,
            url=f"http://{names.host(names.gateway(network.name), network.namespace, domain)}:{names.GATEWAY_PORT}",
        )
        if spec and spec.gateway.replicas
        else None,
        rollout=facts.rollout_status,
        challenges=facts.challenges.network(),
        treasury_address=remembered.treasury_address or facts.keys.treasury,
        gateway_addresses={**facts.keys.gateways, **(remembered.gateway_addresses or {})} or None,
        admin_token=facts.tokens.status,
        operator_version=snapshot.operator_version or None,
        conditions=merge(
            conditions,
            network.live_status.get("conditions", []),
            now=iso(snapshot.now),
            generation=network.generation,
        ),
    )
    return conditions, StatusUpdate(ObjectKey("WalrusNetwork", network.name), status.to_live())


def failing(network: NetworkObject, sentence: str, *, now: float) -> StatusUpdate | None:
    """The stored status with `Degraded` for passes that fail; None when it says so already.

    Args:
        network: As stored.
        sentence: Why they fail.
        now: Unix seconds.
    """
    stored = network.live_status.get("conditions", [])
    failed = [network_conditions.pass_failed(sentence)]
    (told,) = merge(failed, stored, now=iso(now), generation=network.generation)
    # In its place, because statuses are compared with the order that the next whole report will have.
    conditions = [told if entry.type == told.type else entry for entry in network.status.conditions or []]
    if told not in conditions:
        conditions.append(told)
    status = network.status.model_copy(update={"conditions": conditions}).to_live()
    if status.get("conditions") == stored:
        return None
    return StatusUpdate(ObjectKey("WalrusNetwork", network.name), status)


def config_url(snapshot: Snapshot) -> str | None:
    """Where the network's client configuration is read."""
    network = snapshot.network
    if network.spec is None:
        return network.status.network_config
    if network.spec.chain.external is not None:
        return network.spec.chain.external.network_config
    return names.devnet_config_url(network.name, network.namespace, snapshot.cluster_domain)


def gateways(snapshot: Snapshot) -> tuple[int, int]:
    """Ready and wanted gateway replicas."""
    network = snapshot.network
    wanted = network.spec.gateway.replicas if network.spec else 0
    pods = [snapshot.pods.get(names.gateway_pod(network.name, index)) for index in range(wanted)]
    return sum(1 for pod in pods if pod is not None and pod.ready and not pod.terminating), wanted
