"""Module `walrus::system`: buying storage, registering and certifying blobs; and the layout of its inner state.

Payments are taken from a WAL coin by mutable reference, so the change stays in the coin and a price that moved between
reading and paying does no harm.
"""

from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import BlobId, Epoch, NodeId
from walrus_sui.abi import layout, ptb
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, MoveCall, Program, Result
from walrus_sui.types import SystemView

MODULE = "system"


@dataclass(frozen=True)
class BlsMember:
    """A member as the contract checks certificates with: key (48 bytes), weight and id."""

    public_key: bytes
    weight: int
    node_id: NodeId


@dataclass(frozen=True)
class SystemInner:
    """SystemStateInnerV1: the view, and the BLS committee in the order of certificate bitmaps."""

    view: SystemView
    members: tuple[BlsMember, ...]


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


def certify_blob(
    program: Program, contract: Contract, blob: Argument, *, signature: bytes, signers_bitmap: bytes, message: bytes
) -> Result:
    """Add `certify_blob`. Aborts: bls_aggregate 0, 1, 2; messages 1; blob 2, 5, 6, 9, 10."""
    arguments = (
        contract.system(mutable=False),
        blob,
        ptb.byte_vector(signature),
        ptb.byte_vector(signers_bitmap),
        ptb.byte_vector(message),
    )
    return program.add(MoveCall(contract.package_id, MODULE, "certify_blob", arguments))


def read_inner(reader: bcs.Reader) -> SystemInner:
    """Read SystemStateInnerV1."""
    members = tuple(reader.vector(_member))
    n_shards, epoch = reader.u16(), layout.epoch(reader)
    reader.bytes_()  # total aggregated key
    total_capacity, used_capacity = reader.u64(), reader.u64()
    storage_price, write_price = reader.u64(), reader.u64()
    reader.u32()  # index of the current slot
    max_epochs_ahead = reader.u32()
    reader.vector(_accounting)
    reader.option(_event_blob)
    layout.vec_map(_event_blob, bcs.Reader.u16)(reader)
    layout.object_id(reader)  # deny list sizes
    view = SystemView(
        epoch=epoch,
        total_capacity=total_capacity,
        used_capacity=used_capacity,
        storage_price=storage_price,
        write_price=write_price,
        n_shards=n_shards,
        max_epochs_ahead=max_epochs_ahead,
    )
    return SystemInner(view, members)


def _call(program: Program, contract: Contract, function: str, *arguments: Argument) -> Result:
    all_arguments = (contract.system(mutable=True), *arguments)
    return program.add(MoveCall(contract.package_id, MODULE, function, all_arguments))


def _member(reader: bcs.Reader) -> BlsMember:
    return BlsMember(layout.uncompressed_key(reader), reader.u16(), layout.node_id(reader))


def _accounting(reader: bcs.Reader) -> tuple[Epoch, int, int]:
    return layout.epoch(reader), reader.u64(), reader.u64()


def _event_blob(reader: bcs.Reader) -> tuple[bytes, int]:
    return reader.fixed(32), reader.u64()
