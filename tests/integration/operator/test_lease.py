"""The Lease on a real API server: one leads, the other takes over when it stops, and compare-and-swap decides races."""

from __future__ import annotations

import asyncio

import pytest

from walrus_operator.api.world import Manifest
from walrus_operator.observe.kube import KubeClient
from walrus_operator.runtime import permissions
from walrus_operator.runtime.election import DURATION
from walrus_operator.runtime.lease import Lease, LeaseLost


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def candidate(kube: KubeClient, namespace: str, name: str, clock: Clock) -> Lease:
    return Lease(kube, namespace=namespace, name="walrus-operator", identity=name, clock=clock)


async def test_one_of_two_leads_and_giving_back_is_quick(kube: KubeClient, namespace: str) -> None:
    clock = Clock()
    a, b = candidate(kube, namespace, "a", clock), candidate(kube, namespace, "b", clock)
    won = await asyncio.gather(a._attempt(), b._attempt())
    assert sorted(won) == [False, True]
    leader, standby = (a, b) if won[0] else (b, a)
    await leader.guard()
    assert not await standby._attempt()
    assert standby.holder == leader.identity
    await leader.release()
    assert not leader.leads
    assert await standby._attempt()
    await standby.guard()


async def test_a_silent_leader_is_replaced_and_learns_it_before_it_acts(kube: KubeClient, namespace: str) -> None:
    clock = Clock()
    a, b = candidate(kube, namespace, "a", clock), candidate(kube, namespace, "b", clock)
    assert await a._attempt()
    assert not await b._attempt()
    clock.now += DURATION
    assert await b._attempt()
    assert not a.leads
    with pytest.raises(LeaseLost):
        await a.guard()
    assert not await a._attempt()
    live: Manifest | None = await kube.get("Lease", namespace, "walrus-operator")
    assert live is not None
    assert live["spec"]["holderIdentity"] == "b"
    assert live["spec"]["leaseTransitions"] == 1


async def test_the_guard_notices_another_holder_although_the_own_time_is_not_over(
    kube: KubeClient, namespace: str
) -> None:
    clock = Clock()
    a = candidate(kube, namespace, "a", clock)
    assert await a._attempt()
    live = await kube.get("Lease", namespace, "walrus-operator")
    assert live is not None
    await kube.merge("Lease", namespace, "walrus-operator", {"spec": {"holderIdentity": "somebody"}})
    with pytest.raises(LeaseLost, match="somebody"):
        await a.guard()
    assert a.lost.is_set()


async def test_an_administrator_has_all_permissions(kube: KubeClient, namespace: str) -> None:
    assert await permissions.missing(kube, namespaces=[namespace, None], own_namespace=namespace) == []
