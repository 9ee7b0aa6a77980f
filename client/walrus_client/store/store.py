"""Stores blobs: encode, look whether it is there already, register, upload, certify. Two transactions in all.

                     ┌ certified long enough: done
    encode ─ status ─┤
                     └ register ─ upload to all nodes ─ quorum of confirmations ─ certify (and hand on)
                          │ ▲                ▲        epoch changed        │          │    ║ stragglers go on
                          │ │                └──────── new committee ◄─────┴──────────┤
                          │ └───────────── what was registered has ended meanwhile ◄──┘
                          └ kept for the next attempt when anything after it fails

Before it registers, a store looks for a registration of the same blob that an earlier one left behind, in this process or
in one that was killed (`registrations`), and with `reuse_resources` for storage in the wallet. Many stores at once share
transactions (`batching`), the budget of bytes in flight and the peers' channels.

A store that is cancelled ends at once with all its streams; only a transaction that is sent already runs to its end. If that
was the certification, the registration is kept like any other, and who takes it learns from the chain that all is done.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from random import Random, SystemRandom
from typing import Protocol, TypeVar

from walrus_client import rules, statuses
from walrus_client.budget import ByteBudget
from walrus_client.committee import CommitteeTracker
from walrus_client.compute import Compute, Segment
from walrus_client.errors import (
    BlobInvalidError,
    InsufficientConfirmationsError,
    NodeOutcome,
    StatusUnknownError,
)
from walrus_client.peers import PeerPool
from walrus_client.read import with_members
from walrus_client.status import EventSource, blob_status
from walrus_client.store import registrations
from walrus_client.store.batching import Batcher
from walrus_client.store.confirmations import certificate
from walrus_client.store.registrations import Registrations
from walrus_client.store.resources import Registration, ResourceChain, Resources
from walrus_client.store.types import (
    AfterStore,
    AlreadyCertified,
    KeepObject,
    NewlyCreated,
    SendObject,
    ShareObject,
    StoreOptions,
    StoreResult,
)
from walrus_client.store.uploading import Confirmed, EpochChangedError, Network, Round, Upload
from walrus_codec import blob_id as blob_ids
from walrus_codec import quorum
from walrus_codec.params import CodeParams
from walrus_codec.redstuff import EncodedBlob
from walrus_codec.types import BlobId, Buffer, EncodingType, Epoch, ObjectId, SuiAddress
from walrus_sui.errors import MoveAbort, ObjectNotFound, TransactionRejected
from walrus_sui.keys import SuiKey
from walrus_sui.messages import Deletable, Permanent
from walrus_sui.telemetry import meter, names, tracer
from walrus_sui.types import BlobObject, Certificate, CertifiedBlob, StakingView

_log = logging.getLogger(__name__)
T = TypeVar("T")

ROUNDS = 3
"""Collecting confirmations may be overtaken by an epoch change this many times, less one."""

UPLOAD_BYTES_IN_FLIGHT = 64 << 20

BeforePaying = Callable[[BlobId, Epoch], Awaitable["StoreResult | None"]]
"""Told the blob id and the first epoch in which it need not be stored any more; a result makes the store needless."""


class StoreChain(ResourceChain, EventSource, Protocol):
    """The part of the chain client that storing needs."""

    async def blob(self, object_id: ObjectId) -> BlobObject:
        """A Blob object; raises `ObjectNotFound`."""

    async def certify(
        self,
        key: SuiKey,
        certificates: Sequence[Certificate],
        *,
        send_to: SuiAddress | None = None,
        share: bool = False,
    ) -> list[CertifiedBlob]:
        """One transaction."""


class _RegistrationOverError(Exception):
    """The storage of the registration ended before the blob could be certified."""


class Store:
    """Stores blobs with one key.

    Args:
        chain: The chain client.
        key: Pays, and owns the Blob objects until they are handed on.
        committees: The committee as known.
        peers: Channels to the nodes.
        compute: Where blobs are encoded.
        default_encoding: Code of blobs whose options name none.
    """

    def __init__(
        self,
        chain: StoreChain,
        key: SuiKey,
        committees: CommitteeTracker,
        peers: PeerPool,
        compute: Compute,
        *,
        default_encoding: EncodingType,
        rng: Random | None = None,
    ) -> None:
        self._chain = chain
        self._key = key
        self._committees = committees
        self._peers = peers
        self._compute = compute
        self._default_encoding = default_encoding
        in_flight = ByteBudget(UPLOAD_BYTES_IN_FLIGHT)
        self._network = Network(peers, committees, compute, in_flight, rng or SystemRandom())
        self._resources = Resources(chain, key)
        self._certifying: Batcher[AfterStore, Certificate, CertifiedBlob] = Batcher(self._certify_batch)
        self._duration = meter().create_histogram(
            names.CLIENT_STORE_DURATION, unit="s", description="Duration of blob stores."
        )
        self._encoding = meter().create_histogram(
            names.CLIENT_ENCODE_DURATION, unit="s", description="Duration of encoding a blob."
        )

    async def store(
        self, data: Buffer | Segment, options: StoreOptions, *, before_paying: BeforePaying | None = None
    ) -> StoreResult:
        """Stores a blob.

        Args:
            data: The blob; a `Segment` is consumed (see `Compute.encode`).
            options: How.
            before_paying: Called once, before anything is paid for; what it returns is the result.

        Raises:
            BlobTooLarge, LifetimeTooLongError, EncodingUnsupportedError: The request cannot be met.
            InsufficientConfirmationsError: Too few nodes; repeat it, the registration is kept.
            InsufficientFunds: The key has too little SUI or WAL.
            BlobInvalidError: The blob id is dead.
            ChainError: The chain.
        """
        started = time.perf_counter()
        outcome = "error"
        with tracer().start_as_current_span("store blob") as span:
            try:
                result = await self._store(data, options, before_paying)
                outcome = "stored" if isinstance(result, NewlyCreated) else "already certified"
                blob_id = result.blob.blob_id if isinstance(result, NewlyCreated) else result.blob_id
                span.set_attribute(names.ATTR_BLOB_ID, blob_ids.to_text(blob_id))
                return result
            finally:
                self._duration.record(time.perf_counter() - started, {names.ATTR_OUTCOME: outcome})

    @property
    def registrations(self) -> Registrations:
        """What was paid for and is not in use."""
        return self._resources.registrations

    @property
    def bytes_in_flight(self) -> int:
        """Copies of chunks that wait to be sent, of all stores."""
        return self._network.in_flight.used

    async def close(self) -> None:
        """Waits for transactions under way."""
        await asyncio.gather(self._resources.close(), self._certifying.close())

    async def _store(
        self, data: Buffer | Segment, options: StoreOptions, before_paying: BeforePaying | None
    ) -> StoreResult:
        view = await self._committees.view()
        n_shards = with_members(rules.write_committee(view)).n_shards
        params = CodeParams(n_shards, options.encoding or self._default_encoding)
        encoded = await self._encode(data, params)
        owned = await self._resources.look_into_wallet(view.epoch, needed=options.reuse_resources)
        if not options.force:
            known = await self._already_certified(encoded, view, options, owned if options.reuse_resources else [])
            if known is not None:
                return known
        if before_paying is not None:
            result = await before_paying(encoded.blob_id, Epoch(view.epoch + options.epochs))
            if result is not None:
                return result
        paid = 0
        while True:
            registration = await self._resources.obtain(encoded, params, view.epoch, options)
            paid += registration.cost
            try:
                certified = await self._certified(encoded, params, registration.blob, options)
                break
            except _RegistrationOverError:
                view = await self._committees.refresh()
                _log.info("a registration ended before its blob was certified; registering again")
            except (MoveAbort, ObjectNotFound, TransactionRejected) as error:
                # Most likely the object is not what it was, because a store that was broken off has certified it after all.
                found = await self._as_on_chain(registration)
                if found is not None and found.certified_epoch is None and found.owner == self._key.address:
                    if not isinstance(error, MoveAbort) or error.module != "blob":
                        self._resources.registrations.keep(found)
                    raise
                if found is not None and self._is_done(found, options):
                    return NewlyCreated(found, registration.operation, paid)
                if registration.cost:
                    raise
                _log.warning("a registration was used otherwise meanwhile; registering again")
            except BaseException:
                # Also when the asker went away: what was paid for serves the next attempt.
                self._resources.registrations.keep(registration.blob)
                raise
        owner = options.after.address if isinstance(options.after, SendObject) else self._key.address
        blob = replace(
            registration.blob,
            certified_epoch=certified.epoch,
            owner=None if isinstance(options.after, ShareObject) else owner,
        )
        return NewlyCreated(blob, registration.operation, paid, certified.shared_object_id)

    async def _as_on_chain(self, registration: Registration) -> BlobObject | None:
        """The registration's object as it is now; None when it is gone, or shared."""
        try:
            return await self._chain.blob(registration.blob.object_id)
        except ObjectNotFound:
            return None
        except BaseException:
            self._resources.registrations.keep(registration.blob)
            raise

    def _is_done(self, found: BlobObject, options: StoreOptions) -> bool:
        """Whether the object is certified, and in the hands that these options want it in."""
        wanted = options.after.address if isinstance(options.after, SendObject) else self._key.address
        return (
            found.certified_epoch is not None and found.owner == wanted and not isinstance(options.after, ShareObject)
        )

    async def _encode(self, data: Buffer | Segment, params: CodeParams) -> EncodedBlob:
        started = time.perf_counter()
        with tracer().start_as_current_span("encode blob"):
            encoded = await self._compute.encode(data, params)
        self._encoding.record(time.perf_counter() - started)
        return encoded

    async def _already_certified(
        self, encoded: EncodedBlob, view: StakingView, options: StoreOptions, owned: Sequence[BlobObject]
    ) -> AlreadyCertified | None:
        """What makes the store needless.

        A deletable blob lives no longer than its owner wants, so a certified one counts only in the hands that are to get
        the object; and who asks for a deletable blob, to delete it one day, is not served with somebody's permanent one.
        """
        until = Epoch(view.epoch + options.epochs)
        if options.reuse_resources and options.after != KeepObject():
            # What the key has is not what is asked for; the one who was to get an object may have it.
            owned = await self._chain.blobs(options.after.address) if isinstance(options.after, SendObject) else []
        own = registrations.choose_certified(owned, encoded.blob_id, deletable=options.deletable, until=until)
        if own is not None:
            return AlreadyCertified(encoded.blob_id, own.object_id, own.storage.end_epoch)
        try:
            status = await blob_status(encoded.blob_id, rules.write_committee(view), self._peers, chain=self._chain)
        except StatusUnknownError:
            return None  # too few nodes answer: whether enough of them store will be seen
        match status:
            case statuses.Invalid():
                raise BlobInvalidError(
                    f"blob {blob_ids.to_text(encoded.blob_id)} was marked invalid on chain by {status.event.tx_digest}; "
                    "it can never be stored again"
                )
            case statuses.PermanentBlob() if (
                not options.deletable and status.is_certified and status.end_epoch >= until
            ):
                return AlreadyCertified(encoded.blob_id, status.event, status.end_epoch)
        return None

    async def _certified(
        self, encoded: EncodedBlob, params: CodeParams, blob: BlobObject, options: StoreOptions
    ) -> CertifiedBlob:
        persistence = Deletable(blob.object_id) if blob.deletable else Permanent()
        upload = Upload(encoded, encoded.metadata.to_bcs(), params, persistence)
        view = await self._committees.view()
        if view.epoch < blob.registered_epoch:
            view = await self._committees.refresh()
        for left in reversed(range(ROUNDS)):
            committee = with_members(rules.write_committee(view))
            if blob.storage.end_epoch <= view.epoch:
                raise _RegistrationOverError
            try:
                async with Round(upload, committee, self._network, ask_first=left < ROUNDS - 1) as round_:
                    with tracer().start_as_current_span("upload blob"):
                        confirmed = await round_.quorum()
                    certified = await self._certify(blob, confirmed, options.after)
                    await round_.stragglers()
                    return certified
            except EpochChangedError:
                pass
            except MoveAbort as error:
                # The epoch may have changed between the last signature and the transaction.
                if error.module not in {"messages", "bls_aggregate"} or not left:
                    raise
            view = await self._committees.refresh()
            _log.info("the epoch changed while a blob was stored; collecting again", extra={"epoch": view.epoch})
        raise InsufficientConfirmationsError(
            weight=0,
            needed=quorum.quorum_weight(params.n_shards),
            n_shards=params.n_shards,
            outcomes=[NodeOutcome("all", params.n_shards, "the epoch changed again and again during the store")],
        )

    async def _certify(self, blob: BlobObject, confirmed: Confirmed, after: AfterStore) -> CertifiedBlob:
        built = await self._compute.run(
            certificate, blob.object_id, confirmed.committee, confirmed.message, confirmed.signatures
        )
        with tracer().start_as_current_span("certify blob"):
            return await self._certifying.submit(after, built)

    async def _certify_batch(self, after: AfterStore, certificates: Sequence[Certificate]) -> Sequence[CertifiedBlob]:
        send_to = after.address if isinstance(after, SendObject) else None
        share = isinstance(after, ShareObject)
        return await self._chain.certify(self._key, certificates, send_to=send_to, share=share)
