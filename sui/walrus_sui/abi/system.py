"""Module `walrus::system`: storage, blobs, subsidies, what nodes certify together; and the layout of its inner state.

Payments are taken from a WAL coin by mutable reference, so the change stays in the coin and a price that moved between
reading and paying does no harm.
"""

from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import BlobId, Epoch, NodeId, ObjectId
from walrus_sui.abi import layout, ptb
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, Program, Result
from walrus_sui.types import AccountingSlot, EventBlob, NewBlob, SignedMessage, SystemView

MODULE = "system"


@dataclass(frozen=True)
class BlsMember:
    """A member as the contract checks certificates with: key (48 bytes), weight and id."""

    public_key: bytes
    weight: int
    node_id: NodeId


@dataclass(frozen=True)
class SystemInner:
    """SystemStateInnerV1: the view, the BLS committee in the order of certificate bitmaps, and the deny lists' field."""

    view: SystemView
    members: tuple[BlsMember, ...]
    deny_list_sizes_id: ObjectId


def reserve_space(
    program: Program, contract: Contract, *, encoded_size: int, epochs_ahead: int, payment: Argument
) -> Result:
    """Add `reserve_space`; returns the Storage. Aborts: system_state_inner 1 (full), 2 (epochs), 11 (size)."""
    arguments = (ptb.u64(encoded_size), ptb.u32(epochs_ahead), payment)
    return _call(program, contract, "reserve_space", *arguments)


def register_blob(
    program: Program,
    contract: Contract,
    *,
    storage: Argument,
    blob_id: BlobId,
    root_hash: bytes,
    size: int,
    encoding_type: int,
    deletable: bool,
    payment: Argument,
) -> Result:
    """Add `register_blob`; returns the Blob, which must be transferred. Aborts: blob 2, 3, 6.

    `size` is the unencoded length. The chain's u256 forms of `blob_id` and `root_hash` are their bytes read little
    endian, so the bytes are the argument.
    """
    arguments = (
        storage,
        ptb.fixed(blob_id),
        ptb.fixed(root_hash),
        ptb.u64(size),
        ptb.u8(encoding_type),
        ptb.boolean(value=deletable),
        payment,
    )
    return _call(program, contract, "register_blob", *arguments)


def reserve_space_for_epochs(
    program: Program, contract: Contract, *, encoded_size: int, start: Epoch, end: Epoch, payment: Argument
) -> Result:
    """Add `reserve_space_for_epochs`; returns the Storage. Aborts: system_state_inner 1, 2, 11, 12 (end <= start)."""
    arguments = (ptb.u64(encoded_size), ptb.u32(start), ptb.u32(end), payment)
    return _call(program, contract, "reserve_space_for_epochs", *arguments)


def certify_blob(program: Program, contract: Contract, blob: Argument, signed: SignedMessage) -> Result:
    """Add `certify_blob`. Aborts: bls_aggregate 0, 1, 2; messages 1; blob 2, 5, 6, 9, 10."""
    return _view(program, contract, "certify_blob", blob, *layout.signed(signed))


def invalidate_blob_id(program: Program, contract: Contract, signed: SignedMessage) -> Result:
    """Add `invalidate_blob_id`; one honest node suffices. Aborts: bls_aggregate 0, 1, 2; messages 1."""
    return _view(program, contract, "invalidate_blob_id", *layout.signed(signed))


def delete_blob(program: Program, contract: Contract, blob: Argument) -> Result:
    """Add `delete_blob`; returns the Storage, which must be transferred or used. Aborts: blob 1, 2."""
    return _view(program, contract, "delete_blob", blob)


def extend_blob(program: Program, contract: Contract, blob: Argument, epochs: int, *, payment: Argument) -> Result:
    """Add `extend_blob`. Aborts: blob 0 (uncertified), 2 (expired); system_state_inner 1, 2."""
    return _call(program, contract, "extend_blob", blob, ptb.u32(epochs), payment)


def extend_blob_with_resource(program: Program, contract: Contract, blob: Argument, storage: Argument) -> Result:
    """Add `extend_blob_with_resource`. Aborts: blob 0, 2 (expired, or not longer); storage_resource 1, 2."""
    return _view(program, contract, "extend_blob_with_resource", blob, storage)


def certify_event_blob(
    program: Program, contract: Contract, cap: Argument, blob: NewBlob, *, ending_checkpoint: int, epoch: Epoch
) -> Result:
    """Add `certify_event_blob`: attest a blob of events. Aborts: system_state_inner 3, 6, 7, 8; blob 6."""
    arguments = (
        cap,
        ptb.fixed(blob.blob_id),
        ptb.fixed(blob.root_hash),
        ptb.u64(blob.size),
        ptb.u8(blob.encoding_type),
        ptb.u64(ending_checkpoint),
        ptb.u32(epoch),
    )
    return _call(program, contract, "certify_event_blob", *arguments)


def add_subsidy(program: Program, contract: Contract, coin: Argument, epochs_ahead: int) -> Result:
    """Add `add_subsidy`: spread a WAL coin over the rewards of coming epochs. Aborts: system_state_inner 2."""
    return _call(program, contract, "add_subsidy", coin, ptb.u32(epochs_ahead))


def add_per_epoch_subsidies(program: Program, contract: Contract, balances: Argument) -> Result:
    """Add `add_per_epoch_subsidies`: a vector of balances, one per epoch from the current one on. Aborts: 2."""
    return _call(program, contract, "add_per_epoch_subsidies", balances)


def update_protocol_version(program: Program, contract: Contract, cap: Argument, signed: SignedMessage) -> Result:
    """Add `update_protocol_version`. Aborts: bls_aggregate 0, 1, 2; messages 1; system_state_inner 4, 8."""
    return _call(program, contract, "update_protocol_version", cap, *layout.signed(signed))


def register_deny_list_update(
    program: Program, contract: Contract, cap: Argument, *, root: bytes, sequence: int
) -> Result:
    """Add `register_deny_list_update`: announce a deny list. Aborts: system_state_inner 9 (sequence not newer)."""
    return _call(program, contract, "register_deny_list_update", cap, ptb.fixed(root), ptb.u64(sequence))


def update_deny_list(program: Program, contract: Contract, cap: Argument, signed: SignedMessage) -> Result:
    """Add `update_deny_list`: a quorum has seen the list. Aborts: system_state_inner 9, 10; bls_aggregate; messages."""
    return _call(program, contract, "update_deny_list", cap, *layout.signed(signed))


def delete_deny_listed_blob(program: Program, contract: Contract, signed: SignedMessage) -> Result:
    """Add `delete_deny_listed_blob`. The event that it emits stops official nodes: not for shared networks."""
    return _view(program, contract, "delete_deny_listed_blob", *layout.signed(signed))


def read_inner(reader: bcs.Reader) -> SystemInner:
    """Read SystemStateInnerV1."""
    members = tuple(reader.vector(_member))
    n_shards, epoch = reader.u16(), layout.epoch(reader)
    reader.bytes_()  # total aggregated key
    total_capacity, used_capacity = reader.u64(), reader.u64()
    storage_price, write_price = reader.u64(), reader.u64()
    current, max_epochs_ahead = reader.u32(), reader.u32()
    ring = reader.vector(_accounting)
    latest = reader.option(_event_blob)
    votes = layout.vec_map(_event_blob, bcs.Reader.u16)(reader)
    view = SystemView(
        epoch=epoch,
        total_capacity=total_capacity,
        used_capacity=used_capacity,
        storage_price=storage_price,
        write_price=write_price,
        n_shards=n_shards,
        max_epochs_ahead=max_epochs_ahead,
        accounting=tuple(ring[current:] + ring[:current]),
        latest_event_blob=latest,
        event_blob_votes=tuple(votes),
    )
    return SystemInner(view, members, layout.object_id(reader))


def read_deny_list_sizes(reader: bcs.Reader) -> dict[NodeId, int]:
    """Read the value of the deny lists' field: bytes by node."""
    return dict(layout.vec_map(layout.node_id, bcs.Reader.u64)(reader))


def _call(program: Program, contract: Contract, function: str, *arguments: Argument) -> Result:
    return contract.call(program, MODULE, function, contract.system(mutable=True), *arguments)


def _view(program: Program, contract: Contract, function: str, *arguments: Argument) -> Result:
    return contract.call(program, MODULE, function, contract.system(mutable=False), *arguments)


def _member(reader: bcs.Reader) -> BlsMember:
    return BlsMember(layout.uncompressed_key(reader), reader.u16(), layout.node_id(reader))


def _accounting(reader: bcs.Reader) -> AccountingSlot:
    return AccountingSlot(layout.epoch(reader), reader.u64(), reader.u64())


def _event_blob(reader: bcs.Reader) -> EventBlob:
    return EventBlob(BlobId(reader.fixed(32)), reader.u64())
