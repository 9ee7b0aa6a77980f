"""Laws of the audit: what events wrote is never found wrong, and whatever record is taken away is missed."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.node.test_event_laws import feed, histories

from walrus_node.store import audit, layout
from walrus_node.store.kv import Batch
from walrus_node.store.memory import MemoryStore
from walrus_node.store.storage import Storage

COUNTED = (layout.OBJECT_INFO, layout.EXPIRY, layout.POOLED_INFO, layout.POOL_MEMBERS)
"""Each of their entries stands in a second place, too; so does a blob's, unless nothing of it lives."""


@settings(max_examples=150, deadline=None)
@given(histories(), st.data())
def test_records_agree_after_every_history_and_no_loss_goes_unnoticed(case, data):
    events, _opinions = case

    async def run():
        kv = MemoryStore()
        storage = await Storage.over(kv)
        for number, event in enumerate(events):
            await feed(storage, number, [event])
            assert list(audit.wrong_records(kv)) == []
        assert len(list(audit.records(kv))) == sum(
            len(list(kv.scan(family)))
            for family in (layout.BLOB_INFO, layout.OBJECT_INFO, layout.POOLED_INFO, layout.POOLS)
        )
        entries = [(family, key) for family in COUNTED for key, _ in kv.scan(family)]
        if entries:
            batch = Batch()
            batch.delete(*data.draw(st.sampled_from(entries)))
            kv.write(batch)
            assert list(audit.wrong_records(kv))
        await storage.close()

    asyncio.run(run())
