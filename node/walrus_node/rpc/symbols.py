"""What other nodes need to recover: symbols of slivers that are stored here, and the judgement on wrong encodings.

Life of a request for symbols: the asker is known (a member, who gets symbols for slivers of its own shards only) or not
(then it waits until no member is served, one at a time, and rarely); each source sliver is read, expanded once, checked
against the metadata, and gives one symbol for every target; what the asker has not fetched yet counts as memory of the
background. A sliver that has rotted gives none, so that nobody is handed symbols that prove nothing.

A proof that a blob is badly encoded is checked with the metadata that is stored here, and answered by the signed message
with which anybody may declare the blob invalid on chain.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from walrus_client.compute import Compute
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec import blob_id as blob_ids
from walrus_codec import mapping, recovery
from walrus_codec.errors import MetadataError, ProofError, SliverError
from walrus_codec.metadata import BlobMetadata, verify_metadata
from walrus_codec.params import CodeParams
from walrus_codec.recovery import InconsistencyProof, RecoverySymbol
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, BlobId, PairIndex, SliverIndex
from walrus_node.chain import ChainView
from walrus_node.challenges.feeding import Feeding
from walrus_node.errors import DamagedError
from walrus_node.rpc.admission import Gate
from walrus_node.rpc.model import MissingSource, SignedMessage
from walrus_node.rpc.rules import Lane
from walrus_node.store.storage import SliverKey, Storage
from walrus_sui import messages
from walrus_sui.keys import Signer
from walrus_sui.types import CommitteeMember

_log = logging.getLogger(__name__)

STRANGERS_PER_S = 2.0
"""Requests of askers who are no members (or do not say so) that are served per second, at most."""
_WAIT_S = 10.0


@dataclass(frozen=True)
class _Wanted:
    blob_id: BlobId
    axis: Axis
    targets: Sequence[SliverIndex]


class StrangersLast:
    """Lets members in at once, and strangers one at a time, seldom, and only while no member is served."""

    def __init__(self, *, per_s: float = STRANGERS_PER_S, wait_s: float = _WAIT_S) -> None:
        self._pause_s = 1 / per_s
        self._wait_s = wait_s
        self._members = 0
        self._no_members = asyncio.Event()
        self._no_members.set()
        self._turn = asyncio.Lock()
        self._next_at = float("-inf")

    @contextlib.asynccontextmanager
    async def member(self) -> AsyncIterator[None]:
        """A member is served."""
        self._members += 1
        self._no_members.clear()
        try:
            yield
        finally:
            self._members -= 1
            if not self._members:
                self._no_members.set()

    @contextlib.asynccontextmanager
    async def stranger(self) -> AsyncIterator[None]:
        """A stranger is served, after its turn has come.

        Raises:
            RequestRefused: CACHE_SATURATED, when it did not come in time.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                await self._turn.acquire()
        except TimeoutError:
            raise self._busy() from None
        try:
            try:
                async with asyncio.timeout(self._wait_s):
                    loop = asyncio.get_running_loop()
                    await asyncio.sleep(self._next_at - loop.time())
                    await self._no_members.wait()
                    self._next_at = loop.time() + self._pause_s
            except TimeoutError:
                raise self._busy() from None
            yield
        finally:
            self._turn.release()

    def _busy(self) -> RequestRefused:
        return RequestRefused(
            Reason.CACHE_SATURATED,
            f"members are served first, and others one at a time: no turn within {self._wait_s:.0f} s; try again later",
        )


class RecoveryService:
    """The handlers; one per process.

    Args:
        storage: what is kept.
        read_metadata: stored metadata of a registered blob, or a refusal (`NodeService.metadata`).
        view: the chain's newest committee.
        compute: work off the event loop.
        key: signs judgements.
        gate: memory for expanded slivers.
        feeding: who gets nothing while challenges are under way.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        read_metadata: Callable[[BlobId], Awaitable[bytes]],
        view: ChainView,
        compute: Compute,
        key: Signer,
        gate: Gate,
        feeding: Feeding,
    ) -> None:
        self._feeding = feeding
        self._storage = storage
        self._read_metadata = read_metadata
        self._view = view
        self._compute = compute
        self._key = key
        self._gate = gate
        self._askers = StrangersLast()

    async def symbols(
        self,
        blob_id: BlobId,
        axis: Axis,
        targets: Sequence[PairIndex],
        sources: Sequence[PairIndex],
        *,
        asker: CommitteeMember | None,
    ) -> AsyncGenerator[list[RecoverySymbol] | MissingSource]:
        """Yields for each source its symbols for all targets, or why there are none.

        Args:
            blob_id: which blob.
            axis: of the slivers that are to be recovered.
            targets: their pairs.
            sources: pairs of this node whose sliver of the other axis gives the symbols.
            asker: the member who signed the request, None for strangers.

        Raises:
            RequestRefused: INVALID_BLOB, METADATA_NOT_FOUND, NO_SYMBOLS_SPECIFIED, RECOVERY_SYMBOL_OUT_OF_RANGE,
                MALFORMED_REQUEST for pairs named twice, REQUEST_UNAUTHORIZED for slivers of shards that the asker does
                not own, CHALLENGE_WINDOW, CACHE_SATURATED.
        """
        metadata = BlobMetadata.from_bcs(await self._read_metadata(blob_id))
        params = CodeParams(len(metadata.hashes), metadata.encoding_type)
        _check_pairs(targets, sources, params.n_shards)
        if asker is not None:
            _check_owner(asker, blob_id, targets, params.n_shards)
        await self._feeding.check_symbols(asker, blob_id, targets, params.n_shards)
        async with self._askers.member() if asker is not None else self._askers.stranger():
            client = asker.node_id if asker is not None else "strangers"
            wanted = _Wanted(blob_id, axis, [mapping.sliver_of_pair(pair, axis, params.n_shards) for pair in targets])
            for source in sources:
                found = await self._from(source, wanted, metadata, params, client)
                # Until the asker has fetched them they are here, whether or not others have taken their room meanwhile.
                with self._gate.charged(Lane.BACKGROUND, client, _held(found)):
                    yield found
                    del found

    async def judge(self, blob_id: BlobId, axis: Axis, proof: bytes, *, client: str) -> SignedMessage:
        """Signs that a blob is invalid, when the proof (BCS InconsistencyProof) shows it; `client` is who asks.

        Raises:
            RequestRefused: UNAVAILABLE, INVALID_BLOB, METADATA_NOT_FOUND, INVALID_PROOF, CACHE_SATURATED.
        """
        if self._view.staking is None:
            raise RequestRefused(Reason.UNAVAILABLE, "this node has not reached the chain yet; try again later")
        metadata = BlobMetadata.from_bcs(await self._read_metadata(blob_id))
        params = CodeParams(len(metadata.hashes), metadata.encoding_type)

        def check() -> None:
            verify_metadata(blob_id, metadata, n_shards=params.n_shards)  # a judgement over rotten ones would be false
            recovery.verify_inconsistency(InconsistencyProof.from_bcs(axis, proof), metadata, params)

        try:
            async with self._gate.admitted(Lane.BACKGROUND, client, len(proof)):
                await self._compute.run(check)
        except MetadataError as error:
            _log.error("stored metadata have changed on the disk", extra={"error": str(error)})
            raise RequestRefused(Reason.METADATA_NOT_FOUND, "this node's metadata of the blob have rotted") from None
        except ProofError as error:
            raise RequestRefused(Reason.INVALID_PROOF, str(error)) from None
        _log.warning("a blob is badly encoded", extra={"blob_id": blob_ids.to_text(blob_id)})
        message = messages.invalid_blob(blob_id, self._view.epoch)
        return SignedMessage(message, await self._compute.run(self._key.sign, message))

    async def _from(
        self, source: PairIndex, wanted: _Wanted, metadata: BlobMetadata, params: CodeParams, client: str
    ) -> list[RecoverySymbol] | MissingSource:
        n, axis = params.n_shards, wanted.axis.orthogonal
        shard = mapping.shard_of_pair(source, wanted.blob_id, n)
        if shard not in self._storage.shards:
            return MissingSource(source, Reason.SHARD_NOT_ASSIGNED)
        size = (n + len(wanted.targets)) * params.symbol_size(metadata.unencoded_length)
        async with self._gate.admitted(Lane.BACKGROUND, client, size):
            try:
                stored = await self._storage.sliver(SliverKey(shard, axis, wanted.blob_id))
                if stored is None:
                    return MissingSource(source, Reason.SLIVER_NOT_FOUND)
                sliver = Sliver.from_bcs(axis, stored)
                return await self._compute.run(recovery.make_symbols, sliver, wanted.targets, metadata, params)
            except (SliverError, DamagedError) as error:
                facts = {"blob_id": blob_ids.to_text(wanted.blob_id), "shard": shard, "error": str(error)}
                _log.error("a stored sliver has changed on the disk", extra=facts)
                return MissingSource(source, Reason.SLIVER_NOT_FOUND)


def _held(found: list[RecoverySymbol] | MissingSource) -> int:
    """Bytes of an answer: its symbols, and the messages that carry them."""
    return 2 * sum(len(symbol.data) + len(symbol.proof) for symbol in found) if isinstance(found, list) else 0


def _check_pairs(targets: Sequence[PairIndex], sources: Sequence[PairIndex], n: int) -> None:
    if not targets or not sources:
        raise RequestRefused(
            Reason.NO_SYMBOLS_SPECIFIED, "name the pairs to recover and the pairs to take symbols from"
        )
    if (largest := max(*targets, *sources)) >= n:
        raise RequestRefused(
            Reason.RECOVERY_SYMBOL_OUT_OF_RANGE, f"pair {largest} is not below the number of shards, {n}"
        )
    if len(set(targets)) != len(targets) or len(set(sources)) != len(sources):
        raise RequestRefused(Reason.MALFORMED_REQUEST, "a pair is named twice")


def _check_owner(asker: CommitteeMember, blob_id: BlobId, targets: Sequence[PairIndex], n: int) -> None:
    foreign = [pair for pair in targets if mapping.shard_of_pair(pair, blob_id, n) not in asker.shards]
    if foreign:
        raise RequestRefused(
            Reason.REQUEST_UNAUTHORIZED, f"pairs {foreign[:10]} are of shards that {asker.name} does not hold"
        )
