"""Encoding, decoding and verification off the event loop, on all cores, within a bound of memory.

Where work runs:

    RS2                 threads: the Rust library releases the interpreter lock and keeps its result itself
    ISAL, little work   a thread: a process would cost more than it saves
    ISAL, much work     worker processes over shared memory: pyeclib holds the interpreter lock while it works
    decoding            threads: most reads get systematic slivers, which are the blob already; the pieces that the
                        library decodes hold the lock for 2 ms, less than two copies to a worker and back would cost

"Much" is estimated from the number of hashes and bytes (`Cost`), with constants measured on a 2-core machine. One
large encoding is cut into ranges of rows and columns and spread over all free workers.

Life of a job: it runs in a task of its own, so that a caller that is cancelled never leaves a worker half-used; it holds
its bytes of the memory budget until it ends. When its caller is cancelled, a job that still waits is called back, and an
encoding that runs stops after the ranges in hand; the call returns when nothing uses its blob any more, so that whoever
bounds memory by calls bounds all of it. Results that are views of shared memory keep it alive by themselves.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from walrus_client.budget import ByteBudget
from walrus_client.compute.allocator import large_blocks_apart
from walrus_client.compute.keeping import MOST_KEPT, SegmentKeeper
from walrus_client.compute.pool import WorkerPool, default_size
from walrus_client.compute.segments import Segment
from walrus_client.compute.sharing import Call, Cost, encode_on, verify_on
from walrus_client.compute.tasks import pack
from walrus_client.errors import ComputeClosedError
from walrus_codec import redstuff
from walrus_codec.backend import backend_for
from walrus_codec.matrix import Encoding, IsalBackend
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.redstuff import EncodedBlob
from walrus_codec.rows import SourceRows, pieces, source_rows
from walrus_codec.slivers import Sliver, verify_slivers
from walrus_codec.types import Buffer, EncodingType, PairIndex

T = TypeVar("T")

DEFAULT_MEMORY_LIMIT = 2 << 30
INLINE_LIMIT_S = 0.02
"""Estimated work below this runs in a thread: a worker costs a millisecond and a copy, and must be started first."""

STRIPE = 1 << 16
"""Bytes of each sliver that are decoded in one go at least, and held three times meanwhile."""


class Compute:
    """The process's computing power; make one, share it, close it.

    Args:
        workers: Number of worker processes; one for each core by default. They start when first needed.
        memory_limit: Bytes that running jobs may hold together; a larger single job runs alone.
        idle_timeout_s: Idle workers end after this time.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        memory_limit: int = DEFAULT_MEMORY_LIMIT,
        idle_timeout_s: float = 60.0,
        inline_limit_s: float = INLINE_LIMIT_S,
    ) -> None:
        size = workers or default_size()
        self._pool = WorkerPool(size=size, idle_timeout_s=idle_timeout_s)
        self._threads = concurrent.futures.ThreadPoolExecutor(size, thread_name_prefix="compute")
        self._memory = ByteBudget(memory_limit)
        self._keeper = SegmentKeeper(most=min(MOST_KEPT, memory_limit // 4))
        self._idle_timeout_s = idle_timeout_s
        self._dropping: asyncio.TimerHandle | None = None
        self._inline_limit_s = inline_limit_s
        self._jobs: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def idle_pids(self) -> list[int]:
        """Worker processes that wait for work."""
        return self._pool.idle_pids

    async def segment(self, length: int, params: CodeParams) -> Segment:
        """Memory for a blob of so many bytes that `encode` will get, with room for its encoding; its bytes are anything."""
        cost = Cost(3 * params.n_shards**2, params.n_shards**2 * params.symbol_size(length))
        if self._inline(params, cost):
            return Segment.create(length, name="walrus-blob")
        return await self._take(length, room=Encoding.size_of(params, length))

    async def encode(self, data: Buffer | Segment, params: CodeParams) -> EncodedBlob:
        """Encodes a blob with all commitments.

        Args:
            data: The blob. A `Segment` that holds exactly the blob is consumed: it becomes the front of the encoding
                without a copy, and must not be used afterwards.
            params: The code.

        A call that is cancelled returns once the blob is not used any more; a second cancellation does not wait for that.

        Raises:
            BlobTooLarge: Longer than `params.max_blob_size`.
            ComputeError: See the class.
        """
        length = data.size if isinstance(data, Segment) else len(data)
        symbol_size = params.symbol_size(length)
        cost = Cost(3 * params.n_shards**2, params.n_shards**2 * symbol_size)
        if self._inline(params, cost):
            return await self._in_thread(params.writing_memory(length), _encode, data, params)
        call = Call()
        return await self._job(self._encode_shared(data, length, params, cost, call), call)

    async def source_rows(self, slivers: Sequence[Sliver], unencoded_length: int, params: CodeParams) -> SourceRows:
        """Makes verified primary slivers the rows of their blob, in their own memory (`walrus_codec.rows`).

        Raises:
            DecodeError: Too few, or they do not fit together.
            BlobTooLarge: `unencoded_length` cannot be encoded with these parameters.
            ComputeError: See the class.
        """
        stripe = 3 * params.k1 * max(params.symbol_size(unencoded_length), STRIPE)
        return await self._in_thread(stripe, source_rows, slivers, unencoded_length, params)

    async def verify_slivers(
        self, batch: Sequence[tuple[PairIndex, Sliver]], metadata: BlobMetadata, params: CodeParams
    ) -> None:
        """Checks slivers from an untrusted source against verified metadata.

        Raises:
            BadSlivers: `faults` maps positions in the batch to what is wrong with them; the others are good.
            ComputeError: See the class.
        """
        if not batch:
            return
        n = params.n_shards
        symbol_size = params.symbol_size(metadata.unencoded_length)
        cost = Cost(2 * n * len(batch), n * symbol_size * len(batch))
        if self._inline(params, cost):
            size = sum(len(sliver.data) for _pair, sliver in batch)
            await self._in_thread(size, verify_slivers, batch, metadata, params)
            return
        await self._job(self._verify_shared(batch, metadata, params, cost))

    async def check_strict(self, rows: SourceRows, metadata: BlobMetadata, params: CodeParams) -> None:
        """Checks a blob by encoding it again (`redstuff.check_strict`).

        Raises:
            InconsistentBlob: It gives another blob id than the metadata.
            ComputeError: See the class.
        """
        length = metadata.unencoded_length
        segment = await self.segment(length, params)

        def fill() -> None:
            view, at = segment.view, 0
            for piece in pieces(rows.bodies, 0, length, len(rows.bodies[0])):
                view[at : at + len(piece)] = piece
                at += len(piece)

        with segment:
            await asyncio.to_thread(fill)
            encoded = await self.encode(segment, params)
        redstuff.check_same_id(encoded.blob_id, metadata.blob_id())

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Runs any other short blocking function (a signature check, say) in the same threads."""
        return await self._in_thread(0, function, *args)

    async def close(self) -> None:
        """Refuses new work, waits for what runs, ends the workers; may be called twice."""
        self._closed = True
        if self._jobs:
            await asyncio.wait(self._jobs)
        if self._dropping is not None:
            self._dropping.cancel()
        self._keeper.drop(for_good=True)
        await self._pool.close()
        self._threads.shutdown(wait=False)

    async def _take(self, size: int, *, room: int = 0) -> Segment:
        if self._dropping is None and not self._closed:
            self._dropping = asyncio.get_running_loop().call_later(self._idle_timeout_s, self._drop)
        return await asyncio.to_thread(self._keeper.take, size, room=room, name="walrus-blob")

    def _drop(self) -> None:
        """What was kept goes back to the system now and then, so that a quiet process is a small one."""
        self._keeper.drop()
        again = not self._keeper.idle
        self._dropping = asyncio.get_running_loop().call_later(self._idle_timeout_s, self._drop) if again else None

    def _inline(self, params: CodeParams, cost: Cost) -> bool:
        return params.encoding is not EncodingType.ISAL or cost.seconds <= self._inline_limit_s

    async def _in_thread(self, size: int, function: Callable[..., T], *args: Any) -> T:
        call = Call()

        def begin() -> T:
            call.begun = True
            return function(*args)

        async def run() -> T:
            async with self._memory.reserve(size):
                return await asyncio.get_running_loop().run_in_executor(self._threads, begin)

        return await self._job(run(), call)

    async def _job(self, body: Coroutine[Any, Any, T], call: Call | None = None) -> T:
        """Runs the job in a task of its own; the caller's cancellation reaches it only through `call`."""
        if self._closed:
            body.close()
            raise ComputeClosedError("compute is closed; this process is shutting down")
        task = asyncio.ensure_future(body)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if call is not None:
                call.abandoned = True
                if not call.begun:
                    task.cancel()
                await asyncio.wait([task])
            raise

    async def _encode_shared(
        self, data: Buffer | Segment, length: int, params: CodeParams, cost: Cost, call: Call
    ) -> EncodedBlob:
        size = Encoding.size_of(params, length)
        backend = backend_for(params)
        assert isinstance(backend, IsalBackend)  # noqa: S101 - `_inline` sends every other code to threads
        async with self._memory.reserve(size):
            segment = data if isinstance(data, Segment) else await self._take(length, room=size)
            with segment:
                if not isinstance(data, Segment):
                    await self._copy(segment, data)
                segment.resize(size)
                work = Encoding(backend, length, segment.view)
                work.pad()
                leases = await self._pool.acquire_many(self._pool.size)
                call.begun = True
                try:
                    await encode_on(leases, segment, length, params, cost=cost, call=call)
                finally:
                    for lease in leases:
                        lease.release()
            return await asyncio.to_thread(lambda: redstuff.wrap(work.finish(), params))

    async def _verify_shared(
        self, batch: Sequence[tuple[PairIndex, Sliver]], metadata: BlobMetadata, params: CodeParams, cost: Cost
    ) -> None:
        size = sum(len(sliver.data) for _pair, sliver in batch)
        async with self._memory.reserve(size):
            segment = await self._take(size)
            rows = await asyncio.to_thread(pack, batch, segment)
            leases = await self._pool.acquire_many(min(self._pool.size, len(batch)))
            try:
                with segment:
                    await verify_on(leases, segment, rows, metadata, params, cost=cost)
            finally:
                for lease in leases:
                    lease.release()

    async def _copy(self, segment: Segment, data: Buffer) -> None:
        """Copies in a thread, so that the event loop breathes between the system's page faults."""

        def copy() -> None:
            if segment.size:
                segment.view[:] = memoryview(data).cast("B")

        await asyncio.to_thread(copy)


def _encode(data: Buffer | Segment, params: CodeParams) -> EncodedBlob:
    """Encodes a blob; one that lies in a segment in its own memory, or in what the library takes instead of it."""
    backend = backend_for(params)
    if not isinstance(backend, IsalBackend):
        if isinstance(data, Segment):
            with data:
                data = bytes(data.view)
        with large_blocks_apart():
            return redstuff.encode(data, params)
    if not isinstance(data, Segment):
        return redstuff.encode(data, params)
    with data:
        length = data.size
        data.resize(Encoding.size_of(params, length))
        work = Encoding(backend, length, data.view)
        work.pad()
        return redstuff.wrap(work.run(), params)
