"""Module `walrus::staking_pool`: the record of one storage node, whose object id is the node id."""

from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import Epoch, ObjectId
from walrus_sui.abi import layout, move_types
from walrus_sui.abi.contract import Contract
from walrus_sui.types import Authorized, NodeMetadata, PoolPhase, PoolView, VotingParams

MODULE = "staking_pool"


@dataclass(frozen=True)
class StakingPool:
    """A pool as the object has it; the metadata stand in a field object of their own.

    Attributes:
        view: everything but the metadata, which are empty in it.
        metadata_id: ExtendedField with the NodeMetadata.
        extra_fields_id: Bag for what later versions of the contract keep.
    """

    view: PoolView
    metadata_id: ObjectId
    extra_fields_id: ObjectId


@layout.decoder("a StakingPool")
def decode(contents: bytes) -> StakingPool:
    """Decode a StakingPool object."""
    reader = bcs.Reader(contents)
    pool_id = layout.node_id(reader)
    phase = _phase(reader)
    votes = VotingParams(reader.u64(), reader.u64(), reader.u64())
    name = reader.string()
    layout.node_id(reader)  # repeated inside StorageNodeInfo
    network_address = reader.string()
    public_key = layout.uncompressed_key(reader)
    next_public_key = reader.option(layout.uncompressed_key)
    network_public_key = reader.bytes_()
    metadata_id = layout.object_id(reader)
    activation_epoch, latest_epoch = layout.epoch(reader), layout.epoch(reader)
    wal_balance, num_shares = reader.u64(), reader.u64()
    shares_withdraw, pre_active = _pending(reader), _pending(reader)
    pending_commission_rate = _pending(reader)
    commission_rate = reader.u16()
    layout.table(reader)  # exchange rates
    pending_stake = _pending(reader)
    rewards, commission = reader.u64(), reader.u64()
    receiver, governance = _authorized(reader), _authorized(reader)
    extra_fields = layout.table(reader)
    reader.finish()
    view = PoolView(
        node_id=pool_id,
        name=name,
        network_address=network_address,
        network_public_key=network_public_key,
        bls_public_key=public_key,
        next_bls_public_key=next_public_key,
        metadata=NodeMetadata(),
        phase=phase,
        votes=votes,
        activation_epoch=activation_epoch,
        latest_epoch=latest_epoch,
        wal_balance=wal_balance,
        num_shares=num_shares,
        pending_stake=pending_stake,
        commission_rate=commission_rate,
        pending_commission_rate=pending_commission_rate,
        commission=commission,
        rewards=rewards,
        pending_shares_withdraw=shares_withdraw,
        pre_active_withdrawals=pre_active,
        commission_receiver=receiver,
        governance_authorized=governance,
    )
    return StakingPool(view, metadata_id, extra_fields)


def blocked_commission_id(pool: StakingPool, contract: Contract) -> ObjectId:
    """Return the id of the field object (a u64) with the commission that cannot be collected yet; it may be absent."""
    key = contract.type_name(MODULE, "NewEpochCommissionBlockedForCollection")
    return move_types.dynamic_field_id(pool.extra_fields_id, key, layout.UNIT_STRUCT)


def _phase(reader: bcs.Reader) -> PoolPhase:
    match reader.uleb():
        case 0:
            return PoolPhase.ACTIVE
        case 1:
            layout.epoch(reader)  # last epoch of the withdrawing pool
            return PoolPhase.WITHDRAWING
        case 2:
            return PoolPhase.WITHDRAWN
        case other:
            raise bcs.BcsError(f"pool state {other}: known are 0 to 2")


def _pending(reader: bcs.Reader) -> tuple[tuple[Epoch, int], ...]:
    return tuple(layout.vec_map(layout.epoch, bcs.Reader.u64)(reader))


def _authorized(reader: bcs.Reader) -> Authorized:
    kind = reader.uleb()
    if kind > 1:
        raise bcs.BcsError("an Authorized is 0 (address) or 1 (object)")
    return Authorized(layout.object_id(reader), is_object=kind == 1)
