"""A node changes its network key, and whoever looked at the chain within the overlap can reach it all the time.

The dumb twin is the history of the chain: a client that has looked at any moment within the overlap accepts what the chain
said then. Passes come at any times, processes die, users change their minds.
"""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.node.worlds import pool

from walrus_node.rotation import network_step
from walrus_sui.types import FURTHER_KEYS_FIELD, NodeMetadata

OVERLAP = 10
KEYS = [bytes([2, *[number] * 32]) for number in range(3)]


@dataclass
class World:
    now: int = 0
    shown: bytes = KEYS[0]
    wanted: bytes = KEYS[0]
    seen: object = None
    seen_since: int = 0
    chain: list = field(default_factory=lambda: [(0, KEYS[0], ())])

    def look(self):
        """One pass of the node: what it shows, and what it writes."""
        _, registered, further = self.chain[-1]
        if self.seen != (registered, further):
            self.seen, self.seen_since = (registered, further), self.now
        written = ",".join(key.hex() for key in further)
        record = pool(
            network_public_key=registered, metadata=NodeMetadata(extra_fields=((FURTHER_KEYS_FIELD, written),))
        )
        settled = self.now - self.seen_since >= OVERLAP
        step = network_step(record, wanted=self.wanted, held=frozenset(KEYS), settled=settled)
        self.shown = step.shown
        if (step.registered, step.further) != (registered, further):
            self.chain.append((self.now, step.registered, step.further))
        return step.ends(record)

    def accepted(self):
        """What clients accept, one entry for each state that somebody may know."""
        since = [at for at, _, _ in self.chain[1:]] + [self.now + 1]
        known = [entry for entry, until in zip(self.chain, since, strict=True) if until >= self.now - OVERLAP]
        return [{registered, *further} for _, registered, further in known]


STEPS = st.one_of(
    st.integers(1, 2 * OVERLAP).map(lambda pause: ("look", pause)),
    st.just(("die", 0)),
    st.sampled_from(KEYS).map(lambda key: ("want", key)),
)


@given(st.lists(STEPS, max_size=40))
@settings(max_examples=300)
def test_who_looked_within_the_overlap_reaches_the_node(steps):
    world = World()
    for what, value in steps:
        if what == "die":
            world.seen = None
        elif what == "want":
            world.wanted = value
        else:
            world.now += value
            assert all(world.shown in keys for keys in world.accepted())
            world.look()
        assert all(world.shown in keys for keys in world.accepted())
    for _ in range(8):  # it ends when nothing disturbs it
        world.now += OVERLAP
        done = world.look()
    assert done
    assert (world.shown, world.chain[-1][1:]) == (world.wanted, (world.wanted, ()))


def test_a_registered_key_that_nobody_holds_is_replaced_at_once():
    step = network_step(pool(network_public_key=b"lost"), wanted=KEYS[1], held=frozenset(KEYS), settled=False)
    assert (step.registered, step.further, step.shown) == (KEYS[1], (), KEYS[1])
