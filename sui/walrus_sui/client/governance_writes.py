"""Typed writes of a node's powers: its commission, its votes on slashing and upgrades, and their execution.

Who acts is the sender, or whoever holds an object (`holder`): a fresh pool pays its commission to the holder of its
StorageNodeCap, and lets the address that registered it vote.
"""

from collections.abc import Callable, Sequence

from walrus_codec.types import NodeId, ObjectId
from walrus_sui.abi import auth, slashing, staking, upgrade
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Owned, Program, Result, Upgrade
from walrus_sui.client.writer import Writer
from walrus_sui.keys import SuiKey
from walrus_sui.types import Authorized

_Proof = Callable[[Program, Contract], Result]


class GovernanceWrites(Writer):
    """What those do whom a pool authorizes."""

    async def collect_commission(self, key: SuiKey, node_id: NodeId, *, holder: ObjectId | None) -> int:
        """Collect a node's commission, as far as it is not blocked; returns the FROST, which may be 0.

        Args:
            key: who gets the WAL.
            node_id: whose commission.
            holder: object of `key` that is the receiver (the StorageNodeCap of a fresh pool); None for its address.

        Raises:
            MoveAbort: staking_pool 15 when the pool pays somebody else.
        """
        proof = await self._proof(holder)

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            coin = staking.collect_commission(program, contract, node_id, proof(program, contract))
            program.transfer([coin], key.address)

        return await self._received_wal(await self._run(key, build))

    async def set_commission_receiver(
        self, key: SuiKey, node_id: NodeId, receiver: Authorized, *, holder: ObjectId | None
    ) -> None:
        """Let somebody else collect a node's commission. Aborts staking_pool 15 unless the receiver of today asks."""
        proof = await self._proof(holder)

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            who = auth.authorized(program, contract, receiver)
            staking.set_commission_receiver(program, contract, node_id, proof(program, contract), who)

        await self._run(key, build)

    async def set_governance_authorized(
        self, key: SuiKey, node_id: NodeId, voter: Authorized, *, holder: ObjectId | None = None
    ) -> None:
        """Let somebody else vote for a node. Aborts staking_pool 15 unless who may vote today asks."""
        proof = await self._proof(holder)

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            who = auth.authorized(program, contract, voter)
            staking.set_governance_authorized(program, contract, node_id, proof(program, contract), who)

        await self._run(key, build)

    async def vote_for_slashing(
        self, key: SuiKey, *, voter: NodeId, candidate: NodeId, holder: ObjectId | None = None
    ) -> None:
        """Vote to burn a node's commission; counts in this epoch only.

        Raises:
            MoveAbort: slashing 0 (not authorized), 1 (voted already); staking_inner 4 (`voter` is no member).
            NetworkConfigError: the network has no SlashingManager.
        """
        proof = await self._proof(holder)

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            who = proof(program, contract)
            slashing.vote_for_slashing(program, contract, who, voter=voter, candidate=candidate)

        await self._run(key, build)

    async def execute_slashing(self, key: SuiKey, candidate: NodeId) -> None:
        """Burn a node's commission after a quorum of votes; anyone may. Aborts slashing 2, 3, 4."""
        await self._run(key, lambda program, contract, _wal: slashing.execute_slashing(program, contract, candidate))

    async def cleanup_slashing_proposals(self, key: SuiKey, candidates: Sequence[NodeId]) -> None:
        """Remove votes of earlier epochs; anyone may."""
        await self._run(
            key, lambda program, contract, _wal: slashing.cleanup_slashing_proposals(program, contract, candidates)
        )

    async def vote_for_upgrade(
        self, key: SuiKey, node_id: NodeId, digest: bytes, *, holder: ObjectId | None = None
    ) -> None:
        """Vote for the package with a digest of 32 bytes; counts in this epoch only.

        Raises:
            MoveAbort: upgrade 1 (not authorized), 2 (voted already), 3 (digest); staking_inner 4 (no member).
            NetworkConfigError: the UpgradeManager is not configured.
        """
        proof = await self._proof(holder)

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            who = proof(program, contract)
            upgrade.vote_for_upgrade(program, contract, who, node_id=node_id, digest=digest)

        await self._run(key, build)

    async def upgrade_contract(
        self,
        key: SuiKey,
        *,
        digest: bytes,
        modules: Sequence[bytes],
        dependencies: Sequence[ObjectId],
        emergency_cap: ObjectId | None = None,
    ) -> None:
        """Publish the next version of the contract after a quorum of votes, or with the emergency capability.

        Call `migrate_contract` next: until then the states of Staking and System are those of the old version.

        Args:
            key: who pays.
            digest: of the new package, as it was voted for.
            modules: compiled modules.
            dependencies: packages that they link to.
            emergency_cap: EmergencyUpgradeCap of `key`, which needs no votes.
        """
        package = (await self.upgrade_manager()).package_id

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            if emergency_cap is None:
                ticket = upgrade.authorize_upgrade(program, contract, digest)
            else:
                ticket = upgrade.authorize_emergency_upgrade(program, contract, emergency_cap, digest)
            receipt = program.add(Upgrade(tuple(modules), tuple(dependencies), package, ticket))
            upgrade.commit_upgrade(program, contract, receipt)

        await self._run(key, build)

    async def migrate_contract(self, key: SuiKey) -> None:
        """Move the states of Staking and System to the newest published package; anyone may."""
        newest = (await self.upgrade_manager()).package_id
        await self._run(key, lambda program, contract, _wal: upgrade.migrate(program, contract.at(newest)))
        await self.contract(fresh=True)

    async def cleanup_upgrade_proposals(self, key: SuiKey, digests: Sequence[bytes]) -> None:
        """Remove votes of earlier epochs and versions; anyone may."""
        await self._run(
            key, lambda program, contract, _wal: upgrade.cleanup_upgrade_proposals(program, contract, digests)
        )

    async def _proof(self, holder: ObjectId | None) -> _Proof:
        if holder is None:
            return auth.authenticate_sender
        object_type = (await self._transport.object(holder)).type
        return lambda program, contract: auth.authenticate_with_object(program, contract, Owned(holder), object_type)
