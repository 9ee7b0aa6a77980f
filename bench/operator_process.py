"""The operator's passes over one network of 100 nodes, in a process of their own, so that its memory is theirs.

    KUBECONFIG=... python bench/operator_process.py NODES ROUNDS

Everything that a leading operator has loaded is loaded: telemetry, kopf with its watches, the chain client, gRPC with a
connection to the admin port of each node. The chain alone is played, because its answers are not what is measured. The last
line printed is the result, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.unit.operator.played import PlayedChain

from walrus_operator.api.base import API_VERSION
from walrus_operator.api.world import Settings
from walrus_operator.apply.carry_out import Applier
from walrus_operator.observe.admin import AdminClient
from walrus_operator.observe.cluster import ClusterObserver
from walrus_operator.observe.findings import FindingsObserver
from walrus_operator.observe.kube import KubeClient
from walrus_operator.observe.nodes import HttpNodeReader, NodeObserver
from walrus_operator.observe.resources import RESOURCES
from walrus_operator.observe.world import Observer
from walrus_operator.runtime.engine import Engine
from walrus_operator.runtime.main import load_the_rest
from walrus_operator.runtime.reconciler import Reconciler
from walrus_sui.telemetry import names, setup

NAMESPACE, NAME = "bench", "net"
KEY = f"{NAMESPACE}/{NAME}"
SETTINGS = Settings(image="walrus:1", version="0")
PASSES = 60
"""Within which all is made."""


async def guard() -> None:
    """Leads."""


async def measure(count: int, rounds: int, server: str) -> dict[str, float]:
    """Makes everything, then looks at it as often as asked."""
    setup(names.SERVICE_OPERATOR, log_level="warning")
    await load_the_rest()
    async with await KubeClient.connect() as kube, aiohttp.ClientSession() as controllers:
        chain = PlayedChain(count)
        reader = HttpNodeReader()
        nodes = NodeObserver(reader, AdminClient())
        observer = Observer(ClusterObserver(kube), chain, nodes, FindingsObserver(reader), settings=SETTINGS)
        applier = Applier(kube, chain, nodes, settings=SETTINGS)
        operator = Reconciler(observer, applier, kube, guard=guard, identity="bench")
        marks: list[str] = []
        engine = Engine(marks.append, namespaces=[NAMESPACE], identity="bench")
        spec = {"shards": count, "chain": {"devnet": {}}, "nodes": {"count": count}}
        manifest = {"apiVersion": API_VERSION, "kind": "WalrusNetwork", "metadata": {"name": NAME}, "spec": spec}
        await kube.write("POST", RESOURCES["WalrusNetwork"].path(NAMESPACE), body=manifest)
        seconds = 0.0
        for _ in range(PASSES):
            before, start = kube.writes, time.perf_counter()
            await operator.reconcile(KEY)
            seconds += time.perf_counter() - start
            objects, _ = await around(controllers, server)
            if kube.writes == before:
                break
        else:
            raise AssertionError("passes go on writing")
        assert objects > 5 * count, "that is not everything"
        engine.start()  # its first lists deliver everything
        while not len(marks) >= 2 * count:  # noqa: ASYNC110  (handlers are kopf's)
            await asyncio.sleep(0.05)
        idle, before = [], kube.writes
        _, asked = await around(controllers, server)
        for _ in range(rounds):
            start = time.process_time()
            await operator.reconcile(KEY)
            idle.append(time.process_time() - start)
        assert kube.writes == before, "a pass with nothing to do has written"
        _, now = await around(controllers, server)
        assert len(now) == count, "not every node has an admin port"
        assert now == [calls + rounds for calls in asked], "not every node was asked once a pass"
        await engine.stop()
        return {
            "create": seconds,
            "idle": min(idle),
            "objects": objects,
            "rss": megabytes("VmRSS"),
            "peak": megabytes("VmHWM"),
        }


async def around(session: aiohttp.ClientSession, server: str) -> tuple[int, list[int]]:
    """Lets the controllers run; returns how many objects there are, and how often each node was asked."""
    async with session.post(f"{server}/controllers") as done:
        found = await done.json()
    return found["objects"], found["asked"]


def megabytes(key: str) -> float:
    """A number that the kernel keeps of this process."""
    found = re.search(rf"{key}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found.group(1)) / 1024


if __name__ == "__main__":
    result = asyncio.run(measure(int(sys.argv[1]), int(sys.argv[2]), os.environ["KUBE_SERVER"]))
    print(json.dumps(result), flush=True)
    os._exit(0)  # kopf may still wait for a silent watch
