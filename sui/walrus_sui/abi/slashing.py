"""Module `walrus::slashing`: a quorum may burn a node's commission. Votes count in the epoch that they were cast in."""

from collections.abc import Sequence

from walrus_codec import bcs
from walrus_codec.types import NodeId, ObjectId
from walrus_sui.abi import layout, ptb
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, Program, Result
from walrus_sui.types import SlashingProposal

MODULE = "slashing"


def vote_for_slashing(
    program: Program, contract: Contract, auth: Argument, *, voter: NodeId, candidate: NodeId
) -> Result:
    """Add `vote_for_slashing`. Aborts slashing 0 (not authorized), 1 (voted already); staking_inner 4 (no member)."""
    arguments = (contract.slashing(), contract.staking(mutable=False), auth, ptb.address(voter), ptb.address(candidate))
    return contract.call(program, MODULE, "vote_for_slashing", *arguments)


def execute_slashing(program: Program, contract: Contract, candidate: NodeId) -> Result:
    """Add `execute_slashing`. Aborts slashing 2 (no proposal), 3 (of another epoch), 4 (no quorum)."""
    arguments = (contract.slashing(), contract.staking(mutable=True), contract.treasury(), ptb.address(candidate))
    return contract.call(program, MODULE, "execute_slashing", *arguments)


def cleanup_slashing_proposals(program: Program, contract: Contract, nodes: Sequence[NodeId]) -> Result:
    """Add `cleanup_slashing_proposals`: remove those of earlier epochs."""
    arguments = (contract.slashing(), contract.staking(mutable=False), ptb.address_vector(nodes))
    return contract.call(program, MODULE, "cleanup_slashing_proposals", *arguments)


@layout.decoder("a SlashingManager")
def decode_manager(contents: bytes) -> ObjectId:
    """Decode a SlashingManager; returns the id of its table of proposals."""
    reader = bcs.Reader(contents)
    layout.object_id(reader)
    proposals = layout.table(reader)
    reader.finish()
    return proposals


def read_proposal(reader: bcs.Reader) -> SlashingProposal:
    """Read a SlashingProposal."""
    epoch, node_id, weight = layout.epoch(reader), layout.node_id(reader), reader.u16()
    return SlashingProposal(node_id, epoch, weight, tuple(reader.vector(layout.node_id)))
