"""One pass over one network: observe, plan, apply, report. The only place where the four meet.

The reconciler keeps per network what the previous pass could not do, so that it becomes a condition in the next one; it
keeps nothing else. A pass that fails altogether is repeated by the queue and reported by the next one in `Degraded`. When
that one fails, too, maybe before it had a status to write, `Degraded` is written alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from walrus_client.errors import ClientError
from walrus_operator.api.base import API_VERSION
from walrus_operator.api.conditions import Reason
from walrus_operator.api.decisions import EventNote
from walrus_operator.api.world import ObjectKey, Snapshot
from walrus_operator.apply.carry_out import Applier, Guard
from walrus_operator.observe import reading
from walrus_operator.observe.kube import KubeClient, KubeError
from walrus_operator.observe.world import Observer
from walrus_operator.plan import network_status, passes, strays
from walrus_operator.runtime.challenges import ChallengeMetrics
from walrus_operator.runtime.lease import LeaseLost
from walrus_operator.runtime.networks import NetworkMetrics
from walrus_operator.runtime.queue import first_cause
from walrus_operator.runtime.rollouts import RolloutMetrics
from walrus_sui.errors import WalrusSuiError
from walrus_sui.telemetry import meter, names, tracer

log = logging.getLogger(__name__)

AFTER_ACTING = 1.0
"""Seconds until the next look after a pass that changed something."""
PASS_TIMEOUT = 300.0
"""Seconds that a pass may take."""


class PassTimeoutError(Exception):
    """A pass was not done in time; what it did holds, and the next one goes on from there."""


@dataclass
class _Carried:
    """What a pass hands to the next one."""

    error: str | None = None
    refusals: tuple[tuple[Reason, str], ...] = ()
    deleted_pods: dict[str, str] = field(default_factory=dict)
    refused_growth: dict[str, str] = field(default_factory=dict)


class Reconciler:
    """Runs passes."""

    def __init__(self, observer: Observer, applier: Applier, kube: KubeClient, *, guard: Guard, identity: str) -> None:
        self._observer = observer
        self._applier = applier
        self._kube = kube
        self._guard = guard
        self._identity = identity
        self._carried: dict[str, _Carried] = {}
        self._networks = NetworkMetrics()
        self._rollouts = RolloutMetrics()
        self._challenges = ChallengeMetrics()
        self._duration = meter().create_histogram(
            names.OPERATOR_RECONCILE_DURATION, unit="s", description="Duration of passes."
        )
        self._errors = meter().create_counter(names.OPERATOR_RECONCILE_ERRORS, description="Passes that failed.")

    async def reconcile(self, key: str) -> float | None:
        """One pass; returns seconds until the next look, or None when the network is gone.

        Raises:
            Exception: whatever ended the pass; it is reported by the next one.
        """
        started = time.perf_counter()
        carried = self._carried.setdefault(key, _Carried())
        with tracer().start_as_current_span("reconcile", attributes={names.ATTR_NETWORK: key}) as span:
            try:
                again_after = await self._timed(key, carried)
            except Exception as error:
                again = carried.error is not None
                carried.error = _sentence(error)
                self._errors.add(1, {names.ATTR_NETWORK: key})
                span.record_exception(error)
                if again and not isinstance(first_cause(error), LeaseLost):
                    await self._tell(key, carried.error)
                raise
            finally:
                self._duration.record(time.perf_counter() - started, {names.ATTR_NETWORK: key})
        return again_after

    async def _timed(self, key: str, carried: _Carried) -> float | None:
        try:
            async with asyncio.timeout(PASS_TIMEOUT) as limit:
                return await self._pass(key, carried)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise PassTimeoutError(f"the pass was not done within {PASS_TIMEOUT:.0f} s; it goes on") from error

    async def _tell(self, key: str, sentence: str) -> None:
        """Writes `Degraded` alone; only logged when even that is not possible."""
        namespace, _, name = key.partition("/")
        try:
            live = await self._kube.get("WalrusNetwork", namespace, name)
            update = network_status.failing(reading.network(live), sentence, now=time.time()) if live else None
            if update is not None:
                await self._applier.report(namespace, [update])
        except KubeError as error:
            log.warning("the failure cannot be told in the status: %s", error)

    async def _pass(self, key: str, carried: _Carried) -> float | None:
        namespace, _, name = key.partition("/")
        snapshot = await self._observer.look(
            namespace,
            name,
            last_error=carried.error,
            refusals=carried.refusals,
            deleted_pods=carried.deleted_pods,
            refused_growth=carried.refused_growth,
        )
        if snapshot is None:
            self._carried.pop(key, None)
            self._networks.forget(key)
            self._rollouts.forget(key)
            self._challenges.forget(key)
            nodes = await self._observer.strays(namespace, name)
            await self._applier.report(namespace, strays.report(nodes, network=name, now=time.time()))
            await self._applier.release(namespace, strays.released(nodes), guard=self._guard)
            return None
        plan = passes.plan(snapshot)
        self._networks.update(key, plan.standing)
        self._rollouts.update(key, plan.rollout)
        self._challenges.update(key, plan.challenges)
        outcome = await self._applier.carry_out(snapshot, plan, guard=self._guard)
        await self._post(snapshot, outcome.events)
        recovered = carried.error is not None
        changed = tuple(outcome.refusals) != carried.refusals
        carried.error, carried.refusals = None, tuple(outcome.refusals)
        carried.refused_growth |= outcome.refused_growth
        carried.deleted_pods = outcome.deleted_pods | still_shown(snapshot)
        if outcome.acted or recovered or changed:
            return min(AFTER_ACTING, plan.requeue_after)
        return plan.requeue_after

    async def _post(self, snapshot: Snapshot, notes: Iterable[EventNote]) -> None:
        """Posts Kubernetes Events; they are for people, so a failure is only logged."""
        for note in notes:
            try:
                await self._kube.create(_event(snapshot, note, self._identity))
            except KubeError as error:
                log.warning("event not posted: %s", error)


def still_shown(snapshot: Snapshot) -> dict[str, str]:
    """Pods that were deleted before, and that this snapshot shows as if they had not been."""
    return {
        name: uid
        for name, uid in snapshot.deleted_pods.items()
        if (pod := snapshot.pods.get(name)) is not None and pod.uid == uid and not pod.terminating
    }


def _sentence(error: Exception) -> str:
    """The error for a condition: a known one by its message, any other with its type, nothing with an address in it."""
    first = first_cause(error)
    if isinstance(first, KubeError | WalrusSuiError | ClientError | PassTimeoutError):
        return str(first)
    return f"{type(first).__name__}: {first}" if str(first) else type(first).__name__


def _event(snapshot: Snapshot, note: EventNote, identity: str) -> dict[str, object]:
    network = snapshot.network
    now = datetime.now(UTC)
    uid = network.uid
    if note.about != ObjectKey("WalrusNetwork", network.name):
        known = snapshot.epochs if note.about.kind == "StorageEpoch" else snapshot.nodes
        uid = next((item.uid for item in known if item.name == note.about.name), network.uid)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            # Unique like client-go's: the object's name and a time in hexadecimal nanoseconds.
            "name": f"{note.about.name}.{time.time_ns():x}",
            "namespace": network.namespace,
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": note.about.kind,
            "name": note.about.name,
            "namespace": network.namespace,
            "uid": uid,
        },
        "reason": note.reason,
        "message": note.message[:1024],
        "type": note.type,
        "count": 1,
        "firstTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lastTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "source": {"component": "walrus-operator"},
        "reportingComponent": "walrus-operator.dev/operator",
        "reportingInstance": identity,
    }
