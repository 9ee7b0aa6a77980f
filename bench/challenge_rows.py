"""One availability challenge between two nodes over real gRPC and TLS, and what challenges cost in an epoch.

Both nodes are in this process, with their stores in memory: the real prover, examiner, servicer and peer client, the twins
of the chain that the unit tests have. Blobs are many ids over one encoded blob, because no part of a challenge compares an
id with what it is the id of; each side holds the slivers that this challenge asks for.

`python bench/challenge_rows.py [MEMBERS...]` prints the table of docs/challenges.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import MIB, Benchmark, Row, limit_row, scratch_folder
from walrus_client.challenges import messages
from walrus_client.challenges.blobs import BlobSet
from walrus_client.challenges.messages import Pair
from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.reports import Report
from walrus_client.challenges.samples import Questions
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_codec import mapping, redstuff
from walrus_codec.params import CodeParams
from walrus_codec.recovery import make_symbols
from walrus_codec.types import Axis, BlobId, EncodingType, Epoch
from walrus_node.challenges.rounds import Round
from walrus_node.store.records import NodeState, NodeStatus
from walrus_node.store.storage import SliverKey
from walrus_sui import bls
from walrus_sui.events import EpochChangeStart
from walrus_sui.keys import BlsKey
from walrus_sui.types import CommitteeMember

N_SHARDS = 100
PARAMS = CodeParams(N_SHARDS, EncodingType.ISAL)
SECONDS_LIMIT, BYTES_LIMIT = 1.0, 500_000
_EPOCH = Epoch(3)
# The nodes of the unit tests, which stand on no chain and no disk; pytest comes with them.
sys.path.insert(1, str(Path(__file__).resolve().parents[1]))


@dataclass(frozen=True)
class Cost:
    """What one challenge took.

    Attributes:
        seconds: of the clock, both sides in one process.
        processor: seconds, of both sides together.
        wire: bytes in both directions, with gRPC, TLS and the handshake.
    """

    seconds: float
    processor: float
    wire: int


def blob_set(count: int) -> BlobSet:
    """So many ids in order."""
    ids = (hashlib.blake2b(number.to_bytes(4, "big"), digest_size=32).digest() for number in range(count))
    return BlobSet.of(BlobId(each) for each in ids)


@functools.lru_cache(maxsize=1)
def encoded() -> redstuff.EncodedBlob:
    """What lies behind every id."""
    return redstuff.encode(os.urandom(MIB), PARAMS)


def sliver(key: SliverKey) -> Any:
    """The sliver that a shard has of a blob."""
    pair = encoded().pairs[mapping.pair_of_shard(key.shard, key.blob_id, N_SHARDS)]
    return pair.primary if key.axis is Axis.PRIMARY else pair.secondary


async def fill(questions: Questions, challenger: Any, prover: Any) -> None:
    """Gives both sides what the questions ask for."""
    metadata, previous = encoded().metadata.to_bcs(), b""
    for index in range(questions.count):
        sample = questions.sample(index, previous)
        theirs = SliverKey(sample.shard, sample.axis, sample.blob_id)
        ours = SliverKey(sample.own, sample.axis.orthogonal, sample.blob_id)
        for node, key in ((prover, theirs), (challenger, ours)):
            await node.storage.put_metadata(key.blob_id, metadata)
            await node.storage.put_sliver(key, sliver(key).to_bcs())
        (symbol,) = make_symbols(sliver(theirs), [sample.place], encoded().metadata, PARAMS)
        previous = bytes(symbol.data)


@asynccontextmanager
async def two(folder: Path, members: int, blobs: BlobSet) -> AsyncIterator[tuple[Any, Any, Questions]]:
    """Two members of an equal committee that holds these blobs, and the questions of their first attempt."""
    from tests.unit.node.challenge_worlds import DONE_MS, Member  # noqa: PLC0415 - needs the repository on the path
    from tests.unit.node.worlds import EPOCH_MS, ChainTwin, committee, put_state, staking  # noqa: PLC0415

    each = N_SHARDS // members
    policy = Policy(mode=Mode.VOTE, grace_ms=60_000)
    nodes = []
    for number in range(2):
        (folder / str(number)).mkdir()
        shards = tuple(range(number * each, (number + 1) * each))
        nodes.append(Member(number, folder / str(number), lambda: DONE_MS + EPOCH_MS // 4, policy, shards))
    for node in nodes:
        await node.start()
        node.storage._blobs_of = lambda _epoch: blobs  # noqa: SLF001 - finding them is measured elsewhere
        await node.events(*(EpochChangeStart(Epoch(number)) for number in (1, 2, 3)))
        await put_state(node.storage, NodeState(NodeStatus.ACTIVE, _EPOCH))
    both = [node.member() for node in nodes]
    for node in nodes:
        view = staking(_EPOCH, since_ms=DONE_MS, n_shards=N_SHARDS)
        node.chain = ChainTwin(
            replace(
                view,
                committee=committee(_EPOCH, *both, n_shards=N_SHARDS),
                previous_committee=committee(_EPOCH - 1, *both, n_shards=N_SHARDS),
            )
        )
        node.view.use(node.chain)
        await node.view.refresh()
        node.make_challenger(None)
    challenger, prover = nodes
    current: Round | None = await challenger.challenges.rounds.current()
    assert current is not None
    pair = Pair(_EPOCH, challenger.node_id, prover.node_id, 0)
    seed = challenger.key.sign(messages.seed(pair, chain_id=current.chain_id, blobs=current.n_blobs, root=current.root))
    shards, own = current.shards(prover.node_id), current.shards(challenger.node_id)
    questions = Questions(seed, blobs, shards, own, N_SHARDS, policy.samples)
    await fill(questions, challenger, prover)
    try:
        yield challenger, prover, questions
    finally:
        for node in nodes:
            await node.close()


@asynccontextmanager
async def counting(port: int) -> AsyncIterator[tuple[int, list[int]]]:
    """A port that leads to another one, and the sizes of all that went through it."""
    sizes: list[int] = []

    async def move(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            sizes.append(len(data))
            writer.write(data)
            await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):  # it ends with its loop
            there, back = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(move(reader, back), move(there, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], sizes
    finally:
        server.close()


async def _measure(folder: Path, members: int, blobs: int, rounds: int) -> Cost:
    async with two(folder, members, blob_set(blobs)) as (challenger, prover, questions):
        current: Round | None = await challenger.challenges.rounds.current()
        assert current is not None
        examiner, member = challenger.challenger._examiner, current.member(prover.node_id)  # noqa: SLF001
        assert member is not None

        async def once(member: CommitteeMember) -> None:
            prover.challenges.prover._used_in(_EPOCH).clear()  # noqa: SLF001 - the same attempt again
            found = await examiner.attempt(current, member, 0, questions.seed)
            assert found.outcome is Outcome.PASS, found

        await once(member)
        best = Cost(float("inf"), float("inf"), 0)
        for _ in range(rounds):
            began, cpu = time.perf_counter(), time.process_time()
            await once(member)
            took = Cost(time.perf_counter() - began, time.process_time() - cpu, 0)
            best = Cost(min(best.seconds, took.seconds), min(best.processor, took.processor), 0)
        async with counting(prover.port) as (port, sizes):
            address = f"127.0.0.1:{port}"
            await once(replace(member, network_address=address, grpc_address=address))
            return replace(best, wire=sum(sizes))


def measure(members: int, blobs: int, rounds: int) -> Cost:
    """One challenge in a network of so many equal members and so many blobs of 1 MiB."""
    with scratch_folder() as folder:
        return asyncio.run(_measure(folder, members, blobs, rounds))


@functools.lru_cache(maxsize=1)
def _row_cost(rounds: int) -> Cost:
    return measure(10, 10_000, rounds)


def seconds(rounds: int) -> Row:
    """Time of one challenge."""
    cost = _row_cost(rounds)
    note = (
        f"197 questions over 10,000 blobs of 1 MiB, ten members, 100 shards: both nodes in one process, "
        f"{cost.processor:.2f} s of processor for both; bound = what it may take"
    )
    return limit_row("challenge.197", value=cost.seconds, unit="s", limit=SECONDS_LIMIT, note=note)


def size(rounds: int) -> Row:
    """Bytes of one challenge."""
    note = "the same; all bytes in both directions, with gRPC, TLS and its handshake"
    return limit_row(
        "challenge.197.bytes", value=_row_cost(rounds).wire / 1e6, unit="MB", limit=BYTES_LIMIT / 1e6, note=note
    )


BENCHMARKS = [Benchmark("challenge.197", 1.0, seconds), Benchmark("challenge.197.bytes", 1.0, size)]


def _report_cost() -> tuple[float, int]:
    """Seconds to check one report, and its bytes."""
    zero, node = bytes(32), "0x" + "01" * 32
    report = Report(
        _EPOCH, node, "0x" + "02" * 32, 0, bytes(96), 10**6, zero, 197,  # type: ignore[arg-type]
        Verdict.PASS, Outcome.PASS, None, 197, zero, 0, 0,
    )  # fmt: skip
    key, body = BlsKey.generate(), report.to_bytes()
    signature = key.sign(body)
    began = time.process_time()
    for _ in range(50):
        bls.verify(key.public_key, body, signature)
    return (time.process_time() - began) / 50, len(body) + len(signature)


def main() -> None:
    """Prints the cost of challenges by committee and blobs, one node's in an epoch."""
    check_s, report_bytes = _report_cost()
    print(f"a report: {check_s * 1000:.1f} ms to check, {report_bytes} bytes")
    committees = [int(text) for text in sys.argv[1:]] or [10, 25, 100]
    for members, blobs in itertools.product(committees, (10**3, 10**5, 10**6)):
        cost = measure(members, blobs, 3)
        others, reports = members - 1, (members - 1) ** 2
        processor = others * cost.processor + reports * check_s
        wire = 2 * others * cost.wire + 2 * members * others * report_bytes
        print(
            f"| {members} | {blobs:,} | {cost.seconds:.2f} s | {cost.processor:.2f} s | {cost.wire / 1e6:.2f} MB | "
            f"{processor:.1f} s | {wire / 1e6:.1f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
