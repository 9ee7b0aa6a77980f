"""The contract's names for what the staking state does with one pool, and for fields of nodes.

`walrus_sui.devnet.testing.internals` adds these to the functions that it finds in the modules themselves; each takes its
arguments in the contract's order. A node is given by its id or by its capability.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.walrus import staking_pool as pools
from walrus_sui.devnet.move.walrus.active_set import ActiveSet
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata
from walrus_sui.devnet.move.walrus.staking_inner import POOLS, EpochChangeDone, StakingInnerV1
from walrus_sui.devnet.move.walrus.staking_pool import StakingPool
from walrus_sui.devnet.move.walrus.storage_node import METADATA, StorageNodeCap
from walrus_sui.devnet.testing import internal_functions
from walrus_sui.devnet.testing.contract_module import rt

Functions = Mapping[str, Callable[..., Any]]
_Step = Callable[..., Any]

_NEW: Final = (
    "name",
    "network_address",
    "metadata",
    "public_key",
    "network_public_key",
    "proof_of_possession",
    "commission_rate",
    "storage_price",
    "write_price",
    "node_capacity",
)


def _stake_for_node(given: ActiveSet, node_id: ObjectId) -> int:
    return next((entry.staked_amount for entry in given.nodes if entry.node_id == node_id), 0)


def _set_metadata(pool: StakingPool, metadata: NodeMetadata) -> None:
    METADATA.swap(rt, pool.node_info.metadata, metadata)


def _create_pool(state: StakingInnerV1, first: Any, *rest: Any) -> ObjectId:
    if isinstance(first, StakingPool):
        return state.create_pool(rt, first)
    return state.create_pool(rt, pools.new(rt, state.walrus_context(), **dict(zip(_NEW, (first, *rest), strict=True))))


def _of_pool(step: _Step) -> _Step:
    def run(state: StakingInnerV1, node: ObjectId | StorageNodeCap, *arguments: Any) -> Any:
        return step(state.pool(rt, node.node_id if isinstance(node, StorageNodeCap) else node), *arguments)

    return run


def _set_next_commission(state: StakingInnerV1, cap: StorageNodeCap, rate: int) -> None:
    state.pool(rt, cap.node_id).set_next_commission(rate, state.walrus_context())


def _set_next_public_key(state: StakingInnerV1, cap: StorageNodeCap, key: bytes, proof: bytes) -> None:
    state.pool(rt, cap.node_id).set_next_public_key(rt, key, proof, state.walrus_context())


def _clear_blocked(state: StakingInnerV1) -> None:
    for node_id in state.previous_committee:
        if POOLS.contains(rt, state.pools, node_id):
            state.pool(rt, node_id).clear_blocked_commission(rt)


def _set_sync_done(cap: StorageNodeCap, epoch: int) -> None:
    cap.last_epoch_sync_done = epoch


def _set_deny_list(cap: StorageNodeCap, root: int, sequence: int, size: int) -> None:
    cap.deny_list_root, cap.deny_list_sequence, cap.deny_list_size = root, sequence, size


ACTIVE: Functions = {"stake_for_node": _stake_for_node}
POOL: Functions = {
    "increase_blocked_commission": lambda pool, amount: pool._increase_blocked_commission(rt, amount),  # noqa: SLF001
    "set_network_public_key": lambda pool, key: pool.node_info.set_network_public_key(key),
    "set_node_metadata": _set_metadata,
}
STATE: Functions = {
    "borrow": _of_pool(lambda pool: pool),
    "borrow_mut": _of_pool(lambda pool: pool),
    "clear_previous_committee_blocked_commission": _clear_blocked,
    "collect_commission": _of_pool(lambda pool, proof: pool.collect_commission(rt, proof)),
    "create_pool": _create_pool,
    "destroy_empty_pool": lambda state, node_id: internal_functions.destroy_empty(
        POOLS.remove(rt, state.pools, node_id)
    ),
    "extract_commission_to_burn": _of_pool(lambda pool: pool.extract_commission_to_burn(rt)),
    "is_epoch_sync_done": lambda state: isinstance(state.epoch_state, EpochChangeDone),
    "new_walrus_context": StakingInnerV1.walrus_context,
    "node_metadata": _of_pool(lambda pool: METADATA.borrow(rt, pool.node_info.metadata)),
    "pool_commission": _of_pool(lambda pool: pool.commission.value),
    "set_commission_receiver": _of_pool(StakingPool.set_commission_receiver),
    "set_governance_authorized": _of_pool(StakingPool.set_governance_authorized),
    "set_name": _of_pool(StakingPool.set_name),
    "set_network_address": _of_pool(StakingPool.set_network_address),
    "set_network_public_key": _of_pool(POOL["set_network_public_key"]),
    "set_next_commission": _set_next_commission,
    "set_next_public_key": _set_next_public_key,
    "set_node_capacity_vote": _of_pool(internal_functions.set_next_node_capacity),
    "set_node_metadata": _of_pool(_set_metadata),
    "set_storage_price_vote": _of_pool(internal_functions.set_next_storage_price),
    "set_write_price_vote": _of_pool(internal_functions.set_next_write_price),
    "try_join_active_set": lambda state, cap: state.try_join_active_set(rt, cap.node_id),
}
NODE: Functions = {
    "metadata": lambda info: METADATA.borrow(rt, info.metadata),
    "next_epoch_public_key": lambda info: info.key_for_next_epoch,
    "set_deny_list_properties": _set_deny_list,
    "set_last_epoch_sync_done": _set_sync_done,
}
