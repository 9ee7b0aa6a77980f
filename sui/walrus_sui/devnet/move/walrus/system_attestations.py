"""What members attest beside blobs: event blobs, deny lists, protocol versions (contract module system_state_inner).

Each function belongs to Move module ``system``; its checks abort with the codes of ``system_state_inner``. Event blobs
are attested one transaction per node, which adds up weights; the others come with a certificate.
"""

# ruff: noqa: PLR0917 - public functions take what their Move counterparts take

from walrus_sui.devnet.move.core.aborts import require
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.walrus import blob as blobs
from walrus_sui.devnet.move.walrus.encoding import encoded_blob_length
from walrus_sui.devnet.move.walrus.event_blob import EventBlobAttestation
from walrus_sui.devnet.move.walrus.events import (
    DenyListBlobDeleted,
    DenyListUpdate,
    ProtocolVersionUpdated,
    RegisterDenyListUpdate,
)
from walrus_sui.devnet.move.walrus.messages import CertifiedBlobMessage
from walrus_sui.devnet.move.walrus.storage_node import StorageNodeCap
from walrus_sui.devnet.move.walrus.system import MODULE, System, inner, inner_mut
from walrus_sui.devnet.move.walrus.system_state_inner import (
    DENY_LIST_SIZES,
    E_INCORRECT_ATTESTATION,
    E_INCORRECT_DENY_LIST_NODE,
    E_INCORRECT_DENY_LIST_SEQUENCE,
    E_INVALID_ID_EPOCH,
    E_INVALID_START_EPOCH,
    E_NOT_COMMITTEE_MEMBER,
    E_REPEATED_ATTESTATION,
    SystemStateInnerV1,
)

# Event blobs


@MODULE.public(
    "(system: &mut System, cap: &mut StorageNodeCap, blob_id: u256, root_hash: u256, size: u64, encoding_type: u8,"
    " ending_checkpoint_sequence_num: u64, epoch: u32, ctx: &mut TxContext)"
)
def certify_event_blob(
    rt: Runtime,
    system: System,
    cap: StorageNodeCap,
    blob_id: int,
    root_hash: int,
    size: int,
    encoding_type: int,
    ending_checkpoint_sequence_num: int,
    epoch: int,
) -> None:
    """Attests an event blob for a node; the attestation that makes a quorum stores the blob, free of charge.

    A node has one attestation outstanding. What it names is looked at only by the attestation that makes the quorum.
    """
    state, checkpoint = inner_mut(rt, system), ending_checkpoint_sequence_num
    require(state.committee.contains(cap.node_id), E_NOT_COMMITTEE_MEMBER)
    require(epoch == state.epoch, E_INVALID_ID_EPOCH)
    tally = state.event_blob_certification_state
    last = cap.last_event_blob_attestation
    if last is not None:
        is_new_epoch = last.epoch < state.epoch
        require(is_new_epoch or checkpoint > last.checkpoint_sequence_num, E_REPEATED_ATTESTATION)
        is_settled = tally.is_blob_already_certified(last.checkpoint_sequence_num)
        require(is_new_epoch or is_settled, E_INCORRECT_ATTESTATION)
    cap.last_event_blob_attestation = EventBlobAttestation(checkpoint, epoch)
    if tally.is_blob_already_certified(checkpoint):
        return
    weight = tally.update_aggregate_weight(blob_id, checkpoint, state.committee.weight_of(cap.node_id))
    if not state.committee.is_quorum(weight):
        return
    _store_event_blob(rt, state, blob_id=blob_id, root_hash=root_hash, size=size, encoding_type=encoding_type)
    tally.update_latest_certified_event_blob(checkpoint, blob_id)
    tally.reset()


def _store_event_blob(
    rt: Runtime, state: SystemStateInnerV1, *, blob_id: int, root_hash: int, size: int, encoding_type: int
) -> None:
    amount = encoded_blob_length(rt, size, encoding_type, state.n_shards)
    # The capacity may be exceeded: a quorum stores the blob already.
    end = state.future_accounting.length
    storage = state.reserve_space_without_payment(rt, amount, 0, end, check_capacity=False)
    blob = blobs.new(
        rt,
        storage,
        blob_id=blob_id,
        root_hash=root_hash,
        size=size,
        encoding_type=encoding_type,
        deletable=False,
        registered_epoch=state.epoch,
        n_shards=state.n_shards,
    )
    blob.certify_with_certified_msg(rt, state.epoch, CertifiedBlobMessage(blob_id, None))
    blobs.burn(rt, blob)


# Protocol versions


@MODULE.public(
    "(self: &mut System, cap: &StorageNodeCap, signature: vector<u8>, members_bitmap: vector<u8>, message: vector<u8>)"
)
def update_protocol_version(
    rt: Runtime, self: System, cap: StorageNodeCap, signature: bytes, members_bitmap: bytes, message: bytes
) -> None:
    """Announces a protocol version that a quorum agreed on; nothing is stored."""
    state = inner(rt, self)
    require(state.committee.contains(cap.node_id), E_NOT_COMMITTEE_MEMBER)
    certified = state.committee.verify_quorum_in_epoch(signature, members_bitmap, message)
    agreed = certified.protocol_version_message()
    require(certified.cert_epoch == state.epoch, E_INVALID_ID_EPOCH)
    require(agreed.start_epoch >= state.epoch, E_INVALID_START_EPOCH)
    rt.emit(ProtocolVersionUpdated(certified.cert_epoch, agreed.start_epoch, agreed.protocol_version))


# Deny lists


@MODULE.public("(self: &mut System, cap: &StorageNodeCap, deny_list_root: u256, deny_list_sequence: u64)")
def register_deny_list_update(
    rt: Runtime, self: System, cap: StorageNodeCap, deny_list_root: int, deny_list_sequence: int
) -> None:
    """Announces that a node will change its deny list; nothing is stored."""
    state = inner(rt, self)
    require(state.committee.contains(cap.node_id), E_NOT_COMMITTEE_MEMBER)
    require(deny_list_sequence > cap.deny_list_sequence, E_INCORRECT_DENY_LIST_SEQUENCE)
    rt.emit(RegisterDenyListUpdate(state.epoch, deny_list_root, deny_list_sequence, cap.node_id))


@MODULE.public(
    "(self: &mut System, cap: &mut StorageNodeCap, signature: vector<u8>, members_bitmap: vector<u8>,"
    " message: vector<u8>)"
)
def update_deny_list(
    rt: Runtime, self: System, cap: StorageNodeCap, signature: bytes, members_bitmap: bytes, message: bytes
) -> None:
    """Changes a node's deny list, announced or not; its bytes earn the node nothing from then on."""
    state = inner_mut(rt, self)
    require(state.committee.contains(cap.node_id), E_NOT_COMMITTEE_MEMBER)
    certified = state.committee.verify_quorum_in_epoch(signature, members_bitmap, message)
    update = certified.deny_list_update_message()
    require(certified.cert_epoch == state.epoch, E_INVALID_ID_EPOCH)
    require(update.storage_node_id == cap.node_id, E_INCORRECT_DENY_LIST_NODE)
    require(cap.deny_list_sequence < update.sequence_number, E_INCORRECT_DENY_LIST_SEQUENCE)
    cap.deny_list_root = update.root
    cap.deny_list_sequence = update.sequence_number
    cap.deny_list_size = update.size
    DENY_LIST_SIZES.borrow_mut(rt, state.deny_list_sizes)[cap.node_id] = update.size
    rt.emit(DenyListUpdate(state.epoch, update.root, update.sequence_number, cap.node_id))


@MODULE.public("(self: &System, signature: vector<u8>, members_bitmap: vector<u8>, message: vector<u8>)")
def delete_deny_listed_blob(rt: Runtime, self: System, signature: bytes, members_bitmap: bytes, message: bytes) -> None:
    """Tells that a deny-listed blob was given up, with a certificate that one correct node signed."""
    state = inner(rt, self)
    certified = state.committee.verify_one_correct_node_in_epoch(signature, members_bitmap, message)
    blob_id = certified.deny_list_blob_deleted_message()
    require(certified.cert_epoch == state.epoch, E_INVALID_ID_EPOCH)
    rt.emit(DenyListBlobDeleted(certified.cert_epoch, blob_id))
