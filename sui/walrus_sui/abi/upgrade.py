"""Module `walrus::upgrade`: a quorum allows a new version of the contract.

Life of an upgrade: nodes vote for the digest of the new package; with a quorum, one transaction authorizes it, publishes
it and commits it; then `init::migrate_v2` moves the states of Staking and System to the new version.
"""

from collections.abc import Sequence

from walrus_codec import bcs
from walrus_codec.types import NodeId, ObjectId
from walrus_sui.abi import layout, ptb
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, Owned, Program, Result
from walrus_sui.types import UpgradeManagerView, UpgradeProposal

MODULE = "upgrade"


def vote_for_upgrade(program: Program, contract: Contract, auth: Argument, *, node_id: NodeId, digest: bytes) -> Result:
    """Add `vote_for_upgrade`. Aborts upgrade 1 (not authorized), 2 (voted already), 3 (digest); staking_inner 4."""
    arguments = (contract.upgrade(), contract.staking(mutable=False), auth, ptb.address(node_id))
    return contract.call(program, MODULE, "vote_for_upgrade", *arguments, ptb.byte_vector(digest))


def authorize_upgrade(program: Program, contract: Contract, digest: bytes) -> Result:
    """Add `authorize_upgrade`; returns the UpgradeTicket. Aborts upgrade 3, 4 (no proposal), 5 (epoch), 6 (votes), 7."""
    arguments = (contract.upgrade(), contract.staking(mutable=False), ptb.byte_vector(digest))
    return contract.call(program, MODULE, "authorize_upgrade", *arguments)


def authorize_emergency_upgrade(program: Program, contract: Contract, cap: ObjectId, digest: bytes) -> Result:
    """Add `authorize_emergency_upgrade`, which asks nobody; returns the UpgradeTicket. Aborts upgrade 0 (other cap)."""
    arguments = (contract.upgrade(), Owned(cap), ptb.byte_vector(digest))
    return contract.call(program, MODULE, "authorize_emergency_upgrade", *arguments)


def commit_upgrade(program: Program, contract: Contract, receipt: Argument) -> Result:
    """Add `commit_upgrade` with what publishing returned."""
    arguments = (contract.upgrade(), contract.staking(mutable=True), contract.system(mutable=True), receipt)
    return contract.call(program, MODULE, "commit_upgrade", *arguments)


def migrate(program: Program, contract: Contract) -> Result:
    """Add `init::migrate_v2`, on the new package. Aborts staking or system 0 when there is nothing to migrate."""
    arguments = (contract.staking(mutable=True), contract.system(mutable=True))
    return contract.call(program, "init", "migrate_v2", *arguments)


def cleanup_upgrade_proposals(program: Program, contract: Contract, digests: Sequence[bytes]) -> Result:
    """Add `cleanup_upgrade_proposals`: remove those of earlier epochs and versions."""
    arguments = (contract.upgrade(), contract.staking(mutable=False), ptb.byte_vectors(digests))
    return contract.call(program, MODULE, "cleanup_upgrade_proposals", *arguments)


@layout.decoder("an UpgradeManager")
def decode_manager(contents: bytes) -> tuple[UpgradeManagerView, ObjectId]:
    """Decode an UpgradeManager; returns it without proposals, and the id of their table."""
    reader = bcs.Reader(contents)
    manager = layout.object_id(reader)
    layout.object_id(reader)  # the UpgradeCap
    view = UpgradeManagerView(manager, layout.object_id(reader), reader.u64(), reader.u8(), ())
    proposals = layout.table(reader)
    reader.finish()
    return view, proposals


def read_proposal(reader: bcs.Reader) -> UpgradeProposal:
    """Read an UpgradeProposal."""
    epoch, digest, version, weight = layout.epoch(reader), reader.bytes_(), reader.u64(), reader.u16()
    return UpgradeProposal(digest, epoch, version, weight, tuple(reader.vector(layout.node_id)))
