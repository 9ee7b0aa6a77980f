"""The database on disk and its twin in memory cannot be told apart, also after a restart."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_node.store.kv import Batch, Family
from walrus_node.store.memory import MemoryStore
from walrus_node.store.rocks import RocksStore

FAMILIES = [Family("node"), Family("s1-state"), Family("s1-primary")]
KEYS = st.binary(min_size=1, max_size=3)
WRITES = st.lists(st.tuples(st.sampled_from(FAMILIES), KEYS, st.none() | st.binary(max_size=20)), max_size=8)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), WRITES),
        st.tuples(st.just("recreate"), st.sampled_from(FAMILIES)),
        st.tuples(st.just("reopen"), st.none()),
        st.tuples(st.just("scan"), st.tuples(st.sampled_from(FAMILIES), KEYS, KEYS)),
    ),
    max_size=12,
)


def is_bulky(family):
    return family.endswith("-primary")


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_both_databases_do_the_same(steps):
    with tempfile.TemporaryDirectory() as folder:
        memory, rocks = MemoryStore(), RocksStore(Path(folder))
        for family in FAMILIES:
            for store in (memory, rocks):
                store.create_family(family, bulky=is_bulky(family))
        for step, argument in steps:
            match step:
                case "write":
                    for store in (memory, rocks):
                        batch = Batch()
                        for family, key, value in argument:
                            if value is None:
                                batch.delete(family, key)
                            else:
                                batch.put(family, key, value)
                        store.write(batch)
                case "recreate":
                    for store in (memory, rocks):
                        store.drop_family(argument)
                        store.create_family(argument, bulky=is_bulky(argument))
                case "reopen":
                    rocks.close()
                    rocks = RocksStore(Path(folder))
                case "scan":
                    family, start, end = argument
                    found = [list(store.scan(family, start=start, end=end)) for store in (memory, rocks)]
                    assert found[0] == found[1]
            for family in FAMILIES:
                assert list(memory.scan(family)) == list(rocks.scan(family))
            assert memory.families() == rocks.families()
        rocks.close()
