"""The contract's own functions, under the contract's names: those that no transaction can call.

Each Move module is a name here, and its functions are called as in Move, the value they work on first:

    committee.transition({"0xa": [0, 1, 2]}, {"0xa": 1, "0xb": 2})
    ring = storage_accounting.ring_new(5)
    storage_accounting.ring_pop_expand(ring)
    pool = new_pool(wctx(1), commission_rate=1_000)
    staked = staking_pool.stake(pool, 1_000, wctx(1))
    staking_pool.advance_epoch(pool, 500, wctx(2))

What Move passes around silently is filled in: the `TxContext` and dynamic fields are those of `rt`. A number may stand
for a balance or a coin, an epoch for its context; maps are copied, so that a function that uses its argument up leaves
the caller's alone. A function that aborts may leave its value half changed, as in Move, where nobody sees it again.
"""

import hashlib

from walrus_codec.types import Epoch
from walrus_sui import bls
from walrus_sui import messages as signed_messages
from walrus_sui.devnet.move.walrus import apportionment
from walrus_sui.devnet.move.walrus import staking_pool as pools
from walrus_sui.devnet.move.walrus.event_blob import EventBlobCertificationState
from walrus_sui.devnet.move.walrus.exchange_rate import FLAT
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata
from walrus_sui.devnet.move.walrus.staking_pool import Active, StakingPool, Withdrawing
from walrus_sui.devnet.move.walrus.walrus_context import WalrusContext
from walrus_sui.devnet.testing import internal_functions as functions
from walrus_sui.devnet.testing import staking_internals
from walrus_sui.devnet.testing.accounts import bls_secret
from walrus_sui.devnet.testing.contract_module import ContractModule, rt
from walrus_sui.devnet.testing.internal_functions import dhondt, quorum_above, quorum_below


def wctx(epoch: int, committee_selected: bool = False) -> WalrusContext:  # noqa: FBT001, FBT002 - as in the contract
    """The context of an epoch, as pools see it."""
    return WalrusContext(epoch, committee_selected)


def new_pool(
    context: WalrusContext | int,
    *,
    name: str = "pool",
    commission_rate: int = 0,
    storage_price: int = 1,
    write_price: int = 1,
    node_capacity: int = 1_000_000_000,
) -> StakingPool:
    """A pool of a node whose keys follow from its name; the sender of `rt` governs it and collects its commission."""
    context = wctx(context) if isinstance(context, int) else context
    secret = bls_secret(name)
    key = bls.public_key(secret)
    proof = bls.sign(secret, signed_messages.proof_of_possession(rt.sender, key, Epoch(context.epoch)))
    return pools.new(
        rt,
        context,
        name=name,
        network_address=f"{name}.example:9185",
        metadata=NodeMetadata("", "", "", {}),
        public_key=key,
        network_public_key=b"\x02" + hashlib.blake2b(name.encode(), digest_size=32).digest(),
        proof_of_possession=proof,
        commission_rate=commission_rate,
        storage_price=storage_price,
        write_price=write_price,
        node_capacity=node_capacity,
    )


active_set = ContractModule(
    "active_set",
    active_ids=functions.active_ids,
    cur_min_stake=functions.cur_min_stake,
    set_max_size=functions.set_max_size,
    size=functions.active_set_size,
    **staking_internals.ACTIVE,
)
auth = ContractModule("auth")
blob = ContractModule("blob")
bls_aggregate = ContractModule(
    "bls_aggregate",
    get_idx=functions.get_idx,
    get_member_weight=functions.get_member_weight,
    includes_one_correct_node=functions.includes_one_correct_node,
    n_members=functions.n_members,
    new_bls_committee_member=functions.new_bls_committee_member,
    to_vec_map=functions.to_vec_map,
    verify_certificate=functions.verify_certificate,
)
committee = ContractModule(
    "committee",
    contains=functions.contains,
    empty=functions.empty,
    initialize=functions.initialize,
    inner=functions.inner,
    is_sorted=functions.is_sorted,
    shards=functions.shards,
    size=functions.size,
    to_inner=functions.to_inner,
    transition=functions.transition,
)
encoding = ContractModule("encoding")
event_blob = ContractModule(
    "event_blob",
    create_with_empty_state=EventBlobCertificationState.empty,
    get_latest_certified_blob_id=functions.get_latest_certified_blob_id,
    get_latest_certified_checkpoint_sequence_number=functions.get_latest_certified_checkpoint_sequence_number,
    get_num_tracked_blobs=functions.get_num_tracked_blobs,
    last_attested_event_blob_checkpoint_seq_num=lambda self: self.checkpoint_sequence_num,
    last_attested_event_blob_epoch=lambda self: self.epoch,
    new_attestation=functions.new_attestation,
    new_event_blob=functions.new_event_blob,
    start_tracking_blob=functions.start_tracking_blob,
)
messages = ContractModule("messages")
metadata = ContractModule("metadata")
pending_values = ContractModule(
    "pending_values",
    inner=functions.pending,
    inner_mut=functions.pending,
    is_empty=functions.pending_is_empty,
    unwrap=functions.pending,
)
pool_exchange_rate = ContractModule("exchange_rate", flat=lambda: FLAT)
redstuff = ContractModule("redstuff")
staked_wal = ContractModule("staked_wal", can_withdraw_early=functions.can_withdraw_early)
staking_inner = ContractModule(
    "staking_inner",
    "staking_epochs",
    "votes",
    active_set=functions.active_set,
    dhondt=dhondt,
    has_pool=functions.has_pool,
    is_quorum_for_n_shards=functions.is_quorum_for_n_shards,
    max_shards_per_node=apportionment.max_shards_per_node,
    new=functions.new_staking,
    pub_dhondt=dhondt,
    quorum_above=quorum_above,
    quorum_below=quorum_below,
    **staking_internals.STATE,
)
staking_pool = ContractModule(
    "staking_pool",
    blocked_commission_amount=functions.blocked_commission_amount,
    commission_amount=lambda pool: pool.commission.value,
    destroy_empty=functions.destroy_empty,
    get_blocked_commission_amount=functions.blocked_commission_amount,
    is_active=lambda pool: isinstance(pool.state, Active),
    is_empty=functions.pool_is_empty,
    is_withdrawing=lambda pool: isinstance(pool.state, Withdrawing),
    new=functions.new_staking_pool,
    node_capacity=lambda pool: pool.voting_params.node_capacity,
    request_withdraw_stake=functions.request_withdraw_stake,
    rewards_amount=lambda pool: pool.rewards_pool.value,
    set_next_node_capacity=functions.set_next_node_capacity,
    set_next_storage_price=functions.set_next_storage_price,
    set_next_write_price=functions.set_next_write_price,
    set_withdrawing=functions.set_withdrawing,
    storage_price=lambda pool: pool.voting_params.storage_price,
    withdraw_stake=functions.withdraw_stake,
    write_price=lambda pool: pool.voting_params.write_price,
    **staking_internals.POOL,
)
storage_accounting = ContractModule(
    "storage_accounting",
    delete_empty_future_accounting=functions.delete_empty_future_accounting,
    epoch=lambda accounting: accounting.epoch,
    new_future_accounting=functions.new_future_accounting,
    per_epoch_rewards=functions.per_epoch_rewards,
    rewards=lambda accounting: accounting.rewards_to_distribute.value,
    rewards_balance=lambda accounting: accounting.rewards_to_distribute,
    unwrap_balance=lambda self: self.rewards_to_distribute,
    used_capacity=lambda accounting: accounting.used_capacity,
)
storage_node = ContractModule("storage_node", **staking_internals.NODE)
storage_resource = ContractModule("storage_resource")
max_shards_per_node = apportionment.max_shards_per_node
