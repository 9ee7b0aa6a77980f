"""What the node answers: every request's checks, in the order and with the reasons of the official node.

Metadata: blob not invalid, not stored yet, encoding known, belongs to the blob id, registered. Slivers: see `uploads`.
Confirmation: registered, the object of a deletable blob lives, all slivers of all shards that the newest committee on
chain gives us are stored; then what is stored is made durable, then it is signed. Refusals are `RequestRefused`.

Nothing here knows gRPC: the gRPC face (`servicer`) and the later REST face translate to and from `model`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence

from walrus_client.compute import Compute
from walrus_client.peers.wire import CHUNK
from walrus_client.reasons import Reason, RequestRefused
from walrus_client.statuses import BlobStatus
from walrus_codec import blob_id as blob_ids
from walrus_codec import mapping
from walrus_codec.errors import MetadataError, SliverError, UnsupportedEncoding
from walrus_codec.metadata import BlobMetadata, verify_metadata
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, BlobId, Epoch, PairIndex, ShardIndex
from walrus_node.chain import ChainView
from walrus_node.challenges.feeding import HeldBack
from walrus_node.errors import DamagedError
from walrus_node.events.processor import EventProcessor
from walrus_node.events.status import status_of
from walrus_node.rpc.admission import Gate
from walrus_node.rpc.model import MissingSliver, SignedMessage
from walrus_node.rpc.rules import Lane
from walrus_node.rpc.uploads import Upload
from walrus_node.store.blob_records import InvalidBlob, ValidBlob
from walrus_node.store.records import Identity, ShardStatus
from walrus_node.store.room import RoomKeeper
from walrus_node.store.rules import Condition
from walrus_node.store.storage import SliverKey, Storage
from walrus_sui import messages
from walrus_sui.keys import Signer
from walrus_sui.messages import Deletable, Persistence
from walrus_sui.telemetry import meter, names
from walrus_sui.types import StakingView

_log = logging.getLogger(__name__)

MAX_METADATA = 1 << 17
"""Bytes of metadata that are looked at; 1,000 shards need 66,013."""
_NO_ROOM_S = 30.0
"""When a writer may look again whether there is room: nothing expires from one second to the next."""


class NodeService:
    """The handlers; one per process.

    Args:
        storage: what is kept.
        processor: how far the events are, and who waits for them.
        view: the chain's newest committee.
        compute: verification off the event loop.
        key: signs confirmations.
        gate: memory for what is being sent.
        room: whether there is room for more.
        held: slivers that nobody may read for a moment.
        registration_wait_s: longest wait for a registration to be seen.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        processor: EventProcessor,
        view: ChainView,
        compute: Compute,
        key: Signer,
        gate: Gate,
        room: RoomKeeper,
        held: HeldBack,
        registration_wait_s: float,
    ) -> None:
        self._storage = storage
        self._processor = processor
        self._view = view
        self._compute = compute
        self._key = key
        self._gate = gate
        self.room = room
        self._held = held
        self._registration_wait_s = registration_wait_s
        self._confirmations = meter().create_counter(names.NODE_CONFIRMATIONS, description="Confirmations signed.")
        self.identity: Identity | None = None

    # --- writes

    async def store_metadata(self, blob_id: BlobId, metadata: bytes, epoch: Epoch, *, wait_s: float = 0.0) -> bool:
        """Stores metadata (BCS BlobMetadata); True when it was there already.

        Args:
            blob_id: which blob.
            metadata: at most `MAX_METADATA` bytes.
            epoch: of the committee that the sender writes to.
            wait_s: how long to wait for the registration to be seen, capped by the configuration.

        Raises:
            RequestRefused: INVALID_EPOCH, INVALID_BLOB, UNSUPPORTED_ENCODING_TYPE, INVALID_METADATA, NOT_REGISTERED,
                UNAVAILABLE when there is no room for the slivers that are to follow.
        """
        staking = await self._check_epoch(epoch)
        await self._check_not_invalid(blob_id)
        if await self._storage.metadata(blob_id) is not None:
            return True
        params, length = self._check_metadata(blob_id, metadata)
        if not await self._processor.wait_registered(blob_id, timeout_s=min(wait_s, self._registration_wait_s)):
            # The wait may have ended because the blob turned out to be invalid.
            await self._check_not_invalid(blob_id)
            raise _not_registered(blob_id)
        await self._check_room(len(metadata) + len(self._owned(staking)) * _pair_size(params, length))
        return not await self._storage.put_metadata(blob_id, metadata)

    async def open_upload(self, blob_id: BlobId, epoch: Epoch) -> Upload:
        """Begins to take slivers of a blob whose metadata is stored.

        Raises:
            RequestRefused: INVALID_EPOCH, INVALID_BLOB, METADATA_NOT_FOUND, UNAVAILABLE also when there is no room.
        """
        staking = await self._check_epoch(epoch)
        await self._check_not_invalid(blob_id)
        stored = await self._storage.metadata(blob_id)
        if stored is None:
            raise RequestRefused(Reason.METADATA_NOT_FOUND, "store the blob's metadata before its slivers")
        shards = self._storage.shards
        coming = {shard for shard in self._owned(staking) if not shards.get(shard, ShardStatus.NONE).writable}
        if coming:
            raise RequestRefused(
                Reason.UNAVAILABLE,
                f"{len(coming)} shards of epoch {epoch} are still being set up here; try again in a second",
            )
        metadata = BlobMetadata.from_bcs(stored)
        params = CodeParams(len(metadata.hashes), metadata.encoding_type)
        missing = await self._storage.missing(blob_id, self._owned(staking))
        lacking = sum(params.sliver_size(key.axis, metadata.unencoded_length) for key in missing)
        if lacking:
            await self._check_room(lacking)
        return Upload(blob_id, metadata, params, self._storage, self._compute, lacking)

    async def confirm(
        self, blob_id: BlobId, persistence: Persistence, epoch: Epoch, *, wait_s: float = 0.0
    ) -> SignedMessage:
        """Signs that this node keeps all its slivers of the blob.

        Raises:
            RequestRefused: INVALID_EPOCH, INVALID_BLOB, NOT_REGISTERED, SHARD_NOT_ASSIGNED, MISSING_SLIVERS.
        """
        staking = await self._check_epoch(epoch)
        await self._check_not_invalid(blob_id)
        if not await self._processor.wait_registered(blob_id, timeout_s=min(wait_s, self._registration_wait_s)):
            raise _not_registered(blob_id)
        if isinstance(persistence, Deletable):
            await self._check_object(blob_id, persistence)
        owned = self._owned(staking)
        if not owned:
            raise RequestRefused(Reason.SHARD_NOT_ASSIGNED, f"this node holds no shards in epoch {epoch}")
        missing = await self._storage.missing(blob_id, owned)
        if missing or await self._storage.metadata(blob_id) is None:
            raise RequestRefused(
                Reason.MISSING_SLIVERS,
                f"{len(missing)} of the {2 * len(owned)} slivers of this node's shards are not stored; send them first",
                {"missing": str(len(missing))},
            )
        await self._storage.sync()
        message = messages.confirmation(blob_id, staking.epoch, persistence)
        signature = await self._compute.run(self._key.sign, message)
        self._confirmations.add(1)
        return SignedMessage(message, signature)

    # --- reads

    async def metadata(self, blob_id: BlobId) -> bytes:
        """BCS BlobMetadata; raises `RequestRefused` INVALID_BLOB, METADATA_NOT_FOUND."""
        await self._check_not_invalid(blob_id)
        if await self._is_registered(blob_id) and (stored := await self._storage.metadata(blob_id)) is not None:
            return stored
        raise RequestRefused(Reason.METADATA_NOT_FOUND, f"metadata of {blob_ids.to_text(blob_id)} is not stored here")

    async def slivers(
        self, blob_id: BlobId, axis: Axis, pairs: Sequence[PairIndex], *, client: str
    ) -> AsyncGenerator[tuple[PairIndex, Sliver] | MissingSliver]:
        """Yields the slivers of the wanted pairs, or why one is missing; no pairs means all of this node's.

        Args:
            blob_id: which blob.
            axis: which slivers.
            pairs: whose.
            client: who asks: the memory that sending one sliver takes is reserved in its name, for one at a time.

        Raises:
            RequestRefused: INDEX_OUT_OF_RANGE, MALFORMED_REQUEST for pairs that are asked for twice, INVALID_BLOB,
                METADATA_NOT_FOUND, CACHE_SATURATED.
        """
        metadata = BlobMetadata.from_bcs(await self.metadata(blob_id))
        n = len(metadata.hashes)
        if pairs and max(pairs) >= n:
            raise RequestRefused(Reason.INDEX_OUT_OF_RANGE, f"pair {max(pairs)} is not below the number of shards, {n}")
        if len(set(pairs)) != len(pairs):
            raise RequestRefused(Reason.MALFORMED_REQUEST, "a pair is asked for twice")
        held = self._storage.shards
        wanted = pairs or sorted(mapping.pair_of_shard(shard, blob_id, n) for shard in held)
        size = CodeParams(n, metadata.encoding_type).sliver_size(axis, metadata.unencoded_length)
        for pair in wanted:
            shard = mapping.shard_of_pair(pair, blob_id, n)
            if shard not in held:
                yield MissingSliver(pair, Reason.SHARD_NOT_ASSIGNED)
                continue
            await self._held.released(SliverKey(shard, axis, blob_id))
            async with self._gate.admitted(Lane.READ, client, sending(size)):
                sliver = await self._sliver(SliverKey(shard, axis, blob_id))
                yield MissingSliver(pair, Reason.SLIVER_NOT_FOUND) if sliver is None else (pair, sliver)
                del sliver

    async def status(self, blob_id: BlobId) -> BlobStatus:
        """What the events say about the blob."""
        return status_of(await self._storage.blob_info(blob_id), self._processor.epoch)

    # --- checks

    async def _sliver(self, key: SliverKey) -> Sliver | None:
        """A stored sliver, None also when it has rotted so that it is none any more; scrub takes it out."""
        try:
            stored = await self._storage.sliver(key)
            return None if stored is None else Sliver.from_bcs(key.axis, stored)
        except (SliverError, DamagedError) as error:
            facts = {"blob_id": blob_ids.to_text(key.blob_id), "shard": key.shard, "error": str(error)}
            _log.error("a stored sliver has changed on the disk", extra=facts)
            return None

    async def _check_epoch(self, epoch: Epoch) -> StakingView:
        await self._view.knows(epoch)
        staking = self._view.staking
        if staking is None:
            raise RequestRefused(Reason.UNAVAILABLE, "this node has not reached the chain yet; try again later")
        if epoch != staking.epoch or epoch == 0:
            raise RequestRefused(
                Reason.INVALID_EPOCH,
                f"the request is for epoch {epoch}, the current one is {staking.epoch}; refresh the committee",
                {"request_epoch": str(epoch), "server_epoch": str(staking.epoch)},
            )
        return staking

    async def _check_not_invalid(self, blob_id: BlobId) -> None:
        info = await self._storage.blob_info(blob_id)
        if isinstance(info, InvalidBlob):
            raise RequestRefused(
                Reason.INVALID_BLOB,
                "this blob id was proved to be badly encoded and is dead for ever",
                {"tx_digest": info.event.tx_digest, "event_seq": str(info.event.seq)},
            )

    async def _check_room(self, size: int) -> None:
        condition, message = await self.room.check(size)
        if condition is not Condition.OK:
            raise no_room(condition, message)

    def _check_metadata(self, blob_id: BlobId, encoded: bytes) -> tuple[CodeParams, int]:
        if len(encoded) > MAX_METADATA:
            raise RequestRefused(
                Reason.INVALID_METADATA, f"metadata has at most {MAX_METADATA} bytes, not {len(encoded)}"
            )
        staking = self._view.staking
        try:
            metadata = BlobMetadata.from_bcs(encoded)
            verify_metadata(blob_id, metadata, n_shards=staking.n_shards if staking is not None else 0)
        except UnsupportedEncoding as error:
            raise RequestRefused(Reason.UNSUPPORTED_ENCODING_TYPE, str(error)) from None
        except MetadataError as error:
            raise RequestRefused(Reason.INVALID_METADATA, str(error)) from None
        return CodeParams(len(metadata.hashes), metadata.encoding_type), metadata.unencoded_length

    async def _check_object(self, blob_id: BlobId, persistence: Deletable) -> None:
        found = await self._storage.object_info(persistence.object_id)
        alive = (
            found is not None
            and found.blob_id == blob_id
            and found.deletable
            and not found.deleted
            and found.end_epoch > self._processor.epoch
        )
        if found is None:
            pooled = await self._storage.pooled_info(persistence.object_id)
            # Its record goes when its pool ends, so that a record means a living pool.
            alive = pooled is not None and pooled.blob_id == blob_id and pooled.deletable
        if not alive:
            raise RequestRefused(
                Reason.NOT_REGISTERED, f"object {persistence.object_id} does not register this blob as deletable"
            )

    async def _is_registered(self, blob_id: BlobId) -> bool:
        info = await self._storage.blob_info(blob_id)
        return isinstance(info, ValidBlob) and info.is_registered(self._processor.epoch)

    def _owned(self, staking: StakingView) -> frozenset[ShardIndex]:
        member = staking.committee.by_id(self.identity.node_id) if self.identity is not None else None
        return frozenset(member.shards) if member is not None else frozenset()


def no_room(condition: Condition, message: str) -> RequestRefused:
    """The refusal of data that the node has no room for, or that its disk does not take."""
    return RequestRefused(
        Reason.UNAVAILABLE,
        f"this node takes no data: {message}",
        {"condition": condition.value},
        retry_after_s=_NO_ROOM_S,
    )


def sending(size: int) -> int:
    """Bytes that a sliver takes while it is sent: itself, and of one part the message, its encoding and gRPC's copy."""
    return size + 3 * min(size, CHUNK)


def _pair_size(params: CodeParams, length: int) -> int:
    return sum(params.sliver_size(axis, length) for axis in Axis)


def _not_registered(blob_id: BlobId) -> RequestRefused:
    return RequestRefused(
        Reason.NOT_REGISTERED,
        f"no living registration of {blob_ids.to_text(blob_id)} has been seen; register it, or try again in a second",
    )
