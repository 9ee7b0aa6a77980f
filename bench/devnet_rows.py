"""Benchmarks of the devnet. Bounds are explained in `docs/performance.md`.

Rows `.ledger` run in this process; the others start `walrus-devnet` and talk to it over gRPC, client and server on one
core, so that a call costs what both sides spend on it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc.aio

from devnet_process import CONFIG, INTERVAL_MS, Client, Devnet, channel, devnet
from harness import Benchmark, Row, best_processor_seconds, one_core, scratch_folder
from walrus_codec import blob_id as blob_ids
from walrus_codec.params import CodeParams
from walrus_codec.types import BlobId, EncodingType, Epoch, ObjectId, SuiAddress
from walrus_proto.sui.rpc.v2 import (
    subscription_service_pb2,
    subscription_service_pb2_grpc,
)
from walrus_sui import messages
from walrus_sui.devnet.config import parse
from walrus_sui.devnet.ledger import signatures
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.records import (
    GasData,
    TransactionData,
)
from walrus_sui.devnet.move.framework.bls12381 import min_pk_verify, sum_keys
from walrus_sui.devnet.storage import genesis_text
from walrus_sui.devnet.storage.store import Store
from walrus_sui.devnet.testing import Chain

CERTIFICATES = 25
CALLS = 400
IN_FLIGHT = 32
SUBSCRIBERS = 100
OBJECTS = 100_000
START_LIMIT_S = 3.0
RSS_LIMIT_MB = 200


def certify(rounds: int) -> Row:
    chain = Chain({"n_shards": 100, "encoding": "rs2", "epoch_zero_duration": "0s"})
    nodes = [chain.add_node(f"n{index}") for index in range(10)]
    for node in nodes:
        chain.stake("alice", node, 1_000 * 10**9)
    chain.next_epoch()
    alice = chain.account("alice")
    signed, signature_checks = [], []
    for number in range(CERTIFICATES):
        blob_id = blob_ids.compute(number.to_bytes(32, "little"), EncodingType.RS2, 1_000)
        blob = _registered(chain, number, blob_id)
        certificate = chain.certificate(messages.confirmation(blob_id, Epoch(1), messages.Permanent()), nodes)
        program = chain.program(alice)
        program.call("system::certify_blob", types=(), at=None, blob=blob, **certificate)
        gas = chain.ledger.object(chain.coin(alice, 10**10, coin_type="SUI"))
        assert gas is not None
        made = program.transaction()
        made = TransactionData(made.kind, made.sender, GasData((gas.ref,), alice.address, 1000, 5 * 10**9))
        signed.append(made)
        signature_checks.append((certificate["signature"], certificate["message"]))
    key = sum_keys([member.public_key for member in chain.system().committee.members])
    chain.advance()
    ready = [(item.to_bcs(), [signatures.sign(item.to_bcs(), alice.key)]) for item in signed]

    def execute() -> None:
        ledger = copies.pop()
        for tx_bytes, user_signatures in ready:
            executed = ledger.execute(tx_bytes, user_signatures)
            assert executed.effects.succeeded, executed.effects.failure

    def verify() -> None:
        for signature, message in signature_checks:
            assert min_pk_verify(signature, key, message)

    copies = [_copy(chain) for _ in range(rounds + 1)]
    seconds, bound = best_processor_seconds([execute, verify], rounds)
    value, limit = CERTIFICATES / seconds, CERTIFICATES / bound
    note = "certify_blob executed, 10 nodes all signing, against verification of the same certificates alone"
    return Row("devnet.certify.ledger", value, "1/s", limit, value / limit, 1, note)


def _registered(chain: Chain, number: int, blob_id: BlobId) -> ObjectId:
    size = CodeParams(100, EncodingType.RS2).encoded_length(1_000)
    storage = chain.call("system::reserve_space", sender="alice", storage_amount=size, epochs_ahead=2, payment=10**9)
    blob = chain.call(
        "system::register_blob",
        sender="alice",
        storage=storage,
        blob_id=blob_id,
        root_hash=number,
        size=1_000,
        encoding_type=1,
        deletable=False,
        write_payment=10**9,
    )
    found: ObjectId = blob.id
    return found


def _copy(chain: Chain) -> Ledger:
    """The same chain without the tests' checks of borrowed values."""
    genesis = chain.ledger.checkpoint(0)
    assert genesis is not None
    return Ledger.restore(
        chain.ledger.config, objects=chain.ledger.objects(), genesis=genesis, head=chain.ledger.head, strict=False
    )


# Over gRPC


async def _many(call: Callable[[], Awaitable[None]], count: int) -> float:
    """Seconds for so many calls, several in flight."""
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            await call()

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - start


async def _each(call: Callable[[], Awaitable[None]], count: int) -> list[float]:
    """Seconds of each of so many calls, one after the other."""
    found = []
    for _ in range(count):
        start = time.perf_counter()
        await call()
        found.append(time.perf_counter() - start)
    return found


def transactions(rounds: int) -> Row:
    async def measure(running: Devnet) -> tuple[float, float]:
        async with channel(running) as opened:
            client = Client(running, opened)
            await client.prepare((rounds + 1) * CALLS)
            found = [
                (await _many(client.transact, CALLS), await _many(client.nothing, CALLS)) for _ in range(rounds + 1)
            ]
            return min(item[0] for item in found[1:]), min(item[1] for item in found[1:])

    with one_core(), devnet() as running:
        seconds, bound = asyncio.run(measure(running))
    note = f"signed transfers, {IN_FLIGHT} in flight, durable when answered, against empty calls of the same server"
    return Row("devnet.grpc.transactions", CALLS / seconds, "1/s", CALLS / bound, bound / seconds, 1, note)


def latency(quantile: int) -> Callable[[int], Row]:
    def run(rounds: int) -> Row:
        async def measure(running: Devnet) -> tuple[list[float], list[float]]:
            async with channel(running) as opened:
                client = Client(running, opened)
                await client.prepare(rounds * 100)
                await client.nothing()
                return await _each(client.transact, rounds * 100), await _each(client.nothing, rounds * 100)

        with one_core(), devnet() as running:
            mine, empty = asyncio.run(measure(running))
            synced = _synced_writes(running.data, rounds * 100)
        value = statistics.quantiles(mine, n=100)[quantile - 1] * 1000
        bound = (
            statistics.quantiles(empty, n=100)[quantile - 1] + statistics.quantiles(synced, n=100)[quantile - 1]
        ) * 1000
        note = "one signed transfer after the other, against an empty call and one synced write of 4 KiB"
        return Row(f"devnet.grpc.transaction.p{quantile}", value, "ms", bound, bound / value, 1, note)

    return run


def _synced_writes(folder: Path, count: int) -> list[float]:
    found = []
    with (folder / "synced").open("wb", buffering=0) as file:
        for _ in range(count):
            start = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            found.append(time.perf_counter() - start)
    return found


def subscribers(rounds: int) -> Row:
    async def measure(running: Devnet) -> float:
        arrivals: dict[int, list[float]] = {}

        async def follow(opened: grpc.aio.Channel) -> None:
            request = subscription_service_pb2.SubscribeCheckpointsRequest()
            request.read_mask.paths.extend(["sequence_number", "digest", "summary.timestamp", "transactions.events"])
            stub = subscription_service_pb2_grpc.SubscriptionServiceStub(opened)
            seen = 0
            async for frame in stub.SubscribeCheckpoints(request):
                arrivals.setdefault(frame.cursor, []).append(time.perf_counter())
                seen += 1
                if seen == rounds + 4:
                    return

        async with channel(running) as opened:
            await asyncio.gather(*(follow(opened) for _ in range(SUBSCRIBERS)))
        whole = [times for times in arrivals.values() if len(times) == SUBSCRIBERS]
        return statistics.median(max(times) - min(times) for times in whole)

    with devnet() as running:
        seconds = asyncio.run(measure(running))
    note = f"from the first to the last of {SUBSCRIBERS} subscribers, against the time between two checkpoints"
    return Row("devnet.subscribers.100", seconds * 1000, "ms", INTERVAL_MS, INTERVAL_MS / 1000 / seconds, 2, note)


def fill(folder: Path) -> None:
    """A chain with a hundred thousand objects."""
    genesis = parse(CONFIG).genesis
    ledger, delta = Ledger.genesis(genesis, now_ms=1, history_limit=2)
    store = Store(folder)
    store.create(genesis_text.write(genesis), delta)
    made = 0
    while made < OBJECTS:
        for _ in range(20):
            ledger.faucet(SuiAddress(f"0x{made % 977 + 1:064x}"), [1] * 30)
            made += 30
        store.close_checkpoint(ledger.close_checkpoint(made), journaled=0)
    store.close()


def start(rounds: int) -> Row:
    with scratch_folder() as folder:
        fill(folder / "data")
        seconds = START_LIMIT_S * 100
        for _ in range(min(rounds, 5)):
            running = Devnet(folder)
            seconds = min(seconds, running.start_s)
            running.stop()
    note = f"process start to ready with {OBJECTS:,} live objects, against the limit"
    return Row("devnet.start.100k", seconds, "s", START_LIMIT_S, START_LIMIT_S / seconds, 2, note)


def memory(rounds: int) -> Row:  # noqa: ARG001 - it does not vary
    with devnet(fill) as running:
        value = running.rss_mb
    note = f"resident after a start with {OBJECTS:,} live objects, against the limit"
    return Row("devnet.rss.100k", value, "MB", RSS_LIMIT_MB, RSS_LIMIT_MB / value, 1, note)


BENCHMARKS = [
    Benchmark("devnet.certify.ledger", 0.5, certify),
    Benchmark("devnet.grpc.transactions", 0.5, transactions),
    Benchmark("devnet.grpc.transaction.p50", 0.5, latency(50)),
    Benchmark("devnet.grpc.transaction.p99", 0.5, latency(99)),
    Benchmark("devnet.subscribers.100", 1.0, subscribers),
    Benchmark("devnet.start.100k", 1.0, start),
    Benchmark("devnet.rss.100k", 1.0, memory),
]
