"""A node that takes the others' records for events that it has missed ends where a node that missed nothing ends."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.node.test_event_laws import BLOBS, feed, histories
from tests.unit.node.worlds import event_id

from walrus_client.records import RecordKind
from walrus_codec.types import Epoch
from walrus_node.events import history
from walrus_node.store import audit
from walrus_node.store.blob_records import InvalidBlob, ValidBlob
from walrus_node.store.history import read_record
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import Cursor, NodeState, NodeStatus
from walrus_node.store.storage import Storage


async def listed(storage, *, step=2):
    """All records of a node, in steps as they are sent."""
    found, after = {}, None
    while page := await storage.records_after(after, step):
        assert list(page) == sorted(page, key=lambda raw: raw.key)
        found |= {raw.key: read_record(raw) for raw in page}
        after = page[-1].key
    return found


def facts(info, epoch):
    """What two nodes must agree about; of the first certification only whether there is one."""
    if info is None or isinstance(info, InvalidBlob):
        return info
    assert isinstance(info, ValidBlob)
    counts = (info.deletable_total, info.deletable_certified, info.pooled_total, info.pooled_certified)
    permanent = [
        (each.count, each.end_epoch) if each else None for each in (info.permanent_total, info.permanent_certified)
    ]
    return counts, permanent, info.is_registered(epoch), info.is_certified(epoch), info.initial_certified_epoch is None


async def view(storage, epoch):
    """What a node knows, blobs of which nothing is left being the same as unknown ones."""
    records = {key: record for key, record in (await listed(storage)).items() if key.kind is not RecordKind.INVALID}
    infos = {blob: await storage.blob_info(blob) for blob in BLOBS}
    empty = facts(ValidBlob(), epoch)
    told = {blob: facts(info, epoch) for blob, info in infos.items()}
    return records, {blob: None if entry == empty else entry for blob, entry in told.items()}


@settings(max_examples=60, deadline=None)
@given(histories(), st.data())
def test_records_of_others_and_the_events_since_give_the_same_as_all_events(case, data):
    # One event is one checkpoint, behind the genesis. Those who are asked have applied the newest, and perhaps some more.
    events = [None, *case[0]]
    newest = data.draw(st.integers(1, len(events)))
    until = data.draw(st.integers(newest, len(events)))

    async def run():
        ours, theirs = await Storage.over(kv := MemoryStore()), await Storage.over(MemoryStore())
        asleep = data.draw(st.integers(0, newest))
        for sequence, event in enumerate(events[:asleep]):
            await feed(ours, sequence, [event] if event else [])
        for blob in BLOBS:
            await ours.put_metadata(blob, b"metadata")
        agreed, cursor = {}, Cursor(newest, 7, Epoch(0))
        moments = data.draw(st.dictionaries(st.sampled_from(RecordKind), st.integers(newest, until)))
        for sequence in range(until + 1):
            if sequence == newest:
                before = await theirs.cursor()
                cursor = Cursor(newest - 1, 7, before.epoch if before else Epoch(0))
            # Every kind of record is of a moment of its own.
            if kinds := [kind for kind in RecordKind if moments.get(kind, newest) == sequence]:
                agreed |= {key: record for key, record in (await listed(theirs)).items() if key.kind in kinds}
            if sequence < until:
                await feed(theirs, sequence, [events[sequence]] if sequence else [])
        await ours.replace_history(history.derive(dict(sorted(agreed.items()))), cursor, replay_until=until - 1)
        assert await ours.cursor() == cursor
        lost = NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY
        assert await ours.node_state() == NodeState(lost, Epoch(max(0, cursor.epoch - 1)))
        queued = set(await ours.garbage())
        for blob in BLOBS:
            info = await ours.blob_info(blob)
            alive = isinstance(info, ValidBlob) and info.is_registered(cursor.epoch)
            stored = await ours.metadata(blob) is not None
            assert (blob in queued) is (stored and not alive)
        for sequence in range(newest, until):
            numbered = [(event_id(1000 * sequence), events[sequence])]
            await ours.apply(sequence, 0, lambda working, it=numbered: history.replay_all(working, it))
        for sequence in range(until, len(events)):
            await feed(theirs, sequence, [events[sequence]])
            await feed(ours, sequence, [events[sequence]])
        end = await theirs.cursor()
        epoch = end.epoch if end else Epoch(0)
        assert await view(ours, epoch) == await view(theirs, epoch)
        assert list(audit.wrong_records(kv)) == []
        await ours.close()
        await theirs.close()

    asyncio.run(run())
