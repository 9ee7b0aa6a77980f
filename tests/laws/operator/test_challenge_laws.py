"""Whatever users change and whenever, nodes that read the schedule sooner or later never take each other for laggards.

Each node reads the ConfigMap at the first checkpoint of an epoch, and finds it as it was at some moment of the `LEAD` seconds
before. Whatever two nodes find, they ask the same number of questions, or both none.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.operator.chain_world import NETWORK, START, network_manifest
from tests.unit.operator.support import World

from walrus_client.challenges.schedule import Schedule, differ_widely
from walrus_codec.types import Epoch
from walrus_operator.api import names
from walrus_operator.api.chain_view import ChainView, EpochPhase
from walrus_operator.api.network import NetworkSpec
from walrus_operator.api.world import EpochObject, ObjectKey, Snapshot, UnixSeconds
from walrus_operator.observe import reading
from walrus_operator.plan import challenge_schedule
from walrus_operator.plan.challenge_schedule import LEAD

MODES = st.sampled_from(["Off", "Report", "Vote"])
SPECS = st.fixed_dictionaries({"mode": MODES}, optional={"kept": st.sampled_from(["0.9", "0.8"])})
CHANGES = st.one_of(
    st.tuples(st.just("spec"), SPECS),
    st.tuples(st.just("epoch"), st.tuples(st.integers(1, 6), st.none() | MODES)),
)


class Operator:
    """The operator's part of the ConfigMap, with a clock and a chain."""

    def __init__(self, length: int) -> None:
        world = World(network=network_manifest())
        self._snapshot = world.snapshot()
        chain = world.chain().value
        assert chain is not None
        self._chain: ChainView = replace(chain, epoch_duration_ms=length * 1000, phase=EpochPhase.DONE)
        self._length = length
        self._epochs: dict[int, str] = {}
        self.spec = NetworkSpec()
        self.text = challenge_schedule.decide(self._snapshot, self.spec, None).to_json()

    def wish(self, number: int, mode: str | None) -> None:
        self._epochs.pop(number, None)
        if mode is not None:
            self._epochs[number] = mode

    def look(self, now: float) -> None:
        """A pass."""
        epoch = int(now // self._length)
        chain = replace(self._chain, epoch=epoch, change_done_at_ms=int((START + epoch * self._length) * 1000))
        epochs = tuple(
            EpochObject(names.epoch(NETWORK, number), "u", 1, {"spec": {"challenges": {"mode": mode}}})
            for number, mode in self._epochs.items()
        )
        live = {ObjectKey("ConfigMap", names.challenges(NETWORK)): {"data": {names.CHALLENGES_FILE: self.text}}}
        snapshot: Snapshot = replace(self._snapshot, now=UnixSeconds(START + now), epochs=epochs, live=live)
        self.text = challenge_schedule.decide(snapshot, self.spec, chain).to_json()


@given(
    length=st.sampled_from([30, 60, 100, 600]),
    program=st.lists(st.tuples(st.integers(0, 200), CHANGES), max_size=12),
)
# Off with one number of questions, then with another, and one of these epochs turned on.
@example(
    length=30,
    program=[
        (0, ("spec", {"mode": "Off", "kept": "0.8"})),
        (148, ("epoch", (5, "Report"))),
        (0, ("spec", {"mode": "Off"})),
    ],
)
def test_nodes_that_read_at_different_moments_are_not_at_odds(length, program):
    operator = Operator(length)
    now, changes, history = 0, list(program), [(0, operator.text)]
    due = changes[0][0] if changes else None
    while changes or now % length or now < 4 * LEAD:
        if due is not None and now >= due:
            _pause, (kind, value) = changes.pop(0)
            if kind == "spec":
                live = network_manifest(challenges=value)
                found = reading.network(live).spec
                assert found is not None
                operator.spec = found
            else:
                operator.wish(now // length + value[0], value[1])
            due = now + changes[0][0] if changes else None
        operator.look(now)
        history.append((now, operator.text))
        now += 10
        if now % length == 0:
            begins = Epoch(now // length)
            read = {text for at, text in history if now - LEAD < at}
            read.add(next(text for at, text in reversed(history) if at <= now - LEAD or not at))
            policies = [Schedule.from_json(text).at(begins) for text in read]
            assert not any(differ_widely(one, other) for one in policies for other in policies)
            # Whoever restarts in the middle of the epoch finds what the others have begun it with.
            operator.look(now)
            history.append((now, operator.text))
            after = Schedule.from_json(operator.text).at(begins)
            assert not any(differ_widely(after, one) for one in policies)
