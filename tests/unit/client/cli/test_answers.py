"""Exit codes, what errors say, and commands that need no network."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.unit.client.cli.commands import Cli
from tests.unit.client.gateway.served import Gateway

from walrus_client.cli.output import exit_code
from walrus_codec import blob_id as blob_ids
from walrus_codec import redstuff
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType

VECTORS = [
    (10, 100, "oACFqDG9e8FyZG3jr4HMkK0ctEBEU2jb2Feg0Sr7EXc"),
    (100, 12345, "KtLL4-gTxlNJWpOvtrMtgJro0Bc6ev5NtjXj-tF4_tA"),
]


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
