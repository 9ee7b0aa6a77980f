"""The operator's passes over one network of 100 nodes, in a process of their own, so that its memory is theirs.

    KUBECONFIG=... python bench/operator_process.py ROUNDS

Everything that a leading operator has loaded is loaded: kopf with its watches, the chain client, gRPC. Chain and nodes
are played, because their answers are not what is measured. The last line printed is the result, as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import re
import sys
import time
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.unit.operator.played import PlayedChain, PlayedNodes

from walrus_operator.api.base import API_VERSION
from walrus_operator.api.world import Settings
from walrus_operator.apply.carry_out import Applier
from walrus_operator.observe.cluster import ClusterObserver
from walrus_operator.observe.findings import FindingsObserver
from walrus_operator.observe.kube import KubeClient
from walrus_operator.observe.nodes import HttpNodeReader
from walrus_operator.observe.resources import RESOURCES
from walrus_operator.observe.world import Observer
from walrus_operator.runtime.engine import Engine
from walrus_operator.runtime.reconciler import Reconciler

NODES = 100
NAMESPACE, NAME = "bench", "net"
KEY = f"{NAMESPACE}/{NAME}"
SETTINGS = Settings(image="walrus:1", version="0")
PASSES = 60
"""Within which all is made."""


async def guard() -> None:
    """Leads."""


async def measure(rounds: int, server: str) -> dict[str, float]:
    """Makes everything, then looks at it as often as asked."""
    importlib.import_module("walrus_operator.runtime.main")
    importlib.import_module("walrus_sui.client.transport")
    async with await KubeClient.connect() as kube, aiohttp.ClientSession() as controllers:
        chain = PlayedChain(NODES)
        findings = FindingsObserver(HttpNodeReader())
        nodes = PlayedNodes()
        observer = Observer(ClusterObserver(kube), chain, nodes, findings, settings=SETTINGS)
        applier = Applier(kube, chain, nodes, settings=SETTINGS)
        operator = Reconciler(observer, applier, kube, guard=guard, identity="bench")
        marks: list[str] = []
        engine = Engine(marks.append, namespaces=[NAMESPACE], identity="bench")
        spec = {"shards": NODES, "chain": {"devnet": {}}, "nodes": {"count": NODES}}
        manifest = {"apiVersion": API_VERSION, "kind": "WalrusNetwork", "metadata": {"name": NAME}, "spec": spec}
        await kube.write("POST", RESOURCES["WalrusNetwork"].path(NAMESPACE), body=manifest)
        seconds = 0.0
        for _ in range(PASSES):
            before, start = kube.writes, time.perf_counter()
            await operator.reconcile(KEY)
            seconds += time.perf_counter() - start
            async with controllers.post(f"{server}/controllers") as done:
                objects = (await done.json())["objects"]
            if kube.writes == before:
                break
        else:
            raise AssertionError("passes go on writing")
        assert objects > 5 * NODES, "that is not everything"
        engine.start()  # its first lists deliver everything
        while not len(marks) >= 2 * NODES:  # noqa: ASYNC110  (handlers are kopf's)
            await asyncio.sleep(0.05)
        idle, before = [], kube.writes
        for _ in range(rounds):
            gc.collect()
            start = time.process_time()
            await operator.reconcile(KEY)
            idle.append(time.process_time() - start)
        assert kube.writes == before, "a pass with nothing to do has written"
        await engine.stop()
        return {
            "create": seconds,
            "idle": min(idle),
            "objects": objects,
            "rss": megabytes("VmRSS"),
            "peak": megabytes("VmHWM"),
        }


def megabytes(key: str) -> float:
    """A number that the kernel keeps of this process."""
    found = re.search(rf"{key}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found.group(1)) / 1024


if __name__ == "__main__":
    result = asyncio.run(measure(int(sys.argv[1]), os.environ["KUBE_SERVER"]))
    print(json.dumps(result), flush=True)
    os._exit(0)  # kopf may still wait for a silent watch
