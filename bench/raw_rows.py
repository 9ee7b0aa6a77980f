"""What the machine gives without any code of ours: the limits that the other rows run into.

Sizes are those of a blob of 32 MiB over 100 shards: 147 MB of slivers, in symbols of 14.5 KB.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Callable
from hashlib import blake2b
from multiprocessing.connection import Connection
from typing import Any

import grpc
import grpc.aio
import numpy as np

from harness import MIB, Benchmark, Row, best_seconds, cores, raw_row, scratch_folder
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType
from walrus_node.store.kv import Batch, Family
from walrus_node.store.rocks import RocksStore
from walrus_sui import tls
from walrus_sui.keys import NetworkKey

SYMBOL = CodeParams(100, EncodingType.ISAL).symbol_size(32 * MIB)
SLIVERS = 100
SLIVER = 101 * SYMBOL
CHUNK = 1 * MIB
CHUNKS = 128
METHOD = "/raw.Stream/Take"


def hashing(rounds: int) -> Row:
    symbols = [os.urandom(SYMBOL) for _ in range(2_000)]

    def run() -> None:
        for symbol in symbols:
            blake2b(symbol, digest_size=32).digest()

    (seconds,) = best_seconds([run], rounds)
    return raw_row("raw.blake2b", size=2_000 * SYMBOL, seconds=seconds, note=f"symbols of {SYMBOL} bytes, one core")


def copying(rounds: int) -> Row:
    source, target = np.frombuffer(os.urandom(64 * MIB), np.uint8), np.zeros(64 * MIB, np.uint8)
    (seconds,) = best_seconds([lambda: np.copyto(target, source)], rounds)
    return raw_row("raw.memcpy", size=64 * MIB, seconds=seconds, note="64 MiB from memory to memory, one core")


def writing(rounds: int) -> Row:
    sliver = os.urandom(SLIVER)
    family = Family("s0-primary")
    with scratch_folder() as folder:
        store = RocksStore(folder / "db")
        store.create_family(family, bulky=True)
        number = iter(range(1 << 30))

        def run() -> None:
            for _ in range(SLIVERS // 10):
                batch = Batch()
                for _ in range(10):
                    batch.put(family, next(number).to_bytes(32, "big"), sliver)
                store.write(batch)
            store.sync()

        (seconds,) = best_seconds([run], rounds)
        store.close()
    note = f"slivers of {SLIVER / 1e6:.1f} MB in batches of ten, then one sync, with the options of the nodes"
    return raw_row("raw.rocksdb.write", size=SLIVERS * SLIVER, seconds=seconds, note=note, n_cores=cores())


def streaming(rounds: int) -> Row:
    key = NetworkKey.generate()
    certificate = tls.make_certificate(key, "127.0.0.1", not_before=dt.datetime.now(dt.UTC))
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs, key.to_pem(), certificate), daemon=True)
    server.start()
    theirs.close()  # so that the wait for its port ends when it does not come up
    try:
        seconds = asyncio.run(_stream(ours.recv(), certificate, rounds))
    finally:
        ours.close()
        server.join()
    note = f"{CHUNK >> 20} MiB messages through TLS from one process to another, a coroutine at each end"
    return raw_row("raw.grpc.stream", size=CHUNKS * CHUNK, seconds=seconds, note=note, n_cores=cores())


async def _stream(port: int, certificate: bytes, rounds: int) -> float:
    chunk = os.urandom(CHUNK)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield chunk

    best = float("inf")
    credentials = grpc.ssl_channel_credentials(certificate)
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        take: Callable[..., Any] = channel.stream_unary(METHOD, request_serializer=None, response_deserializer=None)
        for _ in range(rounds + 1):
            start = time.perf_counter()
            answer = await take(chunks())
            best = min(best, time.perf_counter() - start)
            assert int.from_bytes(answer, "big") == CHUNKS * CHUNK
    return best


def serve(parent: Connection, private_key: bytes, certificate: bytes) -> None:
    """The other end, in a process of its own: counts the bytes that come."""

    async def take(requests: AsyncIterator[bytes], _context: object) -> bytes:
        size = 0
        async for part in requests:
            size += len(part)
        return size.to_bytes(8, "big")

    async def run() -> None:
        server = grpc.aio.server()
        handler = grpc.stream_unary_rpc_method_handler(take)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("raw.Stream", {"Take": handler}),))
        credentials = grpc.ssl_server_credentials([(private_key, certificate)])
        parent.send(server.add_secure_port("127.0.0.1:0", credentials))
        await server.start()
        with contextlib.suppress(EOFError):  # the other side has closed it: the end
            await asyncio.to_thread(parent.recv)
        await server.stop(None)

    asyncio.run(run())


BENCHMARKS = [
    Benchmark("raw.blake2b", None, hashing),
    Benchmark("raw.memcpy", None, copying),
    Benchmark("raw.rocksdb.write", None, writing),
    Benchmark("raw.grpc.stream", None, streaming),
]
