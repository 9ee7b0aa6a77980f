"""Commands against a real gateway over fakes, and those that need no network."""

import asyncio
import contextlib
import json
import os
import pty
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import typer
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.unit.client.conftest import World
from tests.unit.client.gateway.served import Gateway, config, serve
from tests.unit.client.worlds import until
from typer.testing import CliRunner, Result

from walrus_client.cli import app as own_app
from walrus_client.cli import files, register
from walrus_client.cli.output import CommandError, exit_code
from walrus_client.cli.storing import Reached, Room
from walrus_codec import blob_id as blob_ids
from walrus_codec import redstuff
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType

BLOB = bytes(i % 247 for i in range(3_000_000))[:1_500_000]
VECTORS = [
    (10, 100, "oACFqDG9e8FyZG3jr4HMkK0ctEBEU2jb2Feg0Sr7EXc"),
    (100, 12345, "KtLL4-gTxlNJWpOvtrMtgJro0Bc6ev5NtjXj-tF4_tA"),
]


class Cli:
    """Runs commands against a gateway."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.opened = 0
        self.app = typer.Typer()
        register(self.app, self._gateway)

    @contextlib.contextmanager
    def _gateway(self) -> Iterator[str]:
        self.opened += 1
        yield self.url

    def now(self, *arguments: str) -> Result:
        return CliRunner().invoke(self.app, list(arguments))

    async def run(self, *arguments: str) -> Result:
        return await asyncio.to_thread(self.now, *arguments)


@pytest.fixture
async def gateway(world: World) -> AsyncIterator[Gateway]:
    async for made in serve(world, config()):
        yield made


@pytest.fixture
def cli(gateway: Gateway) -> Cli:
    return Cli(f"http://127.0.0.1:{gateway.port}")


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


class SlowGateway:
    """Takes whole bodies, answers those of a few bytes at once and others never."""

    def __init__(self) -> None:
        self.requests = 0
        self.received = 0
        self.gone = 0
        app = web.Application(client_max_size=1 << 30)
        app.router.add_put("/v1/blobs", self._put)
        self.server = TestServer(app)

    async def _put(self, request: web.Request) -> web.Response:
        self.requests += 1
        try:
            body = await request.read()
            self.received += 1
            if len(body) > 10:
                await asyncio.Event().wait()
        except (asyncio.CancelledError, ConnectionError):
            self.gone += 1
            raise
        return web.json_response({"alreadyCertified": {"blobId": "x", "endEpoch": 1}})


@contextlib.asynccontextmanager
async def interruptible(*arguments: str) -> AsyncIterator[tuple[SlowGateway, subprocess.Popen[bytes]]]:
    """The command as a process of its own, on a slow gateway; it must have ended when the block does."""
    slow = SlowGateway()
    await slow.server.start_server()
    url = f"http://127.0.0.1:{slow.server.port}"
    command = [sys.executable, "-m", "walrus_client.cli", "--gateway", url, *arguments]
    process = await asyncio.to_thread(
        lambda: subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    )
    try:
        yield slow, process
    finally:
        process.kill()
        process.communicate()
        await slow.server.close()


@pytest.mark.parametrize("count", [1, 3])
async def test_who_interrupts_a_store_is_told_what_was_reached_and_how_to_go_on(tmp_path: Path, count: int) -> None:
    files = [tmp_path / f"file-{number}" for number in range(count)]
    for number, file in enumerate(files):
        file.write_bytes(bytes(3 if number else 20))  # the first one is answered never
    async with interruptible("blob", "store", *map(str, files)) as (slow, process):
        await until(lambda: slow.received == count, timeout_s=60)
        process.send_signal(signal.SIGINT)
        said = (await asyncio.to_thread(process.communicate, timeout=60))[1].decode()
        await until(lambda: slow.gone == 1, timeout_s=60)
    assert process.returncode == 130
    assert "nothing" not in said.partition("sent whole")[0]
    assert "finishes what it has begun to pay for, and pays for nothing else" in said
    assert "the same command again" in said.lower()
    assert ("of 3 files are stored" in said) is (count > 1)
    assert "Traceback" not in said


async def test_a_store_that_is_interrupted_before_all_was_sent_has_paid_for_nothing(tmp_path: Path) -> None:
    async with interruptible("blob", "store", "-") as (slow, process):
        assert process.stdin is not None
        process.stdin.write(bytes(100))
        process.stdin.flush()
        await until(lambda: slow.requests, timeout_s=60)
        process.send_signal(signal.SIGINT)
        said = (await asyncio.to_thread(process.communicate, timeout=60))[1].decode()
    assert process.returncode == 130
    assert "interrupted before all was sent: nothing was paid for, the same command again stores it" in said


def test_what_was_reached_is_told_of_several_files_too() -> None:
    reached = Reached(3)
    for _ in range(2):
        reached.sent()
        reached.stored()
    assert "2 of 3 files are stored, of the others none was sent whole: nothing was paid for them" in reached.message()
    reached.sent()
    assert "2 of 3 files are stored, 1 more were sent whole" in reached.message()


def opened(pid: int, path: Path) -> bool:
    """Whether a process has a file open."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if link.readlink() == path:
                return True
    return False


async def test_a_second_interruption_ends_at_once(tmp_path: Path) -> None:
    good, never = tmp_path / "good", tmp_path / "pipe"
    good.write_bytes(bytes(20))
    os.mkfifo(never)
    writer = os.open(never, os.O_RDWR)  # so that its reader waits for ever, and cannot be woken
    try:
        async with interruptible("blob", "store", str(good), str(never)) as (slow, process):
            await until(lambda: slow.received == 1 and opened(process.pid, never), timeout_s=60)
            process.send_signal(signal.SIGINT)
            await until(lambda: slow.gone, timeout_s=60)  # it has hung up, and waits for the reader
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait, 60) == -signal.SIGINT
    finally:
        os.close(writer)


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


async def test_a_strict_read_fails_for_a_blob_that_was_encoded_wrongly(
    cli: Cli, gateway: Gateway, tmp_path: Path
) -> None:
    world, content = gateway.world, os.urandom(5000)
    params = CodeParams(10, EncodingType.ISAL)
    good, other = redstuff.encode(content, params), redstuff.encode(content[::-1], params)
    # The parity of another blob is committed to: whoever reads from the systematic slivers sees nothing wrong.
    metadata = BlobMetadata(params.encoding, len(content), (*good.metadata.hashes[:-1], other.metadata.hashes[-1]))
    blob_id = metadata.blob_id()
    for node in world.nodes:
        node.metadata[blob_id] = metadata.to_bcs()
        node.slivers[blob_id] = {(Axis.PRIMARY, pair.index): pair.primary for pair in good.pairs}
    text = blob_ids.to_text(blob_id)
    assert (await cli.run("blob", "read", text)).stdout_bytes == content
    strict = await cli.run("blob", "read", text, "--strict", "--out", str(tmp_path / "copy"))
    assert strict.exit_code == 1, strict.output
    assert "INVALID_BLOB" in strict.stderr
    assert not (tmp_path / "copy").exists()


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


async def test_status_of_an_unknown_blob_is_an_answer(cli: Cli) -> None:
    result = await cli.run("blob", "status", VECTORS[0][2])
    assert (result.exit_code, result.stdout.strip()) == (0, "nonexistent")


async def test_a_blob_id_may_begin_with_a_dash(cli: Cli, tmp_path: Path) -> None:
    for dashed in ("-o" + "A" * 40 + "E", "--" + "A" * 40 + "E"):
        result = await cli.run("blob", "status", dashed, "-o", "json")
        assert (result.exit_code, result.stdout.strip()) == (0, '"nonexistent"'), result.output
        result = await cli.run("blob", "read", "--out", str(tmp_path / "copy"), dashed)
        assert result.exit_code == 3, result.output


async def test_a_missing_blob_has_its_exit_code_and_leaves_no_file(cli: Cli, tmp_path: Path) -> None:
    result = await cli.run("blob", "read", VECTORS[0][2], "--out", str(tmp_path / "copy"))
    assert result.exit_code == 3
    assert "BLOB_NOT_FOUND" in result.stderr
    assert os.listdir(tmp_path) == []  # noqa: PTH208


async def test_a_blob_that_is_too_large_is_explained(cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(4_000_000))
    result = await cli.run("blob", "store", str(source))
    assert result.exit_code == 2
    assert "1834952 bytes" in result.stderr


def test_an_unreachable_gateway_has_its_exit_code(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    result = Cli("http://127.0.0.1:9").now("blob", "store", str(source))
    assert result.exit_code == 4
    assert "cannot talk to the gateway" in result.stderr
    for url in ("ftp://x", "http://127.0.0.1:99999", "", "http://"):
        assert Cli(url).now("blob", "status", "x").exit_code == 2, "no URL at all is wrong usage"


async def test_a_server_that_is_no_gateway_is_not_taken_for_an_absent_blob() -> None:
    server = TestServer(web.Application())
    await server.start_server()
    result = await Cli(str(server.make_url("/"))).run("blob", "status", "A" * 43)
    await server.close()
    assert result.exit_code == 2
    assert "no Walrus gateway" in result.stderr


@pytest.mark.parametrize(("n_shards", "length", "expected"), VECTORS)
def test_blob_ids_are_the_official_ones(tmp_path: Path, n_shards: int, length: int, expected: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes((i * 31 + 7 * (i >> 8)) & 255 for i in range(length)))
    cli = Cli("http://unused")
    result = cli.now("blob", "id", str(source), "--n-shards", str(n_shards), "--encoding", "rs2")
    assert (result.exit_code, result.stdout.strip()) == (0, expected)
    assert cli.opened == 0


def test_a_blob_id_needs_possible_parameters(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    for n_shards, encoding in (("3", "rs2"), ("254", "isal"), ("10", "raptorq")):
        arguments = ("blob", "id", str(source), "--n-shards", n_shards, "--encoding", encoding)
        assert Cli("http://unused").now(*arguments).exit_code == 2


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    cli = Cli("http://unused")
    for file in (str(tmp_path / "none"), str(tmp_path)):
        for arguments in (("store", file), ("id", file, "--n-shards", "10", "--encoding", "rs2")):
            result = cli.now("blob", *arguments)
            assert (result.exit_code, f"cannot read {file}" in result.stderr) == (2, True), result.output
    assert cli.opened == 0


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_errors_are_red_on_a_terminal_that_wants_colours(environment: dict[str, str], *, coloured: bool) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "walrus_client.cli", "--gateway", "ftp://x", "blob", "status", "x"]
    plain = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    done = subprocess.run(
        command, stderr=theirs, env={**plain, "TERM": "xterm", **environment}, timeout=60, check=False
    )
    os.close(theirs)
    said = os.read(ours, 4096)
    os.close(ours)
    assert done.returncode == 2
    assert b"is no gateway URL" in said
    assert (b"\x1b[31m" in said) is coloured


def test_exit_codes() -> None:
    expected = {None: 4, 400: 2, 404: 3, 413: 2, 416: 2, 429: 4, 451: 1, 500: 1, 503: 4, 504: 4}
    assert {code: exit_code(code) for code in expected} == expected


def test_wrong_local_parameters_are_refused_before_anything_starts(tmp_path: Path) -> None:
    cli = Cli("http://unused")
    for arguments in (
        ("--shards", "99"),
        ("--encoding", "x"),
        ("--nodes", "8", "--shards", "7"),
        ("--epoch-duration", "5s"),
        ("--challenges", "on"),
    ):
        result = cli.now("local", "up", "--dir", str(tmp_path / "net"), *arguments)
        assert result.exit_code == 2, result.output
    assert cli.now("local", "status", "--dir", str(tmp_path / "net")).exit_code == 3
    assert cli.now("local", "down", "--dir", str(tmp_path / "net")).exit_code == 0
    assert not (tmp_path / "net").exists()
