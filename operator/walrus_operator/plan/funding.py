"""Which money must move: treasury, stake, gateway purses.

The first stake is delegated to all members in one transaction, when every node that should run is registered: a committee
that was chosen between two of several transactions would be a part of the network. From then on each node's stake follows
its spec: what it lacks is delegated (to a node that joins only once it serves, because shards come with the stake), what
it has too much is taken back, and so is all of a node that leaves. What is on its way back counts no more, so that a
second pass asks for nothing twice. Money moves only by a chain that answers now and is the one that was known before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from walrus_codec.types import NodeId, SuiAddress
from walrus_operator.api.chain_view import FROST_PER_WAL, MIST_PER_SUI, ChainView
from walrus_operator.api.decisions import Action, Delegate, FundAddress, FundTreasury, NodeWorkload
from walrus_operator.api.network import MAX_DEVNET_STAKE
from walrus_operator.plan import stakes as pieces

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
    changing: tuple[str, ...] = ()
    """Nodes whose stake is not what it should be, later."""
    problem: str | None = None
    """Why no stake is delegated; None when it is."""


def decide(
    chain: ChainView,
    *,
    members: Iterable[NodeWorkload],
    node_ids: Mapping[str, NodeId],
    serving: Collection[str],
    unstaked: Collection[str],
    treasury: SuiAddress | None,
    gateways: Iterable[SuiAddress],
    faucet: bool,
) -> Funding:
    """Compares stakes and balances with what the spec asks for.

    Args:
        chain: A view that was read in this pass.
        members: The network's nodes; hibernated ones that never registered are left out.
        node_ids: Pools of the registered nodes, those that leave included.
        serving: Nodes that are ready.
        unstaked: Nodes that should have no stake.
        treasury: Who pays; None when money comes from outside.
        gateways: Addresses to keep in funds.
        faucet: Whether the treasury may help itself from faucet and exchange (a devnet).
    """
    members = tuple(members)
    unregistered = tuple(member.name for member in members if member.name not in node_ids and member.replicas)
    wanted = {member.name: member.spec.stake * FROST_PER_WAL for member in members if member.name in node_ids}
    wanted |= {name: 0 for name in unstaked if name in node_ids}
    held = {name: chain.stakes.get(node_ids[name], 0) for name in wanted}
    first = not chain.membership_frozen
    waiting = tuple(name for name in wanted if wanted[name] and not held[name]) if first else ()
    changing = () if first else tuple(name for name in wanted if abs(wanted[name] - held[name]) >= FROST_PER_WAL)
    if treasury is None:
        return Funding((), unregistered, waiting, changing)

    stakes: tuple[tuple[NodeId, int], ...] = ()
    problem = _too_much(wanted) if faucet else None
    if problem is not None:
        pass  # not a part of it: the proportions would be others
    elif first and not unregistered:
        stakes = tuple((node_ids[name], wanted[name]) for name in waiting)
    elif not first:
        lacking = (name for name in changing if wanted[name] > held[name] and (held[name] or name in serving))
        stakes = tuple((node_ids[name], wanted[name] - held[name]) for name in lacking)
    surplus = [(node_ids[name], held[name] - wanted[name]) for name in changing if held[name] > wanted[name]]
    withdrawal = pieces.withdrawal(chain, surplus)
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
    if withdrawal is not None:
        actions.append(withdrawal)
    actions += purses
    return Funding(tuple(actions), unregistered, waiting, changing, problem)


def _too_much(wanted: Mapping[str, int]) -> str | None:
    """Why a devnet cannot pay for these stakes, in FROST by node; None when it can."""
    whole = sum(wanted.values()) // FROST_PER_WAL
    if whole <= MAX_DEVNET_STAKE:
        return None
    most = max(wanted, key=lambda name: (wanted[name], name))
    return (
        f"the nodes are to have {whole} WAL of stake together, and a devnet has no more than {MAX_DEVNET_STAKE} to delegate; "
        f"{most} alone is to have {wanted[most] // FROST_PER_WAL}: lower stake in the network's template or in WalrusNodes, "
        "only the proportions matter"
    )
