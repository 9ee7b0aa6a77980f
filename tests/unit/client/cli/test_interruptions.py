"""Who interrupts a store is told what was reached and how to go on."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.unit.client.worlds import until

from walrus_client.cli.storing import Reached


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


async def test_a_second_interruption_ends_at_once(tmp_path: Path) -> None:
    pipes = [tmp_path / "one", tmp_path / "other"]  # whichever goes first has all the room, as its size is not known
    for pipe in pipes:
        os.mkfifo(pipe)
    writers = [os.open(pipe, os.O_RDWR) for pipe in pipes]  # so that a reader waits for ever, and cannot be woken
    try:
        async with interruptible("blob", "store", *map(str, pipes)) as (slow, process):
            await until(lambda: slow.requests == 1, timeout_s=60)
            process.send_signal(signal.SIGINT)
            await until(lambda: slow.gone, timeout_s=60)  # it has hung up, and waits for the reader
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait, 60) == -signal.SIGINT
    finally:
        for writer in writers:
            os.close(writer)
