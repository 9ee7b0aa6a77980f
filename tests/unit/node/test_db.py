"""`walrus-node db` on a real database: what it prints, what it leaves behind, and its exit codes."""

import asyncio
import json
import subprocess
import sys

import pytest
from tests.unit.node.feeding import feed, start_epochs
from tests.unit.node.recovery_worlds import OURS, make_blob
from tests.unit.node.test_scrub import PLACES, World
from tests.unit.node.worlds import object_id, pool_created, pool_id, pooled
from typer.testing import CliRunner

from walrus_codec import blob_id as blob_ids
from walrus_codec.metadata import BlobMetadata
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis
from walrus_node.main import app
from walrus_node.store import layout
from walrus_node.store.forms import versioned
from walrus_node.store.kv import Batch
from walrus_node.store.records import ShardStatus
from walrus_node.store.rocks import RocksStore
from walrus_node.store.storage import SliverKey, Storage

FIRST, SECOND = make_blob(b"first" * 100), make_blob(b"second" * 1000)


def db(command, folder, *arguments):
    return CliRunner().invoke(app, ["db", command, str(folder), *map(str, arguments)])


def change(folder, work):
    """Opens the store as a node does, lets `work` reach into it, and closes it."""

    async def run():
        kv = RocksStore(folder / "db")
        world = World(kv, await Storage.over(kv))
        await work(world)
        await world.compute.close()
        await world.storage.close()

    asyncio.run(run())


@pytest.fixture
def folder(tmp_path):
    async def fill(world):
        await start_epochs(world.storage, 1)
        await world.storage.create_shards(OURS, ShardStatus.ACTIVE)
        await world.add(FIRST, SECOND)
        await feed(world.storage, pool_created(pool_id(1), 9), pooled(FIRST.blob_id, object_id(77), pool_id(1)))

    change(tmp_path, fill)
    return tmp_path


@pytest.fixture
def rotten(folder):
    async def rot(world):
        world.rot(FIRST, *PLACES[1])
        world.rot_metadata(SECOND)

    change(folder, rot)
    return folder


def snapshot(folder):
    return {path.name: path.read_bytes() for path in (folder / "db").iterdir() if path.is_file()}


class TestCheck:
    def test_a_good_store_ends_with_0(self, folder):
        result = db("check", folder)
        assert result.exit_code == 0, result.output
        assert "2 blobs, 8 slivers" in result.stdout
        assert "0 rotten, 0 lacking, 0 records damaged" in result.stdout

    def test_rot_is_named_and_ends_with_6(self, rotten):
        result = db("check", rotten)
        assert result.exit_code == 6
        lines = [line for line in result.stdout.splitlines() if line.startswith("rotten: ")]
        shard, axis = PLACES[1]
        assert sorted(line.split(": ")[1] for line in lines) == sorted(
            [
                f"blob {blob_ids.to_text(FIRST.blob_id)} shard {shard} {axis.value}",
                f"blob {blob_ids.to_text(SECOND.blob_id)} metadata",
            ]
        )
        assert "2 rotten" in result.stdout

    def test_gaps_end_with_7(self, folder):
        async def lose(world):
            key = SliverKey(*PLACES[0], FIRST.blob_id)
            await world.storage.remove_sliver(key, world.sliver(FIRST, *PLACES[0]))

        change(folder, lose)
        result = db("check", folder)
        assert result.exit_code == 7
        assert f"lacking: blob {blob_ids.to_text(FIRST.blob_id)} shard 0 primary" in result.stdout

    def test_nothing_is_changed_by_looking(self, rotten, tmp_path_factory):
        before = snapshot(rotten)
        db("check", rotten)
        db("stats", rotten)
        db("export", rotten, tmp_path_factory.mktemp("out"))
        assert snapshot(rotten) == before

    @pytest.mark.parametrize("command", ["check", "repair", "stats"])
    def test_a_folder_without_a_database_ends_with_2_and_stays_empty(self, tmp_path, command):
        result = db(command, tmp_path)
        assert result.exit_code == 2
        assert "there is no database" in result.stderr
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["check", "repair", "stats"])
def test_a_database_in_use_is_refused_with_3(folder, command):
    node = RocksStore(folder / "db")
    try:
        # A process of its own: locks of files do not hold against the process that has them.
        found = subprocess.run(
            [sys.executable, "-m", "walrus_node.main", "db", command, str(folder)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    finally:
        node.close()
    assert found.returncode == 3, found.stderr
    assert "stop the node first" in found.stderr or "cannot open the database" in found.stderr


def make_old(folder):
    """Puts the folder back to what an older release wrote."""
    kv = RocksStore(folder / "db")
    kv.drop_family(layout.SUSPECTS)
    batch = Batch()
    batch.delete(layout.NODE, layout.SEARCH_KEY)
    batch.delete(layout.NODE, layout.BLOBS_KEY)
    for family in kv.families():
        if layout.shard_of_state_family(family) is not None:
            batch.delete(family, layout.TALLY_KEY)
    batch.put(layout.NODE, layout.SCHEMA_KEY, versioned((2).to_bytes(4, "little")))
    kv.write(batch)
    kv.close()


class TestOlderSchema:
    @pytest.mark.parametrize("command", ["check", "export"])
    def test_what_only_reads_says_what_to_do_and_changes_nothing(self, folder, tmp_path_factory, command):
        make_old(folder)
        before = snapshot(folder)
        result = db(command, folder, *([tmp_path_factory.mktemp("out")] if command == "export" else []))
        assert result.exit_code == 3
        assert "schema version 2, this release writes 5" in result.stderr
        assert "start the node once, or run `walrus-node db repair`" in result.stderr
        assert snapshot(folder) == before

    def test_stats_count_what_is_there(self, folder):
        make_old(folder)
        result = db("stats", folder)
        assert result.exit_code == 0, result.output
        assert "metadata" in result.stdout
        assert "suspects" not in result.stdout

    def test_repair_brings_it_up_to_date_and_nothing_is_lost(self, folder):
        make_old(folder)
        assert db("repair", folder).exit_code == 0
        result = db("check", folder)
        assert result.exit_code == 0, result.output
        assert "2 blobs, 8 slivers" in result.stdout

    def test_a_node_that_starts_on_it_finds_what_lacks(self, folder):
        make_old(folder)

        async def look(world):
            assert await world.storage.blobs_lacking(1, OURS) == []
            for shard in OURS[:1]:
                kv = world.kv
                batch = Batch()
                # As a release without the index would have left it.
                batch.delete(layout.state_family(shard), layout.index_key(Axis.PRIMARY, FIRST.blob_id))
                kv.write(batch)

        change(folder, look)
        make_old(folder)

        async def find(world):
            assert await world.storage.blobs_lacking(1, OURS) == [FIRST.blob_id]

        change(folder, find)


def test_while_somebody_reads_no_node_opens_it(folder):
    reader = RocksStore(folder / "db", read_only=True)
    program = (
        "import pathlib, sys; from walrus_node.store.rocks import RocksStore; RocksStore(pathlib.Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, str(folder / "db")]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert "cannot open the database" in found.stderr
    finally:
        reader.close()
    assert subprocess.run(command, capture_output=True, timeout=100, check=False).returncode == 0


def test_repair_takes_out_what_is_rotten_and_leaves_the_rest(rotten):
    result = db("repair", rotten)
    assert result.exit_code == 0, result.output
    assert "2 of 2 rotten things taken out" in result.stdout

    async def look(world):
        assert await world.holds(FIRST) == [True, False, True, True]
        assert await world.holds(SECOND) == [True] * 4
        assert await world.storage.metadata(SECOND.blob_id) is None
        # What a starting node looks for.
        assert set(await world.storage.incomplete(1, OURS)) == {FIRST.blob_id, SECOND.blob_id}

    change(rotten, look)
    assert db("check", rotten).exit_code == 7


def test_stats_print_a_table_and_json(folder):
    table = db("stats", folder)
    assert table.exit_code == 0
    assert "s0-primary" in table.stdout
    entries = {entry["family"]: entry for entry in json.loads(db("stats", folder, "--json").stdout)}
    assert entries["metadata"]["keys"] == 2
    sizes = [len(World.sliver(blob, 0, Axis.PRIMARY)) for blob in (FIRST, SECOND)]
    assert (entries["s0-primary"]["keys"], entries["s0-primary"]["size"]) == (2, sum(sizes))
    assert set(entries) >= set(layout.FIXED_FAMILIES)


class TestExport:
    def test_files_are_the_documented_forms(self, folder, tmp_path_factory):
        target = tmp_path_factory.mktemp("out")
        result = db("export", folder, target)
        assert result.exit_code == 0, result.output
        lines = [json.loads(line) for line in (target / "records.jsonl").read_text().splitlines()]
        assert sorted(line["kind"] for line in lines) == ["blob", "blob", "object", "object", "pool", "pooled"]
        pooled_blob = next(line for line in lines if line["kind"] == "pooled")
        assert pooled_blob["blob_id"] == blob_ids.to_text(FIRST.blob_id)
        assert next(line["end_epoch"] for line in lines if line["kind"] == "pool") == 9
        for blob in (FIRST, SECOND):
            made = target / blob_ids.to_text(blob.blob_id)
            assert BlobMetadata.from_bcs((made / "metadata.bcs").read_bytes()) == blob.metadata
            assert len(list(made.iterdir())) == 5
            for shard, axis in PLACES:
                content = (made / f"s{shard}-{axis.value}.bcs").read_bytes()
                assert content == World.sliver(blob, shard, axis)
                assert Sliver.from_bcs(axis, content).to_bcs() == content

    def test_chosen_blobs_only_and_unknown_ones_end_with_6(self, folder, tmp_path_factory):
        target = tmp_path_factory.mktemp("out")
        text = blob_ids.to_text(SECOND.blob_id)
        assert db("export", folder, target, f"--blob={text}").exit_code == 0
        assert [path.name for path in target.iterdir()] == [text], "no records when blobs are chosen"
        unknown = blob_ids.to_text(make_blob(b"unknown").blob_id)
        result = db("export", folder, target, f"--blob={unknown}")
        assert result.exit_code == 6
        assert "nothing of it is stored here" in result.stderr

    def test_what_is_no_blob_id_ends_with_2(self, folder, tmp_path):
        result = db("export", folder, tmp_path / "out", "--blob", "nonsense")
        assert result.exit_code == 2
        assert not (tmp_path / "out").exists()


def test_wrong_counts_are_found_and_made_right(folder):
    kv = RocksStore(folder / "db")
    batch = Batch()
    batch.put(layout.NODE, layout.BLOBS_KEY, versioned((7).to_bytes(8, "little")))
    batch.put(layout.state_family(OURS[0]), layout.TALLY_KEY, versioned(bytes(16)))
    kv.write(batch)
    kv.close()
    result = db("check", folder)
    assert result.exit_code == 6
    assert "7 blobs with metadata are counted, but there are 2" in result.stdout
    assert f"shard {OURS[0]} counts 0 slivers of 0 bytes, but there are 4" in result.stdout
    result = db("repair", folder)
    assert result.exit_code == 0, result.output
    assert "2 counts of what is stored were wrong" in result.stdout
    assert db("check", folder).exit_code == 0
