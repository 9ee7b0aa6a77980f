"""Stores that are interrupted: by an epoch, by a signal, by a client that goes away. Everything is a process of its own.

Nodes with more than f shards are paused, so that a store stands between its registration and its certification for as long
as a test wants. Whatever happens there, the chain must show one Blob object that was paid for once.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress

import pytest
from tests.integration.gateway.gateways import Gateway
from tests.integration.node.world import WAL, until

from walrus_client import treasury
from walrus_sui.errors import MoveAbort

pytestmark = pytest.mark.timeout(400)

EPOCH_MS = 3_600_000


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(4, manual_ms=EPOCH_MS, seed="interrupted")


@pytest.fixture(scope="module")
def gateway(network, tmp_path_factory):
    # Under load a store may take longer than what a gateway that stops leaves it by default.
    made = Gateway(tmp_path_factory.mktemp("gateway"), network.devnet.network_config, grace_period_s=150)

    async def pay():
        async with network.chain() as chain:
            await treasury.fund(chain, network.treasury, made.key.address, sui=10**9, wal=100 * WAL)

    asyncio.run(pay())
    until("the gateway is ready", made.is_ready)
    yield made
    made.kill()
    made.log.close()


@contextmanager
def paused(*nodes):
    for node in nodes:
        node.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for node in nodes:
            node.process.send_signal(signal.SIGCONT)


@pytest.fixture
def command(gateway):
    """Starts `walrusctl blob store`; what still runs is killed at the end."""
    started = []

    def start(file):
        words = ["--gateway", gateway.url, "blob", "store", str(file), "--epochs", "5", "-o", "json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "walrus_client.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


async def result_of(process):
    out, err = await asyncio.to_thread(process.communicate, timeout=120)
    assert process.returncode == 0, err.decode()
    return json.loads(out)


class Purse:
    """What the gateway's key has, against the moment at which this was made."""

    @classmethod
    async def open(cls, chain, gateway):
        self = cls()
        self.chain, self.address = chain, gateway.key.address
        self.before = {blob.object_id for blob in await chain.blobs(self.address)}
        self.wal = await chain.balance(self.address, "WAL")
        return self

    async def new(self):
        return [blob for blob in await self.chain.blobs(self.address) if blob.object_id not in self.before]

    async def until_registered(self):
        async with asyncio.timeout(60):
            while True:
                if found := await self.new():
                    break
                await asyncio.sleep(0.1)
        (blob,) = found
        assert blob.certified_epoch is None
        return blob

    async def assert_paid_once(self, registered):
        """One object, certified, and the price of the registration alone has left the purse."""
        (blob,) = await self.new()
        assert blob.object_id == registered.object_id
        assert blob.certified_epoch is not None
        system = await self.chain.system()
        size = blob.storage.size
        price = system.storage_cost(size, 5) + system.write_cost(size)
        assert self.wal - await self.chain.balance(self.address, "WAL") == price
        return price


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "file"
    made.write_bytes(os.urandom(200_000))
    return made


async def test_an_epoch_that_changes_in_the_middle_of_an_upload_costs_nothing(network, gateway, command, file):
    async with network.chain() as chain:
        purse = await Purse.open(chain, gateway)
        before = await chain.staking()
        # The votes are in before the store begins: it has half a minute, and the change of the epoch must fit in.
        await asyncio.to_thread(network.devnet.advance, EPOCH_MS // 2 + 1)
        with suppress(MoveAbort):  # a node's driver was first
            await chain.voting_end(network.treasury)
        with paused(*network.nodes[:2]):
            process = command(file)
            registered = await purse.until_registered()
            await asyncio.to_thread(network.devnet.advance, EPOCH_MS // 2)
            with suppress(MoveAbort):
                await chain.initiate_epoch_change(network.treasury)
            view = await network.until_epoch(chain, before.epoch + 1, done=False)
        created = (await result_of(process))["newlyCreated"]
        price = await purse.assert_paid_once(registered)
    blob = created["blobObject"]
    assert (blob["id"], blob["registeredEpoch"]) == (registered.object_id, view.epoch - 1)
    assert blob["certifiedEpoch"] == view.epoch
    assert created["cost"] == price
    assert "registerFromScratch" in created["resourceOperation"]
    assert gateway.request("GET", f"/v1/blobs/{blob['blobId']}").body == file.read_bytes()


async def test_a_killed_client_leaves_a_store_that_ends_before_its_gateway_does(network, gateway, command, file):
    async with network.chain() as chain:
        purse = await Purse.open(chain, gateway)
        with paused(*network.nodes[:2]):
            process = command(file)
            registered = await purse.until_registered()
            process.kill()
            gateway.stop()
            await asyncio.to_thread(until, "the gateway is stopping", lambda: "stopping" in gateway.text())
            assert gateway.process.poll() is None
        assert await asyncio.to_thread(gateway.process.wait, 180) == 0
        await purse.assert_paid_once(registered)
        gateway.start()
        await asyncio.to_thread(until, "the gateway is ready", gateway.is_ready)
        known = (await result_of(command(file)))["alreadyCertified"]
        assert known["object"] == registered.object_id
        await purse.assert_paid_once(registered)


async def test_a_gateway_killed_between_registering_and_certifying_goes_on_with_what_it_has_paid_for(
    network, gateway, command, file
):
    async with network.chain() as chain:
        purse = await Purse.open(chain, gateway)
        with paused(*network.nodes[:2]):
            process = command(file)
            registered = await purse.until_registered()
            process.send_signal(signal.SIGINT)
            _out, said = await asyncio.to_thread(process.communicate, timeout=60)
            assert process.returncode == 130
            assert b"the file was sent whole: the gateway finishes what it has begun to pay for" in said
            gateway.kill()
        (left,) = await purse.new()
        assert left.certified_epoch is None
        gateway.start()
        await asyncio.to_thread(until, "the gateway is ready", gateway.is_ready)
        created = (await result_of(command(file)))["newlyCreated"]
        await purse.assert_paid_once(registered)
    assert (created["blobObject"]["id"], created["cost"]) == (registered.object_id, 0)
    assert "reuseRegistration" in created["resourceOperation"]


async def test_clients_that_go_away_are_worked_for_no_more(network, gateway, command, file):
    blob_id = (await result_of(command(file)))["newlyCreated"]["blobObject"]["blobId"]

    def gone(method):
        return gateway.metric("http_server_request_duration_seconds_count", method, "499")

    def ask(head, body=b""):
        connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=30)
        connection.sendall(f"{head}\r\nHost: x\r\n\r\n".encode() + body)
        return connection

    async with network.chain() as chain:
        purse = await Purse.open(chain, gateway)
        with ask("PUT /v1/blobs HTTP/1.1\r\nContent-Length: 1000000", bytes(500_000)):
            await asyncio.to_thread(until, "the body has memory", gateway.bytes_in_flight)
        await asyncio.to_thread(until, "the upload has ended", lambda: gone("PUT"))
        assert gateway.bytes_in_flight() == 0
        with paused(*network.nodes):
            with ask(f"GET /v1/blobs/{blob_id} HTTP/1.1"):
                await asyncio.to_thread(until, "the read has begun", gateway.requests_under_way)
            await asyncio.to_thread(until, "the read has ended", lambda: gone("GET"))
        assert gateway.bytes_in_flight() == 0
        assert not await purse.new()
