"""Votes to slash a node (contract module slashing).

Members of the committee vote against a candidate; the votes count in the epoch in which they are cast. A quorum lets
anybody burn all commission that the candidate's pool holds at that moment. Nothing else happens to the candidate: its
stake, its stakers and its seat stay.
"""

from dataclasses import dataclass
from typing import Annotated

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import as_u16, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, ID_TYPE, UID, type_of, u16, u32
from walrus_sui.devnet.move.framework.collections import VecSet
from walrus_sui.devnet.move.framework.fields import Table, TableValue
from walrus_sui.devnet.move.wal import wal
from walrus_sui.devnet.move.wal.wal import ProtectedTreasury
from walrus_sui.devnet.move.walrus import auth, staking
from walrus_sui.devnet.move.walrus.auth import Authenticated
from walrus_sui.devnet.move.walrus.staking import Staking, inner, inner_mut

MODULE = Module(WALRUS, "slashing", uses=(wal.MODULE, auth.MODULE, staking.MODULE))

E_NOT_AUTHORIZED = MODULE.error(0, "ENotAuthorized")
E_DUPLICATE_VOTE = MODULE.error(1, "EDuplicateVote")
E_NO_PROPOSAL_FOR_NODE = MODULE.error(2, "ENoProposalForNode")
E_WRONG_EPOCH = MODULE.error(3, "EWrongEpoch")
E_NOT_ENOUGH_VOTES = MODULE.error(4, "ENotEnoughVotes")


@MODULE.struct("drop, store")
@dataclass(slots=True)
class SlashingProposal:
    """Votes against one node.

    Attributes:
        epoch: the only one in which they count.
        node_id: the candidate; nobody checks that there is such a node.
        voting_weight: shards of those who voted.
        voters: who they are.
    """

    epoch: u32
    node_id: ID
    voting_weight: u16
    voters: Annotated[list[ObjectId], VecSet(ID_TYPE)]

    def add_vote(self, node_id: ObjectId, weight: int) -> None:
        """Counts a vote; aborts if the node has voted before."""
        require(node_id not in self.voters, E_DUPLICATE_VOTE)
        self.voters.append(node_id)
        self.voting_weight = as_u16(self.voting_weight + weight)


@MODULE.struct("key")
@dataclass(slots=True)
class SlashingManager:
    """The shared object that holds all proposals, by candidate."""

    id: UID
    slashing_candidates: TableValue


CANDIDATES: Table[ObjectId, SlashingProposal] = Table(ID, SlashingProposal)


def new(rt: Runtime) -> SlashingManager:
    """Makes and shares the manager."""
    manager = SlashingManager(rt.new_uid(), TableValue.new(rt))
    rt.share(type_of(SlashingManager), manager)
    return manager


@MODULE.public(
    "(self: &mut SlashingManager, staking: &Staking, auth: Authenticated, voter_node_id: ID, candidate_node_id: ID)"
)
def vote_for_slashing(  # noqa: PLR0917 - takes what its Move counterpart takes
    rt: Runtime,
    self: SlashingManager,
    staking: Staking,
    auth: Authenticated,
    voter_node_id: ObjectId,
    candidate_node_id: ObjectId,
) -> None:
    """Votes for a member against a candidate; the first vote of an epoch forgets those of epochs before."""
    state = inner(rt, staking)
    require(state.check_governance_authorization(rt, voter_node_id, auth), E_NOT_AUTHORIZED)
    weight = state.get_current_node_weight(voter_node_id)
    fresh = SlashingProposal(state.epoch, candidate_node_id, 0, [])
    if not CANDIDATES.contains(rt, self.slashing_candidates, candidate_node_id):
        CANDIDATES.add(rt, self.slashing_candidates, candidate_node_id, fresh)
    elif CANDIDATES.borrow(rt, self.slashing_candidates, candidate_node_id).epoch != state.epoch:
        CANDIDATES.replace(rt, self.slashing_candidates, candidate_node_id, fresh)
    CANDIDATES.borrow_mut(rt, self.slashing_candidates, candidate_node_id).add_vote(voter_node_id, weight)


@MODULE.public(
    "(self: &mut SlashingManager, staking: &mut Staking, treasury: &mut ProtectedTreasury, candidate_node_id: ID,"
    " ctx: &mut TxContext)"
)
def execute_slashing(
    rt: Runtime, self: SlashingManager, staking: Staking, treasury: ProtectedTreasury, candidate_node_id: ObjectId
) -> None:
    """Burns the candidate's commission, the blocked part too, if a quorum voted for it in this epoch."""
    require(CANDIDATES.contains(rt, self.slashing_candidates, candidate_node_id), E_NO_PROPOSAL_FOR_NODE)
    proposal = CANDIDATES.remove(rt, self.slashing_candidates, candidate_node_id)
    state = inner(rt, staking)
    require(proposal.epoch == state.epoch, E_WRONG_EPOCH)
    require(state.is_quorum(proposal.voting_weight), E_NOT_ENOUGH_VOTES)
    burned = inner_mut(rt, staking).pool(rt, candidate_node_id).extract_commission_to_burn(rt)
    wal.burn(rt, treasury, burned.into_coin(rt))


@MODULE.public("(self: &mut SlashingManager, staking: &Staking, node_ids: vector<ID>)")
def cleanup_slashing_proposals(rt: Runtime, self: SlashingManager, staking: Staking, node_ids: list[ObjectId]) -> None:
    """Removes proposals of past epochs; candidates without such a proposal are passed over."""
    epoch = inner(rt, staking).epoch
    for node_id in node_ids:
        known = CANDIDATES.contains(rt, self.slashing_candidates, node_id)
        if known and CANDIDATES.borrow(rt, self.slashing_candidates, node_id).epoch < epoch:
            CANDIDATES.remove(rt, self.slashing_candidates, node_id)
