"""Restarts: the same chain afterwards, whether it was stopped or killed, and nothing announced or answered is lost."""

import asyncio
import itertools
import os
import random

import grpc
import pytest

from walrus_proto.sui.rpc.v2 import subscription_service_pb2
from walrus_sui.devnet.storage.audit import audit
from walrus_sui.keys import SuiKey

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "4"))  # `make soak` has more, with ever new seeds
SEED = int(os.environ.get("CRASH_SEED", "7"))
INTERVAL_MS = 40
EXIT_DISK = 5


async def snapshot(devnet, client, key):
    """What must be the same after a restart."""
    network = devnet.network
    ids = [network[name] for name in ("system_object", "staking_object", "treasury_object")]
    ids += network["exchange_objects"]
    head = (await client.info()).checkpoint_height
    return {
        "chain": (await client.info()).chain_id,
        "objects": [await client.object(object_id) for object_id in ids],
        "coins": await client.gas_coins(key.address),
        "checkpoints": [await client.checkpoint(sequence) for sequence in (0, 1, head)],
        "ids": {name: value for name, value in network.items() if not name.endswith("url")},
    }


async def test_a_restart_gives_the_same_chain(make_devnet, tools):
    devnet = make_devnet()
    key = SuiKey.generate()
    devnet.fund(key.address)
    async with devnet.client() as client:
        (coin,) = await client.gas_coins(key.address)
        executed = await client.execute(tools.transfer(key, coin, key.address), key)
        await client.finality(executed.digest)
        executed = await client.transaction(executed.digest)
        before = await snapshot(devnet, client, key)
        head = (await client.info()).checkpoint_height
    assert devnet.stop() == 0
    devnet.start()
    async with devnet.client() as client:
        info = await client.info()
        assert info.checkpoint_height >= head
        after = await snapshot(devnet, client, key)
        # The newest checkpoint is another one; the one that was the newest is unchanged.
        after["checkpoints"][2] = await client.checkpoint(before["checkpoints"][2].sequence_number)
        assert after == before
        assert await client.transaction(executed.digest) == executed
        (richest, *_) = await client.gas_coins(key.address)
        assert (await client.execute(tools.transfer(key, richest, key.address), key)).effects.status.success


def died(error):
    """Lets pass what a client sees when the server is killed, and nothing else."""
    if error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
        raise error


class Load:
    """Transactions that run until the devnet dies, and a record of everything that was answered or announced."""

    def __init__(self, tools, devnet, count):
        self.tools, self.devnet = tools, devnet
        self.keys = [SuiKey.generate() for _ in range(count)]
        self.answered, self.announced = {}, {}
        self.news = asyncio.Event()

    async def run_until_death(self, after_checkpoints, delay):
        """Kills the devnet so many seconds after so many checkpoints have been announced."""
        async with self.devnet.client() as client:
            tasks = [asyncio.create_task(self.spend(client, key)) for key in self.keys]
            tasks.append(asyncio.create_task(self._follow(client)))
            for _ in range(after_checkpoints):
                self.news.clear()
                async with asyncio.timeout(60):
                    await self.news.wait()
            await asyncio.sleep(delay)  # when in the life of a checkpoint it dies, not a wait for something
            await asyncio.to_thread(self.devnet.kill)
            await asyncio.gather(*tasks)

    async def spend(self, client, key):
        try:
            (coin, *_) = await client.gas_coins(key.address)
            for amount in itertools.count(1):
                executed = await client.execute(self.tools.transfer(key, coin, key.address, amount=amount), key)
                self.answered[executed.digest] = executed
                coin = self.tools.own_coin(executed, key.address)
        except grpc.aio.AioRpcError as error:
            died(error)

    async def _follow(self, client):
        request = subscription_service_pb2.SubscribeCheckpointsRequest(read_mask=self.tools.mask("*"))
        try:
            async for frame in client.subscriptions.SubscribeCheckpoints(request, timeout=60):
                self.announced[frame.cursor] = frame.checkpoint
                self.news.set()
        except grpc.aio.AioRpcError as error:
            died(error)

    async def check(self):
        """Everything that any client has seen is still so, and in exactly one checkpoint."""
        async with self.devnet.client() as client:
            for sequence, checkpoint in self.announced.items():
                assert await client.checkpoint(sequence) == checkpoint
            for digest, executed in self.answered.items():
                await client.finality(digest)
                found = await client.transaction(digest)
                assert found.effects == executed.effects
                assert found.objects == executed.objects
                checkpoint = await client.checkpoint(found.checkpoint, "transactions.digest")
                assert [item.digest for item in checkpoint.transactions].count(digest) == 1
            await self._check_chain(client)

    async def _check_chain(self, client):
        """The whole chain hangs together and holds no transaction twice."""
        head = (await client.info()).checkpoint_height
        previous, seen = None, set()
        for sequence in range(head + 1):
            paths = ("digest", "summary.previous_digest", "transactions.digest")
            checkpoint = await client.checkpoint(sequence, *paths)
            assert checkpoint.summary.previous_digest == (previous or "")
            previous = checkpoint.digest
            digests = [item.digest for item in checkpoint.transactions]
            assert len(set(digests)) == len(digests)
            assert not seen & set(digests)
            seen.update(digests)


@pytest.mark.timeout(60 + 20 * ROUNDS)
async def test_killed_again_and_again_nothing_that_was_seen_is_lost(make_devnet, tools):
    rng = random.Random(SEED)
    devnet = make_devnet(checkpoint_interval_ms=INTERVAL_MS)
    ledger = devnet.data / "ledger.sqlite"
    load = Load(tools, devnet, count=4)
    for key in load.keys:
        devnet.fund(key.address)
    chain_id = devnet.endpoints["chain_id"]
    for _ in range(ROUNDS):
        before = len(load.answered)
        # At any moment between two checkpoints, and of the write of one.
        await load.run_until_death(rng.randrange(2, 8), rng.uniform(0, 1.5 * INTERVAL_MS / 1000))
        assert len(load.answered) > before, "the load did nothing"
        report = await asyncio.to_thread(audit, ledger)
        assert report.findings == []
        assert report.head >= max(load.announced)
        await asyncio.to_thread(devnet.start)
        assert devnet.endpoints["chain_id"] == chain_id
    await load.check()
    assert len(load.announced) > ROUNDS
    assert (await asyncio.to_thread(audit, ledger)).findings == [], "also while it runs"
    assert devnet.stop() == 0
    # The log of all transactions, run again from genesis, gives the same effects and checkpoints.
    report = await asyncio.to_thread(lambda: audit(ledger, replay=True))
    assert report.findings == []
    assert report.transactions > len(load.answered)


async def test_a_full_disk_ends_it_and_loses_nothing_that_was_answered(make_devnet, tools):
    devnet = make_devnet(checkpoint_interval_ms=2000)  # so that what is written are mostly answers
    load = Load(tools, devnet, count=1)
    devnet.fund(load.keys[0].address)
    size = max(file.stat().st_size for file in devnet.data.glob("ledger.sqlite*"))
    devnet.limit_files(size + 200_000)  # a little may still be written, then every write fails
    async with devnet.client() as client:
        await load.spend(client, load.keys[0])
    assert await asyncio.to_thread(devnet.process.wait, 60) == EXIT_DISK
    assert "disk" in devnet.log.read_text()
    assert load.answered
    devnet.start()
    await load.check()
