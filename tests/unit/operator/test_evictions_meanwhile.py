"""Somebody drains machines while the operator rolls: whoever is faster, both together stay within the fault budget.

Between any two calls of the operator the other side does what Kubernetes does: the API server allows an eviction by the
budget's status, as it stands; a moment later the pod ends; and the controller of budgets counts the pods anew, from a
picture of them that may be old.
"""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from tests.unit.operator.fake_api import Call
from tests.unit.operator.test_api_faults import NAMESPACE, TOLERATED, Scene

from walrus_operator.api.world import Manifest

PATIENCE = 1000
"""Passes within which the operator has had its openings."""
BUDGET = ("PodDisruptionBudget", NAMESPACE, "net-nodes")


class Drained(Scene):
    """A network from which somebody evicts pods all the time."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)
        self.counts: dict[bool, int] = {True: 0, False: 0}
        """Evictions that were allowed, and those that were refused."""
        self.going: dict[str, str] = {}
        """Pods that are promised and will end, with their UIDs."""
        self.promised: dict[str, str] = {}
        """Those that have ended, too, by the last pod of each name."""
        self.past: list[dict[str, str]] = [{}]
        """Node pods with their UIDs, as they were; the controller has seen the first of these last."""

    def pods(self) -> dict[str, str]:
        return {
            name: pod["metadata"]["uid"]
            for name, pod in self.cluster.of("Pod").items()
            if name.removesuffix("-0") in self.cluster.of("WalrusNode")
        }

    def begin(self) -> None:
        self.cluster.count_disruptions = lambda: None  # type: ignore[method-assign]  # from now on in its own time
        self.cluster.transport.faults = self.meanwhile
        self.past = [self.pods()]

    def end(self) -> None:
        del self.cluster.count_disruptions  # type: ignore[method-assign]  # as the class has it
        self.cluster.transport.faults = lambda _call: None

    def meanwhile(self, _call: Call) -> None:
        self.past.append(self.pods())
        for step in self.chance.sample([self.count, self.allow, self.evict], k=2):
            if self.chance.random() < 0.4:
                step()
        self.check()

    def budget(self) -> Manifest:
        return copy.deepcopy(self.cluster.store.objects[BUDGET])

    def count(self) -> None:
        """The controller looks at pods that are as old as it likes, but never older than those that it knows."""
        self.past = self.past[self.chance.randrange(len(self.past)) :]
        seen, live = self.past[0], self.budget()
        before: dict[str, Any] = live["status"].get("disruptedPods", {})
        kept = {name: at for name, at in before.items() if name in seen and seen[name] == self.promised[name]}
        healthy = len(seen.keys() - kept.keys())
        live["status"] = {
            "observedGeneration": live["metadata"]["generation"],
            "currentHealthy": healthy,
            "disruptionsAllowed": max(0, healthy - live["spec"]["minAvailable"]),
            "disruptedPods": kept,
        }
        self.cluster.store.put(BUDGET, live)

    def allow(self) -> None:
        """The API server's part of an eviction: one more pod is promised, if the budget says so."""
        live, pods = self.budget(), self.pods()
        name = self.chance.choice(sorted(pods) or [""])
        status = live["status"]
        known = status["observedGeneration"] >= live["metadata"]["generation"]
        allowed = bool(pods) and known and status["disruptionsAllowed"] > 0
        self.counts[allowed] += 1
        if allowed:
            status["disruptionsAllowed"] -= 1
            status.setdefault("disruptedPods", {})[name] = "2026-01-01T00:00:00Z"
            self.going[name] = self.promised[name] = pods[name]
            self.cluster.store.put(BUDGET, live)

    def evict(self) -> None:
        """What was promised happens."""
        for name, uid in sorted(self.going.items()):
            if self.pods().get(name) == uid:
                self.cluster.store.remove(("Pod", NAMESPACE, name))
        self.going.clear()

    async def one(self) -> int:
        """A pass, after which pods that have ended may take their time to come back."""
        controllers = self.cluster.run_controllers
        if self.cluster.transport.faults == self.meanwhile and self.chance.random() < 0.4:
            self.cluster.run_controllers = lambda: None  # type: ignore[method-assign]
        try:
            return await super().one()
        finally:
            self.cluster.run_controllers = controllers  # type: ignore[method-assign]


@pytest.mark.parametrize("seed", range(3))
async def test_evictions_and_rollouts_together_stay_within_the_budget(seed: int) -> None:
    scene = Drained(seed)
    await scene.settle()
    restarts = number = 0
    scene.begin()
    # The drain leaves the operator few openings, and how calls interleave is chance: it goes on until there were some.
    while number < 60 or (restarts < 3 and number < PATIENCE):
        if number % 15 == 0:
            live = copy.deepcopy(scene.cluster.store.objects["WalrusNetwork", NAMESPACE, "net"])
            live["spec"]["image"] = f"walrus:{number + 2}"
            scene.cluster.store.put(("WalrusNetwork", NAMESPACE, "net"), live)
        before = len(scene.cluster.transport.calls)
        await scene.one()
        restarts += sum(call.sort == "DELETE Pod" for call in scene.cluster.transport.calls[before:])
        number += 1
    assert (restarts > 0, scene.counts[True] > 5, scene.counts[False] > 50) == (True, True, True), scene.counts
    scene.end()
    scene.cluster.run_controllers()  # nobody is away any more
    await scene.settle()
    assert scene.status["rollout"]["state"] == "Complete"
    assert scene.failures == []
    assert scene.budget()["status"]["disruptionsAllowed"] == 1, f"{TOLERATED} shards are one node again"
