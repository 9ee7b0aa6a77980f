"""Views put together from several objects: committees with all that is needed to talk to their members."""

from collections.abc import Mapping

from walrus_codec.types import Epoch, NodeId, ShardIndex
from walrus_sui.abi.staking import StakingInner
from walrus_sui.abi.system import SystemInner
from walrus_sui.errors import MalformedChainData
from walrus_sui.types import Committee, CommitteeMember, PoolView, StakingView


def nodes_named(inner: StakingInner) -> list[NodeId]:
    """Return all nodes of the three committees, each once, in id order."""
    committees = (inner.committee, inner.previous_committee, inner.next_committee or ())
    return sorted({node_id for committee in committees for node_id, _shards in committee})


def staking_view(
    inner: StakingInner,
    system: SystemInner,
    *,
    pools: Mapping[NodeId, PoolView],
    next_keys: Mapping[NodeId, bytes],
) -> StakingView:
    """Put a StakingView together.

    Args:
        inner: state of Staking.
        system: state of System of the same epoch; has the BLS keys of the current committee.
        pools: the pools of `nodes_named`.
        next_keys: BLS keys fixed for the next committee.

    Raises:
        MalformedChainData: a pool is missing, or the two objects are of different epochs.
    """
    if system.view.epoch != inner.epoch:
        raise MalformedChainData(f"System is in epoch {system.view.epoch}, Staking in {inner.epoch}")
    current_keys = {member.node_id: member.public_key for member in system.members}

    def committee(
        epoch: int, shards: tuple[tuple[NodeId, tuple[ShardIndex, ...]], ...], keys: Mapping[NodeId, bytes]
    ) -> Committee:
        members = (_member(node_id, held, pools=pools, keys=keys) for node_id, held in shards)
        return Committee(Epoch(epoch), inner.n_shards, tuple(sorted(members, key=lambda member: member.node_id)))

    following = None
    if inner.next_committee is not None:
        following = committee(inner.epoch + 1, inner.next_committee, next_keys)
    return StakingView(
        epoch=inner.epoch,
        epoch_state=inner.epoch_state,
        epoch_duration_ms=inner.epoch_duration_ms,
        first_epoch_start_ms=inner.first_epoch_start_ms,
        n_shards=inner.n_shards,
        committee=committee(inner.epoch, inner.committee, current_keys),
        previous_committee=committee(max(inner.epoch - 1, 0), inner.previous_committee, {}),
        next_committee=following,
        voted_capacity=inner.voted_capacity,
    )


def _member(
    node_id: NodeId,
    shards: tuple[ShardIndex, ...],
    *,
    pools: Mapping[NodeId, PoolView],
    keys: Mapping[NodeId, bytes],
) -> CommitteeMember:
    pool = pools.get(node_id)
    if pool is None:
        raise MalformedChainData(f"committee member {node_id} has no pool")
    return CommitteeMember(
        node_id=node_id,
        shards=shards,
        bls_public_key=keys.get(node_id, pool.bls_public_key),
        name=pool.name,
        network_address=pool.network_address,
        grpc_address=pool.grpc_address,
        network_public_key=pool.network_public_key,
        further_network_keys=pool.further_network_keys,
    )
