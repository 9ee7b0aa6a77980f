"""Old history of a long-lived devnet: where it begins, and what is answered about what is gone."""

import grpc
import pytest

from walrus_sui.keys import SuiKey


async def gone(call, text):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert text in caught.value.details()


async def test_pruned_history_is_not_found_and_the_service_says_where_it_begins(make_devnet, tools):
    retention = {"checkpoints": 200, "object_versions": 100}
    devnet = make_devnet(checkpoint_interval_ms=10, retention=retention)
    key = SuiKey.generate()
    devnet.fund(key.address)
    async with devnet.client() as client:
        (coin,) = await client.gas_coins(key.address)
        old = await client.execute(tools.transfer(key, coin, key.address), key)
        await client.height(await client.finality(old.digest) + 300)
        info = await client.info()
        assert 0 <= info.checkpoint_height - 199 - info.lowest_available_checkpoint < 2
        assert 0 <= info.checkpoint_height - 99 - info.lowest_available_checkpoint_objects < 2
        await gone(client.checkpoint(info.lowest_available_checkpoint - 1), "Checkpoint")
        await gone(client.transaction(old.digest), old.digest)
        await gone(client.object(coin.object_id, version=coin.version), coin.object_id)
        assert (await client.checkpoint(0)).digest == info.chain_id
        await client.checkpoint(info.checkpoint_height - 100)
        # The money is still there, and the same transaction does not run again.
        assert len(await client.gas_coins(key.address)) == 2
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.execute(tools.transfer(key, coin, key.address), key)
        assert "unavailable for consumption" in caught.value.details()
