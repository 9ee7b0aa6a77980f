"""Checks of the contract that no transaction can make fail; they hold for those who call the functions directly."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.sui.devnet_ledger.shop import abort_of

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core.packages import WALRUS, WALRUS_SUBSIDIES, Packages
from walrus_sui.devnet.move.core.runtime import ChainRules, Runtime
from walrus_sui.devnet.move.walrus import storage_pool, storage_resource
from walrus_sui.devnet.move.walrus.bls_aggregate import new_bls_committee
from walrus_sui.devnet.move.walrus.epoch_parameters import EpochParams
from walrus_sui.devnet.move.walrus.storage_pool import PooledBlob, StoragePool, StoragePoolInnerV1
from walrus_sui.devnet.move.walrus.system_state_inner import SystemStateInnerV1
from walrus_sui.devnet.move.walrus_subsidies import walrus_subsidies
from walrus_sui.devnet.move.walrus_subsidies.walrus_subsidies import WalrusSubsidies

ZERO = ObjectId("0x" + "0" * 64)
HERE = ObjectId("0x" + "a" * 64)


@pytest.fixture
def rt() -> Runtime:
    rules = ChainRules(Packages(((WALRUS, HERE), (WALRUS_SUBSIDIES, HERE))), frozenset({1}))
    return Runtime(SuiAddress(ZERO), bytes(32), rules, lambda _: None, registry.resolve)


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5)])
def test_storage_ends_after_it_starts(rt: Runtime, start: int, end: int) -> None:
    make = lambda: storage_resource.create_storage(rt, start_epoch=start, end_epoch=end, storage_size=1)  # noqa: E731
    assert abort_of(make) == ("storage_resource", 3)


def test_a_system_sells_at_most_a_thousand_epochs_ahead(rt: Runtime) -> None:
    SystemStateInnerV1.create_empty(rt, 1_000)
    assert abort_of(lambda: SystemStateInnerV1.create_empty(rt, 1_001)) == ("system_state_inner", 0)


def test_epochs_follow_each_other(rt: Runtime) -> None:
    system = SystemStateInnerV1.create_empty(rt, 3)
    for epoch in (0, 2):
        later = lambda epoch=epoch: system.advance_epoch(rt, new_bls_committee(epoch, []), EpochParams(0))  # noqa: E731
        assert abort_of(later) == ("system_state_inner", 4)
    system.future_accounting.ring_pop_expand()
    next_epoch = lambda: system.advance_epoch(rt, new_bls_committee(1, []), EpochParams(0))  # noqa: E731
    assert abort_of(next_epoch) == ("system_state_inner", 5)


@pytest.fixture
def pool(rt: Runtime) -> tuple[StoragePool, StoragePoolInnerV1]:
    storage = storage_resource.create_storage(rt, start_epoch=0, end_epoch=5, storage_size=10**6)
    made = storage_pool.create(rt, storage)
    state = storage_pool.inner_mut(rt, made)
    state.add_blob(rt, PooledBlob(rt.new_uid(), 0, 7, 100, 1, None, made.id, deletable=True), 7_160)
    return made, state


def test_pools_of_another_version_are_left_alone(rt: Runtime, pool: tuple[StoragePool, StoragePoolInnerV1]) -> None:
    made, _ = pool
    made.version = 2
    views: tuple[Callable[..., Any], ...] = (storage_pool.end_epoch, storage_pool.blob_count, storage_pool.storage)
    for view in views:
        assert abort_of(lambda view=view: view(rt, made)) == ("storage_pool", 10)
    assert abort_of(lambda: storage_pool.take_blob_metadata(rt, made, 7)) == ("storage_pool", 10)


@pytest.mark.parametrize(("field", "value", "code"), [("used_encoded_bytes", 7_159, 8), ("blob_count", 0, 9)])
def test_a_pool_that_counted_wrong_gives_no_blob(
    rt: Runtime, pool: tuple[StoragePool, StoragePoolInnerV1], field: str, value: int, code: int
) -> None:
    _, state = pool
    setattr(state, field, value)
    assert abort_of(lambda: state.remove_blob(rt, 7, 10)) == ("storage_pool", code)


def test_purses_of_another_version_are_migrated_first(rt: Runtime) -> None:
    purse = WalrusSubsidies(rt.new_uid(), 2, ZERO)
    cap = walrus_subsidies.AdminCap(rt.new_uid(), purse.id)
    set_rate = lambda: walrus_subsidies.set_system_subsidy_rate(rt, purse, cap, 5)  # noqa: E731
    assert abort_of(set_rate) == ("walrus_subsidies", 1)
    walrus_subsidies.migrate(rt, purse)
    assert (purse.version, purse.package_id) == (3, HERE)
    assert abort_of(lambda: walrus_subsidies.migrate(rt, purse)) == ("walrus_subsidies", 2)
