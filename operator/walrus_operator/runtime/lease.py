"""The Lease in Kubernetes: campaigns, renews, gives back. The rules are in `election`.

`hold` returns when leadership is won; the keeper task then renews it and sets `lost` when it cannot. Whoever leads runs
kopf and the queue until `lost` or the process's end, and does not come back in the same process: a fresh start is simpler
to reason about than a second reign.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from walrus_operator.api.world import Manifest
from walrus_operator.observe.kube import KubeClient, KubeError
from walrus_operator.observe.resources import RESOURCES
from walrus_operator.runtime.election import DURATION, RETRY, Election, LeaseRecord, Move
from walrus_operator.runtime.gauges import gauge
from walrus_sui.telemetry import names

log = logging.getLogger(__name__)


class LeaseLost(Exception):  # noqa: N818  (says what happened)
    """This process no longer leads; whatever it was about to do must not happen."""


class Lease:
    """This process's candidacy for one Lease object; its `kube` should have a time-out below the renew deadline."""

    def __init__(
        self,
        kube: KubeClient,
        *,
        namespace: str,
        name: str,
        identity: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._clock = clock
        self._election = Election(identity)
        self.lost = asyncio.Event()
        gauge(names.OPERATOR_LEASE_HELD, lambda: float(self.leads), description="1 while this process leads.")

    @property
    def identity(self) -> str:
        """Name of this candidate."""
        return self._election.identity

    @property
    def holder(self) -> str | None:
        """Who leads, as last seen."""
        return self._election.seen.holder if self._election.seen else None

    @property
    def leads(self) -> bool:
        """Whether this process may act."""
        return self._election.leads(self._clock())

    async def guard(self) -> None:
        """Right before something that cannot be taken back.

        Raises:
            LeaseLost: somebody else leads, or the Lease could not be read.
        """
        if not self.leads:
            raise LeaseLost("the Lease is no longer ours")
        record = _record(await self._read())
        if record is None or record.holder != self.identity:
            self.lost.set()
            raise LeaseLost(f"the Lease belongs to {record.holder if record else 'nobody'}")

    async def campaign(self, stop: asyncio.Event) -> bool:
        """Waits until this process leads; False when `stop` came first."""
        while not stop.is_set():
            if await self._attempt():
                log.info("leading", extra={"identity": self.identity})
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._election.pause(self._clock()))
        return False

    async def keep(self) -> None:
        """Renews until it cannot; then sets `lost` and returns."""
        while True:
            await asyncio.sleep(RETRY)
            held = await self._attempt()
            if not held and not self.leads:
                log.warning("the Lease is lost", extra={"holder": self.holder})
                self.lost.set()
                return

    async def release(self) -> None:
        """Gives the Lease back, so that a standby need not wait for its end."""
        if not self.leads:
            return
        with contextlib.suppress(KubeError):
            live = await self._read()
            record = _record(live)
            if live is not None and record is not None and record.holder == self.identity:
                await self._write(live, holder="", transitions=record.transitions)
        self._election.lost()

    async def _attempt(self) -> bool:
        """One look and one write; True when this process leads afterwards."""
        try:
            live = await self._read()
            now = self._clock()
            record = _record(live)
            move = self._election.observe(record, now)
            if move is Move.WAIT:
                return False
            transitions = record.transitions if record else 0
            if move is Move.TAKE_OVER:
                transitions += 1
            written = await self._write(live, holder=self.identity, transitions=transitions)
        except KubeError as error:
            if error.conflict:
                self._election.lost()
            else:
                log.warning("the Lease cannot be written: %s", error)
            return self.leads
        self._election.wrote(written, now)
        return True

    async def _read(self) -> Manifest | None:
        return await self._kube.get("Lease", self._namespace, self._name)

    async def _write(self, live: Manifest | None, *, holder: str, transitions: int) -> LeaseRecord:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = {
            "holderIdentity": holder,
            "leaseDurationSeconds": DURATION if holder else 1,
            "renewTime": now,
            "leaseTransitions": transitions,
        }
        before = (live or {}).get("spec") or {}
        spec["acquireTime"] = before.get("acquireTime", now) if before.get("holderIdentity") == holder else now
        manifest: Manifest = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": spec,
        }
        if live is None:
            path = RESOURCES["Lease"].path(self._namespace)
            answer = await self._kube.write("POST", path, body=manifest, count=False)
        else:
            # The version makes it a compare-and-swap: of two candidates one gets a conflict.
            manifest["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
            path = RESOURCES["Lease"].path(self._namespace, self._name)
            answer = await self._kube.write("PUT", path, body=manifest, count=False)
        record = _record(answer)
        if record is None:
            raise KubeError("the API server answered without a Lease")
        return record


def _record(live: Manifest | None) -> LeaseRecord | None:
    if live is None:
        return None
    spec = live.get("spec") or {}
    return LeaseRecord(
        holder=str(spec.get("holderIdentity") or ""),
        version=str(live["metadata"].get("resourceVersion", "")),
        transitions=int(spec.get("leaseTransitions") or 0),
    )
