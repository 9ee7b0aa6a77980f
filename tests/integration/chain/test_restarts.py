"""The chain goes away under an open client and comes back."""

import asyncio
import contextlib
import time

import pytest
from tests.integration.chain.world import World, new_blob

from walrus_sui import faucet, network_config
from walrus_sui.client import ChainClient
from walrus_sui.errors import ChainError, ChainUnreachable, TransactionUnknown
from walrus_sui.follower import CheckpointFollower
from walrus_sui.keys import SuiKey

pytestmark = pytest.mark.timeout(300)  # a machine that does much else starts a devnet in ten seconds


class Following:
    """A follower in the background that notes every checkpoint."""

    def __init__(self, chain: ChainClient) -> None:
        self.follower = CheckpointFollower(chain, start_after=None, frame_timeout=3)
        self.sequences: list[int] = []
        self.kinds: list[str] = []
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for checkpoint in self.follower:
            self.sequences.append(checkpoint.sequence)
            self.kinds += [type(event).__name__ for _id, event in checkpoint.events]

    async def reaches(self, sequence: int) -> None:
        async with asyncio.timeout(90):
            while not self.sequences or self.sequences[-1] < sequence:
                assert not self.task.done(), self.task.exception()
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_restart_midway_changes_nothing_but_time(devnet, how: str) -> None:
    config = await network_config.load(devnet.network_config)
    async with ChainClient(config, timeout=5) as chain:
        following = Following(chain)
        world = await World.make(chain)
        await world.next_epoch()
        (blob,) = await chain.reserve_and_register(world.treasury, [new_blob(b"before" * 50)], epochs_ahead=3)
        tip = (await chain.latest_checkpoint()).sequence
        await chain.wait_for_checkpoint(
            (await chain.certify(world.treasury, [await world.certificate(blob)]))[0].tx_digest
        )

        getattr(devnet, how)()
        with pytest.raises(ChainUnreachable):
            await chain.staking()
        devnet.start()

        await following.reaches(tip + 20)
        assert (await chain.check()).chain_id == config.chain_id
        assert (await chain.blob(blob.object_id)).certified_epoch == 1
        assert await world.next_epoch() == 2
        (later,) = await chain.reserve_and_register(world.treasury, [new_blob(b"after")], epochs_ahead=1)
        (certified,) = await chain.certify(world.treasury, [await world.certificate(later)])
        await following.reaches(await chain.wait_for_checkpoint(certified.tx_digest))
        await following.stop()
        assert following.sequences == list(range(len(following.sequences)))
        assert following.kinds.count("BlobRegistered") == 2
        assert following.kinds.count("BlobCertified") == 2
        assert following.follower.last_error is None


async def test_payments_in_flight_while_the_chain_is_killed_happen_exactly_once(devnet) -> None:
    config = await network_config.load(devnet.network_config)
    rich, targets = SuiKey.generate(), [SuiKey.generate().address for _ in range(12)]
    await faucet.request_sui(config.faucet_url, rich.address)
    async with ChainClient(config, timeout=3, patience=120) as chain:

        async def pay(target: str) -> None:
            try:
                await chain.transfer_sui(rich, target, 1000)
            except TransactionUnknown:
                raise
            except ChainUnreachable:  # nothing was sent, so trying again cannot pay twice
                await asyncio.sleep(0.2)
                await pay(target)

        async def pay_all() -> None:
            for target in targets:
                await pay(target)

        paying = asyncio.create_task(pay_all())
        for _round in range(3):
            await asyncio.sleep(0.05)
            devnet.kill()
            await asyncio.to_thread(devnet.start)
        await asyncio.wait_for(paying, 240)
        assert [await chain.balance(target) for target in targets] == [1000] * len(targets)


async def test_a_chain_that_stays_away_is_an_error_in_time(devnet) -> None:
    config = await network_config.load(devnet.network_config)
    rich = SuiKey.generate()
    await faucet.request_sui(config.faucet_url, rich.address)
    async with ChainClient(config, timeout=1, patience=1) as chain:
        await chain.transfer_sui(rich, rich.address, 1)
        devnet.kill()
        started = time.monotonic()
        with pytest.raises(ChainError) as caught:
            await chain.transfer_sui(rich, rich.address, 1)
        assert isinstance(caught.value, ChainUnreachable | TransactionUnknown)
        assert time.monotonic() - started < 10
        devnet.start()
        await chain.transfer_sui(rich, rich.address, 1)
