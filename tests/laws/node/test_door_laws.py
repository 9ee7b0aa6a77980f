"""Random days at a node's door against a dumb twin: who is let in, who is inside, who is shown out, who may wait for what."""

import asyncio

import pytest
from google.rpc import status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_node.rpc.door.door import Door
from walrus_node.rpc.door.rules import Drain, Fence, Work, work_of

METHODS = ["StoreBlob", "GetConfirmation", "SyncShard", "Challenge", "GetSlivers", "GetInfo"]
LONG_WORK = {"StoreBlob", "SyncShard", "Challenge"}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from(METHODS)),
        st.tuples(st.just("go"), st.integers(0, 9)),
        st.tuples(st.sampled_from(["drain", "resume", "shut", "shut later", "open"]), st.none()),
    ),
    max_size=30,
)


class TurnedAwayError(Exception):
    """What a call ends with that is refused."""


class Context:
    """As much of a call as the door touches."""

    def set_trailing_metadata(self, metadata):
        ((_name, details),) = metadata
        self.refusal = status_pb2.Status.FromString(details).details[0].value

    async def send_initial_metadata(self, metadata):
        pass

    async def abort(self, code, details):
        raise TurnedAwayError(self.refusal)


class Call:
    """One caller; inside until it is told to go."""

    def __init__(self, door, method):
        self.method, self.leaving = method, asyncio.Event()
        self.task = asyncio.create_task(
            door._guarded(self._stay, method, streaming=method == "StoreBlob")(None, Context())
        )

    async def _stay(self, _request, _context):
        await self.leaving.wait()
        return "done"

    @property
    def refused_for(self):
        error = self.task.exception()
        return None if error is None else next(r for r in (b"NODE_FENCED", b"NODE_DRAINING") if r in error.args[0])


async def settle():
    for _ in range(8):
        await asyncio.sleep(0)


async def day(steps):
    door, inside, draining, fenced = Door("s"), [], False, False
    for step, about in steps:
        match step:
            case "come":
                call = Call(door, about)
                await settle()
                if fenced or (draining and about in LONG_WORK):
                    assert call.refused_for == (b"NODE_FENCED" if fenced else b"NODE_DRAINING")
                else:
                    inside.append(call)
            case "go" if inside:
                call = inside.pop(about % len(inside))
                call.leaving.set()
                assert await call.task == "done"
            case "drain":
                door.begin_drain(Drain(1, 2), hold_s=3600, on_end=lambda: None)
                draining = True
            case "resume":
                assert door.end_drain() is draining
                draining = False
            case "shut" | "shut later":
                door.shut(Fence(1, "why"), grace_s=0 if step == "shut" else 3600)
                fenced = True
                if step == "shut":
                    await asyncio.wait([call.task for call in inside] or [asyncio.ensure_future(settle())])
                    assert {call.refused_for for call in inside} <= {b"NODE_FENCED"}
                    assert all(call.task.done() for call in inside)
                    inside = []
            case "open":
                assert door.open() is fenced
                fenced = False
        await settle()
        calls = door.open_calls
        counted = {work: sum(work_of(call.method) is work for call in inside) for work in Work}
        assert counted == {
            Work.STORE: calls.stores,
            Work.TRANSFER: calls.transfers,
            Work.CHALLENGE: calls.challenges,
            Work.READ: calls.reads,
        }
        assert (door.drain is not None, door.fence is not None) == (draining, fenced)
        assert len(door.closed()) == draining + fenced
        waiting = {"empty": asyncio.ensure_future(door.empty()), "over": asyncio.ensure_future(door.drain_over())}
        await settle()
        assert {name: task.done() for name, task in waiting.items()} == {"empty": not inside, "over": not draining}
        for task in waiting.values():
            task.cancel()
    waiting = asyncio.ensure_future(door.empty())
    for call in inside:
        call.leaving.set()
        assert await call.task == "done"
    await waiting
    door.end_drain()


@settings(deadline=None, max_examples=60)
@given(STEPS)
def test_the_door_is_what_its_twin_says(steps):
    asyncio.run(day(steps))


async def test_a_time_out_of_the_handler_itself_is_not_taken_for_a_fence():
    door = Door("s")

    async def fails(_request, _context):
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await door._guarded(fails, "GetInfo", streaming=False)(None, Context())
    assert door.open_calls.quiet
