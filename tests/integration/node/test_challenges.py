"""Availability challenges between processes: honest epochs slash nobody, cheaters are slashed, to the last unit of WAL."""

import asyncio
import json
import os
import re
import shutil
from collections import Counter, defaultdict
from contextlib import asynccontextmanager, suppress

import grpc
import grpc.aio
import pytest
from tests.integration.node.test_recovery import is_whole
from tests.integration.node.world import PATIENCE_S, until
from typer.testing import CliRunner

from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.reports import Report
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
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_proto.sui.rpc.v2 import state_service_pb2, state_service_pb2_grpc
from walrus_sui.errors import CertificateError, ChainError

EPOCH_MS = 3_600_000
HONEST_EPOCHS = int(os.environ.get("HONEST_EPOCHS", "2"))
"""Epochs in a row without a cheater; `make soak` takes more."""
pytestmark = pytest.mark.timeout(300 + 100 * HONEST_EPOCHS)
SIZES = [1, 700, 50_000, 50_000, 200_000, 200_000]
PASSED = (Verdict.PASS, Outcome.PASS)


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


class Clock:
    """The chain's clock within one epoch, in percent of it."""

    def __init__(self, network, view):
        self.network = network
        self.epoch = view.epoch
        self.percent = 0

    async def at(self, percent, what, look):
        """Moves on, and waits until every node of the network shows what is expected of it."""
        await asyncio.to_thread(self.network.devnet.advance, EPOCH_MS * (percent - self.percent) // 100)
        self.percent = percent
        for node in self.network.nodes:
            await asyncio.to_thread(until, f"{node.name} {what}", lambda n=node: look(self.of(n)))

    def of(self, node):
        """What the node says of this epoch's challenges; nothing while it is behind, or too busy to say anything."""
        status, text = node.get("/v1/info")
        found = json.loads(text)["challenges"] if status == 200 else {"epoch": -1}
        return found if found["epoch"] == self.epoch else defaultdict(lambda: -1)

    def have_ended(self, patience_s=6):
        """Whether all cases are settled before long; if not, what is left may wait for its next attempt."""
        with suppress(AssertionError):
            return until("all have challenged all", self.none_pending, patience=patience_s)
        return False

    def none_pending(self):
        return all(self.of(node)["pending"] == 0 for node in self.network.nodes)

    async def verdicts(self, at_last=lambda: None):
        """Until all have judged all; attempts that were void on a busy machine are made again.

        Returns what `at_last` says while the window is still open.
        """
        for percent in (41, 47, 53):
            await self.at(percent, "sees the window", lambda said: said["window_open"] is True)
            if await asyncio.to_thread(self.have_ended):
                break
        said_at_last = await asyncio.to_thread(at_last)
        await self.at(61, "has judged", lambda said: judged(said) == 3)
        return said_at_last

    async def votes_end(self, *voters):
        """Until these have voted and seen the end of it; what is pulled or seen later needs the clock to move on."""
        for percent in (66, 70, 75, 80, 85, 89, 93):
            await self.at(percent, "goes on", lambda said: judged(said) == 3)
            with suppress(AssertionError):
                await asyncio.to_thread(
                    until, "all see the end", lambda: all(self.of(node)["executed"] for node in voters), patience=5
                )
                return

    async def matrix(self):
        """Each node's own verdicts, by the names of challenger and prover."""
        names, found = {node.known_id: node.name for node in self.network.nodes}, {}
        for node in self.network.nodes:
            ours = bytes.fromhex(node.known_id[2:])
            request = pb.ListChallengeReportsRequest(epoch=self.epoch, challengers=[ours])
            async with node.stub() as stub:
                async for page in stub.ListChallengeReports(request, timeout=30):
                    for signed in page.reports:
                        report = Report.from_bytes(signed.body)
                        if names[report.challenger] == node.name:
                            found[node.name, names[report.prover]] = (report.verdict, report.reason)
        return found


def shown(clock):
    """What `walrusctl challenges` shows of the epoch when it asks all nodes, and what each of them answers."""
    nodes, epoch = clock.network.nodes, str(clock.epoch)
    asked = [word for node in nodes for word in ("--node", f"http://127.0.0.1:{node.http_port}")]
    done = CliRunner().invoke(app, ["challenges", "--epoch", epoch, *asked, "-o", "json"])
    answers = [Results.from_json(node.get(f"/v1/challenges/{epoch}?own")[1]) for node in nodes]
    return json.loads(done.stdout), answers


def judged(said):
    return said["passed"] + said["failed"] + said["excused"] + said["none"]


def counted(node, metric, outcome):
    """A counter of the node, by outcome."""
    page = node.get("/metrics")[1]
    found = re.search(rf'^{metric}\{{[^}}]*outcome="{outcome}"[^}}]*\}} (\S+)$', page, re.MULTILINE)
    return float(found[1]) if found else 0


async def supply(network, chain):
    """All WAL that there is."""
    request = state_service_pb2.GetCoinInfoRequest(coin_type=chain.config.wal_type)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{network.devnet.ports['rpc']}") as channel:
        info = await state_service_pb2_grpc.StateServiceStub(channel).GetCoinInfo(request, timeout=30)
    return info.treasury.total_supply


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
        recovered = await clock.verdicts(at_last=lambda: cheater.info["recovery"]["slivers_recovered"])
        for node in honest:
            said = clock.of(node)
            assert (said["passed"], said["failed"]) == (2, 1), (node.name, said)
        assert recovered == 0, "nobody feeds it in the window"
        before = await supply(network, chain)
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
        await clock.verdicts()
        matrix = await clock.matrix()
        assert {matrix[node.name, cheater.name] for node in honest} == {(Verdict.FAIL, Outcome.MISSING)}
        assert {matrix[a.name, b.name] for a in honest for b in honest if a is not b} == {PASSED}
        before, commission = await supply(network, chain), (await chain.pool(cheater.known_id)).commission
        assert commission > 0
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
