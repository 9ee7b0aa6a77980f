"""A blob, and how the tests of the client's whole paths store one."""

from tests.unit.client.conftest import World

from walrus_client.store import (
    NewlyCreated,
    StoreOptions,
)
from walrus_codec.types import Digest, SuiAddress
from walrus_sui.events import EventId

BLOB = bytes(i % 253 for i in range(30_000))
EVENT = EventId(Digest("1" * 32), 0)
ADDRESS = SuiAddress("0x" + "ab" * 32)


async def stored(world: World, data: bytes = BLOB, **options: object) -> NewlyCreated:
    result = await world.store.store(data, StoreOptions(**options))  # type: ignore[arg-type]
    assert isinstance(result, NewlyCreated)
    return result
