"""Module `walrus::staking`: registration, stake, commission, the epoch machine; and the layout of its inner state.

Life of an epoch: `voting_end` fixes the next committee, `initiate_epoch_change` starts it, `epoch_sync_done` of a
quorum completes it (contract module staking_inner). The state is read as `StakingInner`; what it says about nodes is
completed from their pools by `walrus_sui.abi.views`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import Epoch, NodeId, ObjectId, ShardIndex
from walrus_sui.abi import layout, node_metadata, ptb
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.move_types import CLOCK_ID
from walrus_sui.abi.ptb import Argument, Program, Result, Shared
from walrus_sui.types import ActiveSet, EpochPhase, EpochState, NodeMetadata, VotingParams

MODULE = "staking"
_CLOCK = Shared(CLOCK_ID, mutable=False)


@dataclass(frozen=True)
class StakingObject:
    """The small shared object in front of the state: which version and which package are current."""

    object_id: ObjectId
    version: int
    package_id: ObjectId
    new_package_id: ObjectId | None


@dataclass(frozen=True)
class StakingInner:
    """StakingInnerV1 without the nodes' details.

    Attributes:
        n_shards: shards of the network.
        epoch_duration_ms: length of an epoch.
        first_epoch_start_ms: earliest moment of the first change.
        epoch: current epoch.
        next_committee: shards by node, chosen but not yet in office.
        committee: shards by node.
        previous_committee: shards by node.
        epoch_state: phase.
        next_public_keys_id: ExtendedField with the next committee's BLS keys.
        active_set_id: ExtendedField with the ActiveSet.
        voted_capacity: bytes of the epoch that was last voted for; None before the first vote.
    """

    n_shards: int
    epoch_duration_ms: int
    first_epoch_start_ms: int
    epoch: Epoch
    next_committee: tuple[tuple[NodeId, tuple[ShardIndex, ...]], ...] | None
    committee: tuple[tuple[NodeId, tuple[ShardIndex, ...]], ...]
    previous_committee: tuple[tuple[NodeId, tuple[ShardIndex, ...]], ...]
    epoch_state: EpochState
    next_public_keys_id: ObjectId
    active_set_id: ObjectId
    voted_capacity: int | None


def register_candidate(
    program: Program,
    contract: Contract,
    *,
    name: str,
    network_address: str,
    metadata: NodeMetadata,
    bls_public_key: bytes,
    network_public_key: bytes,
    proof_of_possession: bytes,
    commission_rate: int,
    votes: VotingParams,
) -> Result:
    """Add `register_candidate`; returns the StorageNodeCap, which must be transferred.

    Aborts: staking_pool 4 (proof), 14, 16, 17; storage_node 0; messages 6.
    """
    made = node_metadata.new(program, contract, metadata)
    arguments = (
        ptb.string(name),
        ptb.string(network_address),
        made,
        ptb.byte_vector(bls_public_key),
        ptb.byte_vector(network_public_key),
        ptb.byte_vector(proof_of_possession),
        ptb.u16(commission_rate),
        ptb.u64(votes.storage_price),
        ptb.u64(votes.write_price),
        ptb.u64(votes.node_capacity),
    )
    return _call(program, contract, "register_candidate", *arguments)


def set_name(program: Program, contract: Contract, cap: Argument, name: str) -> Result:
    """Add `set_name`."""
    return _call(program, contract, "set_name", cap, ptb.string(name))


def set_network_address(program: Program, contract: Contract, cap: Argument, address: str) -> Result:
    """Add `set_network_address`."""
    return _call(program, contract, "set_network_address", cap, ptb.string(address))


def set_network_public_key(program: Program, contract: Contract, cap: Argument, key: bytes) -> Result:
    """Add `set_network_public_key`."""
    return _call(program, contract, "set_network_public_key", cap, ptb.byte_vector(key))


def set_node_metadata(program: Program, contract: Contract, cap: Argument, metadata: NodeMetadata) -> Result:
    """Add `set_node_metadata` with the calls that make the value."""
    made = node_metadata.new(program, contract, metadata)
    return _call(program, contract, "set_node_metadata", cap, made)


def set_next_public_key(program: Program, contract: Contract, cap: Argument, *, key: bytes, proof: bytes) -> Result:
    """Add `set_next_public_key`; the proof of possession is for the current epoch and the sender."""
    return _call(program, contract, "set_next_public_key", cap, ptb.byte_vector(key), ptb.byte_vector(proof))


def set_next_commission(program: Program, contract: Contract, cap: Argument, rate: int) -> Result:
    """Add `set_next_commission`, in basis points; takes effect two epochs later."""
    return _call(program, contract, "set_next_commission", cap, ptb.u16(rate))


def set_votes(program: Program, contract: Contract, cap: Argument, *, old: VotingParams, new: VotingParams) -> None:
    """Add the calls for those votes that change: `set_storage_price_vote`, `set_write_price_vote`, `set_node_capacity_vote`."""
    for function, before, after in (
        ("set_storage_price_vote", old.storage_price, new.storage_price),
        ("set_write_price_vote", old.write_price, new.write_price),
        ("set_node_capacity_vote", old.node_capacity, new.node_capacity),
    ):
        if before != after:
            _call(program, contract, function, cap, ptb.u64(after))


def update_prices(program: Program, contract: Contract) -> Result:
    """Add `update_prices`: make the committee's price votes count now."""
    return _call(program, contract, "update_prices", contract.system(mutable=True))


def stake_with_pool(program: Program, contract: Contract, coin: Argument, node_id: NodeId) -> Result:
    """Add `stake_with_pool`; returns the StakedWal, which must be transferred."""
    return _call(program, contract, "stake_with_pool", coin, ptb.address(node_id))


def request_withdraw_stake(program: Program, contract: Contract, stake: Argument) -> Result:
    """Add `request_withdraw_stake`. Aborts staking_pool 13 when `withdraw_stake` would pay at once; staked_wal 6."""
    return _call(program, contract, "request_withdraw_stake", stake)


def withdraw_stake(program: Program, contract: Contract, stake: Argument) -> Result:
    """Add `withdraw_stake`; returns the WAL coin, which must be transferred. Aborts staking_pool 10, 11."""
    return _call(program, contract, "withdraw_stake", stake)


def try_join_active_set(program: Program, contract: Contract, cap: Argument) -> Result:
    """Add `try_join_active_set`: come back after an eviction, if the stake suffices by now."""
    return _call(program, contract, "try_join_active_set", cap)


def collect_commission(program: Program, contract: Contract, node_id: NodeId, auth: Argument) -> Result:
    """Add `collect_commission`; returns the WAL coin, which must be transferred. Aborts staking_pool 15."""
    return _call(program, contract, "collect_commission", ptb.address(node_id), auth)


def set_commission_receiver(
    program: Program, contract: Contract, node_id: NodeId, auth: Argument, receiver: Argument
) -> Result:
    """Add `set_commission_receiver`. Aborts staking_pool 15 unless the receiver of today asks."""
    return _call(program, contract, "set_commission_receiver", ptb.address(node_id), auth, receiver)


def set_governance_authorized(
    program: Program, contract: Contract, node_id: NodeId, auth: Argument, authorized: Argument
) -> Result:
    """Add `set_governance_authorized`. Aborts staking_pool 15 unless who may vote today asks."""
    return _call(program, contract, "set_governance_authorized", ptb.address(node_id), auth, authorized)


def add_commission_to_pools(
    program: Program, contract: Contract, node_ids: Sequence[NodeId], balances: Argument
) -> Result:
    """Add `add_commission_to_pools`: give nodes WAL as commission, a vector of as many balances."""
    return _call(program, contract, "add_commission_to_pools", ptb.address_vector(node_ids), balances)


def calculate_rewards(
    program: Program, contract: Contract, node_id: NodeId, *, principal: int, activation: Epoch, withdraw: Epoch
) -> Result:
    """Add the view `calculate_rewards`; returns FROST on top of the principal."""
    arguments = (ptb.address(node_id), ptb.u64(principal), ptb.u32(activation), ptb.u32(withdraw))
    return _view(program, contract, "calculate_rewards", *arguments)


def can_withdraw_staked_wal_early(program: Program, contract: Contract, stake: Argument) -> Result:
    """Add the view `can_withdraw_staked_wal_early`; returns whether `withdraw_stake` pays at once."""
    return _view(program, contract, "can_withdraw_staked_wal_early", stake)


def compute_next_committee(program: Program, contract: Contract) -> Result:
    """Add the view `compute_next_committee`; returns a Committee. Aborts staking_inner 3 without any stake."""
    return _view(program, contract, "compute_next_committee")


def voting_end(program: Program, contract: Contract) -> Result:
    """Add `voting_end`. Aborts staking_inner 0 when it is too early or was done."""
    return _call(program, contract, "voting_end", _CLOCK)


def initiate_epoch_change(program: Program, contract: Contract) -> Result:
    """Add `initiate_epoch_change_v2`. Aborts staking_inner 0 (too early) or 6 (voting has not ended)."""
    arguments = (contract.system(mutable=True), contract.treasury(), _CLOCK)
    return _call(program, contract, "initiate_epoch_change_v2", *arguments)


def epoch_sync_done(program: Program, contract: Contract, cap: Argument, epoch: Epoch) -> Result:
    """Add `epoch_sync_done`. Aborts staking_inner 1 (other epoch), 2 (done already), 4 (not a member)."""
    return _call(program, contract, "epoch_sync_done", cap, ptb.u32(epoch), _CLOCK)


@layout.decoder("the System or Staking object")
def decode_object(contents: bytes) -> StakingObject:
    """Decode `Staking` or `System`, which have the same layout."""
    reader = bcs.Reader(contents)
    found = StakingObject(
        layout.object_id(reader), reader.u64(), layout.object_id(reader), reader.option(layout.object_id)
    )
    reader.finish()
    return found


def read_inner(reader: bcs.Reader) -> StakingInner:
    """Read StakingInnerV1."""
    n_shards, duration, first_start = reader.u16(), reader.u64(), reader.u64()
    layout.table(reader)  # pools: each pool is reached by its own id, which is the node id
    epoch = layout.epoch(reader)
    active_set = layout.object_id(reader)
    next_committee = reader.option(read_committee)
    committee, previous = read_committee(reader), read_committee(reader)
    params = reader.option(_epoch_params)
    return StakingInner(
        n_shards=n_shards,
        epoch_duration_ms=duration,
        first_epoch_start_ms=first_start,
        epoch=epoch,
        next_committee=next_committee,
        committee=committee,
        previous_committee=previous,
        epoch_state=_epoch_state(reader),
        next_public_keys_id=layout.object_id(reader),
        active_set_id=active_set,
        voted_capacity=params[0] if params else None,
    )


def read_public_keys(reader: bcs.Reader) -> dict[NodeId, bytes]:
    """Read the value of `next_epoch_public_keys`: 48-byte keys by node."""
    return dict(layout.vec_map(layout.node_id, layout.uncompressed_key)(reader))


def read_active_set(reader: bcs.Reader) -> ActiveSet:
    """Read the value of the active set's field."""
    max_size, threshold = reader.u16(), reader.u64()
    nodes = tuple(reader.vector(lambda r: (layout.node_id(r), r.u64())))
    return ActiveSet(max_size, threshold, nodes, reader.u64())


def read_committee(reader: bcs.Reader) -> tuple[tuple[NodeId, tuple[ShardIndex, ...]], ...]:
    """Read a Committee: shards by node, in id order."""
    return tuple(layout.vec_map(layout.node_id, _shards)(reader))


def _call(program: Program, contract: Contract, function: str, *arguments: Argument) -> Result:
    return contract.call(program, MODULE, function, contract.staking(mutable=True), *arguments)


def _view(program: Program, contract: Contract, function: str, *arguments: Argument) -> Result:
    return contract.call(program, MODULE, function, contract.staking(mutable=False), *arguments)


def _shards(reader: bcs.Reader) -> tuple[ShardIndex, ...]:
    return tuple(reader.vector(lambda r: ShardIndex(r.u16())))


def _epoch_params(reader: bcs.Reader) -> tuple[int, int, int]:
    return reader.u64(), reader.u64(), reader.u64()


def _epoch_state(reader: bcs.Reader) -> EpochState:
    match reader.uleb():
        case 0:
            return EpochState(EpochPhase.SYNC, weight=reader.u16())
        case 1:
            return EpochState(EpochPhase.DONE, since_ms=reader.u64())
        case 2:
            return EpochState(EpochPhase.PARAMS_SELECTED, since_ms=reader.u64())
        case other:
            raise bcs.BcsError(f"epoch state {other}: known are 0 to 2")
