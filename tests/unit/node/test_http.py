"""Probes, metrics and info over real HTTP."""

import asyncio
import json

import aiohttp
import pytest
from tests.unit.node.feeding import feed, fill
from tests.unit.node.worlds import IDENTITY, ChainTwin, object_id, registered, staking

from walrus_client.challenges.reports import SignedReport
from walrus_client.challenges.results import Results, Vote
from walrus_codec.types import Epoch, NodeId, ShardIndex
from walrus_node import gauges
from walrus_node.chain import ChainView
from walrus_node.challenges.evidence import EvidenceSource
from walrus_node.challenges.progress import ChallengeProgress
from walrus_node.errors import WalrusNodeError
from walrus_node.events.processor import EventProcessor
from walrus_node.recovery.task import Progress
from walrus_node.rpc.http import HttpServer
from walrus_node.rpc.info import InfoSource
from walrus_node.scrub.scrubber import ScrubProgress
from walrus_node.store.challenge_forms import VoteRecord
from walrus_node.store.records import ShardStatus
from walrus_node.store.room import RoomKeeper
from walrus_node.sync.task import SyncProgress


class World:
    def __init__(self, storage, processor, view):
        self.age = 1.0
        self.missing = ["it is not registered yet", "it has not caught up"]
        self.info = InfoSource(
            name="demo-0",
            storage=storage,
            processor=processor,
            view=view,
            follower_age_s=lambda: self.age,
            room=RoomKeeper(storage, free=lambda: 5000, capacity=10**9, reserve=1000),
            recovery=Progress,
            scrub=ScrubProgress,
            sync=SyncProgress,
            challenges=ChallengeProgress,
        )
        self.server = HttpServer(self.info, lambda: self.missing, EvidenceSource(storage=storage, view=view))

    async def get(self, path):
        async with self.session.get(f"http://127.0.0.1:{self.port}{path}") as response:
            return response.status, await response.text()


@pytest.fixture
def view():
    return ChainView(ChainTwin(staking(1, ours=[0, 5])))


@pytest.fixture
async def world(memory_storage, view):
    storage = memory_storage
    await storage.create_shards([ShardIndex(0)], ShardStatus.ACTIVE)
    await feed(storage, registered(b"\1" * 32, object_id(1), 5))
    await fill(storage, b"\1" * 32, shards=[ShardIndex(0)])
    processor = EventProcessor(storage, cursor=await storage.cursor())
    made = World(storage, processor, view)
    made.port = await made.server.start("127.0.0.1", 0)
    made.session = aiohttp.ClientSession()
    yield made
    await made.session.close()
    await made.server.stop()
    await asyncio.sleep(0)


async def test_a_living_process_says_so(world):
    assert await world.get("/livez") == (200, "ok\n")


async def test_readiness_names_what_is_missing(world):
    status, text = await world.get("/readyz")
    assert status == 503
    assert text == "not ready: it is not registered yet\nnot ready: it has not caught up\n"
    world.missing = []
    assert await world.get("/readyz") == (200, "ok\n")


async def test_info_before_registration_and_chain(world):
    status, text = await world.get("/v1/info")
    info = json.loads(text)
    assert status == 200
    assert (info["node_id"], info["chain_id"], info["n_shards"]) == ("", "", 0)
    assert info["shards"] == [{"shard": 0, "status": "Active"}]
    assert not info["chain_reachable"]
    assert info["checkpoint_age_ms"] > 0


async def test_info_of_a_member_names_shards_that_are_not_stored_yet(world, view):
    world.info.identity = IDENTITY
    await view.refresh()
    info = json.loads((await world.get("/v1/info"))[1])
    assert info["shards"] == [{"shard": 0, "status": "Active"}, {"shard": 5, "status": "None"}]
    assert info["chain_reachable"]
    assert (info["blobs_stored"], info["slivers_stored"], info["status"]) == (1, 2, "Standby")
    assert info["node_id"] == IDENTITY.node_id


async def test_a_silent_chain_is_out_of_reach(world, view):
    await view.refresh()
    world.age = 60
    assert not json.loads((await world.get("/v1/info"))[1])["chain_reachable"]


async def test_metrics_are_served(world, memory_storage):
    processor = EventProcessor(memory_storage, cursor=None)
    gauges.observe(
        memory_storage,
        processor,
        chain_age_s=lambda: 1.5,
        recovery=lambda: Progress(blobs_pending=3),
        scrub=lambda: ScrubProgress(rotten_found=2),
        sync=lambda: SyncProgress(shards_pending=4),
        challenges=lambda: ChallengeProgress(pending=5),
        history_missing=lambda: True,
    )
    status, _text = await world.get("/metrics")
    assert status == 200


async def test_evidence_that_is_not_kept_is_not_found(world):
    status, text = await world.get(f"/v1/challenges/3/0x{'ab' * 32}")
    assert (status, "no transcript" in text) == (404, True)
    for odd in ("x/0x" + "ab" * 32, "3/0x" + "ab" * 31, f"{10**9}/0x" + "ab" * 32):
        assert (await world.get(f"/v1/challenges/{odd}"))[0] == 404


async def test_a_taken_port_is_named(world):
    other = HttpServer(world.info, list, world.server._evidence)
    with pytest.raises(WalrusNodeError, match=str(world.port)):
        await other.start("127.0.0.1", world.port)
    await other.stop()


async def test_what_is_known_of_challenges(world, memory_storage):
    assert await world.get("/v1/challenges/5") == (503, "this node is not registered yet; try again later\n")
    await memory_storage.set_identity(IDENTITY)
    other = NodeId("0x" + "ee" * 32)
    reports = {node: SignedReport(node.encode(), bytes(96)) for node in (IDENTITY.node_id, other)}
    for node, signed in reports.items():
        await memory_storage.add_report(Epoch(5), node, NodeId("0x" + "dd" * 32), signed, second=False)
    await memory_storage.set_vote(Epoch(5), other, VoteRecord(voted=True, executed="EXECUTED", burned=7))
    own = Results(
        Epoch(5), IDENTITY.node_id, (reports[IDENTITY.node_id],), (Vote(other, voted=True, ended="EXECUTED", burned=7),)
    )
    status, text = await world.get("/v1/challenges/5?own")
    assert (status, Results.from_json(text)) == (200, own)
    status, text = await world.get("/v1/challenges/5")
    assert (status, set(Results.from_json(text).reports)) == (200, set(reports.values()))
    status, text = await world.get("/v1/challenges/4")
    assert (status, Results.from_json(text)) == (200, Results(Epoch(4), IDENTITY.node_id, (), ()))
    assert (await world.get("/v1/challenges/now"))[0] == 404


def test_a_vote_of_an_early_record_has_burned_nothing():
    whole = VoteRecord(voted=True, executed="EXECUTED", burned=9).to_bytes()
    assert VoteRecord.from_bytes(whole).burned == 9
    assert VoteRecord.from_bytes(whole[:-8]) == VoteRecord(voted=True, executed="EXECUTED")
