"""Moves money on the chain: fills the treasury, delegates stake, tops up gateways. All of it is signed by the treasury.

The treasury's private key is read from its Secret for the moment of signing and kept nowhere. Whether a transaction was
needed is decided by the planner from the chain's own numbers, so that a pass that was interrupted repeats nothing that
reached the chain.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from walrus_client import treasury
from walrus_operator.api import names
from walrus_operator.api.decisions import Delegate, FundAddress, FundTreasury, WithdrawStake
from walrus_operator.api.world import NetworkObject
from walrus_operator.observe.kube import KubeClient, KubeError
from walrus_operator.observe.reading import secret_text
from walrus_sui.client import ChainClient
from walrus_sui.errors import KeyFileError, MoveAbort
from walrus_sui.keys import SuiKey

log = logging.getLogger(__name__)

MoneyAction = FundTreasury | Delegate | WithdrawStake | FundAddress

_OVERTAKEN = {("staking_pool", 10), ("staking_pool", 11), ("staking_pool", 13)}
"""Aborts that say that the committee was chosen, or the epoch changed, since the plan was made: the way back of a stake is
another one now, and the next pass takes it."""


async def treasury_key(kube: KubeClient, network: NetworkObject) -> SuiKey:
    """The key that pays for the network.

    Raises:
        KubeError: the Secret cannot be read or holds no usable key.
    """
    external = network.spec.chain.external if network.spec else None
    if external is not None:
        name = external.treasury_secret_ref.name if external.treasury_secret_ref else ""
    else:
        name = names.treasury(network.name)
    live = await kube.get("Secret", network.namespace, name) if name else None
    text = secret_text(live, names.SUI_KEY) if live else None
    if text is None:
        raise KubeError(f"the treasury's Secret {name} holds no {names.SUI_KEY}", status=404)
    try:
        return SuiKey.from_text(text)
    except KeyFileError as error:
        raise KubeError(f"the treasury's Secret {name}: {error}", status=422) from error


async def carry_out(
    chain: ChainClient, key: SuiKey, actions: Iterable[MoneyAction], *, faucet_url: str | None
) -> list[str]:
    """Carries out money actions in order; returns a sentence for each.

    Raises:
        ChainError: a transaction failed or the chain does not answer; what came before it holds.
    """
    done = []
    for action in actions:
        if isinstance(action, FundTreasury):
            await treasury.ensure_funds(chain, key, sui=action.mist, wal=action.frost, faucet_url=faucet_url)
            done.append(f"treasury {key.address} funded")
        elif isinstance(action, Delegate):
            await treasury.delegate_all(chain, key, action.frost)
            done.append(f"stake delegated to {len(action.frost)} nodes")
        elif isinstance(action, WithdrawStake):
            try:
                await treasury.withdraw(
                    chain,
                    key,
                    ask=[(part.stake, part.frost) for part in action.ask],
                    take=[(part.stake, part.frost) for part in action.take],
                )
            except MoveAbort as abort:
                if (abort.module, abort.code) not in _OVERTAKEN:
                    raise
                log.info("the epoch overtook a withdrawal: %s", abort)
                continue
            if action.ask:
                done.append(f"{len(action.ask)} stakes asked back")
            if action.take:
                done.append(f"{len(action.take)} stakes taken back")
        else:
            await treasury.fund(chain, key, action.address, sui=action.mist, wal=action.frost)
            done.append(f"{action.address} funded")
    return done
