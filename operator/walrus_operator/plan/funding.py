"""Which money must move: treasury, stake, gateway purses.

Stake is delegated once, to all members in one transaction, when every node that should run is registered: a committee
that was chosen between two of several transactions would be a part of the network, and shards cannot migrate yet. Money
moves only by a chain that answers now and is the one that was known before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from walrus_codec.types import NodeId, SuiAddress
from walrus_operator.api.world import (
    FROST_PER_WAL,
    MIST_PER_SUI,
    Action,
    ChainView,
    Delegate,
    FundAddress,
    FundTreasury,
    NodeWorkload,
)

GATEWAY_FLOOR_MIST = 1 * MIST_PER_SUI
GATEWAY_FLOOR_FROST = 10 * FROST_PER_WAL
GATEWAY_FILL_MIST = 5 * MIST_PER_SUI
GATEWAY_FILL_FROST = 100 * FROST_PER_WAL
TREASURY_RESERVE_MIST = 5 * MIST_PER_SUI
"""For gas of the treasury's own transactions."""


@dataclass(frozen=True)
class Funding:
    """The outcome."""

    actions: tuple[Action, ...]
    unregistered: tuple[str, ...]
    """Members whose pool is not on chain."""
    unstaked: tuple[str, ...]
    """Members without stake, while the first committee is not chosen."""


def decide(
    chain: ChainView,
    *,
    members: Iterable[NodeWorkload],
    node_ids: Mapping[str, NodeId],
    treasury: SuiAddress | None,
    gateways: Iterable[SuiAddress],
    faucet: bool,
) -> Funding:
    """Compares stakes and balances with what the spec asks for.

    Args:
        chain: A view that was read in this pass.
        members: The network's nodes; hibernated ones that never registered are left out.
        node_ids: Pools of the registered nodes.
        treasury: Who pays; None when money comes from outside.
        gateways: Addresses to keep in funds.
        faucet: Whether the treasury may help itself from faucet and exchange (a devnet).
    """
    members = tuple(members)
    unregistered = tuple(member.name for member in members if member.name not in node_ids and member.replicas)
    wanted = {member.name: member.spec.stake * FROST_PER_WAL for member in members if member.name in node_ids}
    unstaked = tuple(name for name in wanted if not chain.stakes.get(node_ids[name]))
    if chain.membership_frozen:
        unstaked = ()
    if treasury is None:
        return Funding((), unregistered, unstaked)

    stakes: tuple[tuple[NodeId, int], ...] = ()
    if unstaked and not unregistered:
        stakes = tuple((node_ids[name], wanted[name]) for name in unstaked)
    purses = []
    for address in gateways:
        mist, frost = chain.balances.get(address, (0, 0))
        if mist < GATEWAY_FLOOR_MIST or frost < GATEWAY_FLOOR_FROST:
            purses.append(FundAddress(address, max(0, GATEWAY_FILL_MIST - mist), max(0, GATEWAY_FILL_FROST - frost)))

    actions: list[Action] = []
    need_frost = sum(amount for _, amount in stakes) + sum(purse.frost for purse in purses)
    need_mist = TREASURY_RESERVE_MIST + sum(purse.mist for purse in purses)
    mist, frost = chain.balances.get(treasury, (0, 0))
    if faucet and (stakes or purses) and (mist < need_mist or frost < need_frost):
        actions.append(FundTreasury(need_mist, need_frost))
    if stakes:
        actions.append(Delegate(stakes))
    actions += purses
    return Funding(tuple(actions), unregistered, unstaked)
