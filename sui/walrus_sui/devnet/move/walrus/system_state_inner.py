"""The storage state: committee keys, capacity, prices, the fund (contract module system_state_inner)."""

from collections.abc import Sequence
from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import as_u32, as_u64, div_ceil, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, type_of, u64
from walrus_sui.devnet.move.framework.coin import Balance, Coin
from walrus_sui.devnet.move.walrus import blob as blobs
from walrus_sui.devnet.move.walrus.blob import Blob
from walrus_sui.devnet.move.walrus.bls_aggregate import BlsCommittee, new_bls_committee
from walrus_sui.devnet.move.walrus.encoding import encoded_blob_length
from walrus_sui.devnet.move.walrus.epoch_parameters import EpochParams
from walrus_sui.devnet.move.walrus.event_blob import EventBlobCertificationState
from walrus_sui.devnet.move.walrus.events import InvalidBlobID
from walrus_sui.devnet.move.walrus.extended_field import Extended, ExtendedField
from walrus_sui.devnet.move.walrus.storage_accounting import FutureAccountingRingBuffer
from walrus_sui.devnet.move.walrus.storage_resource import Storage, create_storage

MODULE = Module(WALRUS, "system_state_inner")

MAX_MAX_EPOCHS_AHEAD = 1000
BYTES_PER_UNIT_SIZE = 1024 * 1024

E_INVALID_MAX_EPOCHS_AHEAD = MODULE.error(0, "EInvalidMaxEpochsAhead")
E_STORAGE_EXCEEDED = MODULE.error(1, "EStorageExceeded")
E_INVALID_EPOCHS_AHEAD = MODULE.error(2, "EInvalidEpochsAhead")
E_INVALID_ID_EPOCH = MODULE.error(3, "EInvalidIdEpoch")
E_INCORRECT_COMMITTEE = MODULE.error(4, "EIncorrectCommittee")
E_INVALID_ACCOUNTING_EPOCH = MODULE.error(5, "EInvalidAccountingEpoch")
E_INCORRECT_ATTESTATION = MODULE.error(6, "EIncorrectAttestation")
E_REPEATED_ATTESTATION = MODULE.error(7, "ERepeatedAttestation")
E_NOT_COMMITTEE_MEMBER = MODULE.error(8, "ENotCommitteeMember")
E_INCORRECT_DENY_LIST_SEQUENCE = MODULE.error(9, "EIncorrectDenyListSequence")
E_INCORRECT_DENY_LIST_NODE = MODULE.error(10, "EIncorrectDenyListNode")
E_INVALID_RESOURCE_SIZE = MODULE.error(11, "EInvalidResourceSize")
E_INVALID_START_EPOCH = MODULE.error(12, "EInvalidStartEpoch")

DENY_LIST_SIZES: Extended[dict[ObjectId, int]] = Extended(type_of(dict[ID, u64]))


def storage_units_from_size(size: int) -> int:
    """Bytes in units of 1 MiB, rounded up."""
    return div_ceil(size, BYTES_PER_UNIT_SIZE)


@MODULE.struct("store")
@dataclass(slots=True)
class SystemStateInnerV1:
    """All of storage.

    Attributes:
        committee: current committee with its keys; its epoch is the system's epoch.
        total_capacity_size: bytes that may be reserved in an epoch.
        used_capacity_size: bytes that are reserved in the current epoch.
        storage_price_per_unit_size: FROST per MiB and epoch.
        write_price_per_unit_size: FROST per MiB.
        future_accounting: reserved bytes and rewards of this and coming epochs.
        event_blob_certification_state: attestations of event blobs.
        deny_list_sizes: bytes that nodes deny to serve, stored apart.
    """

    committee: BlsCommittee
    total_capacity_size: u64
    used_capacity_size: u64
    storage_price_per_unit_size: u64
    write_price_per_unit_size: u64
    future_accounting: FutureAccountingRingBuffer
    event_blob_certification_state: EventBlobCertificationState
    deny_list_sizes: ExtendedField

    @classmethod
    def create_empty(cls, rt: Runtime, max_epochs_ahead: int) -> "SystemStateInnerV1":
        """The state of epoch 0: no committee, no capacity."""
        require(max_epochs_ahead <= MAX_MAX_EPOCHS_AHEAD, E_INVALID_MAX_EPOCHS_AHEAD)
        return cls(
            committee=new_bls_committee(0, []),
            total_capacity_size=0,
            used_capacity_size=0,
            storage_price_per_unit_size=0,
            write_price_per_unit_size=0,
            future_accounting=FutureAccountingRingBuffer.ring_new(max_epochs_ahead),
            event_blob_certification_state=EventBlobCertificationState.empty(),
            deny_list_sizes=DENY_LIST_SIZES.new(rt, {}),
        )

    @property
    def epoch(self) -> int:
        """Current epoch."""
        return self.committee.epoch

    @property
    def n_shards(self) -> int:
        """Number of shards; 0 before the first committee."""
        return self.committee.n_shards

    def advance_epoch(
        self, rt: Runtime, new_committee: BlsCommittee, new_epoch_params: EpochParams
    ) -> dict[ObjectId, Balance]:
        """Moves to the next epoch.

        Returns:
            What each member of the ending committee earned, in the committee's order. What division leaves over goes
            to the next epoch's rewards.
        """
        old_committee, old_epoch = self.committee, self.epoch
        require(new_committee.epoch == as_u32(old_epoch + 1), E_INCORRECT_COMMITTEE)
        self.committee = new_committee
        ended = self.future_accounting.ring_pop_expand()
        require(ended.epoch == old_epoch, E_INVALID_ACCOUNTING_EPOCH)
        self.event_blob_certification_state.reset()
        self.used_capacity_size = self.future_accounting.ring_lookup(0).used_capacity
        self.total_capacity_size = max(new_epoch_params.total_capacity_size, self.used_capacity_size)

        denied = DENY_LIST_SIZES.borrow(rt, self.deny_list_sizes)
        used, rewards = ended.used_capacity, ended.rewards_to_distribute
        stored = [member.weight * (used - min(denied.get(member.node_id, 0), used)) for member in old_committee.members]
        total_stored, total_rewards = max(sum(stored), 1), rewards.value
        earned = {
            member.node_id: rewards.split(part * total_rewards // total_stored)
            for member, part in zip(old_committee.members, stored, strict=True)
        }
        self.future_accounting.ring_lookup(0).rewards_to_distribute.join(rewards)
        return earned

    # Storage

    def reserve_space(self, rt: Runtime, storage_amount: int, epochs_ahead: int, payment: Coin) -> Storage:
        """Sells storage from now on for a number of epochs."""
        require(epochs_ahead > 0, E_INVALID_EPOCHS_AHEAD)
        require(epochs_ahead <= self.future_accounting.length, E_INVALID_EPOCHS_AHEAD)
        end_epoch = as_u32(self.epoch + epochs_ahead)
        return self.reserve_space_for_epochs(rt, storage_amount, self.epoch, end_epoch, payment)

    def reserve_space_for_epochs(
        self, rt: Runtime, storage_amount: int, start_epoch: int, end_epoch: int, payment: Coin
    ) -> Storage:
        """Sells storage from `start_epoch`, or from now if that is past, up to and without `end_epoch`."""
        start_epoch = max(start_epoch, self.epoch)
        start_offset = start_epoch - self.epoch
        require(end_epoch > start_epoch, E_INVALID_EPOCHS_AHEAD)
        end_offset = end_epoch - self.epoch
        require(end_offset <= self.future_accounting.length, E_INVALID_EPOCHS_AHEAD)
        self.process_storage_payments(storage_amount, start_offset, end_offset, payment)
        return self.reserve_space_without_payment(rt, storage_amount, start_offset, end_offset)

    def process_storage_payments(self, storage_size: int, start_offset: int, end_offset: int, payment: Coin) -> None:
        """Takes the price of a period; each of its epochs gets its part."""
        due = as_u64(self.storage_price_per_unit_size * storage_units_from_size(storage_size))
        for offset in range(start_offset, end_offset):
            part = payment.balance.split(due)
            self.future_accounting.ring_lookup(offset).rewards_to_distribute.join(part)

    def reserve_space_without_payment(
        self, rt: Runtime, storage_amount: int, start_offset: int, end_offset: int, *, check_capacity: bool = True
    ) -> Storage:
        """Gives storage away; the capacity need not suffice for event blobs."""
        require(end_offset - start_offset > 0, E_INVALID_EPOCHS_AHEAD)
        require(end_offset <= self.future_accounting.length, E_INVALID_EPOCHS_AHEAD)
        require(storage_amount > 0, E_INVALID_RESOURCE_SIZE)
        fits = self.reserve_capacity(start_offset, end_offset, storage_amount, check_capacity=check_capacity)
        require(fits, E_STORAGE_EXCEEDED)
        start_epoch, end_epoch = as_u32(self.epoch + start_offset), as_u32(self.epoch + end_offset)
        return create_storage(rt, start_epoch=start_epoch, end_epoch=end_epoch, storage_size=storage_amount)

    def reserve_capacity(self, start_offset: int, end_offset: int, amount: int, *, check_capacity: bool = True) -> bool:
        """Reserves bytes in each epoch of a period, up to the first one that has not so many left; whether all have."""
        for offset in range(start_offset, end_offset):
            used = self.future_accounting.ring_lookup(offset).increase_used_capacity(amount)
            if offset == 0:
                self.used_capacity_size = used
            if check_capacity and used > self.total_capacity_size:
                return False
        return True

    # Donations

    def add_subsidy(self, subsidy: Balance, epochs_ahead: int) -> None:
        """Spreads an amount evenly over epochs from now on; what division leaves over goes to the current one."""
        require(epochs_ahead > 0, E_INVALID_EPOCHS_AHEAD)
        require(epochs_ahead <= self.future_accounting.length, E_INVALID_EPOCHS_AHEAD)
        part = subsidy.value // epochs_ahead
        for offset in range(epochs_ahead):
            self.future_accounting.ring_lookup(offset).rewards_to_distribute.join(subsidy.split(part))
        self.future_accounting.ring_lookup(0).rewards_to_distribute.join(subsidy)

    def add_per_epoch_subsidies(self, subsidies: Sequence[Balance]) -> None:
        """Adds the i-th amount to the rewards of the i-th epoch from now."""
        require(len(subsidies) <= self.future_accounting.length, E_INVALID_EPOCHS_AHEAD)
        for offset, subsidy in enumerate(subsidies):
            self.future_accounting.ring_lookup(offset).rewards_to_distribute.join(subsidy)

    # Blobs

    def register_blob(
        self,
        rt: Runtime,
        storage: Storage,
        write_payment: Coin,
        *,
        blob_id: int,
        root_hash: int,
        size: int,
        encoding_type: int,
        deletable: bool,
    ) -> Blob:
        """Registers a blob and takes the write price, which the current committee earns."""
        blob = blobs.new(
            rt,
            storage,
            blob_id=blob_id,
            root_hash=root_hash,
            size=size,
            encoding_type=encoding_type,
            deletable=deletable,
            registered_epoch=self.epoch,
            n_shards=self.n_shards,
        )
        self.process_write_payment(encoded_blob_length(rt, size, encoding_type, self.n_shards), write_payment)
        return blob

    def certify_blob(self, rt: Runtime, blob: Blob, signature: bytes, signers_bitmap: bytes, message: bytes) -> None:
        """Certifies a blob with a certificate of a quorum of this epoch's committee."""
        certified = self.committee.verify_quorum_in_epoch(signature, signers_bitmap, message)
        require(certified.cert_epoch == self.epoch, E_INVALID_ID_EPOCH)
        blob.certify_with_certified_msg(rt, self.epoch, certified.certify_blob_message())

    def invalidate_blob_id(self, rt: Runtime, signature: bytes, members_bitmap: bytes, message: bytes) -> int:
        """Declares a blob id dead, with a certificate of this epoch that one correct node signed; gives the id."""
        certified = self.committee.verify_one_correct_node_in_epoch(signature, members_bitmap, message)
        blob_id = certified.invalid_blob_id_message()
        require(certified.cert_epoch == self.epoch, E_INVALID_ID_EPOCH)
        rt.emit(InvalidBlobID(certified.cert_epoch, blob_id))
        return blob_id

    def extend_blob(self, rt: Runtime, blob: Blob, extended_epochs: int, payment: Coin) -> None:
        """Prolongs a certified blob at the price of today."""
        blob.assert_certified_not_expired(self.epoch)
        start_offset = blob.storage.end_epoch - self.epoch
        end_offset = as_u32(start_offset + extended_epochs)
        require(extended_epochs > 0, E_INVALID_EPOCHS_AHEAD)
        require(end_offset <= self.future_accounting.length, E_INVALID_EPOCHS_AHEAD)
        size = blob.storage.storage_size
        self.process_storage_payments(size, start_offset, end_offset, payment)
        require(self.reserve_capacity(start_offset, end_offset, size), E_STORAGE_EXCEEDED)
        blob.storage.extend_end_epoch(extended_epochs)
        blob.emit_certified(rt, is_extension=True)

    def process_write_payment(self, write_size: int, payment: Coin) -> None:
        """Takes the price for writing this many encoded bytes, which this epoch's committee earns."""
        price = as_u64(self.write_price_per_unit_size * storage_units_from_size(write_size))
        self.future_accounting.ring_lookup(0).rewards_to_distribute.join(payment.balance.split(price))
