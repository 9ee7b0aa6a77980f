"""Runs the stories in ``admission/*.txt``: who gets a node's memory when it does not suffice for all.

A story begins with the bounds of each lane (in MiB, tickets and seconds). Each other line is an event and, behind the colon,
all tickets whose state it changed, in the order of the changes:

    greedy wants 6 write as a1: admitted
    a1 leaves: a2 h2 admitted
    after 30 seconds: x1 refused
"""

import re
from pathlib import Path

import pytest

from walrus_node.rpc.rules import Admission, Lane, LaneLimits, TicketState

STORIES = sorted((Path(__file__).parent / "admission").glob("*.txt"))
MIB = 1 << 20


class Story:
    def __init__(self, capacity, queue, wait):
        self.admission = Admission({lane: LaneLimits(capacity * MIB, queue, wait) for lane in Lane})
        self.names = {}
        self.now = 0.0

    def act(self, event):
        """Returns what the line must say behind its colon."""
        if match := re.fullmatch(r"(\S+) wants (\d+) (\w+) as (\w+)", event):
            client, size, lane, name = match.groups()
            ticket, changed = self.admission.offer(Lane(lane), client, int(size) * MIB, now=self.now)
            self.names[ticket] = name
            others = self.told([each for each in changed if each is not ticket])
            own = "waits" if ticket.state is TicketState.WAITING else ticket.state.value
            return own if others == "nothing" else f"{own}, {others}"
        if match := re.fullmatch(r"(\w+) leaves", event):
            (ticket,) = [ticket for ticket, name in self.names.items() if name == match[1]]
            return self.told(self.admission.leave(ticket))
        if match := re.fullmatch(r"after (\d+) seconds", event):
            self.now += int(match[1])
            return self.told(self.admission.expire(now=self.now))
        raise AssertionError(f"no such event: {event}")

    def told(self, changed):
        groups = {}
        for ticket in changed:
            groups.setdefault(ticket.state.value, []).append(self.names[ticket])
        return ", ".join(f"{' '.join(names)} {state}" for state, names in groups.items()) or "nothing"


@pytest.mark.parametrize("path", STORIES, ids=[path.stem for path in STORIES])
def test_the_story_happens(path):
    lines = [line for raw in path.read_text().splitlines() if (line := raw.partition("#")[0].strip())]
    bounds = {key: int(value) for key, value in (pair.split("=") for pair in lines[0].split()[1:])}
    story = Story(**bounds)
    for line in lines[1:]:
        event, _, expected = line.partition(": ")
        assert f"{event}: {story.act(event)}" == f"{event}: {expected}"
