"""The knob for slow disks: each write and sync waits for what the file says, and for nothing else."""

import pytest
from tests.unit.node.feeding import B, feed

from walrus_node.store import slow
from walrus_node.store.storage import Storage


@pytest.fixture
def waits(monkeypatch):
    found = []
    monkeypatch.setattr(slow.time, "sleep", found.append)
    return found


async def test_writes_and_syncs_wait_reads_do_not(tmp_path, waits):
    knob = tmp_path / "milliseconds"
    storage = await Storage.open(tmp_path / "db", slow=knob)
    try:
        await feed(storage)
        assert not waits, "no file, no delay"
        knob.write_text("300\n")
        await feed(storage)
        await storage.sync()
        assert waits == [0.3, 0.3]
        assert await storage.blob_info(B) is None
        assert (await storage.cursor()).sequence == 1
        assert len(waits) == 2
        for text in ("", "soon", "-1", "0.5"):
            knob.write_text(text)
            await feed(storage)
        knob.write_bytes(b"\xff")
        await feed(storage)
        assert len(waits) == 2
    finally:
        knob.unlink()
        await storage.close()
    again = await Storage.open(tmp_path / "db")
    assert (await again.cursor()).sequence == 6, "all of it was written"
    await again.close()
