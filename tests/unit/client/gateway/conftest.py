from collections.abc import AsyncIterator

import pytest
from tests.unit.client.conftest import World
from tests.unit.client.gateway.served import Gateway, config, serve

from walrus_client.gateway.draining import RequestsUnderWay


@pytest.fixture
async def gateway(world: World) -> AsyncIterator[Gateway]:
    async for made in serve(world, config()):
        yield made


@pytest.fixture
def under_way() -> RequestsUnderWay:
    return RequestsUnderWay()
