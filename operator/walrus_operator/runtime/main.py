"""The operator's process.

Life: serve the probes; wait until the kinds exist and all permissions are there; compete for the Lease; as the leader run
kopf and the queue; on SIGTERM, on a lost Lease or when kopf ends by itself: stop both, give the Lease back, exit. A standby
does nothing but compete, so taking over is a matter of seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from walrus_operator.api.schema import ALL
from walrus_operator.apply.carry_out import Applier
from walrus_operator.observe.admin import AdminClient
from walrus_operator.observe.chain import ChainObserver
from walrus_operator.observe.cluster import ClusterObserver
from walrus_operator.observe.findings import FindingsObserver
from walrus_operator.observe.kube import KubeClient, KubeError
from walrus_operator.observe.nodes import HttpNodeReader, NodeObserver
from walrus_operator.observe.world import Observer
from walrus_operator.runtime import config, permissions
from walrus_operator.runtime.config import OperatorConfig
from walrus_operator.runtime.engine import Engine
from walrus_operator.runtime.health import Health
from walrus_operator.runtime.lease import Lease
from walrus_operator.runtime.queue import Worker
from walrus_operator.runtime.reconciler import Reconciler
from walrus_sui.telemetry import names, setup

log = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_LOST_LEASE = 3
EXIT_WATCHES_ENDED = 4

_LEASE_CALL_TIMEOUT = 5.0
_RECHECK = 5.0
_STALE_LOOP = 60.0
_RESYNC = 120.0


class Operator:
    """One process of the operator, from start to exit."""

    def __init__(self, settings: OperatorConfig) -> None:
        self._config = settings
        self._stop = asyncio.Event()
        self._waiting_for: str | None = "starting"
        self._worker: Worker | None = None
        self._engine: Engine | None = None

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        self._stop.set()

    async def run(self) -> int:
        """Runs until told to stop; returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask_to_stop)
        health = Health(alive=self._not_alive, ready=lambda: self._waiting_for)
        await health.start(self._config.listen_host, self._config.listen_port)
        try:
            async with (
                await KubeClient.connect() as kube,
                await KubeClient.connect(timeout=_LEASE_CALL_TIMEOUT) as calls,
            ):
                if not await self._prepared(kube):
                    return 0
                lease = Lease(
                    calls,
                    namespace=self._config.settings.operator_namespace,
                    name=self._config.lease_name,
                    identity=self._config.identity,
                )
                self._waiting_for = None
                log.info("standing by", extra={"identity": self._config.identity})
                if not await lease.campaign(self._stop):
                    return 0
                return await self._lead(kube, lease)
        finally:
            await health.stop()

    async def _prepared(self, kube: KubeClient) -> bool:
        """Waits for the kinds and for permissions; False when told to stop meanwhile."""
        namespaces: list[str | None] = list(self._config.namespaces) or [None]
        while not self._stop.is_set():
            self._waiting_for = await self._obstacle(kube, namespaces)
            if self._waiting_for is None:
                return True
            log.warning("not ready: %s", self._waiting_for)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _RECHECK)
        return False

    async def _obstacle(self, kube: KubeClient, namespaces: list[str | None]) -> str | None:
        try:
            lacking = await permissions.missing(
                kube, namespaces=namespaces, own_namespace=self._config.settings.operator_namespace
            )
            if lacking:
                return f"the service account may not {'; '.join(lacking)}. Install the chart's RBAC or add these rules"
            for crd in ALL:
                for namespace in namespaces:
                    await kube.list(crd.kind, namespace)
        except KubeError as error:
            if error.not_found:
                return f"the custom resource definitions are missing ({error}): install the chart with crds.create=true"
            return str(error)
        return None

    async def _lead(self, kube: KubeClient, lease: Lease) -> int:
        chain = ChainObserver()
        settings = self._config.settings
        reader = HttpNodeReader()
        nodes = NodeObserver(reader, AdminClient())
        observer = Observer(ClusterObserver(kube), chain, nodes, FindingsObserver(reader), settings=settings)
        applier = Applier(kube, chain, nodes, settings=settings)
        reconciler = Reconciler(observer, applier, kube, guard=lease.guard, identity=self._config.identity)
        worker = self._worker = Worker(reconciler.reconcile)
        engine = self._engine = Engine(worker.mark, namespaces=self._config.namespaces, identity=self._config.identity)
        halt = asyncio.Event()
        engine.start()
        keeper = asyncio.create_task(lease.keep(), name="lease keeper")
        await load_the_rest()
        tasks = [
            keeper,
            asyncio.create_task(worker.run(halt), name="queue"),
            asyncio.create_task(self._resync(kube, worker), name="resync"),
        ]
        reasons: dict[asyncio.Task[Any], int] = {
            asyncio.create_task(self._stop.wait()): 0,
            asyncio.create_task(lease.lost.wait()): EXIT_LOST_LEASE,
            asyncio.create_task(engine.ended.wait()): EXIT_WATCHES_ENDED,
        }
        finished, _ = await asyncio.wait({*reasons, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        code = next((reasons[task] for task in finished if task in reasons), EXIT_LOST_LEASE)
        for task in finished:
            # None of them ends by itself but the keeper, and that one says why.
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("%s ended", task.get_name(), exc_info=error)
                code = EXIT_FAILED
        log.info("stopping", extra={"exit_code": code})
        halt.set()
        ended = await engine.stop()
        for task in (*tasks, *reasons):
            task.cancel()
        await asyncio.gather(*tasks, *reasons, return_exceptions=True)
        await lease.release()
        await observer.close()
        if not ended:
            # A watch that does not end must not keep a process alive that no longer leads.
            log.warning("kopf did not stop in time; leaving without it")
            logging.shutdown()
            os._exit(code)
        return code

    async def _resync(self, kube: KubeClient, worker: Worker) -> None:
        """Marks every network now and then, whatever the watches say."""
        namespaces: list[str | None] = list(self._config.namespaces) or [None]
        while True:
            for namespace in namespaces:
                try:
                    for live in await kube.list("WalrusNetwork", namespace):
                        worker.mark(f"{live['metadata']['namespace']}/{live['metadata']['name']}")
                except KubeError as error:
                    log.warning("networks cannot be listed: %s", error)
            await asyncio.sleep(_RESYNC)

    def _not_alive(self) -> str | None:
        if self._worker is None:
            return None
        age = time.monotonic() - self._worker.last_turn
        if age > _STALE_LOOP:
            return f"the queue has not turned for {age:.0f} s"
        if self._engine is not None and self._engine.ended.is_set() and not self._stop.is_set():
            return "the watches have ended"
        return None


async def load_the_rest() -> None:
    """Loads what only a leader needs, and what the first chain client would load otherwise."""
    # pysui takes seconds, in which this loop could not renew the Lease.
    await asyncio.to_thread(importlib.import_module, "walrus_sui.client.transport")
    # What is loaded stays. Without it a full collection is cheap, so that garbage in rings is found early.
    gc.collect()
    gc.freeze()


async def _run(settings: OperatorConfig) -> int:
    return await Operator(settings).run()


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point `walrus-operator`."""
    settings = config.read(arguments)
    telemetry = setup(
        names.SERVICE_OPERATOR,
        log_format=settings.log_format,
        log_level=settings.log_level,
        otlp_endpoint=settings.otlp_endpoint,
    )
    # kopf tells of every event that it delivered, with all of its settings, and that it sees no signals in its thread.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    try:
        code = asyncio.run(_run(settings))
    except KubeError as error:
        print(f"walrus-operator: {error}", file=sys.stderr)  # noqa: T201  (before any log reader could be asked)
        code = 1
    finally:
        telemetry.shutdown()
    sys.exit(code)


if __name__ == "__main__":
    main()
