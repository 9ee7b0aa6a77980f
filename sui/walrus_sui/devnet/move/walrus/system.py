"""The shared system object and its public functions (contract module system).

The object is small; the state lies in a dynamic field under the version's number, so that an upgrade can replace it.
"""

# ruff: noqa: PLR0917 - public functions take what their Move counterparts take

from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import abort, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, U64, UID, type_of, u64
from walrus_sui.devnet.move.framework.coin import BALANCE, COIN, Balance, Coin
from walrus_sui.devnet.move.framework.fields import DynamicField
from walrus_sui.devnet.move.wal.wal import MODULE as WAL
from walrus_sui.devnet.move.walrus import blob as blobs
from walrus_sui.devnet.move.walrus import storage_accounting, storage_node, storage_pool, storage_resource
from walrus_sui.devnet.move.walrus.blob import Blob
from walrus_sui.devnet.move.walrus.storage_accounting import FutureAccountingRingBuffer
from walrus_sui.devnet.move.walrus.storage_resource import Storage
from walrus_sui.devnet.move.walrus.system_state_inner import SystemStateInnerV1
from walrus_sui.devnet.move.walrus.version import current as current_version

MODULE = Module(
    WALRUS,
    "system",
    uses=(
        WAL,
        COIN,
        BALANCE,
        blobs.MODULE,
        storage_accounting.MODULE,
        storage_node.MODULE,
        storage_pool.MODULE,
        storage_resource.MODULE,
    ),
)

E_INVALID_MIGRATION = MODULE.error(0, "EInvalidMigration")
E_WRONG_VERSION = MODULE.error(1, "EWrongVersion")
E_ZERO_EXTRACT_SIZE = MODULE.error(2, "EZeroExtractSize")

INNER: DynamicField[int, SystemStateInnerV1] = DynamicField(U64, SystemStateInnerV1)


@MODULE.struct("key")
@dataclass(slots=True)
class System:
    """The one system object; `package_id` is where calls go."""

    id: UID
    version: u64
    package_id: ID
    new_package_id: ID | None


def create_empty(rt: Runtime, max_epochs_ahead: int, package_id: ObjectId) -> System:
    """Makes and shares the system object."""
    system = System(rt.new_uid(), current_version(rt), package_id, None)
    INNER.add(rt, system.id, system.version, SystemStateInnerV1.create_empty(rt, max_epochs_ahead))
    rt.share(type_of(System), system)
    return system


def inner_mut(rt: Runtime, self: System) -> SystemStateInnerV1:
    """The state, to be changed; aborts on an object of another version."""
    require(self.version == current_version(rt), E_WRONG_VERSION)
    return INNER.borrow_mut(rt, self.id, self.version)


def inner(rt: Runtime, self: System) -> SystemStateInnerV1:
    """The state, to be read; aborts on an object of another version."""
    require(self.version == current_version(rt), E_WRONG_VERSION)
    return INNER.borrow(rt, self.id, self.version)


def migrate(rt: Runtime, self: System) -> None:
    """Moves the object to the called package's version; aborts unless a newer package was committed."""
    require(self.version < current_version(rt), E_INVALID_MIGRATION)
    INNER.add(rt, self.id, current_version(rt), INNER.remove(rt, self.id, self.version))
    self.version = current_version(rt)
    if self.new_package_id is None:
        raise abort(E_INVALID_MIGRATION)
    self.package_id, self.new_package_id = self.new_package_id, None


@MODULE.public(
    "(self: &mut System, storage_amount: u64, epochs_ahead: u32, payment: &mut Coin<WAL>, ctx: &mut TxContext): Storage"
)
def reserve_space(rt: Runtime, self: System, storage_amount: int, epochs_ahead: int, payment: Coin) -> Storage:
    """Buys storage from now on for a number of epochs."""
    return inner_mut(rt, self).reserve_space(rt, storage_amount, epochs_ahead, payment)


@MODULE.public(
    "(self: &mut System, storage_amount: u64, start_epoch: u32, end_epoch: u32, payment: &mut Coin<WAL>,"
    " ctx: &mut TxContext): Storage"
)
def reserve_space_for_epochs(
    rt: Runtime, self: System, storage_amount: int, start_epoch: int, end_epoch: int, payment: Coin
) -> Storage:
    """Buys storage for a period."""
    return inner_mut(rt, self).reserve_space_for_epochs(rt, storage_amount, start_epoch, end_epoch, payment)


@MODULE.public(
    "(self: &mut System, storage: Storage, blob_id: u256, root_hash: u256, size: u64, encoding_type: u8,"
    " deletable: bool, write_payment: &mut Coin<WAL>, ctx: &mut TxContext): Blob"
)
def register_blob(
    rt: Runtime,
    self: System,
    storage: Storage,
    blob_id: int,
    root_hash: int,
    size: int,
    encoding_type: int,
    deletable: bool,  # noqa: FBT001 - a Move argument
    write_payment: Coin,
) -> Blob:
    """Registers a blob of `size` unencoded bytes."""
    return inner_mut(rt, self).register_blob(
        rt,
        storage,
        write_payment,
        blob_id=blob_id,
        root_hash=root_hash,
        size=size,
        encoding_type=encoding_type,
        deletable=deletable,
    )


@MODULE.public(
    "(self: &System, blob: &mut Blob, signature: vector<u8>, signers_bitmap: vector<u8>, message: vector<u8>)"
)
def certify_blob(
    rt: Runtime, self: System, blob: Blob, signature: bytes, signers_bitmap: bytes, message: bytes
) -> None:
    """Certifies a blob."""
    inner(rt, self).certify_blob(rt, blob, signature, signers_bitmap, message)


@MODULE.public("(system: &System, signature: vector<u8>, members_bitmap: vector<u8>, message: vector<u8>): u256")
def invalidate_blob_id(rt: Runtime, system: System, signature: bytes, members_bitmap: bytes, message: bytes) -> int:
    """Declares a blob id dead, with a certificate that one correct node signed."""
    return inner(rt, system).invalidate_blob_id(rt, signature, members_bitmap, message)


@MODULE.public("(self: &System, blob: Blob): Storage")
def delete_blob(rt: Runtime, self: System, blob: Blob) -> Storage:
    """Deletes a deletable blob; gives its storage back."""
    return blob.delete(rt, inner(rt, self).epoch)


@MODULE.public("(self: &System, blob: &mut Blob, extension: Storage)")
def extend_blob_with_resource(rt: Runtime, self: System, blob: Blob, extension: Storage) -> None:
    """Prolongs a blob with storage that one has already."""
    blob.extend_with_resource(rt, extension, inner(rt, self).epoch)


@MODULE.public("(self: &mut System, blob: &mut Blob, extended_epochs: u32, payment: &mut Coin<WAL>)")
def extend_blob(rt: Runtime, self: System, blob: Blob, extended_epochs: int, payment: Coin) -> None:
    """Prolongs a blob."""
    inner_mut(rt, self).extend_blob(rt, blob, extended_epochs, payment)


@MODULE.public("(system: &mut System, subsidy: Coin<WAL>, epochs_ahead: u32)")
def add_subsidy(rt: Runtime, system: System, subsidy: Coin, epochs_ahead: int) -> None:
    """Gives a coin to the nodes of this and coming epochs, in equal parts."""
    inner_mut(rt, system).add_subsidy(subsidy.into_balance(rt), epochs_ahead)


@MODULE.public("(system: &mut System, subsidies: vector<Balance<WAL>>)")
def add_per_epoch_subsidies(rt: Runtime, system: System, subsidies: list[Balance]) -> None:
    """Gives amounts to the nodes of this and coming epochs, one to each."""
    inner_mut(rt, system).add_per_epoch_subsidies(subsidies)


@MODULE.public("(self: &System): u32")
def epoch(rt: Runtime, self: System) -> int:
    """Current epoch."""
    return inner(rt, self).epoch


@MODULE.public("(self: &System): u64")
def total_capacity_size(rt: Runtime, self: System) -> int:
    """Bytes that may be reserved in an epoch."""
    return inner(rt, self).total_capacity_size


@MODULE.public("(self: &System): u64")
def used_capacity_size(rt: Runtime, self: System) -> int:
    """Bytes that are reserved in the current epoch."""
    return inner(rt, self).used_capacity_size


@MODULE.public("(self: &System): u16")
def n_shards(rt: Runtime, self: System) -> int:
    """Number of shards; 0 before the first committee."""
    return inner(rt, self).n_shards


@MODULE.public("(self: &System): &FutureAccountingRingBuffer")
def future_accounting(rt: Runtime, self: System) -> FutureAccountingRingBuffer:
    """Reserved bytes and rewards of this and coming epochs."""
    return inner(rt, self).future_accounting


@MODULE.public("(system: &System): u64")
def version(_rt: Runtime, system: System) -> int:
    """Version of the object."""
    return system.version
