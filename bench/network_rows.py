"""Benchmarks of a whole network on one machine: store, read, recovery and memory. Bounds are in `docs/performance.md`.

The bound of a store or a read is the processor time that the codec alone would take for it, on all cores at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import raw_rows
from codec_bound import PARAMS, PREPARED, SIZE, encode_and_verify, on_all_cores, prepare_blob, verify_and_decode
from harness import MIB, Benchmark, Row, best_seconds, cores, limit_row, speed_row
from local_network import KIB, NETWORK, Gateway, Network, forget_peak, memory_mb, running, until
from walrus_client import treasury
from walrus_client.committee import CommitteeTracker
from walrus_client.compute import Compute
from walrus_client.local import Parameters
from walrus_client.peers import PeerPool
from walrus_client.store import Store, StoreOptions
from walrus_codec import merkle, recovery
from walrus_codec.types import Axis, BlobId, SliverIndex
from walrus_sui import network_config
from walrus_sui.client import ChainClient
from walrus_sui.events import BlobRegistered
from walrus_sui.follower import CheckpointFollower
from walrus_sui.keys import SuiKey
from walrus_sui.types import BlobObject, CertifiedBlob, NewBlob

SMALL_STORES = 5
"""Small stores of each round."""

IDLE_LIMIT_MB = 160
STORING_LIMIT_MB = 400
LOST = 3
"""The node whose disk is taken away."""

LOST_BLOBS = 3
MOVED_BLOBS = 5
MOVING_EPOCH_S = 45
MOVING = Parameters(nodes=4, n_shards=100, encoding="isal", epoch_duration=f"{MOVING_EPOCH_S}s", challenges="Off")
"""A network whose shards move."""


def storing(rounds: int) -> Row:
    network = NETWORK.get()
    blobs = iter([os.urandom(SIZE) for _ in range(rounds + 1)])
    with contextlib.closing(Gateway(network)) as gateway, on_all_cores(prepare_blob, encode_and_verify) as bound:
        ours, _together = best_seconds([lambda: gateway.store(next(blobs)), bound.run], rounds)
    note = f"one blob after the other through the gateway; bound: processor time of one encoding and one verification on {cores()} cores"
    return speed_row(
        "store.local.32MiB", size=SIZE, seconds=ours, bound_seconds=bound.bound_seconds, note=note, n_cores=cores()
    )


def reading(rounds: int) -> Row:
    network = NETWORK.get()
    data = os.urandom(SIZE)
    with contextlib.closing(Gateway(network)) as gateway, on_all_cores(prepare_blob, verify_and_decode) as bound:
        blob_id = gateway.store(data)
        if gateway.read(blob_id) != data:
            raise AssertionError("the network gave other bytes back")
        ours, _together = best_seconds([lambda: gateway.read(blob_id), bound.run], 2 * rounds)
    note = f"one read after the other through the gateway; bound: verification and decoding of k1 slivers on {cores()} cores"
    return speed_row(
        "read.local.32MiB", size=SIZE, seconds=ours, bound_seconds=bound.bound_seconds, note=note, n_cores=cores()
    )


class TimedChain:
    """The chain, and how long the transactions of each store took.

    A registration ends for this clock when the checkpoint with it has come, since no node may take slivers before. A
    certification ends with its effects, which is all that the gateway waits for.
    """

    def __init__(self, chain: ChainClient) -> None:
        self._chain = chain
        self._started: dict[BlobId, float] = {}
        self._seen: asyncio.Queue[float] = asyncio.Queue()
        self._certified_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    async def follow(self, head: int) -> None:
        """Listens to the chain for ever."""
        async for checkpoint in CheckpointFollower(self._chain, start_after=head):
            for _id, event in checkpoint.events:
                if isinstance(event, BlobRegistered) and (start := self._started.pop(event.blob_id, None)) is not None:
                    self._seen.put_nowait(time.perf_counter() - start)

    async def reserve_and_register(
        self, key: SuiKey, blobs: Sequence[NewBlob], *, epochs_ahead: int
    ) -> list[BlobObject]:
        """One transaction."""
        self._started |= {blob.blob_id: time.perf_counter() for blob in blobs}
        return await self._chain.reserve_and_register(key, blobs, epochs_ahead=epochs_ahead)

    async def certify(self, *args: Any, **options: Any) -> list[CertifiedBlob]:
        """One transaction."""
        start = time.perf_counter()
        try:
            return await self._chain.certify(*args, **options)
        finally:
            self._certified_s = time.perf_counter() - start

    async def seconds(self) -> float:
        """What both took for the store that has just ended."""
        return await self._seen.get() + self._certified_s


@asynccontextmanager
async def own_store(network: Network) -> AsyncIterator[tuple[Store, TimedChain]]:
    """A store in this process, with a key of its own."""
    config = await network_config.load(network.state.network_config_url)
    key, compute = SuiKey.generate(), Compute(workers=1)
    async with ChainClient(config) as chain, PeerPool() as peers:
        await treasury.ensure_funds(chain, key, sui=10**10, wal=10**11, faucet_url=config.faucet_url)
        committees = CommitteeTracker(chain, max_age_s=60)
        await committees.refresh()
        timed = TimedChain(chain)
        following = asyncio.create_task(timed.follow((await chain.latest_checkpoint()).sequence))
        store = Store(timed, key, committees, peers, compute, default_encoding=config.encoding_type)
        try:
            yield store, timed
        finally:
            following.cancel()
            await asyncio.wait([following])
            await store.close()
            await compute.close()


def storing_little(rounds: int) -> Row:
    network = NETWORK.get()
    count = rounds * SMALL_STORES

    async def measure(gateway: Gateway) -> tuple[list[float], list[float]]:
        ours: list[float] = []
        transactions: list[float] = []
        async with own_store(network) as (store, timed):
            for _ in range(count + 2):
                start = time.perf_counter()
                await asyncio.to_thread(gateway.store, os.urandom(KIB))
                ours.append(time.perf_counter() - start)
                await store.store(os.urandom(KIB), StoreOptions(epochs=1))
                network.stored.append(KIB)
                transactions.append(await timed.seconds())
        return ours[2:], transactions[2:]

    with contextlib.closing(Gateway(network)) as gateway:
        ours, transactions = asyncio.run(measure(gateway))
    note = "through the gateway; bound: its two transactions, the registration until the nodes can know of it"
    return limit_row(
        "store.local.1KiB.p50",
        value=statistics.median(ours) * 1e3,
        unit="ms",
        limit=statistics.median(transactions) * 1e3,
        note=note,
        n_cores=cores(),
    )


def idle_memory(rounds: int) -> Row:  # noqa: ARG001 - it does not vary
    value = max(map(memory_mb, NETWORK.get().node_pids))
    note = "the largest of ten nodes, 10 shards each, against the limit"
    return limit_row("node.rss.idle", value=value, unit="MB", limit=IDLE_LIMIT_MB, note=note)


def storing_memory(rounds: int) -> Row:  # noqa: ARG001 - as above
    network = NETWORK.get()
    for pid in network.node_pids:
        forget_peak(pid)
    with contextlib.closing(Gateway(network)) as gateway:
        for _ in range(2):
            gateway.store(os.urandom(64 * MIB))
    value = max(memory_mb(pid, peak=True) for pid in network.node_pids)
    note = "the most that any of ten nodes took while two blobs of 64 MiB were stored, against the limit"
    return limit_row("node.rss.storing64MiB", value=value, unit="MB", limit=STORING_LIMIT_MB, note=note)


@dataclass(frozen=True)
class Recovery:
    """One node's way back from an empty disk.

    Attributes:
        sizes: of the blobs.
        shards: of the node.
        fetched: bytes of symbols and proofs that it asked others for.
        seconds: from the first look that found blobs lacking until all slivers were back.
    """

    sizes: Sequence[int]
    shards: int
    fetched: int
    seconds: float


def _progress(network: Network, node: int, of: str) -> Callable[[], dict[str, Any]]:
    """Asks a node how far it is with something; empty while it does not say."""

    def ask() -> dict[str, Any]:
        found: dict[str, Any] = network.info(node).get(of, {})
        return found

    return ask


@functools.cache
def recovered() -> Recovery:
    """Measured once for both rows."""
    network = NETWORK.get()
    with contextlib.closing(Gateway(network)) as gateway:
        for _ in range(LOST_BLOBS):
            gateway.store(os.urandom(SIZE))
    sizes, shards = list(network.stored), len(network.info(LOST)["shards"])
    network.wipe(LOST)
    progress = _progress(network, LOST, "recovery")
    with ThreadPoolExecutor(1) as starter:
        started = starter.submit(network.restart)
        until(lambda: progress().get("blobs_pending"), pause_s=0.01)
        start = time.perf_counter()
        until(lambda: progress().get("slivers_recovered", 0) >= 2 * shards * len(sizes))
        seconds = time.perf_counter() - start
        started.result()
    return Recovery(sizes, shards, progress()["bytes_fetched"], seconds)


def recovered_bytes(rounds: int) -> Row:  # noqa: ARG001 - it does not vary
    found = recovered()
    proof = merkle.height(PARAMS.n_shards) * merkle.NODE_SIZE
    symbols = [PARAMS.k1 + PARAMS.k2, *(PARAMS.symbol_size(size) + proof for size in found.sizes)]
    least = found.shards * symbols[0] * sum(symbols[1:])
    note = "a node with 10 shards after it lost its disk; bound: k1 or k2 symbols with their proofs for each sliver"
    return limit_row("recover.sliver.bytes", value=found.fetched / 1e6, unit="MB", limit=least / 1e6, note=note)


def recover_a_node() -> None:
    """What recovering ten pairs takes of the codec, on both sides: symbols made, verified, and slivers rebuilt."""
    encoded = PREPARED["encoded"]
    targets = [SliverIndex(index) for index in range(45, 55)]
    for axis in (Axis.SECONDARY, Axis.PRIMARY):
        symbols = []
        for index in range(PARAMS.source_symbols(axis)):
            pair = encoded.pairs[index if axis is Axis.SECONDARY else PARAMS.n_shards - 1 - index]
            source = pair.primary if axis is Axis.SECONDARY else pair.secondary
            symbols += recovery.make_symbols(source, targets, encoded.metadata, PARAMS)
        for symbol in symbols:
            recovery.verify_symbol(symbol, encoded.metadata, PARAMS)
        recovery.recover(symbols, encoded.metadata, PARAMS)


def recovered_speed(rounds: int) -> Row:
    found = recovered()
    with on_all_cores(prepare_blob, recover_a_node) as bound:
        best_seconds([bound.run], rounds)
    size = 10 * (PARAMS.sliver_size(Axis.PRIMARY, SIZE) + PARAMS.sliver_size(Axis.SECONDARY, SIZE))
    note = f"slivers that came back; bound: symbols made, verified and decoded on {cores()} cores, nothing else"
    return speed_row(
        "recover.local",
        size=size,
        seconds=found.seconds / len(found.sizes),
        bound_seconds=bound.bound_seconds,
        note=note,
        n_cores=cores(),
    )


async def move_stake(network: Network, gainer: int) -> None:
    """Gives one node twice the stake of the others: it gains shards when the next committee is chosen."""
    config = await network_config.load(network.state.network_config_url)
    key = SuiKey.load(network.local.layout.treasury_key)
    async with ChainClient(config) as chain:
        amount = network.state.parameters.stake_wal * 10**9
        await treasury.ensure_funds(chain, key, sui=treasury.GAS_RESERVE, wal=2 * amount, faucet_url=config.faucet_url)
        name = network.state.parameters.node_names[gainer]
        members = (await chain.staking()).committee.members
        (node_id,) = [member.node_id for member in members if member.name == name]
        await treasury.delegate_all(chain, key, [(node_id, amount)])


def migrating(rounds: int) -> Row:
    bound = raw_rows.writing(rounds)
    with running(MOVING) as network:
        with contextlib.closing(Gateway(network)) as gateway:
            for _ in range(MOVED_BLOBS):
                gateway.store(os.urandom(SIZE), epochs=10)
        asyncio.run(move_stake(network, 0))
        progress = _progress(network, 0, "sync")
        until(lambda: progress().get("bytes_received"), patience_s=4 * MOVING_EPOCH_S, pause_s=0.02)
        start, before = time.perf_counter(), progress()["bytes_received"]
        until(lambda: not progress().get("shards_pending", 1), pause_s=0.02)
        seconds, found = time.perf_counter() - start, progress()
    size = found["bytes_received"] - before
    value = size / seconds / 1e6
    note = f"{found['shards_transferred']} shards with {size / 1e6:.0f} MB came from 3 nodes; bound: raw.rocksdb.write"
    return Row("migrate.shard", value, "MB/s", bound.value, value / (bound.value or 1), cores(), note)


BENCHMARKS = [
    Benchmark("migrate.shard", 0.5, migrating),
    Benchmark("node.rss.idle", 1.0, idle_memory),
    Benchmark("recover.sliver.bytes", 1 / 1.1, recovered_bytes),
    Benchmark("recover.local", None, recovered_speed),
    Benchmark("store.local.32MiB", 0.5, storing),
    Benchmark("read.local.32MiB", 0.5, reading),
    Benchmark("store.local.1KiB.p50", 1 / 3, storing_little),
    Benchmark("node.rss.storing64MiB", 1.0, storing_memory),
]
