"""Upgrades of the contract: who may vote for what, and what the emergency capability may do without votes."""

from tests.unit.sui.devnet_ledger.upgrading import (
    CODE,
    DEPENDENCIES,
    DIGEST,
    Network,
    Step,
    abort_of,
    carried,
    refusal,
    upgrade,
    vote,
)

from walrus_sui.devnet.genesis import faucet_key
from walrus_sui.devnet.ledger.failures import (
    UpgradeError,
    UpgradeErrorKind,
)
from walrus_sui.devnet.ledger.upgrades import package_digest
from walrus_sui.devnet.move.walrus.upgrade import UpgradeProposal
from walrus_sui.devnet.testing import Account, Chain


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
