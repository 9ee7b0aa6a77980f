"""Reads blobs: metadata, enough primary slivers, their rows, consistency check (walrus-protocol: reading a blob).

A blob is read as a stream (`streaming`): as soon as enough slivers are verified, its rows are there, and are sent from
where they lie. Rows that had to be rebuilt are verified first as if they had been received; the strict check encodes
everything again, also before the first byte is given.

Which committee to ask depends on where the chain stands (`rules.read_committee`). A read that finds nothing or too
little looks once more at the chain, because the committee may just have changed; if it has, the read starts again. When
the chain is away, the last known committee serves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from random import Random, SystemRandom
from typing import TypeVar

from walrus_client import rules, statuses
from walrus_client.committee import CommitteeTracker
from walrus_client.compute import Compute
from walrus_client.errors import (
    BlobInvalidError,
    BlobUnavailableError,
    NetworkNotReadyError,
    ReadError,
    StatusUnknownError,
)
from walrus_client.peers import PeerPool
from walrus_client.read.metadata import fetch_metadata
from walrus_client.read.slivers import VERIFY_AT_ONCE, ReadContext, batches, candidates_of, collect_primary
from walrus_client.read.streaming import BlobStream
from walrus_client.status import EventSource, blob_status
from walrus_codec import blob_id as blob_ids
from walrus_codec.errors import BadSlivers, InconsistentBlob
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.rows import SourceRows
from walrus_codec.types import Axis, BlobId, Epoch, PairIndex
from walrus_sui.errors import ChainError
from walrus_sui.telemetry import meter, names, tracer
from walrus_sui.types import Committee, StakingView

T = TypeVar("T")

ATTEMPTS = 5
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 5.0


class ConsistencyCheck(Enum):
    """How far a reader trusts the writer (see `walrus_codec.redstuff`)."""

    SKIP = "skip"
    DEFAULT = "default"
    STRICT = "strict"


@dataclass(frozen=True)
class ReadBlob:
    """A blob's bytes and metadata."""

    data: bytes
    metadata: BlobMetadata


class Reader:
    """Reads blobs of one network."""

    def __init__(
        self,
        committees: CommitteeTracker,
        peers: PeerPool,
        compute: Compute,
        *,
        chain: EventSource | None = None,
        rng: Random | None = None,
    ) -> None:
        self._committees = committees
        self._peers = peers
        self._compute = compute
        self._chain = chain
        self._rng = rng or SystemRandom()
        self._duration = meter().create_histogram(
            names.CLIENT_READ_DURATION,
            unit="s",
            description="Duration of blob reads, until the first byte can be given.",
        )

    async def read(
        self,
        blob_id: BlobId,
        *,
        check: ConsistencyCheck = ConsistencyCheck.DEFAULT,
        metadata: BlobMetadata | None = None,
    ) -> ReadBlob:
        """Reads a whole blob into one `bytes`.

        Raises:
            As `stream`.
        """
        blob = await self.stream(blob_id, check=check, metadata=metadata)
        return ReadBlob(await blob.read(), blob.metadata)

    async def stream(
        self,
        blob_id: BlobId,
        *,
        check: ConsistencyCheck = ConsistencyCheck.DEFAULT,
        metadata: BlobMetadata | None = None,
        part: slice | None = None,
    ) -> BlobStream:
        """Reads a whole blob, and gives it or a part of it in pieces; takes `read_footprint` bytes of memory.

        Args:
            blob_id: Which one.
            check: How far its writer is trusted. All checks are done before the stream is returned.
            metadata: Its verified metadata, when the caller has it already.
            part: The bytes that are wanted, `slice(start, stop)` inside of the blob; all of them if None.

        Raises:
            BlobNotFoundError, BlobForbiddenError, BlobUnavailableError: See `errors`.
            BlobInvalidError: Its id is dead, or its bytes fail the check.
            CommitteeUnknownError: The chain was never reached.
        """
        started = time.perf_counter()
        outcome = "error"
        with tracer().start_as_current_span("read blob") as span:
            span.set_attribute(names.ATTR_BLOB_ID, blob_ids.to_text(blob_id))
            try:
                rows, found = await self._with_committee(
                    blob_id, lambda committee: self._read(blob_id, committee, check, metadata)
                )
                span.set_attribute(names.ATTR_BLOB_SIZE, found.unencoded_length)
                outcome = "ok"
            finally:
                self._duration.record(time.perf_counter() - started, {names.ATTR_OUTCOME: outcome})
        wanted = part or slice(0, found.unencoded_length)
        return BlobStream(found, rows.bodies, wanted.start, wanted.stop)

    async def stream_range(
        self,
        blob_id: BlobId,
        metadata: BlobMetadata,
        part: slice,
        *,
        before_whole: Callable[[], Awaitable[None]] | None = None,
    ) -> BlobStream:
        """Reads a part of a blob with known metadata: the bytes `slice(start, stop)`, at least one, inside of the blob.

        Only the systematic slivers that hold them are fetched, each verified against the metadata; the blob as a whole
        is not checked. When one of them cannot be had, the whole blob is read.

        Args:
            blob_id: Which blob.
            metadata: Its verified metadata.
            part: Which bytes.
            before_whole: Awaited before the whole blob is read, which takes more than `range_footprint`; it may raise.

        Raises:
            As `stream`.
        """
        if not 0 <= part.start < part.stop <= metadata.unencoded_length:
            raise ValueError(f"{part} is not inside of {metadata.unencoded_length} bytes")
        try:
            return await self._with_committee(
                blob_id, lambda committee: self._read_range(blob_id, metadata, committee, part), attempts=1
            )
        except BlobUnavailableError:
            if before_whole is not None:
                await before_whole()
            return await self.stream(blob_id, metadata=metadata, part=part)

    async def metadata(self, blob_id: BlobId) -> BlobMetadata:
        """The blob's verified metadata.

        Raises:
            As `read`.
        """
        return await self._with_committee(blob_id, lambda committee: self._metadata(blob_id, committee))

    async def status(self, blob_id: BlobId) -> statuses.BlobStatus:
        """What the network knows of the blob.

        Raises:
            StatusUnknownError: The nodes do not agree, or too few answer.
            CommitteeUnknownError: The chain was never reached, or there is no committee yet.
        """
        view = await self._committees.view()
        return await self._status(blob_id, view)

    async def _with_committee(
        self, blob_id: BlobId, work: Callable[[Committee], Awaitable[T]], *, attempts: int = ATTEMPTS
    ) -> T:
        """Does the work with the right committee, again when the committee turns out to have changed."""
        wait_s = FIRST_WAIT_S
        while True:
            view = await self._committees.view()
            try:
                return await work(await self._choose(blob_id, view))
            except ReadError:
                attempts -= 1
                if attempts <= 0 or not await self._has_changed_since(view):
                    raise
            await asyncio.sleep(wait_s * (0.5 + self._rng.random() / 2))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _choose(self, blob_id: BlobId, view: StakingView) -> Committee:
        choice = rules.read_committee(view, None)
        if choice is rules.ReadChoice.STATUS_NEEDED:
            certified = await self._certified_epoch(blob_id, view)
            choice = rules.read_committee(view, certified)
            if choice is rules.ReadChoice.VIEW_IS_OLD:
                view = await self._refreshed(blob_id)
                choice = rules.read_committee(view, certified)
        if isinstance(choice, rules.ReadChoice):
            raise BlobUnavailableError(
                f"blob {blob_ids.to_text(blob_id)} is younger than the chain that is read here; try again in a moment"
            )
        return with_members(choice)

    async def _certified_epoch(self, blob_id: BlobId, view: StakingView) -> Epoch:
        """When the blob was first certified; not certified at all counts as "now", an unclear answer as "before"."""
        try:
            status = await self._status(blob_id, view)
        except StatusUnknownError:
            return Epoch(view.epoch - 1)
        if isinstance(status, statuses.Invalid):
            raise BlobInvalidError(f"blob {blob_ids.to_text(blob_id)} is marked invalid; it has no content")
        epoch = statuses.certified_epoch(status)
        return view.epoch if epoch is None else epoch

    async def _status(self, blob_id: BlobId, view: StakingView) -> statuses.BlobStatus:
        committee = with_members(rules.write_committee(view))
        return await blob_status(blob_id, committee, self._peers, chain=self._chain)

    async def _refreshed(self, blob_id: BlobId) -> StakingView:
        try:
            return await self._committees.refresh()
        except ChainError as error:
            raise BlobUnavailableError(
                f"blob {blob_ids.to_text(blob_id)} is younger than the last committee that is known here, and the "
                f"chain cannot be read: {error}"
            ) from error

    async def _has_changed_since(self, view: StakingView) -> bool:
        try:
            now = await self._committees.refresh()
        except ChainError:
            return False
        return (now.epoch, now.epoch_state.phase, now.committee) != (view.epoch, view.epoch_state.phase, view.committee)

    async def _metadata(self, blob_id: BlobId, committee: Committee) -> BlobMetadata:
        return await fetch_metadata(blob_id, committee, self._peers, self._rng)

    async def _context(self, blob_id: BlobId, metadata: BlobMetadata, committee: Committee) -> ReadContext:
        params = CodeParams(committee.n_shards, metadata.encoding_type)
        return ReadContext(blob_id, metadata, params, committee, self._peers, self._compute, self._rng)

    async def _read(
        self, blob_id: BlobId, committee: Committee, check: ConsistencyCheck, metadata: BlobMetadata | None
    ) -> tuple[SourceRows, BlobMetadata]:
        metadata = metadata or await self._metadata(blob_id, committee)
        context = await self._context(blob_id, metadata, committee)
        params = context.params
        rest = [PairIndex(pair) for pair in range(params.k1, params.n_shards)]
        self._rng.shuffle(rest)
        candidates = candidates_of(context, rest, asyncio.get_running_loop().time())
        slivers = await collect_primary(context, candidates, needed=params.k1)
        rows = await self._compute.source_rows(list(slivers.values()), metadata.unencoded_length, params)
        try:
            if check is ConsistencyCheck.STRICT:
                await self._compute.check_strict(rows, metadata, params)
            elif check is ConsistencyCheck.DEFAULT:
                await self._check_default(rows, metadata, params)
        except InconsistentBlob as error:
            raise BlobInvalidError(str(error)) from error
        return rows, metadata

    async def _check_default(self, rows: SourceRows, metadata: BlobMetadata, params: CodeParams) -> None:
        """What was received is verified already; what was rebuilt from it must be what the metadata commits to as well."""
        for batch in batches(rows.unproven(), len(rows.bodies[0])):
            try:
                await self._compute.verify_slivers(batch, metadata, params)
            except BadSlivers as error:
                raise InconsistentBlob(
                    f"decoded bytes differ from what the blob commits to in primary sliver "
                    f"{batch[min(error.faults)][1].index}: its writer encoded it wrongly, it has no content"
                ) from error

    async def _read_range(
        self, blob_id: BlobId, metadata: BlobMetadata, committee: Committee, part: slice
    ) -> BlobStream:
        context = await self._context(blob_id, metadata, committee)
        size = context.params.sliver_size(Axis.PRIMARY, metadata.unencoded_length)
        rows = [PairIndex(row) for row in range(part.start // size, (part.stop - 1) // size + 1)]
        slivers = await collect_primary(context, rows, needed=len(rows), patient=False)
        bodies = [memoryview(sliver.data) for _index, sliver in sorted(slivers.items())]
        before = rows[0] * size
        return BlobStream(metadata, bodies, part.start - before, part.stop - before)


def read_footprint(metadata: BlobMetadata) -> int:
    """Bytes of memory that `Reader.stream` takes: the slivers as received, and copies of those that are being verified.

    The strict check takes the encoded blob beside them, out of the budget of `Compute`.
    """
    return _footprint(metadata, rows=CodeParams(len(metadata.hashes), metadata.encoding_type).k1)


def range_footprint(metadata: BlobMetadata, part: slice) -> int:
    """Bytes of memory that `Reader.stream_range` takes, as long as it gets the slivers that hold the part."""
    params = CodeParams(len(metadata.hashes), metadata.encoding_type)
    size = params.sliver_size(Axis.PRIMARY, metadata.unencoded_length)
    return _footprint(metadata, rows=(part.stop - 1) // size - part.start // size + 1)


def _footprint(metadata: BlobMetadata, *, rows: int) -> int:
    params = CodeParams(len(metadata.hashes), metadata.encoding_type)
    size = params.sliver_size(Axis.PRIMARY, metadata.unencoded_length)
    return rows * size + min(rows * size, max(size, VERIFY_AT_ONCE)) + (1 << 16)


def with_members(committee: Committee) -> Committee:
    """The committee itself.

    Raises:
        NetworkNotReadyError: It has no members, as before the first epoch.
    """
    if not committee.members:
        raise NetworkNotReadyError("the network has no committee yet; wait for its first epoch change")
    return committee
