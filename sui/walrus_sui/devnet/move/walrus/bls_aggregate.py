"""The committee that signs, and the check of its certificates (contract module bls_aggregate).

A certificate names its signers by a bitmap over the members, which are sorted by node id. The key it is checked with is
the committee's total key without the keys of those who did not sign.
"""

from dataclasses import dataclass

from walrus_codec import quorum
from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import as_u16, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.types import ID, u16, u32
from walrus_sui.devnet.move.framework.bls12381 import G1, UncompressedG1, min_pk_verify, subtract_keys, sum_keys
from walrus_sui.devnet.move.walrus.messages import CertifiedMessage, new_certified_message

MODULE = Module(WALRUS, "bls_aggregate")

E_INVALID_BITMAP = MODULE.error(0, "EInvalidBitmap")
E_SIG_VERIFICATION = MODULE.error(1, "ESigVerification")
E_NOT_ENOUGH_STAKE = MODULE.error(2, "ENotEnoughStake")
E_INCORRECT_COMMITTEE = MODULE.error(3, "EIncorrectCommittee")


@MODULE.struct("copy, drop, store")
@dataclass(slots=True)
class BlsCommitteeMember:
    """A member: its key when the committee was selected, its number of shards, its node."""

    public_key: UncompressedG1
    weight: u16
    node_id: ID


@MODULE.struct("copy, drop, store")
@dataclass(slots=True)
class BlsCommittee:
    """The committee of an epoch; `n_shards` is the sum of weights, the total key the sum of keys."""

    members: list[BlsCommitteeMember]
    n_shards: u16
    epoch: u32
    total_aggregated_key: G1

    def contains(self, node_id: ObjectId) -> bool:
        """Whether the node is a member."""
        return any(member.node_id == node_id for member in self.members)

    def weight_of(self, node_id: ObjectId) -> int:
        """Number of shards of a node; 0 for one that is no member."""
        return next((member.weight for member in self.members if member.node_id == node_id), 0)

    def is_quorum(self, weight: int) -> bool:
        """Whether the weight may decide for the network."""
        return quorum.is_quorum(weight, self.n_shards)

    def verify_quorum_in_epoch(self, signature: bytes, signers_bitmap: bytes, message: bytes) -> CertifiedMessage:
        """Checks a certificate of a quorum and reads its message's header."""
        support = self.verify_certificate_and_weight(signature, signers_bitmap, message, one_correct_node=False)
        return new_certified_message(message, self.epoch, support)

    def verify_one_correct_node_in_epoch(
        self, signature: bytes, signers_bitmap: bytes, message: bytes
    ) -> CertifiedMessage:
        """Checks a certificate that at least one correct node signed and reads its message's header."""
        support = self.verify_certificate_and_weight(signature, signers_bitmap, message, one_correct_node=True)
        return new_certified_message(message, self.epoch, support)

    def verify_certificate_and_weight(
        self, signature: bytes, signers_bitmap: bytes, message: bytes, *, one_correct_node: bool
    ) -> int:
        """Checks bitmap, weight and signature in this order; gives the weight of the signers."""
        count = len(self.members)
        require(len(signers_bitmap) <= (count + 7) // 8, E_INVALID_BITMAP)
        bits = int.from_bytes(signers_bitmap, "little")
        require(bits >> count == 0, E_INVALID_BITMAP)
        non_signers = [member for index, member in enumerate(self.members) if not bits >> index & 1]
        weight = self.n_shards - sum(member.weight for member in non_signers)
        suffices = quorum.is_one_honest if one_correct_node else quorum.is_quorum
        require(suffices(weight, self.n_shards), E_NOT_ENOUGH_STAKE)
        key = subtract_keys(self.total_aggregated_key, [member.public_key for member in non_signers])
        require(min_pk_verify(signature, key, message), E_SIG_VERIFICATION)
        return weight


def new_bls_committee(epoch: int, members: list[BlsCommitteeMember]) -> BlsCommittee:
    """A committee; aborts if a member has no shards."""
    for member in members:
        require(member.weight > 0, E_INCORRECT_COMMITTEE)
    n_shards = as_u16(sum(member.weight for member in members))
    return BlsCommittee(members, n_shards, epoch, sum_keys([member.public_key for member in members]))
