"""Random calls of stakers, operators and voters, for the laws of the devnet's money."""

from collections.abc import Callable
from typing import Any, Protocol

from walrus_sui.devnet.genesis import faucet_key
from walrus_sui.devnet.ledger.upgrades import package_digest
from walrus_sui.devnet.testing import Account, Chain, Node


class World(Protocol):
    """What the calls need of a run."""

    chain: Chain

    def user(self, pick: int) -> Any:
        """An account."""

    def node(self, pick: int) -> Node:
        """A node."""


def _stake(world: World, pick: int, amount: int) -> Any:
    owned = world.chain.owned(world.user(pick), "StakedWal")
    return owned[amount % len(owned)] if owned else None


def request(world: World, pick: int, amount: int) -> None:
    if (stake := _stake(world, pick, amount)) is not None:
        world.chain.call("staking::request_withdraw_stake", sender=world.user(pick), staked_wal=stake)


def withdraw(world: World, pick: int, amount: int) -> None:
    if (stake := _stake(world, pick, amount)) is not None:
        world.chain.call("staking::withdraw_stake", sender=world.user(pick), staked_wal=stake)


def split(world: World, pick: int, amount: int) -> None:
    if (stake := _stake(world, pick, amount)) is not None:
        world.chain.call("staked_wal::split", sender=world.user(pick), sw=stake, amount=amount % 10**10)


def join(world: World, pick: int, amount: int) -> None:
    stake, other = _stake(world, pick, amount), _stake(world, pick, amount + 1)
    if stake is not None and stake != other:
        world.chain.call("staked_wal::join", sender=world.user(pick), sw=stake, other=other)


def collect(world: World, pick: int, amount: int) -> None:
    node = world.node(pick)
    proof = node.cap_id if amount % 5 else node.account
    world.chain.call("staking::collect_commission", sender=node.account, node_id=node, auth=proof)


def gift(world: World, pick: int, amount: int) -> None:
    wal = world.chain.network.wal_type
    program = world.chain.program(world.user(pick))
    balance = program.call("coin::into_balance", coin=program.money(wal, amount % 10**9), types=[wal])
    given = program.vector([balance], f"0x2::balance::Balance<{wal}>")
    node_ids = [world.node(amount).node_id] * (1 + (amount % 9 == 0))
    program.call("staking::add_commission_to_pools", node_ids=node_ids, commissions=given)
    program.run()


def accuse(world: World, pick: int, amount: int) -> None:
    node, candidate = world.node(pick), world.node(amount)
    arguments = {"voter_node_id": node, "candidate_node_id": candidate}
    world.chain.call("slashing::vote_for_slashing", sender=node.account, **arguments)


def slash(world: World, pick: int, amount: int) -> None:
    candidate = world.node(amount)
    world.chain.call("slashing::execute_slashing", sender=world.user(pick), candidate_node_id=candidate)


def rejoin(world: World, pick: int, _amount: int) -> None:
    node = world.node(pick)
    world.chain.call("staking::try_join_active_set", sender=node.account, cap=node)


def upgrade(world: World, pick: int, amount: int) -> None:
    """Upgrades the contract by the emergency capability; every third time to other code than the ticket names."""
    chain = world.chain
    deployer = Account("deployer", chain.network.faucet, faucet_key(chain.ledger.config))
    (cap,) = chain.owned(deployer, "EmergencyUpgradeCap")
    code = (amount.to_bytes(8, "little") * (1 + pick),)
    program = chain.program(deployer)
    digest = package_digest(code, ()) if amount % 3 else bytes(32)
    ticket = program.call("upgrade::authorize_emergency_upgrade", emergency_upgrade_cap=cap, digest=digest)
    receipt = program.upgrade(ticket, code, package=chain.value(chain.network.upgrade_manager).cap.package)
    program.call("upgrade::commit_upgrade", receipt=receipt)
    program.run()


def migrate(world: World, pick: int, _amount: int) -> None:
    newest = world.chain.value(world.chain.network.upgrade_manager).cap.package
    world.chain.call("init::migrate_v2", sender=world.user(pick), at=newest)


ACTIONS: dict[str, Callable[[Any, int, int], None]] = {
    "request": request,
    "withdraw": withdraw,
    "split": split,
    "join": join,
    "collect": collect,
    "gift": gift,
    "accuse": accuse,
    "slash": slash,
    "rejoin": rejoin,
    "upgrade": upgrade,
    "migrate": migrate,
}
