"""Upgrades of the contract: the new package, and the move of the shared objects to it."""

from tests.unit.sui.devnet_ledger.upgrading import Network, Step, abort_of, carried

from walrus_codec import bcs
from walrus_sui.devnet.ledger.objects import Package


def test_the_new_package(network: Network) -> None:
    chain, nodes = network
    new = carried(chain, nodes)
    first = chain.network.walrus_package
    obj = chain.ledger.object(new)
    assert obj is not None
    before, after = Package.from_bcs(chain.ledger.object(first).contents), Package.from_bcs(obj.contents)  # type: ignore[union-attr]
    assert (obj.version, after.version, after.object_id) == (2, 2, new)
    assert (after.type_origins, after.modules, after.linkage) == (before.type_origins, before.modules, before.linkage)
    cap = chain.value(chain.network.upgrade_manager).cap
    assert (cap.package, cap.version) == (new, 2)
    for shared in (chain.network.staking, chain.network.system):
        found = chain.value(shared)
        assert (found.package_id, found.new_package_id, found.version) == (first, new, 4)
    assert chain.ledger.packages.versions(new) == (first, new)
    function = chain.ledger.function(new, "staking", "epoch")
    assert function is not None
    assert function.parameters[0].type_name == f"{first}::staking::Staking"


def test_the_objects_move_to_it(network: Network, step: Step) -> None:
    chain, nodes = network
    first, new = chain.network.walrus_package, carried(chain, nodes)
    assert chain.view("staking::epoch", at=first) == chain.call("staking::epoch", sender="bob") == 1
    assert abort_of(lambda: chain.view("staking::epoch", at=new)) == ("staking", 1)
    assert abort_of(lambda: chain.call("staking::epoch", sender="bob", at=new)) == ("staking", 1)
    assert abort_of(lambda: chain.call("system::epoch", sender="bob", at=new)) == ("system", 1)
    assert abort_of(lambda: chain.call("init::migrate_v2", sender="bob", at=first)) == ("staking", 0)
    assert abort_of(lambda: chain.call("init::migrate", sender="bob", at=new)) == ("init", 2)
    state = chain.staking()
    chain.call("init::migrate_v2", sender="bob", at=new)
    (event,) = chain.last.events
    assert (event.epoch, event.package_id, event.version) == (1, new, 5)
    assert chain.staking() == state
    for shared in (chain.network.staking, chain.network.system):
        found = chain.value(shared)
        assert (found.package_id, found.new_package_id, found.version) == (new, None, 5)
        (inner,) = chain.ledger.dynamic_fields(shared)
        assert inner.name.bcs == bcs.u64(5)
        assert inner.value_type.startswith(f"{first}::")
    assert abort_of(lambda: chain.call("staking::epoch", sender="bob", at=first)) == ("staking", 1)
    assert abort_of(lambda: chain.call("system::epoch", sender="bob", at=first)) == ("system", 1)
    # What touches no state has no version: the old package still answers.
    stake = chain.stake("bob", nodes[0], 10**9)
    assert chain.call("staked_wal::value", sender="bob", sw=stake, at=first) == 10**9
    step(chain, nodes)
    assert chain.staking().epoch == 2
    assert chain.last.effects.failure is None
    assert abort_of(lambda: chain.call("init::migrate_v2", sender="bob")) == ("staking", 0)


def test_events_of_the_new_package_keep_their_types(network: Network) -> None:
    chain, nodes = network
    first, new = chain.network.walrus_package, carried(chain, nodes)
    chain.call("init::migrate_v2", sender="bob", at=new)
    chain.call("staking::update_prices", sender="bob")
    (event,) = chain.ledger.pending()[-1].events
    assert (event.package, event.type) == (new, f"{first}::events::PricesUpdated")


def test_other_packages_go_along(network: Network, step: Step) -> None:
    """The subsidies package calls the contract; it does so in the newest version."""
    chain, nodes = network
    chain.call("init::migrate_v2", sender="bob", at=carried(chain, nodes))
    step(chain, nodes)
    chain.call("walrus_subsidies::process_subsidies", sender="bob")


def test_two_upgrades_and_one_migration(network: Network) -> None:
    chain, nodes = network
    second = carried(chain, nodes)
    third = carried(chain, nodes)
    assert chain.ledger.packages.versions(third) == (chain.network.walrus_package, second, third)
    call = lambda: chain.call("init::migrate_v2", sender="bob", at=second)  # noqa: E731
    call()  # the older of the two claims the newest id: its own version is what it knows
    assert chain.value(chain.network.staking).version == 5
    assert abort_of(call) == ("staking", 0)
    assert abort_of(lambda: chain.call("staking::epoch", sender="bob", at=third)) == ("staking", 1)


def test_the_migration_epoch_is_noted_once(network: Network, step: Step) -> None:
    chain, nodes = network
    call = lambda: chain.call("staking::set_migration_epoch", sender="bob")  # noqa: E731
    assert abort_of(call) == ("staking", 0)
    new = carried(chain, nodes)
    chain.call("staking::set_migration_epoch", sender="bob", at=new)
    step(chain, nodes)
    chain.call("staking::set_migration_epoch", sender="bob", at=new)
    noted = [field for field in chain.ledger.dynamic_fields(chain.network.staking) if field.name.type == "vector<u8>"]
    assert [(field.name.bcs[1:], field.value.bcs) for field in noted] == [(b"migration_epoch", bcs.u32(2))]


def test_a_migrated_chain_goes_on_after_a_restart(network: Network) -> None:
    chain, nodes = network
    new = carried(chain, nodes)
    chain.call("init::migrate_v2", sender="bob", at=new)
    other = chain.fork()
    assert other.ledger.packages.versions(new) == (chain.network.walrus_package, new)
    assert other.call("staking::epoch", sender="bob") == 1
    assert other.ledger.object(new) == chain.ledger.object(new)


def test_a_migration_needs_an_upgrade(network: Network) -> None:
    chain, _ = network
    assert abort_of(lambda: chain.call("init::migrate_v2", sender="bob")) == ("staking", 0)
