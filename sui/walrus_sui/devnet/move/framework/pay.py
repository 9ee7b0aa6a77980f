"""Coins split, joined and sent in one call (module pay)."""

from walrus_codec.types import SuiAddress
from walrus_sui.devnet.move.core.aborts import require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import SUI
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import MoveType
from walrus_sui.devnet.move.framework import coin as coins_module
from walrus_sui.devnet.move.framework.coin import COIN, Coin

PAY = Module(SUI, "pay", uses=(COIN,))

E_NO_COINS = PAY.error(0, "ENoCoins")


def _send(rt: Runtime, types: tuple[MoveType, ...], coin: Coin, recipient: SuiAddress) -> None:
    rt.transfer(COIN.concrete("Coin", types[0]), coin, recipient)


@PAY.public("<T>(c: Coin<T>, ctx: &TxContext)")
def keep(rt: Runtime, types: tuple[MoveType, ...], c: Coin) -> None:
    """Sends a coin to the sender."""
    _send(rt, types, c, rt.sender)


@PAY.public("<T>(coin: &mut Coin<T>, split_amount: u64, ctx: &mut TxContext)", entry=True)
def split(rt: Runtime, types: tuple[MoveType, ...], coin: Coin, split_amount: int) -> None:
    """Splits a coin off for the sender."""
    keep(rt, types, coins_module.split(rt, types, coin, split_amount))


@PAY.public("<T>(self: &mut Coin<T>, split_amounts: vector<u64>, ctx: &mut TxContext)", entry=True)
def split_vec(rt: Runtime, types: tuple[MoveType, ...], self: Coin, split_amounts: list[int]) -> None:
    """Splits coins off for the sender."""
    for amount in split_amounts:
        split(rt, types, self, amount)


@PAY.public("<T>(c: &mut Coin<T>, amount: u64, recipient: address, ctx: &mut TxContext)", entry=True)
def split_and_transfer(rt: Runtime, types: tuple[MoveType, ...], c: Coin, amount: int, recipient: SuiAddress) -> None:
    """Splits a coin off for an address."""
    _send(rt, types, coins_module.split(rt, types, c, amount), recipient)


@PAY.public("<T>(self: &mut Coin<T>, n: u64, ctx: &mut TxContext)", entry=True)
def divide_and_keep(rt: Runtime, types: tuple[MoveType, ...], self: Coin, n: int) -> None:
    """Splits into `n` equal coins for the sender; the remainder stays."""
    for made in reversed(coins_module.divide_into_n(rt, types, self, n)):
        keep(rt, types, made)


@PAY.public("<T>(self: &mut Coin<T>, coin: Coin<T>)", entry=True)
def join(rt: Runtime, types: tuple[MoveType, ...], self: Coin, coin: Coin) -> None:
    """Adds a coin to a coin."""
    coins_module.join(rt, types, self, coin)


@PAY.public("<T>(self: &mut Coin<T>, coins: vector<Coin<T>>)", entry=True)
def join_vec(rt: Runtime, types: tuple[MoveType, ...], self: Coin, coins: list[Coin]) -> None:
    """Adds coins to a coin."""
    for coin in reversed(coins):
        join(rt, types, self, coin)


@PAY.public("<T>(coins: vector<Coin<T>>, receiver: address)", entry=True)
def join_vec_and_transfer(rt: Runtime, types: tuple[MoveType, ...], coins: list[Coin], receiver: SuiAddress) -> None:
    """Joins coins for an address; aborts without any."""
    require(bool(coins), E_NO_COINS)
    *rest, last = coins
    join_vec(rt, types, last, rest)
    _send(rt, types, last, receiver)
