"""The network's purse: gets money from faucet and exchange, pays it out, delegates stake.

Used by the operator and by `local up`, with the treasury's key, never with a node's: stake must be withdrawable also
when a node is gone for good. Amounts are MIST (SUI) and FROST (WAL).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Literal, Protocol

from walrus_client.errors import TreasuryError
from walrus_codec.types import NodeId, ObjectId, SuiAddress
from walrus_sui import faucet
from walrus_sui.keys import SuiKey
from walrus_sui.types import ExchangeView, Payment

_log = logging.getLogger(__name__)

GAS_RESERVE = 1_000_000_000
"""MIST that stay for gas on top of what is asked for."""

PATIENCE_S = 60.0
_POLL_S = 0.2


class TreasuryChain(Protocol):
    """The part of the chain client that moves money."""

    async def balance(self, address: str, coin_type: Literal["SUI", "WAL"] = "SUI") -> int:
        """Money of an address."""

    async def exchange(self) -> ExchangeView:
        """The WAL exchange."""

    async def exchange_for_wal(self, key: SuiKey, sui: int) -> int:
        """Swaps MIST for FROST."""

    async def pay(self, key: SuiKey, payments: Sequence[Payment]) -> None:
        """Sends money."""

    async def stake_many(self, key: SuiKey, stakes: Sequence[tuple[NodeId, int]]) -> list[ObjectId]:
        """Delegates."""

    async def release_stakes(
        self,
        key: SuiKey,
        *,
        ask: Sequence[tuple[ObjectId, int | None]] = (),
        take: Sequence[tuple[ObjectId, int | None]] = (),
    ) -> int:
        """Asks stake back, and takes back what is free."""


async def ensure_funds(chain: TreasuryChain, key: SuiKey, *, sui: int, wal: int, faucet_url: str | None) -> None:
    """Brings the key to at least these amounts; does nothing when it has them.

    Args:
        chain: The chain client.
        key: Whose purse it is.
        sui: MIST to have afterwards.
        wal: FROST to have afterwards; the missing part is bought at the exchange.
        faucet_url: Where SUI is given away; None when there is no faucet.

    Raises:
        TreasuryError: Money is missing and there is no faucet, or the faucet does not pay in time.
        FaucetError: The faucet refused.
        ChainError: As every call.
    """
    missing_wal = max(0, wal - await chain.balance(key.address, "WAL"))
    price = (await chain.exchange()).sui_for(missing_wal) if missing_wal else 0
    await _ensure_sui(chain, key.address, sui + price + (GAS_RESERVE if missing_wal else 0), faucet_url)
    if missing_wal:
        got = await chain.exchange_for_wal(key, price)
        _log.info("bought WAL for the treasury", extra={"address": key.address, "frost": got, "mist": price})


async def fund(chain: TreasuryChain, key: SuiKey, address: SuiAddress, *, sui: int, wal: int) -> None:
    """Sends MIST and FROST to an address in one transaction; raises `InsufficientFunds`, `ChainError`."""
    await chain.pay(key, [Payment(address, sui=sui, wal=wal)])


async def delegate_all(chain: TreasuryChain, key: SuiKey, stakes: Sequence[tuple[NodeId, int]]) -> list[ObjectId]:
    """Delegates to all nodes in one transaction, so that no committee is chosen from a part of them.

    Returns the StakedWals; raises `InsufficientFunds`, `ChainError`.
    """
    return await chain.stake_many(key, stakes)


async def withdraw(
    chain: TreasuryChain,
    key: SuiKey,
    *,
    ask: Sequence[tuple[ObjectId, int | None]] = (),
    take: Sequence[tuple[ObjectId, int | None]] = (),
) -> int:
    """Brings stake back, all in one transaction, so that no committee is chosen from a part of it.

    Args:
        chain: The chain client.
        key: Who delegated.
        ask: StakedWals that count in a committee, and how much of each (None for all): they come back in a later epoch.
        take: StakedWals that are free, and how much of each: they come back now, with their rewards.

    Returns:
        FROST that came back.

    Raises:
        MoveAbort: The committee changed meanwhile, so that the way back is another one: look again.
        ChainError: As every call.
    """
    return await chain.release_stakes(key, ask=ask, take=take)


async def _ensure_sui(chain: TreasuryChain, address: SuiAddress, wanted: int, faucet_url: str | None) -> None:
    has = await chain.balance(address, "SUI")
    while has < wanted:
        if faucet_url is None:
            raise TreasuryError(
                f"{address} has {has} of the {wanted} MIST needed and this network has no faucet; send it SUI"
            )
        coins = await faucet.request_sui(faucet_url, address)
        has = await _balance_of_at_least(chain, address, has + sum(coin.amount for coin in coins))


async def _balance_of_at_least(chain: TreasuryChain, address: SuiAddress, expected: int) -> int:
    """Waits until the chain's index has seen a payment."""
    deadline = time.monotonic() + PATIENCE_S
    while (has := await chain.balance(address, "SUI")) < expected:
        if time.monotonic() > deadline:
            raise TreasuryError(
                f"the faucet says that it paid, but {address} has {has} instead of {expected} MIST after "
                f"{PATIENCE_S:.0f} s; look at the chain"
            )
        await asyncio.sleep(_POLL_S)
    return has
