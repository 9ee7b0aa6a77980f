"""A disk that is nearly full, full to the end, and read-only: the node never lies, never dies, and goes on by itself.

The disk is a small file system in memory, which takes root to mount: the tests run as root, as in CI.
"""

import asyncio
import os
import subprocess

import grpc.aio
import pytest
from tests.integration.node.world import until

from walrus_client.grpc_errors import refusal_of
from walrus_client.reasons import Reason
from walrus_codec.types import Axis

pytestmark = pytest.mark.timeout(400)

MIB = 1 << 20
DISK, RESERVE = 128 * MIB, 32 * MIB


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def network(make_network, disk):
    made = make_network(
        1,
        seed="disk",
        epoch_duration="10m",
        changes={"data_dir": str(disk / "data"), "limits": {"disk_reserve": RESERVE}},
    )
    yield made
    made.nodes[0].kill()


def free(disk):
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def remount(disk, how):
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)


def fill(disk, *, leave):
    """Somebody else fills the disk."""
    with (disk / "ballast").open("ab") as file:
        while (size := free(disk) - leave) > 0:
            try:
                file.write(bytes(min(size, MIB)))
                file.flush()
            except OSError:
                return


def storage(node):
    return node.info["storage"]


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    refusal = refusal_of(raised.value)
    assert refusal is not None, raised.value
    assert refusal.reason is Reason.UNAVAILABLE
    return refusal


def waits_for_its_disk(node):
    """It answers, is not ready, and has found the chain."""
    return node.get("/readyz")[0] == 503 and node.info["n_shards"] > 0


async def still_reads(network, *blobs):
    for blob in blobs:
        assert await network.read(blob) == blob.content
        assert len(await network.slivers(network.nodes[0], blob, Axis.SECONDARY)) == 10


async def test_full_and_read_only_disks(network, disk):
    (node,) = network.nodes

    def wait(what, look):
        return asyncio.to_thread(until, what, lambda: node.check_alive() or look())

    async with network.chain() as chain:
        kept = await network.store(chain, os.urandom(500_000))
        assert storage(node)["condition"] == "OK"

        # Nearly full: no upload, everything else.
        fill(disk, leave=RESERVE - MIB)
        wanted = await network.register(chain, os.urandom(500_000))
        view = await chain.staking()
        refusal = await refused(network.upload(node, view, wanted))
        assert refusal.metadata == {"condition": "DISK_NEARLY_FULL"}
        assert refusal.retry_after_s is not None
        await wait("the condition shows", lambda: storage(node)["condition"] == "DISK_NEARLY_FULL")
        assert node.is_ready()
        assert "DISK_NEARLY_FULL" in node.get("/metrics")[1]
        cursor = node.info["event_cursor"]
        await wait("the chain is followed", lambda: node.info["event_cursor"] > cursor + 5)
        await still_reads(network, kept)

        # Full to the end: even the chain's events find no room.
        fill(disk, leave=0)
        async with asyncio.timeout(300):  # the last page of a file takes a while to fill; events of blobs hurry it
            while storage(node)["condition"] != "DISK_FAILING":
                node.check_alive()
                await network.register(chain, os.urandom(1_000))
        status, text = node.get("/readyz")
        assert (status, "No space left" in text) == (503, True), text
        refusal = await refused(network.upload(node, view, wanted))
        assert refusal.metadata == {"condition": "DISK_FAILING"}
        await still_reads(network, kept)

        # A restart does not help, and does no harm.
        node.kill()
        node.start()
        await wait("it is up", lambda: waits_for_its_disk(node))
        assert storage(node)["condition"] == "DISK_FAILING"
        await still_reads(network, kept)

        # Space comes back: it goes on by itself, with every event applied once.
        (disk / "ballast").unlink()
        await wait("it is ready again", node.is_ready)
        answer = await network.upload(node, view, wanted)
        assert answer.WhichOneof("outcome") == "confirmation", answer.refusal
        await still_reads(network, kept, wanted)

        # Read-only, as the kernel leaves a disk with errors; then the administrator mends it.
        late = await network.register(chain, os.urandom(100_000))
        cursor = node.info["event_cursor"]
        await wait("it knows of the next blob", lambda: node.info["event_cursor"] > cursor + 5)
        assert node.stop() == 0
        remount(disk, "ro")
        node.start()
        await wait("it is up", lambda: waits_for_its_disk(node))
        assert "Read-only file system" in storage(node)["message"]
        await still_reads(network, kept, wanted)
        assert (await refused(network.upload(node, view, late))).metadata == {"condition": "DISK_FAILING"}
        remount(disk, "rw")
        await wait("it is ready again", node.is_ready)
        answer = await network.upload(node, view, late)
        assert answer.WhichOneof("outcome") == "confirmation", answer.refusal
        await still_reads(network, kept, wanted, late)
    assert "Traceback" not in node.log.read_text()
