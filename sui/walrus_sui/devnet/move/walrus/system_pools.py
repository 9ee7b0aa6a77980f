"""What the system does with storage pools (the pools' functions of contract modules system and system_state_inner).

Each function belongs to Move module ``system``; its checks abort with the codes of the module that makes them.
"""

# ruff: noqa: PLR0917 - public functions take what their Move counterparts take

from walrus_sui.devnet.move.core.aborts import abort, as_u32, require
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.framework.coin import Coin
from walrus_sui.devnet.move.walrus import storage_pool as pools
from walrus_sui.devnet.move.walrus.encoding import encoded_blob_length
from walrus_sui.devnet.move.walrus.events import StoragePoolCreated, StoragePoolExtended
from walrus_sui.devnet.move.walrus.storage_pool import BLOBS, StoragePool
from walrus_sui.devnet.move.walrus.storage_resource import Storage
from walrus_sui.devnet.move.walrus.system import E_ZERO_EXTRACT_SIZE, MODULE, System, inner, inner_mut
from walrus_sui.devnet.move.walrus.system_state_inner import (
    E_INVALID_EPOCHS_AHEAD,
    E_INVALID_ID_EPOCH,
    E_INVALID_RESOURCE_SIZE,
    E_STORAGE_EXCEEDED,
    SystemStateInnerV1,
)


@MODULE.public(
    "(self: &mut System, reserved_encoded_capacity_bytes: u64, epochs_ahead: u32, payment: &mut Coin<WAL>,"
    " ctx: &mut TxContext): StoragePool"
)
def create_storage_pool(
    rt: Runtime, self: System, reserved_encoded_capacity_bytes: int, epochs_ahead: int, payment: Coin
) -> StoragePool:
    """Buys storage from now on and makes a pool of it."""
    storage = inner_mut(rt, self).reserve_space(rt, reserved_encoded_capacity_bytes, epochs_ahead, payment)
    return create_storage_pool_with_storage(rt, self, storage)


@MODULE.public("(self: &System, storage: Storage, ctx: &mut TxContext): StoragePool")
def create_storage_pool_with_storage(rt: Runtime, self: System, storage: Storage) -> StoragePool:
    """Makes a pool of storage that has begun and not ended."""
    epoch = inner(rt, self).epoch
    require(storage.storage_size > 0, E_INVALID_RESOURCE_SIZE)
    require(storage.start_epoch <= epoch, E_INVALID_EPOCHS_AHEAD)
    require(storage.end_epoch > epoch, E_INVALID_EPOCHS_AHEAD)
    pool = pools.create(rt, storage)
    rt.emit(StoragePoolCreated(epoch, pool.id, storage.storage_size, storage.start_epoch, storage.end_epoch))
    return pool


@MODULE.public(
    "(self: &mut System, storage_pool: &mut StoragePool, blob_id: u256, root_hash: u256, unencoded_size: u64,"
    " encoding_type: u8, deletable: bool, write_payment: &mut Coin<WAL>, ctx: &mut TxContext)"
)
def register_pooled_blob(
    rt: Runtime,
    self: System,
    storage_pool: StoragePool,
    blob_id: int,
    root_hash: int,
    unencoded_size: int,
    encoding_type: int,
    deletable: bool,  # noqa: FBT001 - a Move argument
    write_payment: Coin,
) -> None:
    """Registers a blob in a pool and takes the write price; each blob id has one place in a pool."""
    state = inner_mut(rt, self)
    require(state.epoch >= pools.start_epoch(rt, storage_pool), E_INVALID_EPOCHS_AHEAD)
    require(state.epoch < pools.end_epoch(rt, storage_pool), E_INVALID_EPOCHS_AHEAD)
    blob = pools.new_pooled_blob(
        rt,
        storage_pool.id,
        blob_id=blob_id,
        root_hash=root_hash,
        unencoded_size=unencoded_size,
        encoding_type=encoding_type,
        deletable=deletable,
        registered_epoch=state.epoch,
    )
    encoded_size = encoded_blob_length(rt, unencoded_size, encoding_type, state.n_shards)
    pools.inner_mut(rt, storage_pool).add_blob(rt, blob, encoded_size)
    state.process_write_payment(encoded_size, write_payment)


@MODULE.public(
    "(self: &System, storage_pool: &mut StoragePool, blob_id: u256, signature: vector<u8>,"
    " signers_bitmap: vector<u8>, message: vector<u8>)"
)
def certify_pooled_blob(
    rt: Runtime,
    self: System,
    storage_pool: StoragePool,
    blob_id: int,
    signature: bytes,
    signers_bitmap: bytes,
    message: bytes,
) -> None:
    """Certifies a blob of a pool with a certificate of a quorum of this epoch's committee."""
    state = inner(rt, self)
    certified = state.committee.verify_quorum_in_epoch(signature, signers_bitmap, message)
    require(certified.cert_epoch == state.epoch, E_INVALID_ID_EPOCH)
    confirmed = certified.certify_blob_message()
    end_epoch = pools.end_epoch(rt, storage_pool)
    blob = BLOBS.borrow_mut(rt, pools.inner_mut(rt, storage_pool).blobs, blob_id)
    blob.certify(rt, state.epoch, end_epoch, confirmed)


@MODULE.public("(self: &System, storage_pool: &mut StoragePool, blob_id: u256)")
def delete_pooled_blob(rt: Runtime, self: System, storage_pool: StoragePool, blob_id: int) -> None:
    """Deletes a deletable blob of a living pool; its bytes can be used again."""
    state = inner(rt, self)
    require(pools.end_epoch(rt, storage_pool) > state.epoch, E_INVALID_EPOCHS_AHEAD)
    pools.inner_mut(rt, storage_pool).remove_blob(rt, blob_id, state.n_shards).delete_blob_object(rt, state.epoch)


@MODULE.public("(self: &System, storage_pool: &mut StoragePool, blob_id: u256)")
def burn_expired_pooled_blob(rt: Runtime, self: System, storage_pool: StoragePool, blob_id: int) -> None:
    """Ends a blob, deletable or not, of a pool that has ended."""
    state = inner(rt, self)
    require(pools.end_epoch(rt, storage_pool) <= state.epoch, E_INVALID_EPOCHS_AHEAD)
    pools.inner_mut(rt, storage_pool).remove_blob(rt, blob_id, state.n_shards).burn_blob_object(rt)


@MODULE.public("(self: &mut System, storage_pool: &mut StoragePool, extended_epochs: u32, payment: &mut Coin<WAL>)")
def extend_storage_pool(
    rt: Runtime, self: System, storage_pool: StoragePool, extended_epochs: int, payment: Coin
) -> None:
    """Prolongs a living pool, and so all its blobs."""
    state = inner_mut(rt, self)
    require(extended_epochs > 0, E_INVALID_EPOCHS_AHEAD)
    storage = pools.inner_mut(rt, storage_pool).storage
    require(storage.end_epoch > state.epoch, E_INVALID_EPOCHS_AHEAD)
    start_offset = storage.end_epoch - state.epoch
    end_offset = as_u32(start_offset + extended_epochs)
    require(end_offset <= state.future_accounting.length, E_INVALID_EPOCHS_AHEAD)
    state.process_storage_payments(storage.storage_size, start_offset, end_offset, payment)
    account_capacity(state, start_offset, end_offset, storage.storage_size)
    storage.extend_end_epoch(extended_epochs)
    rt.emit(StoragePoolExtended(state.epoch, storage_pool.id, storage.end_epoch))


@MODULE.public(
    "(self: &mut System, storage_pool: &mut StoragePool, additional_encoded_capacity_bytes: u64,"
    " payment: &mut Coin<WAL>)"
)
def increase_storage_pool_capacity(
    rt: Runtime, self: System, storage_pool: StoragePool, additional_encoded_capacity_bytes: int, payment: Coin
) -> None:
    """Buys a living pool more bytes, from now to its end."""
    state = inner_mut(rt, self)
    require(additional_encoded_capacity_bytes > 0, E_INVALID_RESOURCE_SIZE)
    storage = pools.inner_mut(rt, storage_pool).storage
    require(storage.end_epoch > state.epoch, E_INVALID_EPOCHS_AHEAD)
    remaining = storage.end_epoch - state.epoch
    state.process_storage_payments(additional_encoded_capacity_bytes, 0, remaining, payment)
    account_capacity(state, 0, remaining, additional_encoded_capacity_bytes)
    storage.increase_size(additional_encoded_capacity_bytes)


@MODULE.public("(self: &System, storage_pool: &mut StoragePool, storage: Storage)")
def increase_storage_pool_capacity_with_storage(
    rt: Runtime, self: System, storage_pool: StoragePool, storage: Storage
) -> None:
    """Adds storage to a living pool; it must have begun, and end with the pool."""
    epoch = inner(rt, self).epoch
    state = pools.inner_mut(rt, storage_pool)
    require(state.storage.end_epoch > epoch, E_INVALID_EPOCHS_AHEAD)
    state.increase_capacity_with_storage(rt, storage, epoch)


@MODULE.public("(self: &System, storage_pool: &mut StoragePool, size: u64, ctx: &mut TxContext): Storage")
def decrease_storage_pool_capacity_by_size(rt: Runtime, self: System, storage_pool: StoragePool, size: int) -> Storage:
    """Takes unused bytes out of a living pool."""
    epoch = inner(rt, self).epoch
    state = pools.inner_mut(rt, storage_pool)
    require(state.storage.end_epoch > epoch, E_INVALID_EPOCHS_AHEAD)
    taken = state.decrease_capacity_by_size(rt, size)
    if taken is None:
        raise abort(E_ZERO_EXTRACT_SIZE)
    return taken


@MODULE.public("(self: &System, storage_pool: &mut StoragePool, percent: u8, ctx: &mut TxContext): Storage")
def decrease_storage_pool_unused_capacity_by_percent(
    rt: Runtime, self: System, storage_pool: StoragePool, percent: int
) -> Storage:
    """Takes a part of the unused bytes out of a living pool."""
    epoch = inner(rt, self).epoch
    state = pools.inner_mut(rt, storage_pool)
    require(state.storage.end_epoch > epoch, E_INVALID_EPOCHS_AHEAD)
    taken = state.decrease_unused_capacity_by_percent(rt, percent)
    if taken is None:
        raise abort(E_ZERO_EXTRACT_SIZE)
    return taken


def account_capacity(state: SystemStateInnerV1, start_offset: int, end_offset: int, encoded_bytes: int) -> None:
    """Reserves bytes in each epoch of a period; aborts where that exceeds the capacity."""
    require(state.reserve_capacity(start_offset, end_offset, encoded_bytes), E_STORAGE_EXCEEDED)
