"""Policies by epoch: what is planned, when it holds, and what no file may say."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.results import Results, ResultsError, Vote
from walrus_client.challenges.schedule import MAX_SCHEDULE, Schedule, ScheduleError, differ_widely
from walrus_codec.types import Epoch, NodeId

OFF, REPORT, VOTE = (Policy(mode=mode) for mode in (Mode.OFF, Mode.REPORT, Mode.VOTE))
START = Schedule(((Epoch(0), REPORT),))


def test_a_change_holds_from_its_epoch_on_and_an_override_in_its_own():
    schedule = replace(START.changed(VOTE, Epoch(7), now=Epoch(5)), epochs={Epoch(8): Mode.OFF})
    assert [schedule.at(Epoch(e)).mode.value for e in (0, 6, 7, 8, 9)] == ["Report", "Report", "Vote", "Off", "Vote"]


def test_what_is_planned_stays_planned():
    schedule = START.changed(VOTE, Epoch(7), now=Epoch(5))
    assert schedule.changed(VOTE, Epoch(8), now=Epoch(6)) == schedule, "not put off again and again"
    assert schedule.changed(VOTE, Epoch(9), now=Epoch(7)).steps == ((Epoch(7), VOTE),), "what is over is forgotten"


def test_a_change_that_is_taken_back_in_time_never_happens():
    schedule = START.changed(VOTE, Epoch(7), now=Epoch(5))
    assert schedule.changed(REPORT, Epoch(7), now=Epoch(5)) == START
    late = schedule.changed(REPORT, Epoch(8), now=Epoch(6))
    assert [late.at(Epoch(e)).mode for e in (6, 7, 8)] == [Mode.REPORT, Mode.VOTE, Mode.REPORT]


POLICIES = st.builds(
    Policy, mode=st.sampled_from(Mode), kept=st.sampled_from(["0.9", "0.5"]), keep_epochs=st.integers(1, 9)
)


@given(st.integers(1, 4), st.lists(st.tuples(st.integers(1, 3), POLICIES), max_size=12))
def test_the_past_and_what_is_too_near_never_change(lead, changes):
    """Against a twin that writes down what each epoch was said to be; whoever reads the file late or early finds the same."""
    schedule, now, known = START, 0, {}
    for pause, policy in changes:
        now += pause
        known |= {epoch: schedule.at(Epoch(epoch)) for epoch in range(now, now + lead)}
        schedule = Schedule.from_json(schedule.changed(policy, Epoch(now + lead), now=Epoch(now)).to_json())
        assert all(schedule.at(Epoch(epoch)) == was for epoch, was in known.items() if epoch >= now)
        assert schedule.at(Epoch(now + 1000)) == policy
        assert schedule.planned(Epoch(now))[-1] == policy
        assert schedule.planned(Epoch(now))[0] == schedule.at(Epoch(now))
        assert all(a[1] != b[1] for a, b in zip(schedule.steps, schedule.steps[1:], strict=False))


@pytest.mark.parametrize(
    ("one", "other", "widely"),
    [
        (REPORT, VOTE, False),
        (OFF, REPORT, True),
        (VOTE, OFF, True),
        (REPORT, replace(REPORT, kept="0.8"), True),
        (OFF, replace(OFF, kept="0.8"), False),
        (REPORT, replace(REPORT, grace_ms=1, keep_epochs=5), False),
    ],
)
def test_only_answers_and_the_number_of_questions_set_members_at_odds(one, other, widely):
    assert differ_widely(one, other) is widely
    assert differ_widely(other, one) is widely


def harmed(**changes):
    return json.dumps({**json.loads(START.to_json()), **changes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        harmed(steps=[]),
        harmed(steps=json.loads(START.to_json())["steps"] * 2),
        harmed(steps=[{"from": -1, "policy": {}}]),
        harmed(epochs={"seven": "Off"}),
        harmed(epochs={"7": "Sometimes"}),
        harmed(nodes=["demo-0"]),
        START.to_json().replace('"0.9"', '"1.5"'),
        " " * MAX_SCHEDULE + START.to_json(),
        "[" * 100_000,
    ],
)
def test_anything_else_is_no_schedule(text):
    with pytest.raises(ScheduleError):
        Schedule.from_json(text)


NODE = NodeId("0x" + "ab" * 32)
RESULTS = Results(Epoch(5), NODE, (), (Vote(NODE, voted=True, ended="EXECUTED", burned=12),))


def test_results_travel_as_they_are():
    assert Results.from_json(RESULTS.to_json()) == RESULTS


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": -1},
        {"epoch": True},
        {"epoch": "5"},
        {"node": "0x12"},
        {"node": "0x" + "zz" * 32},
        {"reports": [{"body": "no base 64!", "signature": ""}]},
        {"reports": 1},
        {"votes": [{"candidate": NODE, "voted": True, "ended": "x" * 33, "burned": 0}]},
        {"votes": [{"candidate": NODE, "voted": True, "ended": "", "burned": 1 << 63}]},
        {"votes": [{}]},
    ],
)
def test_anything_else_is_no_answer(change):
    with pytest.raises(ResultsError):
        Results.from_json(json.dumps({**json.loads(RESULTS.to_json()), **change}))
