"""Typed writes of storage nodes: registration, its upkeep, and the steps of an epoch change."""

from collections.abc import Callable, Sequence

from walrus_codec import bcs
from walrus_codec.types import Epoch, NodeId, ObjectId, ShardIndex
from walrus_sui import messages
from walrus_sui.abi import staking, storage_node
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Owned, Program
from walrus_sui.client import wire
from walrus_sui.client.writer import Build, Writer, created
from walrus_sui.errors import MoveAbort
from walrus_sui.keys import BlsKey, SuiKey
from walrus_sui.types import NodeCap, NodeMetadata, PoolView, VotingParams


class NodeWrites(Writer):
    """What the owner of a StorageNodeCap does, and what anyone may do for the epoch to go on."""

    async def register_candidate(
        self,
        key: SuiKey,
        *,
        name: str,
        network_address: str,
        metadata: NodeMetadata,
        bls_key: BlsKey,
        network_public_key: bytes,
        commission_rate: int,
        votes: VotingParams,
    ) -> NodeCap:
        """Register a storage node; returns the capability, which belongs to `key`.

        The proof of possession is made here, because it binds the current epoch and the sender.

        Args:
            key: who operates the node.
            name: up to 100 bytes.
            network_address: "host:port" of the official REST face.
            metadata: texts and extra fields, `grpc_address` among them.
            bls_key: the protocol key.
            network_public_key: 33 bytes.
            commission_rate: basis points, up to 10,000.
            votes: prices and capacity.

        Raises:
            PublicNetworkRefused: this is a public network, and the configuration does not allow it.
        """
        self.config.require_registering_allowed()

        def at(epoch: Epoch) -> Build:
            return lambda program, contract, _wal: build(program, contract, epoch)

        def build(program: Program, contract: Contract, epoch: Epoch) -> None:
            proof = bls_key.sign(messages.proof_of_possession(key.address, bls_key.public_key, epoch))
            cap = staking.register_candidate(
                program,
                contract,
                name=name,
                network_address=network_address,
                metadata=metadata,
                bls_public_key=bls_key.public_key,
                network_public_key=network_public_key,
                proof_of_possession=proof,
                commission_rate=commission_rate,
                votes=votes,
            )
            program.transfer([cap], key.address)

        executed = await self._run_in_epoch(key, at)
        contract = await self.contract()
        cap_id = created(executed, contract.type_name(storage_node.MODULE, storage_node.CAP))[0]
        contents = await self._contents(executed, cap_id)
        return storage_node.decode_cap(contents, owner=key.address)

    async def update_node(
        self,
        key: SuiKey,
        cap: NodeCap,
        pool: PoolView,
        *,
        name: str | None = None,
        network_address: str | None = None,
        metadata: NodeMetadata | None = None,
        network_public_key: bytes | None = None,
        commission_rate: int | None = None,
        votes: VotingParams | None = None,
    ) -> bool:
        """Bring a node's registration in step with its configuration; only what differs from `pool` is written.

        Args:
            key: owner of the capability.
            cap: the node's capability.
            pool: the registration as last read.
            name: wanted name; None leaves it, as for all others.
            network_address: "host:port" of the REST face.
            metadata: texts and extra fields, as a whole.
            network_public_key: 33 bytes.
            commission_rate: basis points; takes effect two epochs later.
            votes: prices and capacity.

        Returns:
            Whether a transaction was needed.
        """

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            cap_argument = Owned(cap.object_id)
            if name is not None and name != pool.name:
                staking.set_name(program, contract, cap_argument, name)
            if network_address is not None and network_address != pool.network_address:
                staking.set_network_address(program, contract, cap_argument, network_address)
            if metadata is not None and metadata != pool.metadata:
                staking.set_node_metadata(program, contract, cap_argument, metadata)
            if network_public_key is not None and network_public_key != pool.network_public_key:
                staking.set_network_public_key(program, contract, cap_argument, network_public_key)
            if commission_rate is not None and commission_rate != _final_commission(pool):
                staking.set_next_commission(program, contract, cap_argument, commission_rate)
            if votes is not None:
                staking.set_votes(program, contract, cap_argument, old=pool.votes, new=votes)

        draft = Program()
        build(draft, await self.contract(), ())
        if draft.commands:
            await self._run(key, build)
        return bool(draft.commands)

    async def set_next_public_key(self, key: SuiKey, cap: NodeCap, bls_key: BlsKey) -> None:
        """Announce the BLS key that the node will sign with once its pool advances to the next epoch."""

        def at(epoch: Epoch) -> Build:
            message = messages.proof_of_possession(key.address, bls_key.public_key, epoch)
            proof, owned = bls_key.sign(message), Owned(cap.object_id)
            return lambda program, contract, _wal: staking.set_next_public_key(
                program, contract, owned, key=bls_key.public_key, proof=proof
            )

        await self._run_in_epoch(key, at)

    async def try_join_active_set(self, key: SuiKey, cap_id: ObjectId) -> None:
        """Come back into the active set after an eviction, if the node's stake suffices by now."""
        cap = Owned(cap_id)
        await self._run(key, lambda program, contract, _wal: staking.try_join_active_set(program, contract, cap))

    async def voting_end(self, key: SuiKey) -> None:
        """End voting and fix the next committee. Aborts staking_inner 0 when it is too early or was done already."""
        await self._run(key, lambda program, contract, _wal: staking.voting_end(program, contract))

    async def initiate_epoch_change(self, key: SuiKey) -> None:
        """Start the next epoch. Aborts staking_inner 0 (too early, or done) or 6 (voting has not ended)."""
        await self._run(key, lambda program, contract, _wal: staking.initiate_epoch_change(program, contract))

    async def epoch_sync_done(self, key: SuiKey, cap_id: ObjectId, epoch: Epoch) -> None:
        """Attest that a node holds its shards. Aborts staking_inner 1 (other epoch), 2 (done), 4 (not a member)."""
        cap = Owned(cap_id)
        await self._run(key, lambda program, contract, _wal: staking.epoch_sync_done(program, contract, cap, epoch))

    async def update_prices(self, key: SuiKey) -> None:
        """Make the committee's price votes count now."""
        await self._run(key, lambda program, contract, _wal: staking.update_prices(program, contract))

    async def preview_committee(self) -> dict[NodeId, tuple[ShardIndex, ...]]:
        """Return the shards of each node were the next committee chosen now. Aborts staking_inner 3 without stake."""
        reader = bcs.Reader(await self._view(staking.compute_next_committee))
        committee = dict(staking.read_committee(reader))
        reader.finish()
        return committee

    async def _run_in_epoch(self, key: SuiKey, at: Callable[[Epoch], Build]) -> wire.Executed:
        """Execute what holds a proof of possession, which binds the epoch; once more when the epoch has just changed."""
        for last in (False, True):
            epoch = (await self.system()).epoch
            try:
                return await self._run(key, at(epoch))
            except MoveAbort as error:
                if last or (error.module, error.code) not in {("messages", 1), ("staking_pool", 4)}:
                    raise
        raise AssertionError("the second attempt returns or raises")


def _final_commission(pool: PoolView) -> int:
    """Return the rate that holds once everything pending has taken effect."""
    return max(pool.pending_commission_rate)[1] if pool.pending_commission_rate else pool.commission_rate
