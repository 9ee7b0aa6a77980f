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
from collections.abc import Sequence

from walrus_codec.types import Epoch
from walrus_sui import bls
from walrus_sui import messages as signed_messages
from walrus_sui.devnet.move.framework.collections import MaxQueue
from walrus_sui.devnet.move.walrus import apportionment, pool_withdrawals, votes
from walrus_sui.devnet.move.walrus import staking_inner as inner
from walrus_sui.devnet.move.walrus import staking_pool as pools
from walrus_sui.devnet.move.walrus.exchange_rate import FLAT
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata
from walrus_sui.devnet.move.walrus.staking_pool import Active, StakingPool, Withdrawing
from walrus_sui.devnet.move.walrus.walrus_context import WalrusContext
from walrus_sui.devnet.testing.accounts import bls_secret
from walrus_sui.devnet.testing.contract_module import ContractModule, rt


def wctx(epoch: int, committee_selected: bool = False) -> WalrusContext:  # noqa: FBT001, FBT002 - as in the contract
    """The context of an epoch, as pools see it."""
    return WalrusContext(epoch, committee_selected)


def dhondt(n_shards: int, stake: Sequence[int]) -> list[int]:
    """Shards per node for these stakes; an earlier node wins a tie.

    Raises:
        MoveAbort: ``staking_inner`` 3, nobody has stake.
    """
    return apportionment.dhondt(n_shards, stake, no_stake=inner.E_NO_STAKE)


def quorum_above(weights: dict[int, int], n_shards: int) -> int:
    """The highest value such that a quorum voted for it or more, given weights by value."""
    return votes.quorum_above(_queue(weights), n_shards)


def quorum_below(weights: dict[int, int], n_shards: int) -> int:
    """The lowest value such that a quorum voted for it or less, given weights by value."""
    return votes.quorum_below(_queue(weights), n_shards)


def _queue(weights: dict[int, int]) -> MaxQueue:
    queue = MaxQueue()
    for value, weight in weights.items():
        queue.insert(value, weight)
    return queue


def new_pool(
    context: WalrusContext,
    *,
    name: str = "pool",
    commission_rate: int = 0,
    storage_price: int = 1,
    write_price: int = 1,
    node_capacity: int = 1_000_000_000,
) -> StakingPool:
    """A pool of a node whose keys follow from its name; the sender of `rt` governs it and collects its commission."""
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


def _blocked(pool: StakingPool) -> int:
    key = pools.NewEpochCommissionBlockedForCollection()
    blocked = pools.BLOCKED
    return blocked.borrow(rt, pool.extra_fields, key) if blocked.contains(rt, pool.extra_fields, key) else 0


active_set = ContractModule("active_set")
auth = ContractModule("auth")
blob = ContractModule("blob")
bls_aggregate = ContractModule("bls_aggregate")
committee = ContractModule(
    "committee",
    empty=dict,
    size=len,
    inner=lambda cmt: cmt,
    to_inner=dict,
    contains=lambda cmt, node_id: node_id in cmt,
    shards=lambda cmt, node_id: cmt[node_id],
)
encoding = ContractModule("encoding")
event_blob = ContractModule("event_blob")
messages = ContractModule("messages")
metadata = ContractModule("metadata")
pending_values = ContractModule("pending_values")
pool_exchange_rate = ContractModule("exchange_rate", flat=lambda: FLAT)
staked_wal = ContractModule("staked_wal")
staking_inner = ContractModule(
    "staking_inner",
    "votes",
    dhondt=dhondt,
    pub_dhondt=dhondt,
    max_shards_per_node=apportionment.max_shards_per_node,
    quorum_above=quorum_above,
    quorum_below=quorum_below,
)
staking_pool = ContractModule(
    "staking_pool",
    # In the contract's order of arguments.
    request_withdraw_stake=lambda pool, staked, current, following, context: pool_withdrawals.request_withdraw_stake(
        rt, pool, staked, context, in_current_committee=current, in_next_committee=following
    ),
    withdraw_stake=lambda pool, staked, current, following, context: pool_withdrawals.withdraw_stake(
        rt, pool, staked, context, in_current_committee=current, in_next_committee=following
    ),
    blocked_commission_amount=_blocked,
    commission_amount=lambda pool: pool.commission.value,
    rewards_amount=lambda pool: pool.rewards_pool.value,
    storage_price=lambda pool: pool.voting_params.storage_price,
    write_price=lambda pool: pool.voting_params.write_price,
    node_capacity=lambda pool: pool.voting_params.node_capacity,
    is_active=lambda pool: isinstance(pool.state, Active),
    is_withdrawing=lambda pool: isinstance(pool.state, Withdrawing),
)
storage_accounting = ContractModule(
    "storage_accounting",
    epoch=lambda accounting: accounting.epoch,
    used_capacity=lambda accounting: accounting.used_capacity,
    rewards=lambda accounting: accounting.rewards_to_distribute.value,
    rewards_balance=lambda accounting: accounting.rewards_to_distribute,
    unwrap_balance=lambda accounting: accounting.rewards_to_distribute,
    per_epoch_rewards=lambda ring: [
        ring.ring_lookup(ahead).rewards_to_distribute.value for ahead in range(ring.length)
    ],
)
storage_node = ContractModule("storage_node")
storage_resource = ContractModule("storage_resource")
max_shards_per_node = apportionment.max_shards_per_node
