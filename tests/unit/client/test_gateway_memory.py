"""What the gateway remembers of its network, and a connector that starts without the chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from tests.unit.client.conftest import World
from tests.unit.client.gateway.served import NETWORK
from tests.unit.client.worlds import until

from walrus_client.gateway import services as module
from walrus_client.gateway.config import ChainConfig, GatewayConfig
from walrus_client.gateway.envelope import GatewayError, GatewayReason
from walrus_client.gateway.memory import Memory, Remembered
from walrus_client.gateway.services import Connector
from walrus_sui.errors import NetworkConfigError
from walrus_sui.keys import SuiKey
from walrus_sui.network_config import NetworkConfig
from walrus_sui.types import StakingView

SOURCE = "http://devnet/v1/network-config"


@pytest.fixture
async def remembered(world: World) -> Remembered:
    view = await world.chain.staking()
    _ = view.committee.member_of_shard(view.committee.members[0].shards[0])  # fills a cache that must not be written
    return Remembered(NETWORK, replace(view, next_committee=view.committee))


def test_a_memory_gives_back_what_it_keeps(tmp_path: Path, remembered: Remembered) -> None:
    file = tmp_path / "network.json"
    memory = Memory(file, source=SOURCE)
    assert memory.recall() is None
    memory.keep(remembered)
    assert Memory(file, source=SOURCE).recall() == remembered
    later = replace(remembered, staking=replace(remembered.staking, next_committee=None))
    memory.keep(later)
    assert Memory(file, source=SOURCE).recall() == later
    assert Memory(file, source="elsewhere").recall() is None
    assert [path.name for path in tmp_path.iterdir()] == ["network.json"]
    memory.forget()
    memory.forget()
    assert memory.recall() is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace('"epoch"', '"epoche"', 1),
        lambda _text: "",
    ],
)
def test_a_damaged_memory_is_none(tmp_path: Path, remembered: Remembered, damage: Callable[[str], str]) -> None:
    file = tmp_path / "network.json"
    Memory(file, source=SOURCE).keep(remembered)
    file.write_text(damage(file.read_text(encoding="utf-8")), encoding="utf-8")
    assert Memory(file, source=SOURCE).recall() is None


def test_a_disk_that_refuses_is_told_once(
    tmp_path: Path, remembered: Remembered, caplog: pytest.LogCaptureFixture
) -> None:
    memory = Memory(tmp_path / "absent" / "network.json", source=SOURCE)
    memory.keep(remembered)
    memory.keep(remembered)
    assert caplog.text.count("cannot be remembered") == 1
    Memory(None, source=SOURCE).keep(remembered)
    assert Memory(None, source=SOURCE).recall() is None


class Outside:
    """The chain and its configuration as the connector meets them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.network: NetworkConfig | None = None
        self.foreign = False

    async def load(self, _source: str) -> NetworkConfig:
        if self.network is None:
            raise NetworkConfigError("the devnet is away")
        return self.network

    def client(self, _network: NetworkConfig, **_options: Any) -> Client:
        return Client(self)


class Client:
    """The part of the chain client that a connector uses."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def staking(self) -> StakingView:
        return await self._outside.world.chain.staking()

    async def check(self) -> None:
        await self.staking()
        if self._outside.foreign:
            raise NetworkConfigError("another chain")

    async def balance(self, *_arguments: str) -> int:
        return 10**12

    async def close(self) -> None:
        pass


@pytest.fixture
async def outside(world: World, monkeypatch: pytest.MonkeyPatch) -> Outside:
    found = Outside(world)
    monkeypatch.setattr(module.network_config, "load", found.load)
    monkeypatch.setattr(module, "ChainClient", found.client)
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    return found


@pytest.fixture
async def connector(world: World, outside: Outside, remembered: Remembered, tmp_path: Path) -> AsyncIterator[Connector]:
    """A gateway that has run before and starts while the chain is away."""
    file = tmp_path / "network.json"
    Memory(file, source=SOURCE).keep(remembered)
    world.chain.reachable = False
    config = GatewayConfig(key_file=Path("unused"), chain=ChainConfig(network_config=SOURCE), state_file=file)
    made = Connector(config, SuiKey.generate(), world.compute)
    made.start()
    await until(lambda: made.ready)
    yield made
    await made.close()


async def test_it_reads_from_memory_until_the_chain_is_back(
    world: World, outside: Outside, connector: Connector, remembered: Remembered
) -> None:
    services = connector.services
    assert services.committees.last == remembered.staking
    assert "away" in str(services.committees.failure)
    with pytest.raises(GatewayError, match="nothing can be stored") as refused:
        services.for_storing()
    assert refused.value.reason is GatewayReason.CHAIN_UNREACHABLE
    outside.network = NETWORK
    await asyncio.sleep(0.05)
    assert not connector.services.checked, "the configuration is there, but not the chain"
    world.chain.reachable = True
    await until(lambda: connector.services.checked)
    assert connector.services.for_storing().reader is services.reader, "reads under way go on"


@pytest.mark.parametrize("difference", ["configuration", "chain"])
async def test_another_network_is_not_taken_for_the_remembered_one(
    world: World, outside: Outside, connector: Connector, tmp_path: Path, difference: str
) -> None:
    world.chain.reachable = True
    outside.foreign = difference == "chain"
    outside.network = replace(NETWORK, max_epochs_ahead=7) if difference == "configuration" else NETWORK
    if difference == "chain":
        await until(lambda: not connector.ready)
        with pytest.raises(GatewayError):
            _ = connector.services
        assert not (tmp_path / "network.json").exists()
        outside.foreign = False
    await until(lambda: connector.ready and connector.services.checked)
    assert connector.services.network == outside.network
