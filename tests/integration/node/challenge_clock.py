"""One epoch of challenges between processes, hour by hour, and what can be seen of it from outside."""

import asyncio
import json
import re
from collections import defaultdict
from contextlib import suppress

import grpc
import grpc.aio
from tests.integration.node.world import until

from walrus_client.challenges.reports import Report
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_proto.sui.rpc.v2 import state_service_pb2, state_service_pb2_grpc

EPOCH_MS = 3_600_000
HALF = 50
PASSED = (Verdict.PASS, Outcome.PASS)


class Clock:
    """The chain's clock within one epoch, in percent of it."""

    def __init__(self, network, view):
        self.network = network
        self.epoch = view.epoch
        self.percent = 0
        self.begun = {node.name: ended(node) for node in network.nodes}

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

    def have_ended(self, nodes, patience_s=6):
        """Whether all cases of these are settled before long; if not, what is left may wait for its next attempt."""
        with suppress(AssertionError):
            return until("all have challenged all", lambda: self.none_pending(nodes), patience=patience_s)
        return False

    def none_pending(self, nodes):
        return all(self.of(node)["pending"] == 0 for node in nodes)

    async def verdicts(self, nodes=(), *, slow=0, before_half=None, at_last=lambda: None):
        """Until all have judged all; attempts that were void on a busy machine are made again.

        It waits for the attempts of `nodes`, of all by default; `slow` of the others will not settle a case before the third
        attempt. `before_half` is awaited before half of the epoch is over. Returns what `at_last` says while the window is
        still open.
        """
        nodes = nodes or self.network.nodes
        for wave, percent in enumerate((41, 47, 53)):
            if percent > HALF and before_half is not None:
                await before_half()
            await self.at(percent, "sees the window", lambda said: said["window_open"] is True)
            if slow:
                least = len(self.network.nodes) - 1 + wave * slow
                for node in nodes:
                    await asyncio.to_thread(until, "it has asked", lambda n=node, k=least: self.attempts(n) >= k)
            if slow and wave < 2:
                continue
            if await asyncio.to_thread(self.have_ended, nodes):
                break
        if self.percent < HALF and before_half is not None:
            await before_half()
        said_at_last = await asyncio.to_thread(at_last)
        await self.at(61, "has judged", lambda said: judged(said) == len(self.network.nodes) - 1)
        return said_at_last

    def attempts(self, node):
        """Attempts of this epoch that have ended."""
        return ended(node) - self.begun[node.name]

    async def votes_end(self, *voters, count=1):
        """Until these have voted `count` times and seen the end of it; what is pulled or seen later needs the clock to move on."""
        for percent in (66, 70, 74, 78, 82, 86, 89, 92, 95, 97):
            await self.at(percent, "goes on", lambda said: judged(said) == len(self.network.nodes) - 1)
            with suppress(AssertionError):
                await asyncio.to_thread(
                    until,
                    "all see the end",
                    lambda: all(self.of(node)["executed"] >= count for node in voters),
                    patience=5,
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


def ended(node):
    """Attempts of the node at others, ever since it started."""
    page = until(f"{node.name} tells its metrics", lambda: node.get("/metrics")[1])
    lines = re.findall(r"^walrus_node_challenge_attempts_total\{.*\} (\S+)$", page, re.MULTILINE)
    return sum(map(float, lines))
