"""Upgrades that the chain refuses: other code, missing dependencies, tickets that are not used."""

import pytest
from tests.unit.sui.devnet_ledger.upgrading import CODE, DEPENDENCIES, DIGEST, Network, abort_of, refusal, upgrade, vote

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger.failures import (
    ArgumentErrorKind,
    Failure,
    FailureKind,
    UpgradeError,
    UpgradeErrorKind,
    read_status,
    write_status,
)
from walrus_sui.devnet.ledger.upgrades import package_digest
from walrus_sui.devnet.testing import Rejected


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
