"""`walrusctl admin` against a node's admin port: what it prints, its exit codes, and whom it gives the token to."""

import asyncio
import functools
import json

import pytest
from tests.unit.node.admin.world import NEW, OLD, uploading
from typer.testing import CliRunner

from walrus_client.cli import app
from walrus_client.cli.admin_api import AdminApi, read_key, read_token
from walrus_client.cli.output import CommandError
from walrus_proto.admin.v1 import admin_pb2
from walrus_sui.keys import NetworkKey


class Cli:
    """Runs commands in a thread, with an event loop of their own."""

    def __init__(self, node, key):
        self.address = f"127.0.0.1:{node.port}"
        self.environment = {
            "WALRUS_ADMIN_NODE": self.address,
            "WALRUS_ADMIN_TOKEN_FILE": str(node.tokens),
            "WALRUS_ADMIN_SERVER_KEY": key.public_key.hex(),
        }

    async def run(self, *arguments, **environment):
        invoke = functools.partial(CliRunner().invoke, env=self.environment | environment)
        result = await asyncio.to_thread(invoke, app, ["admin", *arguments])
        return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def cli(node):
    return Cli(node, node.world.certificate_key)


async def test_a_node_is_looked_at_drained_fenced_and_opened_by_commands(node, cli):
    code, out, err = await cli.run("state", "-o", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)["info"]["name"] == "demo-0"
    async with uploading(node):
        code, out, _ = await cli.run("drain", "--timeout", "0", "--hold", "60")
        assert (code, out) == (4, "still under way: 1 stores\n")
        code, out, _ = await cli.run("state")
        assert code == 1
        assert "ready     no: the node drains" in out
        assert "open      1 stores" in out
    code, out, _ = await cli.run("drain")
    assert (code, out) == (0, "nothing is under way: the node may be restarted\n")
    code, out, _ = await cli.run("drain", "--resume")
    assert (code, out) == (0, "the node takes everything again\n")
    assert (await cli.run("fence", "its disk is in doubt"))[0] == 0
    assert node.door.fence.why == "its disk is in doubt"
    assert (await cli.run("unfence"))[1] == "the node takes calls again\n"
    code, _, err = await cli.run("run", "nothing")
    assert code == 3
    assert "UNKNOWN_LOOP" in err
    code, out, _ = await cli.run("compact", "-o", "yaml")
    assert code == 0
    assert "bytes_before" in out


async def test_whoever_is_not_the_right_node_gets_no_token(node, cli):
    other = NetworkKey.generate().public_key.hex()
    code, _, err = await cli.run("state", WALRUS_ADMIN_SERVER_KEY=other)
    assert code == 1
    assert "nothing was sent" in err
    node.tokens.write_text(NEW)
    for key in (None, node.world.certificate_key.public_key):
        api = AdminApi(cli.address, OLD, key)
        with pytest.raises(CommandError, match="TOKEN_REFUSED") as raised:
            await api.call("GetState", admin_pb2.GetStateRequest(), timeout_s=20)
        assert raised.value.code == 2
        assert api.shown_key == node.world.certificate_key.public_key


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1"])
async def test_a_node_that_is_not_there_is_not_available(address):
    with pytest.raises(CommandError) as raised:
        await AdminApi(address, OLD, None).call("GetState", admin_pb2.GetStateRequest(), timeout_s=5)
    assert raised.value.code == 4


def test_wrong_usage_is_said_before_anything_is_sent(tmp_path):
    file = tmp_path / "token"
    for content in (None, b"", b"\n", b"\xff" * 40):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(CommandError) as raised:
            read_token(file)
        assert raised.value.code == 2
    file.write_text(f"\n{NEW}\n{OLD}\n")
    assert read_token(file) == NEW
    for key in ("", "zz", "02" * 32, "02" * 34):
        with pytest.raises(CommandError, match="33 bytes"):
            read_key(key)
    assert read_key("0x" + "02" * 33) == b"\x02" * 33
    with pytest.raises(CommandError, match="host:port"):
        AdminApi("here:there", OLD, None)
    assert AdminApi("here", OLD, None).address == "here:9186"
