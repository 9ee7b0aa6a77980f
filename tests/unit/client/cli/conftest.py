from collections.abc import AsyncIterator

import pytest
from tests.unit.client.cli.commands import Cli
from tests.unit.client.conftest import World
from tests.unit.client.gateway.served import Gateway, config, serve


@pytest.fixture
async def gateway(world: World) -> AsyncIterator[Gateway]:
    async for made in serve(world, config()):
        yield made


@pytest.fixture
def cli(gateway: Gateway) -> Cli:
    return Cli(f"http://127.0.0.1:{gateway.port}")
