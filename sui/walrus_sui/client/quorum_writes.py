"""Typed writes of what nodes decide by their signatures: bad blobs, deny lists, protocol versions, event blobs."""

from walrus_codec.types import Epoch, ObjectId
from walrus_sui.abi import storage_node, system
from walrus_sui.abi.ptb import Owned
from walrus_sui.client.writer import Writer
from walrus_sui.keys import SuiKey
from walrus_sui.types import NewBlob, NodeCap, SignedMessage


class QuorumWrites(Writer):
    """What is certified by more than the sender. A wrong epoch is messages 1, too few signers bls_aggregate 2."""

    async def invalidate_blob_id(self, key: SuiKey, signed: SignedMessage) -> None:
        """Declare a blob id invalid for ever, with f+1 of weight (`messages.invalid_blob`); anyone may."""
        await self._run(key, lambda program, contract, _wal: system.invalidate_blob_id(program, contract, signed))

    async def certify_event_blob(
        self, key: SuiKey, cap_id: ObjectId, blob: NewBlob, *, ending_checkpoint: int, epoch: Epoch
    ) -> None:
        """Attest a blob of chain events; with a quorum of attestations it is certified, free of charge.

        Raises:
            MoveAbort: system_state_inner 3 (other epoch), 6 and 7 (attested before), 8 (no member); blob 6.
        """
        cap = Owned(cap_id)
        await self._run(
            key,
            lambda program, contract, _wal: system.certify_event_blob(
                program, contract, cap, blob, ending_checkpoint=ending_checkpoint, epoch=epoch
            ),
        )

    async def update_protocol_version(self, key: SuiKey, cap_id: ObjectId, signed: SignedMessage) -> None:
        """Announce a protocol version with a quorum (`messages.protocol_version`). Aborts system_state_inner 8."""
        cap = Owned(cap_id)
        await self._run(
            key, lambda program, contract, _wal: system.update_protocol_version(program, contract, cap, signed)
        )

    async def register_deny_list_update(self, key: SuiKey, cap_id: ObjectId, *, root: bytes, sequence: int) -> None:
        """Announce the node's new deny list, so that others look at it. Aborts system_state_inner 9."""
        cap = Owned(cap_id)
        await self._run(
            key,
            lambda program, contract, _wal: system.register_deny_list_update(
                program, contract, cap, root=root, sequence=sequence
            ),
        )

    async def update_deny_list(self, key: SuiKey, cap_id: ObjectId, signed: SignedMessage) -> NodeCap:
        """Put the node's deny list into force with a quorum (`messages.deny_list_update`); returns the capability.

        Raises:
            MoveAbort: system_state_inner 9 (not newer than the last), 10 (another node's message).
        """
        cap = Owned(cap_id)
        executed = await self._run(
            key, lambda program, contract, _wal: system.update_deny_list(program, contract, cap, signed)
        )
        return storage_node.decode_cap(await self._contents(executed, cap_id), owner=key.address)

    async def delete_deny_listed_blob(self, key: SuiKey, signed: SignedMessage) -> None:
        """Declare a deny-listed blob deleted, with f+1 of weight. Official nodes cannot take the event: not for them."""
        await self._run(key, lambda program, contract, _wal: system.delete_deny_listed_blob(program, contract, signed))
