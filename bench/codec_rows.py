"""Benchmarks of the codec, at 100 shards and a blob of 32 MiB. Bounds are explained in `docs/performance.md`.

A bound does the unavoidable library calls and nothing else: all cutting, joining, headers and layout were done before its
clock starts. It works on the bytes of the real blob, not on one piece that stays in the cache.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from hashlib import blake2b

import numpy as np
import pysui_fastcrypto
import reed_solomon_leopard
from pyeclib.ec_iface import ECDriver

from harness import MIB, Benchmark, Row, best_seconds, cores, median_processor_seconds, one_core, speed_row
from official import official_encoder
from walrus_client.compute.compute import Compute
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.redstuff import EncodedBlob
from walrus_codec.slivers import Sliver, verify_slivers
from walrus_codec.types import EncodingType, PairIndex

N = 100
SIZE = 32 * MIB
HEADER = 80
ISAL = CodeParams(N, EncodingType.ISAL)
RS2 = CodeParams(N, EncodingType.RS2)


def blob() -> bytes:
    """32 MiB that no compression or zero-page trick can shorten, the same in every run."""
    return random.Random(1).randbytes(SIZE)


def driver(k: int) -> ECDriver:
    return ECDriver(k=k, m=N - k, ec_type="isa_l_rs_cauchy")


def hash_all(leaves: list[bytes]) -> None:
    for leaf in leaves:
        blake2b(leaf, digest_size=32).digest()


def expanded(k: int, words: list[bytes]) -> list[bytes]:
    """Hash inputs of all symbols of these codewords."""
    code = driver(k)
    return [b"\0" + fragment[HEADER:] for word in words for fragment in code.encode(word)]


def all_slivers(encoded: EncodedBlob) -> list[object]:
    """The bytes of all slivers, as a writer takes them; RS2 copies each out of its library only then."""
    return [(pair.primary.data, pair.secondary.data) for pair in encoded.pairs]


def encode_isal(rounds: int) -> Row:
    data = blob()
    encoded = redstuff.encode(data, ISAL)
    rows = [bytes(pair.primary.data) for pair in encoded.pairs[: ISAL.k1]]
    columns = [bytes(pair.secondary.data) for pair in encoded.pairs]
    leaves = expanded(ISAL.k1, columns)
    over_rows, over_columns = driver(ISAL.k2), driver(ISAL.k1)

    def bound() -> None:
        for row in rows:
            over_rows.encode(row)
        for column in columns:
            over_columns.encode(column)
        hash_all(leaves)

    ours, best = best_seconds([lambda: redstuff.encode(data, ISAL), bound], rounds)
    note = "bound: pyeclib over both axes in pieces of one symbol, and blake2b over all n² symbols"
    return speed_row("codec.encode.isal.n100.32MiB", size=SIZE, seconds=ours, bound_seconds=best, note=note)


def encode_isal_on_all_cores(rounds: int) -> Row:
    data, count = blob(), cores()

    async def measure() -> list[float]:
        compute = Compute(workers=count)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(None, best_seconds, sides(compute, loop), rounds)
        finally:
            await compute.close()

    def sides(compute: Compute, loop: asyncio.AbstractEventLoop) -> list[Callable[[], object]]:
        shared = lambda: asyncio.run_coroutine_threadsafe(compute.encode(data, ISAL), loop).result()  # noqa: E731
        return [shared, lambda: redstuff.encode(data, ISAL)]

    ours, one = asyncio.run(measure())
    note = f"bound: {count} × the speed of one core (in-process); {count} worker processes share one encoding"
    return speed_row(
        "codec.encode.isal.n100.32MiB.cores",
        size=SIZE,
        seconds=ours,
        bound_seconds=one / count,
        note=note,
        n_cores=count,
    )


def encode_rs2(rounds: int) -> Row:
    data = blob()

    def ours() -> list[object]:
        return all_slivers(redstuff.encode(data, RS2))

    def library() -> list[object]:
        result = pysui_fastcrypto.redstuff_encode(data, N)
        return [result.metadata_bcs, *((pair.primary, pair.secondary) for pair in result.slivers)]

    mine, direct, bare = best_seconds([ours, library, lambda: pysui_fastcrypto.redstuff_encode(data, N)], rounds)
    note = (
        f"bound: redstuff_encode and taking all slivers out of its result; the call alone {SIZE / bare / 1e6:.1f} MB/s"
    )
    return speed_row("codec.encode.rs2.n100.32MiB", size=SIZE, seconds=mine, bound_seconds=direct, note=note)


def against_leopard(name: str, params: CodeParams, rounds: int) -> Row:
    """Against the library `reed-solomon-leopard` over both axes, and blake2b over all n² symbols, laid out before."""
    data = blob()
    encoded = redstuff.encode(data, params)
    size = params.symbol_size(SIZE)
    words = [
        [bytes(body[at : at + size]) for at in range(0, len(body), size)]
        for body in (
            *(pair.primary.data for pair in encoded.pairs[: params.k1]),
            *(pair.secondary.data for pair in encoded.pairs),
        )
    ]

    def library() -> None:
        for word in words:
            parity = reed_solomon_leopard.encode(word, N - len(word))
            if len(word) == params.k1:  # a column: all symbols of the matrix stand in the columns
                hash_all([*word, *parity])

    ours, best = best_seconds([lambda: all_slivers(redstuff.encode(data, params)), library], rounds)
    note = "peer: reed-solomon-leopard over both axes, and blake2b over all n² symbols, from ready byte strings"
    return speed_row(name, size=SIZE, seconds=ours, bound_seconds=best, note=note)


def encode_isal_against_leopard(rounds: int) -> Row:
    return against_leopard("codec.encode.isal.leopard", ISAL, rounds)


def encode_rs2_against_leopard(rounds: int) -> Row:
    return against_leopard("codec.encode.rs2.leopard", RS2, rounds)


def against_wasm(name: str, params: CodeParams, rounds: int) -> Row:
    data = blob()
    with one_core(), official_encoder(data, redstuff.encode(data, RS2)) as official:
        sides = [lambda: all_slivers(redstuff.encode(data, params)), official.encode]
        ours, theirs = median_processor_seconds(sides, 2 * rounds, official.process)
    note = f"peer: the official WebAssembly encoder, {N} shards and 32 MiB too; processor time on one core, median of rounds"
    return speed_row(name, size=SIZE, seconds=ours, bound_seconds=theirs, note=note)


def encode_isal_against_wasm(rounds: int) -> Row:
    return against_wasm("codec.encode.isal.wasm", ISAL, rounds)


def encode_rs2_against_wasm(rounds: int) -> Row:
    return against_wasm("codec.encode.rs2.wasm", RS2, rounds)


def decode_isal(rounds: int) -> Row:
    data = blob()
    encoded = redstuff.encode(data, ISAL)
    parity = [pair.primary for pair in encoded.pairs[-ISAL.k1 :]]
    out = np.empty(ISAL.padded_length(SIZE), np.uint8).data
    code, width = driver(ISAL.k1), 1 << 16
    pieces = []
    for start in range(0, len(parity[0].data), width):
        part = [sliver.data[start : start + width] for sliver in parity]
        headers = [fragment[:HEADER] for fragment in code.encode(bytes(ISAL.k1 * len(part[0])))]
        pieces.append([headers[sliver.index] + body for sliver, body in zip(parity, part, strict=True)])

    def bound() -> None:
        for piece in pieces:
            code.decode(piece)

    ours, best, as_bytes = best_seconds(
        [
            lambda: redstuff.decode_into(parity, SIZE, ISAL, out),
            bound,
            lambda: redstuff.decode(parity, SIZE, ISAL),
        ],
        rounds,
    )
    if out[:SIZE] != data:
        raise AssertionError("decoded other bytes")
    note = (
        "decode_into memory of the caller; bound: pyeclib decode of ready fragments of 64 KiB; "
        f"decode() that makes bytes {SIZE / as_bytes / 1e6:.0f} MB/s"
    )
    return speed_row("codec.decode.isal.n100.parity", size=SIZE, seconds=ours, bound_seconds=best, note=note)


def verify_isal(rounds: int) -> Row:
    encoded = redstuff.encode(blob(), ISAL)
    pairs = encoded.pairs[45:55]
    batch: list[tuple[PairIndex, Sliver]] = [
        (pair.index, sliver) for pair in pairs for sliver in (pair.primary, pair.secondary)
    ]
    rows = [bytes(pair.primary.data) for pair in pairs]
    columns = [bytes(pair.secondary.data) for pair in pairs]
    leaves = expanded(ISAL.k2, rows) + expanded(ISAL.k1, columns)
    over_rows, over_columns = driver(ISAL.k2), driver(ISAL.k1)

    def bound() -> None:
        for row in rows:
            over_rows.encode(row)
        for column in columns:
            over_columns.encode(column)
        hash_all(leaves)

    ours, best = best_seconds([lambda: verify_slivers(batch, encoded.metadata, ISAL), bound], 2 * rounds)
    size = sum(len(body) for body in rows + columns)
    note = "10 pairs of a 32 MiB blob; bound: pyeclib expansion of each sliver, and blake2b over its n symbols"
    return speed_row("codec.verify.slivers.n100", size=size, seconds=ours, bound_seconds=best, note=note)


BENCHMARKS = [
    Benchmark("codec.encode.isal.n100.32MiB", 0.7, encode_isal),
    Benchmark("codec.encode.isal.n100.32MiB.cores", 0.8, encode_isal_on_all_cores),
    Benchmark("codec.encode.rs2.n100.32MiB", 0.9, encode_rs2),
    Benchmark("codec.encode.isal.wasm", 3, encode_isal_against_wasm),
    Benchmark("codec.encode.rs2.wasm", 3, encode_rs2_against_wasm),
    Benchmark("codec.encode.isal.leopard", None, encode_isal_against_leopard),
    Benchmark("codec.encode.rs2.leopard", None, encode_rs2_against_leopard),
    Benchmark("codec.decode.isal.n100.parity", 0.7, decode_isal),
    Benchmark("codec.verify.slivers.n100", 0.7, verify_isal),
]
