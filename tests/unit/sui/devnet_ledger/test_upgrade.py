"""Upgrades of the contract: the votes, the new package, and the move of the shared objects to it."""

from collections.abc import Callable
from typing import Any

import pytest

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.devnet.genesis import faucet_key
from walrus_sui.devnet.ledger.failures import (
    ArgumentErrorKind,
    Failure,
    FailureKind,
    UpgradeError,
    UpgradeErrorKind,
    read_status,
    write_status,
)
from walrus_sui.devnet.ledger.objects import Package
from walrus_sui.devnet.ledger.upgrades import package_digest
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.core.packages import STD, SUI
from walrus_sui.devnet.move.walrus.upgrade import UpgradeProposal
from walrus_sui.devnet.testing import Account, Chain, Node, Rejected, TransactionFailed

CODE = (b"new code", b"more of it")
DEPENDENCIES = (ObjectId(STD), ObjectId(SUI))
DIGEST = package_digest(CODE, DEPENDENCIES)
Network = tuple[Chain, list[Node]]
Step = Callable[[Chain, list[Node]], None]


def abort_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


def vote(chain: Chain, voter: Node, digest: bytes = DIGEST, **options: Any) -> list[str]:
    chain.call(
        "upgrade::vote_for_upgrade",
        sender=options.pop("sender", voter.account),
        node_id=voter.node_id,
        digest=digest,
        **options,
    )
    return [type(event).__name__ for event in chain.last.events]


def upgrade(chain: Chain, *, digest: bytes = DIGEST, code: tuple[bytes, ...] = CODE, **options: Any) -> ObjectId:
    """Makes the upgrade that was voted for; gives the new package's id."""
    current = chain.package("walrus")
    program = chain.program("bob")
    ticket = program.call("upgrade::authorize_upgrade", digest=digest, at=options.get("at"))
    package = options.get("package", chain.value(chain.network.upgrade_manager).cap.package)
    receipt = program.upgrade(ticket, code, options.get("dependencies", DEPENDENCIES), package=package)
    program.call("upgrade::commit_upgrade", receipt=receipt)
    executed = program.run()
    (made,) = [obj for obj in executed.output_objects if obj.is_package]
    assert chain.package("walrus") == current
    return made.object_id


def carried(chain: Chain, nodes: list[Node]) -> ObjectId:
    """A whole upgrade, not migrated yet."""
    for node in nodes[:3]:
        vote(chain, node)
    return upgrade(chain)


def deployer(chain: Chain) -> Account:
    return Account("deployer", chain.network.faucet, faucet_key(chain.ledger.config))


def emergency(chain: Chain, digest: bytes, code: tuple[bytes, ...] = CODE) -> None:
    who = deployer(chain)
    (cap,) = chain.owned(who, "EmergencyUpgradeCap")
    program = chain.program(who)
    ticket = program.call("upgrade::authorize_emergency_upgrade", emergency_upgrade_cap=cap, digest=digest)
    receipt = program.upgrade(
        ticket, code, DEPENDENCIES, package=chain.value(chain.network.upgrade_manager).cap.package
    )
    program.call("upgrade::commit_upgrade", receipt=receipt)
    program.run()


# Votes


def test_genesis_leaves_the_right_to_upgrade_with_the_manager(chain: Chain) -> None:
    cap = chain.value(chain.network.upgrade_manager).cap
    assert (cap.package, cap.version, cap.policy) == (chain.network.walrus_package, 1, 0)
    (emergency_cap,) = chain.owned(deployer(chain), "EmergencyUpgradeCap")
    assert emergency_cap.upgrade_manager_id == chain.network.upgrade_manager


def test_the_quorum_is_told(network: Network) -> None:
    chain, nodes = network
    assert vote(chain, nodes[0]) == ["ContractUpgradeProposed"]
    assert vote(chain, nodes[1]) == []
    assert abort_of(lambda: upgrade(chain)) == ("upgrade", 6)
    assert vote(chain, nodes[2]) == ["ContractUpgradeQuorumReached"]
    (reached,) = chain.last.events
    assert (reached.epoch, reached.package_digest) == (1, DIGEST)
    assert vote(chain, nodes[3]) == ["ContractUpgradeQuorumReached"]
    assert abort_of(lambda: vote(chain, nodes[3])) == ("upgrade", 2)


def test_who_may_vote_and_for_what(network: Network) -> None:
    chain, nodes = network
    assert abort_of(lambda: vote(chain, nodes[0], sender=nodes[1].account)) == ("upgrade", 1)
    stranger = chain.add_node("bob")
    assert abort_of(lambda: vote(chain, stranger, b"short")) == ("staking_inner", 4)
    assert abort_of(lambda: vote(chain, nodes[0], b"short")) == ("upgrade", 3)
    assert abort_of(lambda: upgrade(chain, digest=bytes(33))) == ("upgrade", 3)
    assert abort_of(lambda: upgrade(chain)) == ("upgrade", 4)


def test_votes_end_with_their_epoch(network: Network, step: Step) -> None:
    chain, nodes = network
    for node in nodes:
        vote(chain, node)
    step(chain, nodes)
    assert abort_of(lambda: upgrade(chain)) == ("upgrade", 5)
    assert vote(chain, nodes[0]) == ["ContractUpgradeProposed"]
    assert abort_of(lambda: upgrade(chain)) == ("upgrade", 6)


def test_an_upgrade_voids_the_votes_for_others(network: Network) -> None:
    chain, nodes = network
    other = package_digest((b"other",), DEPENDENCIES)
    for node in nodes[:3]:
        vote(chain, node, other)
    carried(chain, nodes)
    assert abort_of(lambda: upgrade(chain, digest=other, code=(b"other",))) == ("upgrade", 7)
    assert vote(chain, nodes[0], other) == ["ContractUpgradeProposed"]
    proposals = chain.value(chain.network.upgrade_manager).upgrade_proposals
    assert chain.field(proposals.id) == UpgradeProposal(1, other, 3, 25, [nodes[0].node_id])


def test_cleaning_up(network: Network, step: Step) -> None:
    chain, nodes = network
    digests = [bytes([index]) * 32 for index in range(3)]

    def left() -> int:
        size: int = chain.value(chain.network.upgrade_manager).upgrade_proposals.size
        return size

    def clean() -> None:
        chain.call("upgrade::cleanup_upgrade_proposals", sender="bob", proposals=digests)

    vote(chain, nodes[0], digests[0])
    vote(chain, nodes[0], digests[1])
    clean()
    assert left() == 2
    step(chain, nodes)
    vote(chain, nodes[0], digests[1])
    clean()
    assert left() == 1
    carried(chain, nodes)
    clean()
    assert left() == 0
    call = lambda: chain.call("upgrade::cleanup_upgrade_proposals", sender="bob", proposals=[b""])  # noqa: E731
    assert abort_of(call) == ("upgrade", 3)


# The new package


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


# What the chain refuses


def refusal(call: Callable[[], Any]) -> Failure:
    with pytest.raises(TransactionFailed) as caught:
        call()
    return caught.value.failure


def test_other_code_than_was_voted_for(network: Network) -> None:
    chain, nodes = network
    for node in nodes[:3]:
        vote(chain, node)
    failed = refusal(lambda: upgrade(chain, code=(b"bad code",)))
    digest = package_digest((b"bad code",), DEPENDENCIES)
    assert (failed.kind, failed.command) == (FailureKind.PACKAGE_UPGRADE_ERROR, 1)
    assert failed.upgrade == UpgradeError(UpgradeErrorKind.DIGEST_DOES_NOT_MATCH, digest=digest)
    failed = refusal(lambda: upgrade(chain, package=chain.network.wal_package))
    assert failed.upgrade == UpgradeError(
        UpgradeErrorKind.PACKAGE_ID_DOES_NOT_MATCH, chain.network.wal_package, chain.network.walrus_package
    )
    upgrade(chain, code=CODE[::-1])  # the order of modules does not matter


def test_a_missing_dependency(network: Network) -> None:
    chain, nodes = network
    strange = (ObjectId("0x" + "7" * 64),)
    digest = package_digest(CODE, strange)
    for node in nodes[:3]:
        vote(chain, node, digest)
    failed = refusal(lambda: upgrade(chain, digest=digest, dependencies=strange))
    assert failed.kind is FailureKind.PUBLISH_UPGRADE_MISSING_DEPENDENCY


@pytest.mark.parametrize(
    "error",
    [
        UpgradeError(UpgradeErrorKind.UNABLE_TO_FETCH_PACKAGE, ObjectId("0x" + "1" * 64)),
        UpgradeError(UpgradeErrorKind.DIGEST_DOES_NOT_MATCH, digest=b"123"),
        UpgradeError(UpgradeErrorKind.PACKAGE_ID_DOES_NOT_MATCH, ObjectId("0x" + "1" * 64), ObjectId("0x" + "2" * 64)),
    ],
)
def test_upgrade_errors_have_a_form(error: UpgradeError) -> None:
    failed = Failure(FailureKind.PACKAGE_UPGRADE_ERROR, 3, upgrade=error)
    assert read_status(bcs.Reader(write_status(failed))) == failed


def test_a_ticket_and_a_receipt_must_be_used(network: Network) -> None:
    chain, nodes = network
    for node in nodes[:3]:
        vote(chain, node)
    program = chain.program("bob")
    ticket = program.call("upgrade::authorize_upgrade", digest=DIGEST)
    assert refusal(program.run).kind is FailureKind.UNUSED_VALUE_WITHOUT_DROP
    program = chain.program("bob")
    ticket = program.call("upgrade::authorize_upgrade", digest=DIGEST)
    program.upgrade(ticket, CODE, DEPENDENCIES, package=chain.network.walrus_package)
    assert refusal(program.run).kind is FailureKind.UNUSED_VALUE_WITHOUT_DROP
    program = chain.program("bob")
    ticket = program.call("upgrade::authorize_upgrade", digest=DIGEST)
    program.upgrade(ticket, (), DEPENDENCIES, package=chain.network.walrus_package)
    with pytest.raises(Rejected, match="at least one module"):
        program.run()


@pytest.mark.parametrize("unspent", ["ticket", "receipt", None])
def test_a_private_entry_function_takes_nothing_that_hangs_together_with_an_unspent_value(
    network: Network, unspent: str | None
) -> None:
    chain, nodes = network
    for node in nodes[:3]:
        vote(chain, node)
    program = chain.program("bob")
    ticket = program.call("upgrade::authorize_upgrade", digest=DIGEST)  # the staking object was beside it
    if unspent == "ticket":
        program.call("staking::set_migration_epoch")
    receipt = program.upgrade(ticket, CODE, DEPENDENCIES, package=chain.network.walrus_package)
    if unspent == "receipt":
        program.call("staking::set_migration_epoch")
    program.call("upgrade::commit_upgrade", receipt=receipt)
    if unspent is None:
        program.call("staking::set_migration_epoch")
        assert abort_of(program.run) == ("staking", 0)  # all is spent, so that the function itself answers
        return
    failure = refusal(program.run)
    assert failure.kind is FailureKind.COMMAND_ARGUMENT_ERROR
    assert failure.argument_kind is ArgumentErrorKind.INVALID_ARGUMENT_TO_PRIVATE_ENTRY_FUNCTION
    assert (failure.command, failure.argument) == (1 if unspent == "ticket" else 2, 0)


def test_a_second_ticket_waits_for_the_first(network: Network) -> None:
    chain, nodes = network
    other = package_digest((b"other",), DEPENDENCIES)
    for node in nodes[:3]:
        vote(chain, node)
        vote(chain, node, other)
    program = chain.program("bob")
    program.call("upgrade::authorize_upgrade", digest=DIGEST)
    program.call("upgrade::authorize_upgrade", digest=other)
    assert abort_of(program.run) == ("package", 2)


def test_only_a_ticket_is_a_ticket(network: Network) -> None:
    chain, _ = network
    program = chain.program("bob")
    address = program.call("auth::authorized_address", addr="0x7")
    program.upgrade(address, CODE, package=chain.network.walrus_package)
    failed = refusal(program.run)
    assert (failed.kind, failed.command, failed.argument) == (FailureKind.COMMAND_ARGUMENT_ERROR, 1, 0)
    assert failed.argument_kind is ArgumentErrorKind.TYPE_MISMATCH
    program = chain.program("bob")
    program.upgrade(program.money(chain.network.wal_type, 5), CODE, package=chain.network.walrus_package)
    assert refusal(program.run).argument_kind is ArgumentErrorKind.TYPE_MISMATCH


# The emergency capability


def test_the_emergency_needs_no_votes(network: Network) -> None:
    chain, _ = network
    emergency(chain, DIGEST)
    assert chain.value(chain.network.upgrade_manager).cap.version == 2
    failed = refusal(lambda: emergency(chain, b"any length"))
    assert failed.upgrade == UpgradeError(UpgradeErrorKind.DIGEST_DOES_NOT_MATCH, digest=DIGEST)


def test_the_emergency_capability_can_be_burned(network: Network) -> None:
    chain, nodes = network
    who = deployer(chain)
    (cap,) = chain.owned(who, "EmergencyUpgradeCap")
    chain.call("upgrade::burn_emergency_upgrade_cap", sender=who, emergency_upgrade_cap=cap)
    assert chain.owned(who, "EmergencyUpgradeCap") == []
    carried(chain, nodes)
