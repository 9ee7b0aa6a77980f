"""Laws of storage on a whole chain: no epoch is oversold, and pools count right, whatever is called."""

from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.laws.sui import system_actions
from tests.laws.sui.test_devnet_money import World, supply, wal_total

from walrus_sui.devnet.move.walrus.blob import Blob
from walrus_sui.devnet.move.walrus.shared_blob import SharedBlob
from walrus_sui.devnet.move.walrus.storage_pool import PooledBlob, StoragePool, StoragePoolInnerV1
from walrus_sui.devnet.move.walrus.storage_resource import Storage
from walrus_sui.devnet.testing import Chain

# Some purchases first, so that there is something to work on; an epoch passes now and then.
PRELUDE = [("epoch", 0, 0), *[("reserve", pick, pick) for pick in range(1, 9)], ("make pool", 4, 777_777)]
PRELUDE += [("write", pick, pick) for pick in range(4)] + [("confirm", 0, pick) for pick in range(2)]
NAMES = [*sorted(system_actions.ACTIONS), "epoch", "certify", "register"]
STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 9), st.integers(0, 10**13)), min_size=8, max_size=40)


def values(chain: Chain) -> Iterator[tuple[Any, Any]]:
    for obj in chain.ledger.objects():
        if not obj.is_package and obj.coin_type is None:
            value = chain.type_of(obj.type).from_bcs(obj.contents)
            yield obj, getattr(value, "value", value)


def storages(chain: Chain) -> Iterator[Storage]:
    for _, value in values(chain):
        if isinstance(value, Storage):
            yield value
        elif isinstance(value, Blob | StoragePoolInnerV1):
            yield value.storage
        elif isinstance(value, SharedBlob):
            yield value.blob.storage


def check_storage(chain: Chain) -> None:
    system = chain.system()
    ring = system.future_accounting
    held = list(storages(chain))
    for offset in range(ring.length):
        entry = ring.ring_lookup(offset)
        assert entry.epoch == system.epoch + offset
        live = sum(item.storage_size for item in held if item.start_epoch <= entry.epoch < item.end_epoch)
        assert live <= entry.used_capacity
    assert system.used_capacity_size == ring.ring_lookup(0).used_capacity
    assert all(item.start_epoch < item.end_epoch <= system.epoch + ring.length for item in held)


def check_pools(chain: Chain) -> None:
    inside: dict[str, list[PooledBlob]] = {}
    for _, value in values(chain):
        if isinstance(value, PooledBlob):
            inside.setdefault(value.storage_pool_id, []).append(value)
    for obj, value in values(chain):
        if isinstance(value, StoragePool):
            state, blobs = chain.field(obj.object_id), inside.pop(value.id, [])
            assert state.blob_count == state.blobs.size == len(blobs)
            assert state.used_encoded_bytes == sum(system_actions.encoded(item.unencoded_size) for item in blobs)
            assert state.used_encoded_bytes <= state.storage.storage_size
            assert len({item.blob_id for item in blobs}) == len(blobs)
    assert not inside


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(steps=STEPS)
def test_no_epoch_is_oversold_and_pools_count_right(steps: list[tuple[str, int, int]]) -> None:
    world = World()
    for step in [*PRELUDE, *steps]:
        world.step(*step)
        check_storage(world.chain)
        check_pools(world.chain)
    assert wal_total(world.chain) == supply(world.chain)
