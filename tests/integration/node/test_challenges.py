"""Availability challenges between processes: honest epochs slash nobody, cheaters are slashed, to the last unit of WAL."""

import asyncio
import json
import os
import shutil
from collections import Counter
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest
from tests.integration.node.challenge_clock import EPOCH_MS, PASSED, Clock, counted, judged, supply
from tests.integration.node.test_recovery import is_whole
from tests.integration.node.world import PATIENCE_S, until
from typer.testing import CliRunner

from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.results import Results
from walrus_client.challenges.schedule import Schedule
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_client.cli import app
from walrus_codec.types import Axis, Epoch
from walrus_node.cheating.orders import Orders
from walrus_node.store.kv import Batch
from walrus_node.store.rocks import RocksStore
from walrus_node.store.shards import SliverKey
from walrus_node.store.storage import Storage
from walrus_sui.errors import CertificateError, ChainError

HONEST_EPOCHS = int(os.environ.get("HONEST_EPOCHS", "2"))
"""Epochs in a row without a cheater; `make soak` takes more."""
pytestmark = pytest.mark.timeout(300 + 100 * HONEST_EPOCHS)
SIZES = [1, 700, 50_000, 50_000, 200_000, 200_000]


@pytest.fixture(scope="module")
def network(make_network, tmp_path_factory):
    """Four nodes that are told by a file, as an operator tells them, to challenge each other."""
    file = tmp_path_factory.mktemp("policy") / "challenges.json"
    file.write_text(Schedule(((Epoch(0), Policy(mode=Mode.VOTE, grace_ms=30_000)),)).to_json())
    challenges = {"policy_file": str(file)}
    # Scrub would find what is missing before anybody asks for it.
    changes = {"challenges": challenges, "scrub": {"enabled": False}}
    return make_network(4, manual_ms=EPOCH_MS, changes=changes, faults=True, seed="challenges")


@pytest.fixture(scope="module")
def blobs(network):
    """Blobs that are asked for from epoch 3 on, which is the one that begins next."""

    async def store():
        async with network.chain() as chain:
            stored = [await network.store(chain, os.urandom(size)) for size in SIZES]
            await network.next_epoch(chain)
            return stored

    return asyncio.run(store())


def shown(clock):
    """What `walrusctl challenges` shows of the epoch when it asks all nodes, and what each of them answers."""
    nodes, epoch = clock.network.nodes, str(clock.epoch)
    asked = [word for node in nodes for word in ("--node", f"http://127.0.0.1:{node.http_port}")]
    done = CliRunner().invoke(app, ["challenges", "--epoch", epoch, *asked, "-o", "json"])
    answers = [Results.from_json(node.get(f"/v1/challenges/{epoch}?own")[1]) for node in nodes]
    return json.loads(done.stdout), answers


@asynccontextmanager
async def clients(network, chain, blobs):
    """Reads and stores without a pause while the block runs; what meets a node that restarts is tried again."""
    done = {"reads": 0, "stores": 0}

    async def work(kind, once):
        while True:
            try:
                await once()
                done[kind] += 1
            except (grpc.aio.AioRpcError, ChainError, CertificateError, AssertionError):
                await asyncio.sleep(0.1)

    async def store():
        await network.store(chain, os.urandom(20_000), epochs=2)  # so few that one lost blob is found, later on

    async def read():
        blob = blobs[done["reads"] % len(blobs)]
        assert await network.read(blob) == blob.content

    tasks = [asyncio.create_task(work("stores", store)), asyncio.create_task(work("reads", read))]
    try:
        yield done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def lose(node, blobs):
    """Deletes all slivers of these blobs from a stopped node's disk, and their index entries; nobody is told."""
    kv = RocksStore(node.folder / "data" / "db")
    storage = await Storage.over(kv)
    for blob in blobs:
        batch = Batch()
        assert storage._shards.delete_into(batch, blob.blob_id)
        kv.write(batch)
    await storage.close()


async def hold_all(network, view, node, blobs):
    """Waits until a node has every sliver of these blobs."""
    wanted = len(network.shards_of(view, node))
    async with asyncio.timeout(PATIENCE_S):
        for blob in blobs:
            for axis in Axis:
                while len(await network.slivers(node, blob, axis)) < wanted:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.2)


async def assert_nobody_fails(clock, chain, troubled):
    """All pass all; only who had trouble may be excused, or have no verdict. Nobody votes. Returns all verdicts."""
    for percent in (66, 72):
        await clock.at(percent, "goes on", lambda said: judged(said) == 3)
    matrix = await clock.matrix()
    assert len(matrix) == 12
    for (challenger, prover), (verdict, reason) in matrix.items():
        excused = prover == troubled.name and verdict is Verdict.EXCUSED
        judges_nobody = troubled.name in {challenger, prover} and verdict is Verdict.NONE
        assert (verdict, reason) == PASSED or excused or judges_nobody, (clock.epoch, matrix)
    assert sum(entry == PASSED for entry in matrix.values()) >= 6, "those that had no trouble"
    assert [clock.of(node)["votes"] for node in clock.network.nodes] == [0] * 4
    assert await chain.slashing_proposals() == []
    return matrix


async def test_honest_nodes_pass_through_load_restarts_epoch_changes_and_a_lost_disk(network, blobs):
    async with network.chain() as chain:
        for number in range(HONEST_EPOCHS):
            clock = Clock(network, await network.next_epoch(chain))
            assert clock.epoch == 3 + number
            troubled = network.nodes[1 + number % 3]
            if number % 2 == 0:
                async with clients(network, chain, blobs) as done:
                    await clock.at(25, "sees the window", lambda said: said["window_open"] is True)
                    assert await asyncio.to_thread(troubled.stop) == 0
                    troubled.start()
                    await asyncio.to_thread(until, "it is back", troubled.is_ready)
                    await clock.verdicts()
                assert done["reads"], done
            else:
                troubled.kill()
                shutil.rmtree(troubled.folder / "data")
                troubled.start()
                await asyncio.to_thread(until, "it is whole", lambda n=troubled: n.is_ready() and is_whole(n))
                await clock.verdicts()
            matrix = await assert_nobody_fails(clock, chain, troubled)
            verdicts = Counter(verdict.name for verdict, _ in matrix.values())
            what = "lost its disk" if number % 2 else "restarted under load"
            print(f"epoch {clock.epoch}, {troubled.name} {what}: {dict(verdicts)}")


async def test_a_node_that_lost_slivers_in_silence_is_slashed(network, blobs):
    async with network.chain() as chain:
        view = await network.next_epoch(chain)
        *honest, cheater = network.nodes
        cheater.stop()
        # One blob: of what is lost in silence a node learns, and recovers, no more than it is asked for.
        await lose(cheater, blobs[-1:])
        cheater.start()
        await asyncio.to_thread(until, "it is back", cheater.is_ready)
        commission = (await chain.pool(cheater.known_id)).commission
        assert commission > 0
        clock = Clock(network, view)
        before = await supply(network, chain)
        recovered = await clock.verdicts(at_last=lambda: cheater.info["recovery"]["slivers_recovered"])
        for node in honest:
            said = clock.of(node)
            assert (said["passed"], said["failed"]) == (2, 1), (node.name, said)
        assert recovered == 0, "nobody feeds it in the window"
        await clock.votes_end(*honest)
        assert [(clock.of(node)["votes"], clock.of(node)["executed"]) for node in honest] == [(1, 1)] * 3
        assert clock.of(cheater)["votes"] == 0
        assert (await chain.pool(cheater.known_id)).commission == 0
        # Within an epoch nothing else is burned: the contract's 3 % go when the epoch changes.
        assert before - await supply(network, chain) == commission
        for node in honest:
            assert (await chain.pool(node.known_id)).commission > 0
        page, told = await asyncio.to_thread(shown, clock)
        failed = {
            (entry["challenger"], entry["challenged"]) for entry in page["verdicts"] if entry["verdict"] == "FAIL"
        }
        assert failed == {(node.known_id, cheater.known_id) for node in honest}, page
        assert len(page["verdicts"]) == 12
        votes = [vote for answer in told for vote in answer.votes]
        assert {(vote.candidate, vote.slashed) for vote in votes} == {(cheater.known_id, True)}
        assert [vote.burned for vote in votes] == [commission] * 3, "read from the chain, whoever has executed it"


async def test_a_node_that_drops_a_tenth_is_slashed_and_one_that_only_lies_about_others_slashes_nobody(network, blobs):
    async with network.chain() as chain:
        view = await network.next_epoch(chain)
        cheater, *honest = network.nodes
        # The one that had lost slivers is fed again, now that nobody is challenged.
        await hold_all(network, view, honest[-1], blobs)
        keys = [
            SliverKey(shard, axis, blob.blob_id)
            for shard in network.shards_of(view, cheater)
            for blob in blobs
            for axis in Axis
        ]
        # These few slivers may by chance all be among the nine tenths that are kept.
        share = next(s for s in (0.1, 0.2, 0.5, 1) if any(Orders(dropped=s).lacks(cheater.name, k, 0) for k in keys))
        cheater.deviate(f"drop {share}")
        clock = Clock(network, view)
        before, commission = await supply(network, chain), (await chain.pool(cheater.known_id)).commission
        assert commission > 0
        await clock.verdicts()
        matrix = await clock.matrix()
        assert {matrix[node.name, cheater.name] for node in honest} == {(Verdict.FAIL, Outcome.MISSING)}
        assert {matrix[a.name, b.name] for a in honest for b in honest if a is not b} == {PASSED}
        await clock.votes_end(*honest)
        assert before - await supply(network, chain) == commission
        cheater.deviate("")

        clock = Clock(network, await network.next_epoch(chain))
        *honest, liar = network.nodes
        victim = honest[-1]
        liar.deviate(f"refuse BUSY\naccuse {victim.known_id}\nforge-reports {victim.known_id}")

        def refused(node, attempts):
            return counted(node, "walrus_node_challenge_attempts_total", "BUSY") >= attempts

        for attempts, percent in enumerate((41, 47, 53), 1):
            await clock.at(percent, "sees the window", lambda said: said["window_open"] is True)
            for node in honest:
                await asyncio.to_thread(until, "it is refused", lambda n=node, k=attempts: refused(n, k))
        await clock.at(61, "has judged", lambda said: judged(said) == 3)
        before = await supply(network, chain)
        burned = (await chain.pool(liar.known_id)).commission
        await clock.votes_end(*honest)
        matrix = await clock.matrix()
        assert {matrix[node.name, liar.name] for node in honest} == {(Verdict.FAIL, Outcome.BUSY)}
        assert matrix[liar.name, victim.name] == (Verdict.FAIL, Outcome.WRONG)
        assert {matrix[a.name, b.name] for a in honest for b in honest if a is not b} == {PASSED}
        assert before - await supply(network, chain) == burned > 0
        open_ = [each.node_id for each in await chain.slashing_proposals() if each.epoch == clock.epoch]
        assert open_ == [victim.known_id], "one vote, which dies with the epoch"
        assert [clock.of(node)["votes"] for node in honest] == [1] * 3, "all against the liar"
        for node in honest:
            assert counted(node, "walrus_node_challenge_reports_total", "REFUSED") > 0
