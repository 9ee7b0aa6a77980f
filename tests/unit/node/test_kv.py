"""One suite for both databases: what the node may rely on."""

import os

import pytest
import rocksdict

from walrus_node.errors import DamagedError, StoreError
from walrus_node.store.kv import Batch, Family
from walrus_node.store.memory import MemoryStore
from walrus_node.store.rocks import RocksStore

SMALL, OTHER, BULKY = Family("small"), Family("s1-state"), Family("s1-primary")


def put(store, family, **values):
    batch = Batch()
    for key, value in values.items():
        batch.put(family, key.encode(), value)
    store.write(batch)


@pytest.fixture
def filled(kv):
    kv.create_family(SMALL, bulky=False)
    kv.create_family(BULKY, bulky=True)
    put(kv, SMALL, a=b"1", b=b"2", c=b"3")
    return kv


def test_what_was_written_is_read(filled):
    assert filled.get(SMALL, b"b") == b"2"
    assert filled.get(SMALL, b"x") is None


def test_values_may_be_empty_and_large(filled):
    large = os.urandom(3 << 20)
    put(filled, BULKY, empty=b"", large=large)
    assert filled.get(BULKY, b"empty") == b""
    assert filled.get(BULKY, b"large") == large


def test_a_batch_takes_effect_in_its_order_and_over_families(filled):
    batch = Batch()
    batch.put(SMALL, b"k", b"first")
    batch.delete(SMALL, b"k")
    batch.put(BULKY, b"k", b"bulk")
    batch.put(SMALL, b"k", b"last")
    batch.delete(SMALL, b"never there")
    assert len(batch) == 5
    filled.write(batch)
    assert filled.get(SMALL, b"k") == b"last"
    assert filled.get(BULKY, b"k") == b"bulk"


def test_a_batch_with_an_unknown_family_changes_nothing(filled):
    batch = Batch()
    batch.put(SMALL, b"a", b"changed")
    batch.put(OTHER, b"a", b"lost")
    with pytest.raises(StoreError, match="s1-state"):
        filled.write(batch)
    assert filled.get(SMALL, b"a") == b"1"


@pytest.mark.parametrize(
    ("start", "end", "keys"),
    [(b"", None, b"abc"), (b"b", None, b"bc"), (b"", b"b", b"a"), (b"aa", b"bb", b"b"), (b"d", None, b"")],
)
def test_a_scan_yields_a_range_in_key_order(filled, start, end, keys):
    found = list(filled.scan(SMALL, start=start, end=end))
    assert b"".join(key for key, _value in found) == keys


def test_a_scan_may_outlive_changes(filled):
    seen = []
    for key, _value in filled.scan(SMALL):
        seen.append(key)
        batch = Batch()
        batch.delete(SMALL, key)
        filled.write(batch)
    assert seen == [b"a", b"b", b"c"]
    assert not list(filled.scan(SMALL))


def test_families_come_and_go(filled):
    assert filled.families() == {SMALL, BULKY}
    filled.create_family(SMALL, bulky=False)
    assert filled.get(SMALL, b"a") == b"1", "an existing family stays as it is"
    filled.drop_family(SMALL)
    filled.drop_family(SMALL)
    assert filled.families() == {BULKY}
    with pytest.raises(StoreError):
        filled.get(SMALL, b"a")
    filled.create_family(SMALL, bulky=False)
    assert filled.get(SMALL, b"a") is None


def test_a_closed_store_says_so(filled):
    filled.close()
    filled.close()
    with pytest.raises(StoreError, match="closed"):
        filled.get(SMALL, b"a")


class TestMemory:
    def test_a_machine_crash_loses_what_was_not_synced_and_a_kill_does_not(self):
        store = MemoryStore()
        store.create_family(SMALL, bulky=False)
        put(store, SMALL, a=b"1")
        store.sync()
        put(store, SMALL, a=b"2", b=b"3")
        assert list(store.crashed().scan(SMALL)) == [(b"a", b"1")]
        assert list(store.killed().scan(SMALL)) == [(b"a", b"2"), (b"b", b"3")]


class TestRocks:
    def test_everything_is_there_after_reopening(self, tmp_path):
        store = RocksStore(tmp_path)
        store.create_family(SMALL, bulky=False)
        store.create_family(BULKY, bulky=True)
        large = os.urandom(1 << 20)
        put(store, SMALL, a=b"1")
        put(store, BULKY, a=large)
        store.close()
        again = RocksStore(tmp_path)
        assert again.families() == {SMALL, BULKY}
        assert (again.get(SMALL, b"a"), again.get(BULKY, b"a")) == (b"1", large)
        again.close()

    def test_only_one_process_may_open_it(self, tmp_path):
        store = RocksStore(tmp_path)
        with pytest.raises(StoreError, match="cannot open the database"):
            RocksStore(tmp_path)
        store.close()

    def test_damage_is_reported(self, tmp_path):
        RocksStore(tmp_path).close()
        (tmp_path / "CURRENT").write_text("nonsense\n")
        with pytest.raises(StoreError, match="cannot open the database"):
            RocksStore(tmp_path)

    def test_bulky_families_are_known_by_their_names(self, tmp_path):
        store = RocksStore(tmp_path)
        with pytest.raises(StoreError, match="another kind of values"):
            store.create_family(SMALL, bulky=True)
        store.close()

    def test_writes_that_must_wait_are_tried_again(self, tmp_path, monkeypatch):
        monkeypatch.setattr("walrus_node.store.rocks._WRITE_BUFFER", 1 << 20)
        store = RocksStore(tmp_path)
        store.create_family(SMALL, bulky=False)
        for number in range(60):
            put(store, SMALL, **{str(number): os.urandom(1 << 20)})
        assert sum(1 for _ in store.scan(SMALL)) == 60
        store.close()

    def test_other_failures_of_a_write_are_errors(self, tmp_path):
        store = RocksStore(tmp_path)
        store.create_family(SMALL, bulky=False)

        class Broken:
            def write(self, *_):
                raise OSError("IO error: No space left on device")

        real, store._db = store._db, Broken()
        with pytest.raises(StoreError, match="No space left"):
            put(store, SMALL, a=b"1")
        store._db = real
        store.close()

    def test_slivers_lie_in_blob_files(self, tmp_path):
        store = RocksStore(tmp_path)
        store.create_family(BULKY, bulky=True)
        put(store, BULKY, a=os.urandom(1 << 20))
        store._tables[BULKY].flush()
        assert list(tmp_path.glob("*.blob"))
        store.close()
        assert BULKY in rocksdict.Rdict.list_cf(str(tmp_path))

    def test_reading_only_sees_what_was_not_flushed_and_writes_nothing(self, tmp_path):
        store = RocksStore(tmp_path)
        store.create_family(SMALL, bulky=False)
        put(store, SMALL, a=b"1")
        store.close()
        reader = RocksStore(tmp_path, read_only=True)
        assert reader.get(SMALL, b"a") == b"1"
        with pytest.raises(StoreError):
            put(reader, SMALL, a=b"2")
        reader.close()

    def test_bits_that_rot_in_a_file_are_damage_and_not_another_failure(self, tmp_path):
        store = RocksStore(tmp_path)
        store.create_family(BULKY, bulky=True)
        put(store, BULKY, a=os.urandom(100_000), b=os.urandom(100_000))
        store._tables[BULKY].flush()
        store.close()
        (path,) = tmp_path.glob("*.blob")
        content = bytearray(path.read_bytes())
        content[50_000] ^= 1
        path.write_bytes(content)
        again = RocksStore(tmp_path)
        with pytest.raises(DamagedError, match="Corruption"):
            again.get(BULKY, b"a")
        assert len(again.get(BULKY, b"b")) == 100_000
        again.close()
