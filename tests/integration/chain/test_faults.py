"""The client against a real devnet process that misbehaves on command: what is wished for happens exactly once."""

import asyncio
import json
import urllib.request

import pytest
from tests.integration.chain.conftest import TOKEN

from walrus_sui import faucet, network_config
from walrus_sui.client import ChainClient
from walrus_sui.errors import ChainTimeout, ChainUnreachable, TransactionUnknown
from walrus_sui.keys import SuiKey

pytestmark = pytest.mark.timeout(300)


async def turn(devnet, **knobs) -> None:
    """Sets the fault knobs; without any, all are off."""
    request = urllib.request.Request(
        f"{devnet.url}/v1/admin/faults",
        data=json.dumps(knobs).encode() if knobs else None,
        headers={"Authorization": f"Bearer {TOKEN}"},
        method="PUT" if knobs else "DELETE",
    )

    def send() -> None:
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    await asyncio.to_thread(send)


@pytest.fixture
async def chain(devnet):
    config = await network_config.load(devnet.network_config)
    async with ChainClient(config, timeout=5, patience=30) as client:
        yield client


@pytest.fixture
async def rich(chain: ChainClient) -> SuiKey:
    key = SuiKey.generate()
    await faucet.request_sui(chain.config.faucet_url, key.address)
    await chain.transfer_sui(key, key.address, 1)  # the coins and the gas of this shape are known from now on
    return key


async def balance_is(chain: ChainClient, address: str, expected: int) -> None:
    async with asyncio.timeout(20):
        while await chain.balance(address) != expected:  # noqa: ASYNC110  (another process's index)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("after", [False, True], ids=["never arrives", "answer lost"])
async def test_a_call_that_breaks_is_repeated_with_the_same_bytes(devnet, chain, rich, after: bool) -> None:
    targets = [SuiKey.generate().address for _ in range(3)]
    for target in targets:
        await turn(devnet, fail_call={"method": "ExecuteTransaction", "nth": 1, "code": "UNAVAILABLE", "after": after})
        await chain.transfer_sui(rich, target, 1000)
    await turn(devnet)
    for target in targets:
        await balance_is(chain, target, 1000)


async def test_a_lost_answer_is_settled_before_the_next_payment(devnet, chain, rich) -> None:
    config, target, other = chain.config, SuiKey.generate().address, SuiKey.generate().address
    async with ChainClient(config, timeout=5, patience=0) as hasty:
        await hasty.transfer_sui(rich, rich.address, 1)
        await turn(devnet, fail_call={"method": "ExecuteTransaction", "nth": 1, "code": "UNAVAILABLE", "after": True})
        with pytest.raises(TransactionUnknown) as unknown:
            await hasty.transfer_sui(rich, target, 1000)
        await turn(devnet)
        await hasty.transfer_sui(rich, other, 7)
        await balance_is(hasty, target, 1000)
        await balance_is(hasty, other, 7)
        found = await hasty.transaction(unknown.value.digest)
        assert found is not None
        assert found.failure is None


async def test_an_index_far_behind_changes_nothing_but_time(devnet, chain, rich) -> None:
    await turn(devnet, index_lag=10)
    targets = [SuiKey.generate().address for _ in range(4)]
    await asyncio.gather(*(chain.transfer_sui(rich, target, 100 + n) for n, target in enumerate(targets)))
    async with ChainClient(chain.config, timeout=5, patience=30) as newcomer:  # sees coins of ten checkpoints ago
        async with asyncio.timeout(20):
            while not await newcomer.balance(rich.address):  # noqa: ASYNC110  (another process's index)
                await asyncio.sleep(0.02)
        await newcomer.transfer_sui(rich, targets[0], 1)
    await turn(devnet)
    for number, target in enumerate(targets):
        await balance_is(chain, target, 100 + number + (1 if number == 0 else 0))


async def test_an_endpoint_that_refuses_everything_is_unreachable_in_time(devnet, chain, rich) -> None:
    async with ChainClient(chain.config, timeout=2, patience=1) as client:
        await turn(devnet, unavailable=True)
        with pytest.raises(ChainUnreachable):
            await client.system()
        with pytest.raises(ChainUnreachable):
            await client.transfer_sui(rich, rich.address, 1)
        await turn(devnet, latency_ms=5000)
        with pytest.raises(ChainTimeout):
            await client.system()
        await turn(devnet)
        await client.transfer_sui(rich, rich.address, 1)


async def test_without_simulation_the_cap_is_the_budget(devnet, chain) -> None:
    key = SuiKey.generate()
    await faucet.request_sui(chain.config.faucet_url, key.address)
    await turn(devnet, unavailable=True, methods=["SimulateTransaction"])
    target = SuiKey.generate().address
    await chain.transfer_sui(key, target, 5)
    await turn(devnet)
    await balance_is(chain, target, 5)
