"""Gets a blob registered: with what an earlier store left behind, on storage of the wallet, or by buying.

Life of a registration here: `obtain` hands it out for one store; the store certifies it, or gives it back to
`registrations`. Nothing that was paid for is lost: a transaction whose asker went away gives its result to the
registrations, and one whose end the chain did not tell makes the next store look into the wallet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from walrus_client.errors import EncodingUnsupportedError, LifetimeTooLongError, StorageFullError
from walrus_client.store.batching import Batcher
from walrus_client.store.registrations import Registrations, choose_storage
from walrus_client.store.types import (
    RegisterFromScratch,
    ResourceOperation,
    ReuseRegistration,
    ReuseStorage,
    StoreOptions,
)
from walrus_codec.params import CodeParams
from walrus_codec.redstuff import EncodedBlob
from walrus_codec.types import Epoch, ObjectId
from walrus_sui.errors import ChainUnreachable, MalformedChainData, MoveAbort
from walrus_sui.keys import SuiKey
from walrus_sui.telemetry import tracer
from walrus_sui.types import BlobObject, NewBlob, StorageObject, SystemView

_log = logging.getLogger(__name__)


class ResourceChain(Protocol):
    """The part of the chain client that registering needs."""

    async def system(self) -> SystemView:
        """Prices and capacity."""

    async def blobs(self, address: str) -> list[BlobObject]:
        """Blob objects of an address."""

    async def storage(self, address: str) -> list[StorageObject]:
        """Storage of an address that is in no blob."""

    async def reserve_and_register(
        self, key: SuiKey, blobs: Sequence[NewBlob], *, epochs_ahead: int
    ) -> list[BlobObject]:
        """One transaction."""

    async def register_on_storage(
        self, key: SuiKey, storage: StorageObject, new: NewBlob, *, until: Epoch | None = None
    ) -> BlobObject:
        """One transaction."""


@dataclass(frozen=True)
class Registration:
    """A registered blob, how it came about, and what it cost in FROST."""

    blob: BlobObject
    operation: ResourceOperation
    cost: int


class Resources:
    """What one key has paid for.

    Args:
        chain: The chain client.
        key: Pays and owns.
    """

    def __init__(self, chain: ResourceChain, key: SuiKey) -> None:
        self._chain = chain
        self._key = key
        self.registrations = Registrations()
        self._registering: Batcher[int, NewBlob, BlobObject] = Batcher(
            self._register_batch, orphaned=self.registrations.keep
        )
        self._reusing: set[asyncio.Task[BlobObject]] = set()
        self._storage_taken: set[ObjectId] = set()
        self._wallet_known = False
        # Held while a registration is on its way, and while the wallet is read: so nothing is learned that has an owner.
        self._wallet = asyncio.Lock()

    async def close(self) -> None:
        """Waits for transactions under way."""
        await asyncio.gather(self._registering.close(), *self._reusing, return_exceptions=True)

    async def look_into_wallet(self, now: Epoch, *, needed: bool) -> Sequence[BlobObject]:
        """Blob objects of the key; read only when something may be there that is not known here, or when `needed`."""
        if self._wallet_known and not needed:
            return []
        async with self._wallet:
            if self._wallet_known and not needed:
                return []  # another store was faster
            owned = await self._chain.blobs(self._key.address)
            learned = self.registrations.learn(owned, now=now)
            self._wallet_known = True
        if learned:
            _log.info("registrations of interrupted stores are in the wallet; they will be used", extra={"n": learned})
        return owned

    async def obtain(self, encoded: EncodedBlob, params: CodeParams, now: Epoch, options: StoreOptions) -> Registration:
        """A registration of this blob that lasts for the epochs asked for, for the caller alone.

        Raises:
            LifetimeTooLongError, EncodingUnsupportedError, StorageFullError: The request cannot be met.
            InsufficientFunds: The key has too little SUI or WAL.
            ChainError: The chain.
        """
        length = encoded.metadata.unencoded_length
        encoded_length = params.encoded_length(length)
        until = Epoch(now + options.epochs)
        left = self.registrations.take(encoded.blob_id, deletable=options.deletable, now=now, until=until)
        if left is not None:
            return Registration(left, ReuseRegistration(encoded_length), 0)
        system = await self._chain.system()
        if options.epochs > system.max_epochs_ahead:
            raise LifetimeTooLongError(options.epochs, system.max_epochs_ahead)
        new = NewBlob(
            blob_id=encoded.blob_id,
            root_hash=encoded.metadata.root(),
            size=length,
            encoded_size=encoded_length,
            encoding_type=params.encoding,
            deletable=options.deletable,
        )
        with tracer().start_as_current_span("register blob"):
            try:
                blob = await self._register_on_storage(new, now, until) if options.reuse_resources else None
                if blob is not None:
                    return Registration(blob, ReuseStorage(encoded_length), system.write_cost(encoded_length))
                blob = await self._registering.submit(options.epochs, new)
            except MoveAbort as error:
                raise _register_error(error, params) from error
        cost = system.storage_cost(encoded_length, options.epochs) + system.write_cost(encoded_length)
        return Registration(blob, RegisterFromScratch(encoded_length, options.epochs), cost)

    async def _register_on_storage(self, new: NewBlob, now: Epoch, until: Epoch) -> BlobObject | None:
        """Registers on storage of the wallet; None when none fits."""
        storage = choose_storage(
            await self._chain.storage(self._key.address),
            size=new.encoded_size,
            now=now,
            until=until,
            taken=self._storage_taken,
        )
        if storage is None:
            return None
        self._storage_taken.add(storage.object_id)
        # A task of its own: what it registers is kept also when the asker goes away meanwhile.
        task = asyncio.ensure_future(self._register_held(storage, new, until))
        self._reusing.add(task)
        task.add_done_callback(self._reusing.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._keep_result)
            raise

    def _keep_result(self, task: asyncio.Task[BlobObject]) -> None:
        if not task.cancelled() and task.exception() is None:
            self.registrations.keep(task.result())

    async def _register_held(self, storage: StorageObject, new: NewBlob, until: Epoch) -> BlobObject:
        try:
            async with self._wallet:
                with self._unless_unknown():
                    blob = await self._chain.register_on_storage(self._key, storage, new, until=until)
                self.registrations.saw(blob.object_id)
        finally:
            self._storage_taken.discard(storage.object_id)
        return blob

    async def _register_batch(self, epochs: int, blobs: Sequence[NewBlob]) -> Sequence[BlobObject]:
        async with self._wallet:
            with self._unless_unknown():
                made = await self._chain.reserve_and_register(self._key, blobs, epochs_ahead=epochs)
            for blob in made:
                self.registrations.saw(blob.object_id)
        return made

    @contextlib.contextmanager
    def _unless_unknown(self) -> Iterator[None]:
        """A transaction whose end is not known may have happened: then the wallet has what was paid for."""
        try:
            yield
        except (ChainUnreachable, MalformedChainData):
            self._wallet_known = False
            raise


def _register_error(error: MoveAbort, params: CodeParams) -> Exception:
    match (error.module, error.code):
        case ("encoding", _):
            return EncodingUnsupportedError(f"this network does not store blobs of encoding {params.encoding.label}")
        case ("system_state_inner", 1):
            return StorageFullError("the network has not enough free storage for this blob; try fewer epochs, or later")
    return error
