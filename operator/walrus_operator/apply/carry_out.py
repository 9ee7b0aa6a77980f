"""Carries out a plan: keys, objects, statuses, then the chain, then what can go. Returns what happened, as data.

Statuses are written before money moves, so that a slow chain does not hide what is known; what moved shows in the next
pass, which the caller starts at once. They are written also when an object could not be, because the reason of that stands
in the status of the pass after. One object that is refused does not stop the others: its refusal is part of the outcome and
the next pass tries again. Whatever could harm when two processes do it (objects, deletions, money) asks the `guard` first,
which re-checks that this process still holds the Lease.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

from walrus_operator.api.base import API_VERSION
from walrus_operator.api.conditions import Reason
from walrus_operator.api.decisions import (
    AddToken,
    CreateKeys,
    DeleteObject,
    DrainNode,
    DropToken,
    EventNote,
    GrowClaim,
    Plan,
    PromoteKey,
    SetFinalizer,
    SetOwners,
    StatusUpdate,
)
from walrus_operator.api.markers import NETWORK_LABEL
from walrus_operator.api.world import Manifest, NetworkObject, ObjectKey, Settings, Snapshot
from walrus_operator.apply import belongings, drift, keys, money
from walrus_operator.apply.outcome import Outcome
from walrus_operator.build import objects
from walrus_operator.observe.chain import ChainObserver
from walrus_operator.observe.kube import KubeClient, KubeError
from walrus_operator.observe.nodes import NodeObserver

log = logging.getLogger(__name__)

PARALLEL_WRITES = 8

DRAIN_TIMEOUT = 10.0
"""Seconds that nodes have to end what is under way before their pods go; the pods' own time to end comes after that."""

_OF_A_RESTART = frozenset({"PersistentVolumeClaim", "Pod"})
"""What goes for a pod that comes back."""

Guard = Callable[[], Awaitable[None]]
"""Raises when this process may no longer act."""


class Applier:
    """Writes to Kubernetes and to the chain, and tells nodes what comes."""

    def __init__(self, kube: KubeClient, chain: ChainObserver, nodes: NodeObserver, *, settings: Settings) -> None:
        self._kube = kube
        self._chain = chain
        self._nodes = nodes
        self._settings = settings

    async def carry_out(self, snapshot: Snapshot, plan: Plan, *, guard: Guard) -> Outcome:
        """Does what the plan asks for.

        Raises:
            KubeError: the API server is not reached or forbids a call; the pass is repeated with back-off.
        """
        outcome = Outcome(events=list(plan.events))
        network = snapshot.network
        failure: KubeError | None = None
        try:
            await self._make(outcome, snapshot, plan, guard)
        except KubeError as error:
            if error.terminating:
                log.info("nothing is made in a namespace that goes: %s", error)
                outcome.acted = True  # soon there is less
            else:
                failure = error
        await _together(self._status(outcome, network.namespace, update) for update in plan.statuses)
        if failure is not None:
            raise failure
        # Calls end in any order; what is reported must not depend on it.
        outcome.refusals.sort()
        await self._money(outcome, snapshot, plan, guard)
        for action in plan.actions:
            if isinstance(action, SetFinalizer):
                await guard()
                await self._finalizer(outcome, network.namespace, action)
        for action in plan.actions:
            if isinstance(action, GrowClaim):
                await guard()
                await belongings.grow(self._kube, outcome, network.namespace, action)
            if isinstance(action, SetOwners):
                await guard()
                await belongings.set_owners(self._kube, outcome, network, action)
        drained = await self._drain(outcome, network, plan, guard)
        for action in plan.actions:
            if isinstance(action, DeleteObject):
                key = action.key
                if key.kind in _OF_A_RESTART and outcome.unmade & _made_of(key.name.removeprefix("data-")):
                    log.warning("%s is not restarted: what it would be made of could not be written", key)
                    continue
                await guard()
                await self._delete(outcome, network.namespace, action)
        for drain in drained:
            if outcome.deleted_pods.get(drain.pod) != drain.uid:  # it stays, and goes on to serve
                await self._nodes.resume(f"{network.namespace}/{network.name}", drain.node, drain.uid)
        return outcome

    async def _drain(self, outcome: Outcome, network: NetworkObject, plan: Plan, guard: Guard) -> list[DrainNode]:
        """Has the nodes whose pods are about to go end what is under way, all at once; one that cannot goes all the same."""
        asked = [
            action
            for action in plan.actions
            if isinstance(action, DrainNode) and not outcome.unmade & _made_of(action.pod)
        ]
        if asked:
            await guard()
        key = f"{network.namespace}/{network.name}"
        calls = (self._nodes.drain(key, action.node, action.uid, DRAIN_TIMEOUT) for action in asked)
        for action, why in zip(asked, await asyncio.gather(*calls), strict=True):
            if why is not None:
                log.info("%s is restarted without having come to rest: %s", action.node, why)
        return asked

    async def _make(self, outcome: Outcome, snapshot: Snapshot, plan: Plan, guard: Guard) -> None:
        """Keys and objects."""
        network = snapshot.network
        new_keys = [action for action in plan.actions if isinstance(action, CreateKeys)]
        if new_keys:
            await guard()
            await _together(self._keys(outcome, network, action) for action in new_keys)
        for action in plan.actions:
            if isinstance(action, PromoteKey):
                await guard()
                await outcome.attempt(
                    f"{action.next_file} of Secret {action.secret} is {action.file} now",
                    keys.promote(self._kube, network, action),
                )
            if isinstance(action, AddToken | DropToken):
                await guard()
                done = "a second token" if isinstance(action, AddToken) else "the new token alone"
                await outcome.attempt(
                    f"Secret {action.secret} holds {done}", keys.exchange(self._kube, network, action)
                )
        if plan.workload is None:
            return
        known = snapshot.live_objects
        lacking = drift.missing(objects.manifests(plan.workload, self._settings), known)
        if lacking:
            await guard()
        # Pods come last: what they mount and what guards them is there before them.
        for workloads in (False, True):
            await _together(
                self._apply(outcome, network, manifest, known)
                for manifest in lacking
                if (manifest["kind"] == "StatefulSet") is workloads
            )

    async def _keys(self, outcome: Outcome, network: NetworkObject, action: CreateKeys) -> None:
        await outcome.attempt(f"keys in Secret {action.secret}", keys.carry_out(self._kube, network, action))

    async def _apply(
        self, outcome: Outcome, network: NetworkObject, manifest: Manifest, known: Mapping[ObjectKey, Manifest]
    ) -> None:
        key = drift.key_of(manifest)
        if key not in known:
            # Server-side apply would quietly take over an object of the same name that is not ours.
            taken = await self._kube.get(key.kind, network.namespace, key.name)
            if taken is not None and not _ours(taken, network):
                sentence = (
                    f"{key} exists and does not belong to this network: rename or delete it, or give the network another "
                    "name"
                )
                outcome.refusals.append((Reason.NAME_CONFLICT, sentence))
                outcome.unmade.add(key)
                return
        if not await outcome.attempt(f"{key} applied", self._kube.apply(manifest)):
            outcome.unmade.add(key)

    async def _delete(self, outcome: Outcome, namespace: str, action: DeleteObject) -> None:
        """Deletes an object; only what the API server took is expected to go."""
        key = action.key

        async def call() -> None:
            done = await self._kube.delete(key.kind, namespace, key.name, uid=action.uid, orphan=action.orphan)
            if done and key.kind == "Pod":
                outcome.deleted_pods[key.name] = action.uid

        await outcome.attempt(f"{key} deleted", call())

    async def report(self, namespace: str, updates: Iterable[StatusUpdate]) -> None:
        """Writes statuses and nothing else.

        Raises:
            KubeError: refused or not reached.
        """
        outcome = Outcome()
        await _together(self._status(outcome, namespace, update) for update in updates)

    async def release(self, namespace: str, changes: Iterable[SetFinalizer], *, guard: Guard) -> None:
        """Takes finalizers off WalrusNodes without a network.

        Raises:
            KubeError: refused or not reached.
        """
        outcome = Outcome()
        for change in changes:
            await guard()
            await self._finalizer(outcome, namespace, change)

    async def _finalizer(self, outcome: Outcome, namespace: str, change: SetFinalizer) -> None:
        """Writes the finalizers of a WalrusNode as seen; when it has changed since, the next pass looks again."""
        meta = {"finalizers": list(change.finalizers), "uid": change.uid, "resourceVersion": change.version}
        try:
            await self._kube.merge("WalrusNode", namespace, change.node, {"metadata": meta})
        except KubeError as error:
            if not (error.not_found or error.conflict):
                raise
        outcome.acted = True

    async def _status(self, outcome: Outcome, namespace: str, update: StatusUpdate) -> None:
        manifest = {
            "apiVersion": API_VERSION,
            "kind": update.key.kind,
            "metadata": {"name": update.key.name, "namespace": namespace},
            "status": dict(update.status),
        }
        try:
            await self._kube.apply(manifest, subresource="status")
        except KubeError as error:
            if error.not_found:  # deleted meanwhile: nobody left to tell
                return
            if not error.conflict:  # changed meanwhile: the next pass tells what is true then
                raise
        outcome.acted = True

    async def _money(self, outcome: Outcome, snapshot: Snapshot, plan: Plan, guard: Guard) -> None:
        actions = [action for action in plan.actions if isinstance(action, money.MoneyAction)]
        if not actions:
            return
        network = snapshot.network
        key_of_network = f"{network.namespace}/{network.name}"
        chain = self._chain.client(key_of_network)
        if chain is None:
            return  # it stopped answering since the snapshot; the next pass sees that
        await guard()
        key = await money.treasury_key(self._kube, network)
        try:
            done = await money.carry_out(chain, key, actions, faucet_url=self._chain.faucet_url(key_of_network))
        finally:
            self._chain.money_moved(key_of_network)
        outcome.done += done
        outcome.acted = True
        about = ObjectKey("WalrusNetwork", network.name)
        outcome.events += [EventNote(about, "MoneyMoved", sentence) for sentence in done]


async def _together(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Awaits independent calls, a few at a time; the first error that is no refusal ends them all.

    Raises:
        KubeError: that error.
    """
    limit = asyncio.Semaphore(PARALLEL_WRITES)

    async def one(call: Coroutine[Any, Any, None]) -> None:
        try:
            async with limit:
                await call
        finally:
            call.close()  # one that is cancelled while it waits for its turn was never awaited

    try:
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(one(call))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors


def _made_of(pod: str) -> set[ObjectKey]:
    """What a pod of a StatefulSet is made of."""
    name = pod.rpartition("-")[0]
    return {ObjectKey("StatefulSet", name), ObjectKey("ConfigMap", name)}


def _ours(live: Manifest, network: NetworkObject) -> bool:
    labels: Mapping[str, str] = live["metadata"].get("labels") or {}
    owners = live["metadata"].get("ownerReferences") or []
    return labels.get(NETWORK_LABEL) == network.name or any(entry.get("uid") == network.uid for entry in owners)
