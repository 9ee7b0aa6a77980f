"""Files, pipes and standard input go in, blobs come back, and nothing that is there is replaced by accident."""

import asyncio
import json
import os
import stat
import threading
from pathlib import Path

import pytest
from tests.unit.client.cli.commands import Cli
from tests.unit.client.gateway.served import Gateway
from typer.testing import CliRunner

from walrus_client.cli import app as own_app
from walrus_client.cli import files
from walrus_client.cli.output import CommandError
from walrus_client.cli.storing import Room

BLOB = bytes(i % 247 for i in range(3_000_000))[:1_500_000]


async def test_a_file_goes_in_and_comes_back(cli: Cli, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(BLOB)
    stored = await cli.run("blob", "store", str(source), "--epochs", "2", "--permanent", "-o", "json")
    assert stored.exit_code == 0, stored.output
    blob = json.loads(stored.stdout)["newlyCreated"]["blobObject"]
    assert (blob["size"], blob["deletable"], blob["storage"]["endEpoch"]) == (len(BLOB), False, 7)
    read = await cli.run("blob", "read", blob["blobId"], "--out", str(copy))
    assert read.exit_code == 0, read.output
    assert copy.read_bytes() == BLOB
    assert stat.S_IMODE(copy.stat().st_mode) & 0o400
    piped = await cli.run("blob", "read", blob["blobId"])
    assert piped.stdout_bytes == BLOB
    assert (await cli.run("blob", "read", blob["blobId"], "--out", "-")).stdout_bytes == BLOB
    assert cli.opened == 4


async def test_pipes_and_standard_input_are_stored_to_their_end(cli: Cli, tmp_path: Path) -> None:
    source, pipe = tmp_path / "source", tmp_path / "pipe"
    source.write_bytes(BLOB)
    os.mkfifo(pipe)
    expected = await cli.run("blob", "store", str(source), "-o", "json")
    piped, _ = await asyncio.gather(
        cli.run("blob", "store", str(pipe), "--force", "-o", "json"), asyncio.to_thread(pipe.write_bytes, BLOB)
    )
    from_input = await asyncio.to_thread(
        CliRunner().invoke, cli.app, ["blob", "store", "-", "--force", "-o", "json"], input=BLOB
    )
    ids = [json.loads(run.stdout)["newlyCreated"]["blobObject"]["blobId"] for run in (expected, piped, from_input)]
    assert len(set(ids)) == 1


async def test_a_file_that_shrinks_or_grows_while_it_is_read_is_not_stored_wrongly(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(BLOB[:1000])
    with files.source(path) as source, path.open("ab") as more:
        more.write(b"more")
        more.flush()
        assert source.read() == BLOB[:1000]
    with files.source(path) as source:
        path.write_bytes(BLOB[:10])
        with pytest.raises(CommandError):
            source.read()


async def test_what_is_no_file_is_written_to_and_never_replaced(cli: Cli, tmp_path: Path) -> None:
    source, pipe, link = tmp_path / "source", tmp_path / "pipe", tmp_path / "link"
    source.write_bytes(BLOB)
    os.mkfifo(pipe)
    stored = json.loads((await cli.run("blob", "store", str(source), "-o", "json")).stdout)
    blob_id = stored["newlyCreated"]["blobObject"]["blobId"]
    read, through = await asyncio.gather(
        cli.run("blob", "read", blob_id, "--out", str(pipe)), asyncio.to_thread(pipe.read_bytes)
    )
    assert (read.exit_code, through) == (0, BLOB), read.output
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    link.symlink_to(tmp_path / "copy")
    assert (await cli.run("blob", "read", blob_id, "--out", str(link))).exit_code == 0
    assert link.is_symlink()
    assert (tmp_path / "copy").read_bytes() == BLOB


async def test_a_target_that_cannot_be_written_is_named_and_the_network_not_blamed(cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(BLOB)
    stored = json.loads((await cli.run("blob", "store", str(source), "-o", "json")).stdout)
    blob_id = stored["newlyCreated"]["blobObject"]["blobId"]
    for out, code, words in (
        (str(tmp_path), 2, "it is a folder"),
        (str(tmp_path / "none" / "copy"), 2, "No such file or directory"),
        ("/dev/full", 1, "No space left on device"),
    ):
        result = await cli.run("blob", "read", blob_id, "--out", out)
        assert (result.exit_code, "gateway" in result.stderr) == (code, False), result.output
        assert words in result.stderr
    assert os.listdir(tmp_path) == ["source"]  # noqa: PTH208


async def test_several_files_are_stored_together(cli: Cli, gateway: Gateway, tmp_path: Path) -> None:
    contents = {tmp_path / f"file-{number}": os.urandom(1000 * number + 1) for number in range(12)}
    for path, content in contents.items():
        path.write_bytes(content)
    result = await cli.run("blob", "store", *map(str, contents), "-o", "json")
    assert result.exit_code == 0, result.output
    outcomes = json.loads(result.stdout)
    assert [outcome["file"] for outcome in outcomes] == [str(path) for path in contents]
    for outcome, content in zip(outcomes, contents.values(), strict=True):
        blob_id = outcome["newlyCreated"]["blobObject"]["blobId"]
        assert (await cli.run("blob", "read", blob_id)).stdout_bytes == content
    paid = len(gateway.world.chain.transactions)
    again = await cli.run("blob", "store", *map(str, contents))
    assert again.exit_code == 0
    assert len(again.stdout.splitlines()) == len(contents)
    assert len(gateway.world.chain.transactions) == paid, "nothing is paid for twice"


async def test_a_file_that_fails_stops_no_other(cli: Cli, tmp_path: Path) -> None:
    good, large, absent = (tmp_path / name for name in ("good", "large", "absent"))
    good.write_bytes(b"x" * 1000)
    large.write_bytes(bytes(4_000_000))
    result = await cli.run("blob", "store", str(large), str(good), str(absent), "-o", "json")
    assert result.exit_code == 5
    outcomes = json.loads(result.stdout)
    assert "BODY_TOO_LARGE" in outcomes[0]["error"]
    assert "newlyCreated" in outcomes[1]
    assert "cannot read" in outcomes[2]["error"]
    assert f"not stored: {absent}" in result.stderr
    assert "2 of 3 files were not stored" in result.stderr
    nothing = await cli.run("blob", "store", str(large), str(absent))
    assert nothing.exit_code == 2, "the code of the first"


@pytest.mark.parametrize("arguments", [("-", "a"), ("a", "a")])
def test_files_that_cannot_be_stored_together_are_refused(tmp_path: Path, arguments: tuple[str, str]) -> None:
    (tmp_path / "a").write_bytes(b"x")
    names = [name if name == "-" else str(tmp_path / name) for name in arguments]
    result = Cli("http://127.0.0.1:1").now("blob", "store", *names)
    assert result.exit_code == 2, result.output


def test_files_under_way_never_take_more_than_the_room_unless_one_is_larger() -> None:
    room, used, most, lock = Room(100), 0, [0], threading.Lock()

    def take(size: int) -> None:
        nonlocal used
        with room.take(size):
            with lock:
                used += min(size, 100)
                most.append(used)
            with lock:
                used -= min(size, 100)

    threads = [threading.Thread(target=take, args=(size,)) for size in (60, 60, 30, 500, 10, 40, 100, 0) * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(most) == 41
    assert max(most) <= 100


async def test_human_output_names_the_blob_and_the_next_command(cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 10)
    result = await cli.run("blob", "store", str(source))
    assert "\nread it: walrusctl blob read" in result.stdout
    assert "deletable, ISAL" in result.stdout
    arguments = ["--gateway", cli.url, "blob", "store", "--force", str(source)]
    given = await asyncio.to_thread(CliRunner().invoke, own_app, arguments)
    assert f"\nread it: walrusctl --gateway {cli.url} blob read" in given.stdout, "it must find the same network"


async def test_yaml_is_offered_too(cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    assert "newlyCreated:\n" in (await cli.run("blob", "store", str(source), "-o", "yaml")).stdout
