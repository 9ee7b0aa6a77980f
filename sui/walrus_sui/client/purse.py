"""The coins of one key, as last seen: gas is paid and change is kept without asking the chain each time.

Life of a coin: listed once, used, and then known from the effects of the transaction that used it. Coins that others
send are noticed at the next listing, which happens when the known ones do not suffice or the chain refuses them. When
the money lies in more coins than one transaction can take, some are merged first.
One purse has one lock: a key never has two transactions in flight, which would lock its coins on a real network.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.abi import move_types
from walrus_sui.abi.ptb import ObjectRef
from walrus_sui.client import wire

MAX_PAYMENT = 200
"""Coins that one transaction may pay its gas with or merge; the chain allows 256."""

_COIN_LENGTH = 40


@dataclass(frozen=True)
class Coin:
    """One version of a coin and what it holds, in the token's smallest unit."""

    ref: ObjectRef
    balance: int


@dataclass(frozen=True)
class Signed:
    """A transaction whose fate may be unknown; sending these bytes again can never pay twice.

    Attributes:
        data: BCS TransactionData.
        signature: the sender's.
        digest: known before anything is sent.
        inputs: the versions that it uses up, gas coins included; once one is gone it can never be executed (again).
    """

    data: bytes
    signature: bytes
    digest: Digest
    inputs: tuple[ObjectRef, ...] = ()


@dataclass
class Purse:
    """What is known of one address.

    Attributes:
        address: whose purse.
        lock: held from the choice of coins until the effects are known.
        coins: known coins by token type (canonical); a missing token means "list them".
        in_doubt: sent, result unknown; settled before anything else is built.
    """

    address: SuiAddress
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    coins: dict[str, dict[ObjectId, Coin]] = field(default_factory=dict)
    in_doubt: Signed | None = None

    def known(self, token: str) -> list[Coin] | None:
        """Return the known coins of a token, largest first; None when they must be listed."""
        held = self.coins.get(token)
        if held is None:
            return None
        return sorted(held.values(), key=lambda coin: (-coin.balance, coin.ref.object_id))

    def replace(self, token: str, coins: Iterable[Coin]) -> None:
        """Take over a fresh listing."""
        self.coins[token] = {coin.ref.object_id: coin for coin in coins}

    def forget(self) -> None:
        """Trust nothing of what was known: the chain refused it."""
        self.coins.clear()

    def learn(self, executed: wire.Executed, *, gas_balance: int) -> None:
        """Follow the coins through a transaction of this address.

        Args:
            executed: the effects.
            gas_balance: what is at least left in the coin that paid, in MIST, should the answer not tell.
        """
        contents = {item.ref: item.contents for item in executed.objects}
        for change in executed.changed:
            token = token_of(change.type)
            held = self.coins.get(token) if token else None
            if held is None:
                self._drop(change.object_id)
                continue
            if change.ref is None or change.owner != self.address:
                held.pop(change.object_id, None)
            elif (balance := balance_of(contents.get(change.ref, b""))) is not None:
                held[change.object_id] = Coin(change.ref, balance)
            elif change.object_id == executed.gas_object_id:
                held[change.object_id] = Coin(change.ref, gas_balance)
            else:
                del self.coins[token]  # this coin's balance is not told: list them again when needed

    def _drop(self, object_id: ObjectId) -> None:
        for held in self.coins.values():
            held.pop(object_id, None)


def token_of(object_type: str) -> str:
    """Return the token of a coin type (canonical text), or "" for other objects."""
    prefix = f"{_FRAMEWORK}::coin::Coin<"
    return object_type[len(prefix) : -1] if object_type.startswith(prefix) else ""


def balance_of(contents: bytes) -> int | None:
    """Return what a coin holds, from its BCS; None when these bytes are no coin."""
    return int.from_bytes(contents[32:40], "little") if len(contents) == _COIN_LENGTH else None


def choose(coins: list[Coin], needed: int) -> list[Coin]:
    """Return the fewest of the coins (largest first) that hold `needed`; all of them when they do not suffice."""
    chosen: list[Coin] = []
    total = 0
    for coin in coins[:MAX_PAYMENT]:
        if total >= needed and chosen:
            break
        chosen.append(coin)
        total += coin.balance
    return chosen


_FRAMEWORK = move_types.object_id(move_types.address_bytes("0x2"))
