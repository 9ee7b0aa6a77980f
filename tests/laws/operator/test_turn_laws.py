"""While a rollout is under way anything may happen: no template is written and no pod deleted before its turn.

The dumb twin counts shards by hand, from what the world knows: a node is up when its pod is ready, it answers, and it is
whole. What it may lose is f - reserve, for all that a pass lets go, templates as well as pods: a template that is written
is what a pod that dies by itself comes back with.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.operator.chain_world import START, network_manifest
from tests.unit.operator.support import World

from walrus_codec.quorum import max_faulty
from walrus_operator.api.chain_view import EpochPhase
from walrus_operator.api.decisions import DeleteObject
from walrus_operator.api.world import ObjectKey, UnixSeconds
from walrus_operator.plan.passes import plan

NODES, SHARDS = 5, 22
DEVNET = "demo-devnet-0"
EVENTS = (
    *(
        "image",
        "gateway image",
        "devnet image",
        "operator",
        "pod dies",
        "pod is not ready",
        "pod is dead",
        "pod is well",
    ),
    *(
        "silent",
        "answers",
        "lacks shards",
        "is whole",
        "chain silent",
        "chain answers",
        "shards move",
        "shards have moved",
    ),
    *("next epoch", "paused", "goes on", "time"),
)
stories = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, NODES - 1)), min_size=2, max_size=14)


def happen(world: World, what: str, number: int) -> None:
    """One thing that users, clusters, nodes and the chain do."""
    node, pods = f"demo-{number}", [f"demo-{number}-0", "demo-gateway-0", "demo-gateway-1", DEVNET]
    pod = pods[number % len(pods)] if what.startswith("pod") else f"{node}-0"
    there = world.pods.get(pod)
    match what:
        case "image":
            world.edit(image=f"walrus:{number}")
        case "gateway image":
            world.edit(gateway={"image": f"walrus:{number}"})
        case "devnet image":
            world.edit(chain={"devnet": {"image": f"walrus:{number}"}})
        case "operator":
            world.settings = replace(world.settings, image=f"walrus:operator-{number}")
        case "pod dies":
            world.pods.pop(pod, None)
            world.kubelet()
        case "pod is not ready" if there is not None:
            world.pods[pod] = replace(there, ready=False)
        case "pod is dead" if there is not None:
            world.pods[pod] = replace(there, ready=False, waiting="CrashLoopBackOff")
        case "pod is well" if there is not None:
            world.pods[pod] = replace(there, ready=True, waiting=None)
        case "silent":
            world.silent_nodes.add(node)
        case "answers":
            world.silent_nodes.clear()
        case "lacks shards":
            world.missing[node] = ("ActiveSync", "ActiveRecover")[number % 2]
        case "is whole":
            world.missing.clear()
        case "chain silent":
            world.chain_answers = False
            world.now += 60
        case "chain answers":
            world.chain_answers = True
        case "shards move":
            world.phase = EpochPhase.SYNC
        case "shards have moved":
            world.phase = EpochPhase.DONE
        case "next epoch" if world.phase is EpochPhase.DONE:
            world.choose_committee()
        case "paused":
            world.edit(rollout={"paused": True})
        case "goes on":
            world.edit(rollout={"paused": False})
        case "time":
            world.now += 5


def template(world: World, workload: str) -> object:
    return world.objects[ObjectKey("StatefulSet", workload)]["spec"]["template"]


def looked_after(world: World) -> None:
    """One pass, with what must hold of it."""
    snapshot = world.snapshot()
    decided = plan(snapshot)
    names = [f"demo-{number}" for number in range(NODES)]
    workloads = [*names, "demo-gateway", "demo-devnet"]
    before, pods = {name: template(world, name) for name in workloads}, dict(world.pods)
    answering = {name for name in names if name in world.infos() and pods[f"{name}-0"].ready}
    dead = {name for name in names if (pod := pods.get(f"{name}-0")) is None or (not pod.ready and pod.waiting)}
    whole = {name for name in answering if name not in world.missing and not pods[f"{name}-0"].terminating}
    gone = {
        action.key.name for action in decided.actions if isinstance(action, DeleteObject) and action.key.kind == "Pod"
    }
    # Whoever looks again before Kubernetes shows what was done must not do more of it.
    stale = replace(snapshot, deleted_pods={name: pods[name].uid for name in gone})
    assert not gone or not any(isinstance(action, DeleteObject) for action in plan(stale).actions)
    world.carry_out(snapshot, decided)
    written = {name for name in workloads if template(world, name) != before[name]}
    let_go = ({name for name in names if f"{name}-0" in gone} | (written & set(names))) - dead

    paused = world.network["spec"].get("rollout", {}).get("paused", False)
    assert not (paused and (gone or written)), "the user wants nothing restarted"
    owner = {node_id: name for name in names for sui, node_id in world.registered.items()
             if str(sui) in world.secrets[f"{name}-keys"].public.values()}  # fmt: skip
    weight = {owner[seat.node_id]: seat.weight for seat in world.committee}
    if let_go & set(weight):
        assert world.chain_answers
        assert world.phase is EpochPhase.DONE
        lost = sum(held for name, held in weight.items() if name not in whole - let_go)
        reserve = world.network["spec"].get("rollout", {}).get("reserve", 0)
        assert lost <= max_faulty(SHARDS) - reserve
    # What runs in gateway and devnet goes alone, and the devnet only when no member misses the chain.
    parts = {name for name in gone if name.startswith(("demo-gateway", "demo-devnet"))}
    running = {name for name in parts if not (not pods[name].ready and pods[name].waiting)}
    assert len(running) <= 1
    if running - {DEVNET}:
        assert all(pods[f"demo-gateway-{index}"].ready for index in range(2) if f"demo-gateway-{index}" not in running)
        assert world.chain_answers
        assert not let_go
    if DEVNET in running and world.chain_answers:
        assert set(weight) <= whole
        assert world.phase is EpochPhase.DONE
        assert not let_go


def well_again(world: World) -> None:
    """All that was broken is mended."""
    world.silent_nodes.clear()
    world.missing.clear()
    world.chain_answers, world.phase = True, EpochPhase.DONE
    world.now = START + 30
    world.edit(rollout={"paused": False})


@settings(max_examples=25, deadline=None)
@example(story=[("image", 1), ("pod dies", 0), ("gateway image", 2), ("operator", 1)], reserve=0)
@example(
    story=[("devnet image", 1), ("gateway image", 1), ("lacks shards", 2), ("time", 0), ("is whole", 0)], reserve=1
)
@given(story=stories, reserve=st.integers(0, 2))
def test_nothing_goes_before_its_turn_and_in_the_end_everything_has_gone(
    story: list[tuple[str, int]], reserve: int
) -> None:
    world = World(
        network=network_manifest(
            shards=SHARDS, nodes={"count": NODES}, gateway={"replicas": 2}, rollout={"reserve": reserve}
        )
    )
    world.bring_up()
    world.pods = {name: replace(pod, created_at=UnixSeconds(START - 900)) for name, pod in world.pods.items()}
    for what, number in story:
        happen(world, what, number)
        looked_after(world)
        world.kubelet()
    well_again(world)
    for _ in range(8 * NODES):
        world.pods = {name: replace(pod, ready=True, waiting=None) for name, pod in world.pods.items()}
        looked_after(world)
        world.kubelet()
        if world.network["status"]["rollout"]["state"] == "Complete":
            break
    rollout = world.network["status"]["rollout"]
    assert (rollout["state"], rollout["plan"]) == ("Complete", [])
    world.settle()
    snapshot = world.snapshot()
    assert plan(snapshot) == plan(snapshot), "the same snapshot, another plan"
