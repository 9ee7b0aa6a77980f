"""Votes to upgrade the contract (contract module upgrade).

Members of the committee vote for the digest of a new package. A quorum within one epoch lets anybody make the upgrade;
until it is burned, the emergency capability can do so without votes. After the upgrade `init::migrate_v2` moves the
system and staking objects to the new package.
"""

from dataclasses import dataclass
from typing import Annotated

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import as_u16, as_u64, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import BYTES, ID, ID_TYPE, UID, type_of, u16, u32, u64
from walrus_sui.devnet.move.framework import package
from walrus_sui.devnet.move.framework.collections import VecSet
from walrus_sui.devnet.move.framework.fields import Table, TableValue
from walrus_sui.devnet.move.framework.package import UpgradeCap, UpgradeReceipt, UpgradeTicket
from walrus_sui.devnet.move.walrus import auth, staking, system
from walrus_sui.devnet.move.walrus.auth import Authenticated
from walrus_sui.devnet.move.walrus.events import ContractUpgradeProposed, ContractUpgradeQuorumReached
from walrus_sui.devnet.move.walrus.staking import Staking, inner
from walrus_sui.devnet.move.walrus.system import System

MODULE = Module(WALRUS, "upgrade", uses=(package.PACKAGE, auth.MODULE, staking.MODULE, system.MODULE))

DIGEST_LENGTH = 32

E_INVALID_UPGRADE_MANAGER = MODULE.error(0, "EInvalidUpgradeManager")
E_NOT_AUTHORIZED = MODULE.error(1, "ENotAuthorized")
E_DUPLICATE_VOTE = MODULE.error(2, "EDuplicateVote")
E_INVALID_PACKAGE_DIGEST = MODULE.error(3, "EInvalidPackageDigest")
E_NO_PROPOSAL_FOR_DIGEST = MODULE.error(4, "ENoProposalForDigest")
E_WRONG_EPOCH = MODULE.error(5, "EWrongEpoch")
E_NOT_ENOUGH_VOTES = MODULE.error(6, "ENotEnoughVotes")
E_WRONG_VERSION = MODULE.error(7, "EWrongVersion")

PACKAGE_DIGEST = MODULE.wrapper("PackageDigest", "copy, drop, store", BYTES)


@MODULE.struct("drop, store")
@dataclass(slots=True)
class UpgradeProposal:
    """Votes for one package.

    Attributes:
        epoch: the only one in which they count.
        digest: of the package's code and dependencies.
        version: that the package would have on chain.
        voting_weight: shards of those who voted.
        voters: who they are.
    """

    epoch: u32
    digest: Annotated[bytes, PACKAGE_DIGEST]
    version: u64
    voting_weight: u16
    voters: Annotated[list[ObjectId], VecSet(ID_TYPE)]

    def add_vote(self, node_id: ObjectId, weight: int) -> None:
        """Counts a vote; aborts if the node has voted before."""
        require(node_id not in self.voters, E_DUPLICATE_VOTE)
        self.voters.append(node_id)
        self.voting_weight = as_u16(self.voting_weight + weight)


@MODULE.struct("key")
@dataclass(slots=True)
class UpgradeManager:
    """The shared object that holds the right to upgrade, and all proposals by digest."""

    id: UID
    cap: UpgradeCap
    upgrade_proposals: TableValue


@MODULE.struct("key, store")
@dataclass(slots=True)
class EmergencyUpgradeCap:
    """Right to upgrade without votes."""

    id: UID
    upgrade_manager_id: ID


PROPOSALS: Table[bytes, UpgradeProposal] = Table(PACKAGE_DIGEST, UpgradeProposal)


def new(rt: Runtime, cap: UpgradeCap) -> EmergencyUpgradeCap:
    """Makes and shares the manager."""
    manager = UpgradeManager(rt.new_uid(), cap, TableValue.new(rt))
    emergency_cap = EmergencyUpgradeCap(rt.new_uid(), manager.id)
    rt.share(type_of(UpgradeManager), manager)
    return emergency_cap


@MODULE.public("(self: &mut UpgradeManager, staking: &Staking, auth: Authenticated, node_id: ID, digest: vector<u8>)")
def vote_for_upgrade(  # noqa: PLR0917 - takes what its Move counterpart takes
    rt: Runtime, self: UpgradeManager, staking: Staking, auth: Authenticated, node_id: ObjectId, digest: bytes
) -> None:
    """Votes for a member; the first vote of an epoch, or after another upgrade, forgets those before."""
    state = inner(rt, staking)
    require(state.check_governance_authorization(rt, node_id, auth), E_NOT_AUTHORIZED)
    weight = state.get_current_node_weight(node_id)
    require(len(digest) == DIGEST_LENGTH, E_INVALID_PACKAGE_DIGEST)
    version = as_u64(self.cap.version + 1)
    if not PROPOSALS.contains(rt, self.upgrade_proposals, digest):
        PROPOSALS.add(rt, self.upgrade_proposals, digest, _fresh_proposal(rt, state.epoch, digest, version))
    else:
        known = PROPOSALS.borrow(rt, self.upgrade_proposals, digest)
        if (known.epoch, known.version) != (state.epoch, version):
            PROPOSALS.replace(rt, self.upgrade_proposals, digest, _fresh_proposal(rt, state.epoch, digest, version))
    proposal = PROPOSALS.borrow_mut(rt, self.upgrade_proposals, digest)
    proposal.add_vote(node_id, weight)
    if state.is_quorum(proposal.voting_weight):
        rt.emit(ContractUpgradeQuorumReached(state.epoch, digest))


@MODULE.public("(self: &mut UpgradeManager, staking: &Staking, digest: vector<u8>): UpgradeTicket")
def authorize_upgrade(rt: Runtime, self: UpgradeManager, staking: Staking, digest: bytes) -> UpgradeTicket:
    """Lets the transaction upgrade to a package that a quorum voted for in this epoch."""
    require(len(digest) == DIGEST_LENGTH, E_INVALID_PACKAGE_DIGEST)
    require(PROPOSALS.contains(rt, self.upgrade_proposals, digest), E_NO_PROPOSAL_FOR_DIGEST)
    proposal = PROPOSALS.remove(rt, self.upgrade_proposals, digest)
    state = inner(rt, staking)
    require(proposal.epoch == state.epoch, E_WRONG_EPOCH)
    require(state.is_quorum(proposal.voting_weight), E_NOT_ENOUGH_VOTES)
    require(self.cap.version + 1 == proposal.version, E_WRONG_VERSION)
    return package.authorize_upgrade(rt, self.cap, self.cap.policy, digest)


@MODULE.public(
    "(upgrade_manager: &mut UpgradeManager, emergency_upgrade_cap: &EmergencyUpgradeCap, digest: vector<u8>):"
    " UpgradeTicket"
)
def authorize_emergency_upgrade(
    rt: Runtime, upgrade_manager: UpgradeManager, emergency_upgrade_cap: EmergencyUpgradeCap, digest: bytes
) -> UpgradeTicket:
    """Lets the transaction upgrade without votes; the digest may have any length here."""
    require(emergency_upgrade_cap.upgrade_manager_id == upgrade_manager.id, E_INVALID_UPGRADE_MANAGER)
    return package.authorize_upgrade(rt, upgrade_manager.cap, upgrade_manager.cap.policy, digest)


@MODULE.public(
    "(upgrade_manager: &mut UpgradeManager, staking: &mut Staking, system: &mut System, receipt: UpgradeReceipt)"
)
def commit_upgrade(
    rt: Runtime, upgrade_manager: UpgradeManager, staking: Staking, system: System, receipt: UpgradeReceipt
) -> None:
    """Notes the new package in the system and staking objects; they move to it by `init::migrate_v2`."""
    staking.new_package_id = receipt.package
    system.new_package_id = receipt.package
    package.commit_upgrade(rt, upgrade_manager.cap, receipt)


@MODULE.public("(self: &mut UpgradeManager, staking: &Staking, proposals: vector<vector<u8>>)")
def cleanup_upgrade_proposals(rt: Runtime, self: UpgradeManager, staking: Staking, proposals: list[bytes]) -> None:
    """Removes proposals of past epochs and versions; digests without such a proposal are passed over."""
    for digest in proposals:
        require(len(digest) == DIGEST_LENGTH, E_INVALID_PACKAGE_DIGEST)
        if PROPOSALS.contains(rt, self.upgrade_proposals, digest):
            proposal = PROPOSALS.borrow(rt, self.upgrade_proposals, digest)
            if proposal.version <= self.cap.version or proposal.epoch < inner(rt, staking).epoch:
                PROPOSALS.remove(rt, self.upgrade_proposals, digest)


@MODULE.public("(emergency_upgrade_cap: EmergencyUpgradeCap)")
def burn_emergency_upgrade_cap(rt: Runtime, emergency_upgrade_cap: EmergencyUpgradeCap) -> None:
    """Leaves the votes as the only way to an upgrade."""
    rt.delete_uid(emergency_upgrade_cap.id)


def _fresh_proposal(rt: Runtime, epoch: int, digest: bytes, version: int) -> UpgradeProposal:
    rt.emit(ContractUpgradeProposed(epoch, digest))
    return UpgradeProposal(epoch, digest, version, 0, [])
