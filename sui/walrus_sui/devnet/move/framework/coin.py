"""Money (modules balance, coin, sui).

A balance is the amount itself, a coin is an object that holds one. Amounts move between balances and are never made or
lost here, except by a treasury cap: `mint` and `burn`.
"""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.aborts import U64_MAX, as_u64, div, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import SUI
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import UID, MoveType, ascii_string, string, u8, u64

SUI_COIN = Module(SUI, "sui")
URL = Module(SUI, "url")
BALANCE = Module(SUI, "balance")
COIN = Module(SUI, "coin", uses=(BALANCE,))

E_NON_ZERO = BALANCE.error(0, "ENonZero")
E_OVERFLOW = BALANCE.error(1, "EOverflow")
E_NOT_ENOUGH = BALANCE.error(2, "ENotEnough")
E_INVALID_ARG = COIN.error(1, "EInvalidArg")
E_COIN_NOT_ENOUGH = COIN.error(2, "ENotEnough")


@SUI_COIN.struct("drop", name="SUI")
@dataclass(slots=True)
class SuiCoin:
    """Names the coin that pays for gas."""


@BALANCE.struct("store", phantom=1)
@dataclass(slots=True)
class Balance:
    """An amount of one coin type.

    Attributes:
        value: in the smallest unit.
    """

    value: u64

    @classmethod
    def zero(cls) -> "Balance":
        """Nothing."""
        return cls(0)

    def join(self, other: "Balance") -> int:
        """Takes all of `other`; returns the new value."""
        self.value = as_u64(self.value + other.value)
        other.value = 0
        return self.value

    def split(self, value: int) -> "Balance":
        """Takes a part off; aborts if there is less."""
        require(self.value >= value, E_NOT_ENOUGH)
        self.value -= value
        return Balance(value)

    def withdraw_all(self) -> "Balance":
        """Takes everything."""
        return self.split(self.value)

    def destroy_zero(self) -> None:
        """Ends an empty balance; aborts if there is something in it."""
        require(self.value == 0, E_NON_ZERO)

    def into_coin(self, rt: Runtime) -> "Coin":
        """Turns the whole balance into a coin."""
        return Coin(rt.new_uid(), self.withdraw_all())


@BALANCE.struct("store", phantom=1)
@dataclass(slots=True)
class Supply:
    """How much of a coin type exists."""

    value: u64


@COIN.struct("key, store", phantom=1)
@dataclass(slots=True)
class Coin:
    """A coin."""

    id: UID
    balance: Balance

    def into_balance(self, rt: Runtime) -> Balance:
        """Ends the coin and gives its balance."""
        rt.delete_uid(self.id)
        return self.balance


@COIN.struct("key, store", phantom=1)
@dataclass(slots=True)
class TreasuryCap:
    """Right to mint and burn."""

    id: UID
    total_supply: Supply

    def mint(self, rt: Runtime, value: int) -> Coin:
        """Makes a coin; aborts if the supply would overflow."""
        require(value <= U64_MAX - self.total_supply.value, E_OVERFLOW)
        self.total_supply.value += value
        return Coin(rt.new_uid(), Balance(value))

    def burn(self, rt: Runtime, coin: Coin) -> int:
        """Destroys a coin; returns its value."""
        value = coin.into_balance(rt).value
        require(self.total_supply.value >= value, E_OVERFLOW)
        self.total_supply.value -= value
        return value


@URL.struct("copy, drop, store")
@dataclass(slots=True)
class Url:
    """A web address."""

    url: ascii_string


@COIN.struct("key, store", phantom=1)
@dataclass(slots=True)
class CoinMetadata:
    """What wallets show for a coin type."""

    id: UID
    decimals: u8
    name: string
    symbol: ascii_string
    description: string
    icon_url: Url | None


SUI_TAG = SUI_COIN.tag("SUI")


def coin_tag(coin_type: TypeTag) -> TypeTag:
    """The type ``Coin<coin_type>``."""
    return COIN.tag("Coin", coin_type)


@BALANCE.public("<T>(self: &Balance<T>): u64", name="value")
def balance_value(_rt: Runtime, _types: tuple[MoveType, ...], self: Balance) -> int:
    """Amount in a balance."""
    return self.value


@BALANCE.public("<T>(): Balance<T>", name="zero")
def balance_zero(_rt: Runtime, _types: tuple[MoveType, ...]) -> Balance:
    """An empty balance."""
    return Balance.zero()


@BALANCE.public("<T>(self: &mut Balance<T>, balance: Balance<T>): u64", name="join")
def balance_join(_rt: Runtime, _types: tuple[MoveType, ...], self: Balance, balance: Balance) -> int:
    """Adds a balance; returns the new amount."""
    return self.join(balance)


@BALANCE.public("<T>(self: &mut Balance<T>, value: u64): Balance<T>", name="split")
def balance_split(_rt: Runtime, _types: tuple[MoveType, ...], self: Balance, value: int) -> Balance:
    """Takes a part off."""
    return self.split(value)


@BALANCE.public("<T>(self: &mut Balance<T>): Balance<T>", name="withdraw_all")
def balance_withdraw_all(_rt: Runtime, _types: tuple[MoveType, ...], self: Balance) -> Balance:
    """Takes everything."""
    return self.withdraw_all()


@BALANCE.public("<T>(balance: Balance<T>)", name="destroy_zero")
def balance_destroy_zero(_rt: Runtime, _types: tuple[MoveType, ...], balance: Balance) -> None:
    """Ends an empty balance."""
    balance.destroy_zero()


@COIN.public("<T>(self: &Coin<T>): u64")
def value(_rt: Runtime, _types: tuple[MoveType, ...], self: Coin) -> int:
    """Amount in a coin."""
    return self.balance.value


@COIN.public("<T>(coin: Coin<T>): Balance<T>")
def into_balance(rt: Runtime, _types: tuple[MoveType, ...], coin: Coin) -> Balance:
    """Turns a coin into a balance."""
    return coin.into_balance(rt)


@COIN.public("<T>(balance: Balance<T>, ctx: &mut TxContext): Coin<T>")
def from_balance(rt: Runtime, _types: tuple[MoveType, ...], balance: Balance) -> Coin:
    """Turns a balance into a coin."""
    return balance.into_coin(rt)


@COIN.public("<T>(coin: &Coin<T>): &Balance<T>", name="balance")
def balance_of(_rt: Runtime, _types: tuple[MoveType, ...], coin: Coin) -> Balance:
    """The balance in a coin."""
    return coin.balance


@COIN.public("<T>(balance: &mut Balance<T>, value: u64, ctx: &mut TxContext): Coin<T>")
def take(rt: Runtime, _types: tuple[MoveType, ...], balance: Balance, value: int) -> Coin:
    """Takes an amount out of a balance into a new coin."""
    return balance.split(value).into_coin(rt)


@COIN.public("<T>(balance: &mut Balance<T>, coin: Coin<T>)")
def put(rt: Runtime, _types: tuple[MoveType, ...], balance: Balance, coin: Coin) -> None:
    """Adds a coin to a balance."""
    balance.join(coin.into_balance(rt))


@COIN.public("<T>(self: &mut Coin<T>, c: Coin<T>)", entry=True)
def join(rt: Runtime, _types: tuple[MoveType, ...], self: Coin, c: Coin) -> None:
    """Adds a coin to a coin."""
    self.balance.join(c.into_balance(rt))


@COIN.public("<T>(self: &mut Coin<T>, split_amount: u64, ctx: &mut TxContext): Coin<T>")
def split(rt: Runtime, _types: tuple[MoveType, ...], self: Coin, split_amount: int) -> Coin:
    """Takes an amount off into a new coin."""
    return self.balance.split(split_amount).into_coin(rt)


@COIN.public("<T>(self: &mut Coin<T>, n: u64, ctx: &mut TxContext): vector<Coin<T>>")
def divide_into_n(rt: Runtime, _types: tuple[MoveType, ...], self: Coin, n: int) -> list[Coin]:
    """Splits into `n` equal coins: n - 1 new ones, the remainder stays."""
    require(n > 0, E_INVALID_ARG)
    require(n <= self.balance.value, E_COIN_NOT_ENOUGH)
    amount = div(self.balance.value, n)
    return [self.balance.split(amount).into_coin(rt) for _ in range(n - 1)]


@COIN.public("<T>(ctx: &mut TxContext): Coin<T>")
def zero(rt: Runtime, _types: tuple[MoveType, ...]) -> Coin:
    """An empty coin."""
    return Balance.zero().into_coin(rt)


@COIN.public("<T>(c: Coin<T>)")
def destroy_zero(rt: Runtime, _types: tuple[MoveType, ...], c: Coin) -> None:
    """Ends an empty coin; aborts if there is something in it."""
    c.into_balance(rt).destroy_zero()
