"""Typed writes of blobs: buying storage, registering, certifying, handing on."""

from collections.abc import Sequence

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui import events
from walrus_sui.abi import blob, shared_blob, system
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Owned, Program
from walrus_sui.client import wire
from walrus_sui.client.writer import Writer, created
from walrus_sui.errors import InsufficientFunds, MoveAbort
from walrus_sui.keys import SuiKey
from walrus_sui.types import BlobObject, Certificate, CertifiedBlob, NewBlob, SignedMessage


class BlobWrites(Writer):
    """What the owner of Blob objects does."""

    async def reserve_and_register(
        self, key: SuiKey, blobs: Sequence[NewBlob], *, epochs_ahead: int
    ) -> list[BlobObject]:
        """Buy storage for blobs and register them, in one transaction; returns the objects in the order of `blobs`.

        Args:
            key: who pays, and owns the Blob objects.
            blobs: at least one; about fifty fit into one transaction.
            epochs_ahead: for how many epochs, the current one included.

        Raises:
            InsufficientFunds: also when the chain found too little WAL.
        """

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            purse = program.merged(wal)
            made = []
            for new in blobs:
                storage = system.reserve_space(
                    program, contract, encoded_size=new.encoded_size, epochs_ahead=epochs_ahead, payment=purse
                )
                made.append(
                    system.register_blob(
                        program,
                        contract,
                        storage=storage,
                        blob_id=new.blob_id,
                        root_hash=new.root_hash,
                        size=new.size,
                        encoding_type=new.encoding_type,
                        deletable=new.deletable,
                        payment=purse,
                    )
                )
            program.transfer(made, key.address)

        async def cost() -> int:
            view = await self.system()
            return sum(
                view.storage_cost(new.encoded_size, epochs_ahead) + view.write_cost(new.encoded_size) for new in blobs
            )

        try:
            executed = await self._run(key, build, wal=0)
        except InsufficientFunds as error:
            if error.coin == "WAL":
                raise InsufficientFunds(key.address, coin="WAL", needed=await cost(), available=0) from None
            raise
        except MoveAbort as error:
            if error.module in {"balance", "coin"}:
                has = await self.balance(key.address, "WAL")
                raise InsufficientFunds(key.address, coin="WAL", needed=await cost(), available=has) from error
            raise
        registered = [event for event in self._events(executed) if isinstance(event, events.BlobRegistered)]
        return [blob.decode(await self._contents(executed, event.object_id), owner=key.address) for event in registered]

    async def certify(
        self,
        key: SuiKey,
        certificates: Sequence[Certificate],
        *,
        send_to: SuiAddress | None = None,
        share: bool = False,
    ) -> list[CertifiedBlob]:
        """Certify blobs, and hand the objects on, in one transaction; answers in the order of `certificates`.

        Args:
            key: owner of the Blob objects.
            certificates: one per blob.
            send_to: give the Blob objects to this address afterwards.
            share: wrap the Blob objects into SharedBlobs afterwards; not together with `send_to`.

        Raises:
            MoveAbort: among others messages 1 when the epoch has changed since the confirmations were signed.
        """
        if share and send_to is not None:
            raise ValueError("a blob is either sent to an address or shared")

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            for item in certificates:
                signed = SignedMessage(item.signature, item.signers_bitmap, item.message)
                system.certify_blob(program, contract, Owned(item.object_id), signed)
            if share:
                for item in certificates:
                    shared_blob.new(program, contract, Owned(item.object_id))
            elif send_to is not None and send_to != key.address:
                program.transfer([Owned(item.object_id) for item in certificates], send_to)

        executed = await self._run(key, build)
        shared = await self._shared_blobs(executed) if share else {}
        return [
            CertifiedBlob(
                object_id=event.object_id,
                blob_id=event.blob_id,
                epoch=event.epoch,
                end_epoch=event.end_epoch,
                tx_digest=executed.digest,
                event_seq=position,
                shared_object_id=shared.get(event.object_id),
            )
            for position, event in enumerate(self._events(executed))
            if isinstance(event, events.BlobCertified)
        ]

    async def _shared_blobs(self, executed: wire.Executed) -> dict[ObjectId, ObjectId]:
        """Return the SharedBlobs that a transaction made, by the blobs inside."""
        contract = await self.contract()
        found: dict[ObjectId, ObjectId] = {}
        for object_id in created(executed, contract.type_name(shared_blob.MODULE, shared_blob.SHARED_BLOB)):
            contents = await self._contents(executed, object_id)
            found[shared_blob.decode(contents).blob.object_id] = object_id
        return found
