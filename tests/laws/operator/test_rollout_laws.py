"""Whatever the committee and the state of its nodes: restarts stay within f - reserve, and with open gates they end."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tests.unit.operator.chain_world import START, network_manifest
from tests.unit.operator.support import World

from walrus_codec.quorum import max_faulty
from walrus_codec.types import NodeId, ShardIndex
from walrus_operator.api.chain_view import EpochPhase, Seat
from walrus_operator.api.decisions import DeleteObject
from walrus_operator.api.world import NodeInfo, PodView, Revision
from walrus_operator.plan import gates, rollout, rollout_status
from walrus_operator.plan.passes import plan
from walrus_operator.plan.rollout import Member, Rollout
from walrus_operator.plan.rollout_gates import Roll

N = 22
F = max_faulty(N)
NAMES = [f"n-{index}" for index in range(8)]
TROUBLES = ["silent", "behind", "recovering", "lacks one", "not ready", "dead", "gone", "ending"]

committees = st.lists(st.sampled_from([None, *NAMES]), min_size=N, max_size=N)
"""Owner of each shard; None for somebody else's node."""


def seated(owners: list[str | None]) -> dict[str, Seat]:
    return {
        name: Seat(NodeId(name), name, tuple(ShardIndex(shard) for shard, owner in enumerate(owners) if owner == name))
        for name in NAMES
        if name in owners
    }


@dataclass(frozen=True)
class Scene:
    """A random moment."""

    facts: gates.Facts
    roll: Roll
    members: list[Member]
    taken: list[str]
    states: dict[str, str]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    now, following = seated(draw(committees)), seated(draw(st.one_of(st.just([None] * N), committees)))
    # Most of them are well, so that several can be chosen at once.
    states = dict.fromkeys(NAMES, "up") | draw(
        st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TROUBLES), max_size=3)
    )
    view = World(network=network_manifest(shards=N), epoch=3, phase=EpochPhase.DONE).chain().value
    assert view is not None
    infos, pods = {}, {}
    for name, state in states.items():
        shards = dict.fromkeys((int(shard) for shard in (now[name].shards if name in now else ())), "Active")
        if state == "lacks one" and shards:
            shards[min(shards)] = "ActiveSync"
        if state not in {"silent", "not ready", "dead", "gone", "ending"}:
            infos[name] = NodeInfo(
                node_id=None,
                epoch=2 if state == "behind" else 3,
                status="RecoveryInProgress" if state == "recovering" else "Active",
                shards=shards,
            )
        if state != "gone":
            pods[name] = PodView(
                name=f"{name}-0",
                uid=name,
                ready=state not in {"dead", "not ready"},
                phase="Running",
                revision="old",
                waiting="CrashLoopBackOff" if state == "dead" else None,
                terminating=state == "ending",
                made_from=Revision("old", "old"),
            )
    off = draw(st.sets(st.sampled_from(["EpochTooShortForBatch", "ShardTransferSource", "FailureDomainBusy"])))
    facts = gates.Facts(
        chain=view,
        fresh=draw(st.sampled_from([True, True, True, False])),
        seats=now,
        previous=now,
        following=following,
        infos=infos,
        serving=frozenset(name for name, pod in pods.items() if pod.ready and not pod.terminating),
        reserve=draw(st.one_of(st.just(0), st.integers(0, F))),
        off=frozenset(off),
    )
    roll = Roll(
        now=START + draw(st.sampled_from([10.0, 10.0, 590.0])),
        proven=frozenset(draw(st.sets(st.sampled_from(NAMES)))) | frozenset(draw(st.sampled_from([(), NAMES]))),
        domains={name: draw(st.sampled_from(["", "r"])) for name in NAMES},
    )
    live = {"metadata": {"generation": 1}, "spec": {"replicas": 1}}
    new, old = Revision("new", "new"), Revision("old", "old")
    outdated = draw(st.permutations(NAMES))[: draw(st.integers(0, 8))]
    members = [Member(name, new, pods.get(name), old, live) for name in outdated]
    return Scene(facts, roll, members, draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True)), states)


def down(scene: Scene, shard: int, owner: str, *, current: bool, away: set[str]) -> bool:
    """The dumb twin: one shard at a time, by what its owner's state means."""
    state = scene.states[owner]
    if owner in away or state in {"silent", "not ready", "dead", "gone", "ending"}:
        return True
    if not current:
        return False
    if state == "lacks one":
        return shard == min(scene.facts.seats[owner].shards)
    return state in {"behind", "recovering"}


@settings(max_examples=400, deadline=None)
@given(scene=scenes())
def test_no_choice_takes_more_than_f_minus_reserve_down(scene: Scene) -> None:
    chosen, holds = rollout.choose(scene.members, scene.facts, scene.roll, taken=scene.taken)
    assert set(chosen) | set(holds) == {member.name for member in scene.members}
    assert not set(chosen) & set(holds)
    working = {member.name for member in scene.members if member.name in chosen and not member.dead}
    assert not working or scene.facts.fresh, "nobody restarts by an old committee"
    assert all(scene.states[name] in {"up", "behind"} for name in working if name in scene.facts.seats)
    away = set(chosen) | set(scene.taken)
    for seats, current in ((scene.facts.seats, True), (scene.facts.following, False)):
        if not any(name in seats for name in working):
            continue
        lost = sum(
            down(scene, int(shard), name, current=current, away=away)
            for name, seat in seats.items()
            for shard in seat.shards
        )
        assert lost <= F - scene.facts.reserve
    # Nodes without a proof that their spec works go one at a time.
    if not scene.taken:
        assert len([name for name in chosen if name not in scene.roll.proven]) <= 1 or chosen[0] in scene.roll.proven
    assert rollout.choose(scene.members, scene.facts, scene.roll, taken=scene.taken) == (chosen, holds)


@settings(max_examples=300, deadline=None)
@given(scene=scenes())
def test_every_step_of_the_plan_fits_and_nobody_is_forgotten(scene: Scene) -> None:
    names = [member.name for member in scene.members]
    found = Rollout(
        target="",
        members={member.name: member for member in scene.members},
        outdated=tuple(names),
        by_operator_only=(),
        returning={},
        under_way=bool(names),
        chosen=(),
        holds={},
        stuck=None,
        kept={},
        actions=(),
        events=(),
        facts=scene.facts,
        roll=scene.roll,
    )
    steps = rollout_status.steps(found)
    planned = [name for step in steps for name in step.nodes]
    assert len(planned) == len(set(planned))
    for step in steps:
        for seats, current in ((scene.facts.seats, True), (scene.facts.following, False)):
            others = [name for name in seats if name not in names]
            if not any(name in seats for name in step.nodes):
                continue
            if current:
                idle = sum(
                    down(scene, int(shard), name, current=True, away=set())
                    for name in others
                    for shard in seats[name].shards
                )
            else:
                idle = sum(seats[name].weight for name in others if name not in scene.facts.serving)
            assert idle + sum(seats[name].weight for name in step.nodes if name in seats) <= F - scene.facts.reserve
    budget = F - scene.facts.reserve
    for name in set(names) - set(planned):
        assert any(
            seats[name].weight + sum(seat.weight for other, seat in seats.items() if other not in names) > budget
            for seats in (scene.facts.seats, scene.facts.following)
            if name in seats
        ), f"{name} would fit, and has no step"


@settings(max_examples=25, deadline=None)
@example(
    stakes=[890, 862, 653, 608, 300], reserve=0, racks=1, graceful=2, gateways=1
)  # a gateway before the last batch
@given(
    stakes=st.lists(st.integers(300, 3000), min_size=4, max_size=8),
    reserve=st.integers(0, 3),
    racks=st.integers(1, 3),
    graceful=st.integers(0, 2),
    gateways=st.integers(0, 2),
)
def test_with_open_gates_every_rollout_ends(
    stakes: list[int], reserve: int, racks: int, graceful: int, gateways: int
) -> None:
    """Also: the same snapshot gives the same plan, and a plan that was carried out is never made again."""
    world = World(network=network_manifest(shards=40, nodes={"count": len(stakes)}, gateway={"replicas": gateways}))
    world.settle()
    world.delegations.clear()
    for number, stake in enumerate(stakes):
        sui = str(world.secrets[f"demo-{number}-keys"].public["sui.key"])
        world.stake(world.registered[sui], stake * 10**9)  # type: ignore[index]  # an address
        world.edit_node(f"demo-{number}", stake=stake, failureDomain=f"r{number % racks}")
    world.choose_committee()
    budget = max_faulty(40) - reserve
    assume(all(seat.weight <= budget for seat in world.committee))
    world.graceful = graceful
    world.edit(image="walrus:2", rollout={"reserve": reserve})
    restarts: list[str] = []
    for _ in range(12 * (len(stakes) + gateways + 1)):
        snapshot = world.snapshot()
        decided = plan(snapshot)
        assert decided == plan(snapshot)
        gone = [action.key.name for action in decided.actions if isinstance(action, DeleteObject)]
        restarts += gone
        assert not gone or all(pod.ready and not pod.terminating for pod in world.pods.values()), (
            "the last batch is not back"
        )
        assert len(gone) <= 1 or len(restarts) > len(gone), "the first goes alone"
        world.carry_out(snapshot, decided)
        world.kubelet()
        if world.network["status"]["rollout"]["state"] == "Complete":
            break
    nodes, others = restarts[: len(stakes)], restarts[len(stakes) :]
    assert sorted(nodes) == sorted(f"demo-{number}-0" for number in range(len(stakes)))
    assert others == [*(f"demo-gateway-{number}" for number in range(gateways)), "demo-devnet-0"]
    for pod in world.pods:
        assert world.pods[pod].image == "walrus:2"


@settings(max_examples=50, deadline=None)
@given(scene=scenes(), weight=st.integers(1, N))
def test_leave_for_one_time_is_for_the_heavy_node_alone(scene: Scene, weight: int) -> None:
    heavy = NAMES[0]
    seats = {**seated([heavy] * weight + [NAMES[1]] * (N - weight))}
    infos = {
        name: NodeInfo(node_id=None, epoch=3, status="Active", shards=dict.fromkeys(map(int, seat.shards), "Active"))
        for name, seat in seats.items()
    }
    facts = replace(
        scene.facts,
        fresh=True,
        seats=seats,
        previous=seats,
        following={},
        infos=infos,
        serving=frozenset(seats),
        overridden=frozenset({heavy}),
    )
    assert gates.fault_budget_exceeded(facts, heavy, ()) is None
    if weight > facts.budget and NAMES[1] in seats:
        assert gates.fault_budget_exceeded(facts, heavy, (NAMES[1],)) is not None
        assert gates.fault_budget_exceeded(replace(facts, serving=frozenset({heavy})), heavy, ()) is not None
