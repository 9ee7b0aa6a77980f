"""Exchange of SUI and WAL (contract module wal_exchange).

Anybody may exchange either way at the exchange's rate, as far as it has funds. The holder of the admin capability may
change the rate and withdraw.
"""

from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import as_u64, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WAL_EXCHANGE
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, UID, type_of, u64
from walrus_sui.devnet.move.framework.coin import COIN, SUI_COIN, Balance, Coin
from walrus_sui.devnet.move.wal.wal import MODULE as WAL

MODULE = Module(WAL_EXCHANGE, "wal_exchange", uses=(WAL, COIN, SUI_COIN))

E_INSUFFICIENT_FUNDS_IN_EXCHANGE = MODULE.error(0, "EInsufficientFundsInExchange")
E_INSUFFICIENT_INPUT_BALANCE = MODULE.error(1, "EInsufficientInputBalance")
E_UNAUTHORIZED_ADMIN_CAP = MODULE.error(2, "EUnauthorizedAdminCap")
E_INVALID_EXCHANGE_RATE = MODULE.error(3, "EInvalidExchangeRate")


@MODULE.struct("copy, drop, store")
@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """`wal` FROST for `sui` MIST; conversions round down and fail where the product leaves u64."""

    wal: u64
    sui: u64

    def wal_to_sui(self, amount: int) -> int:
        """MIST for FROST."""
        return as_u64(amount * self.sui) // self.wal

    def sui_to_wal(self, amount: int) -> int:
        """FROST for MIST."""
        return as_u64(amount * self.wal) // self.sui


@MODULE.struct("key, store")
@dataclass(slots=True)
class Exchange:
    """The shared exchange with its funds; `admin` is the capability that rules it."""

    id: UID
    wal: Balance
    sui: Balance
    rate: ExchangeRate
    admin: ID


@MODULE.struct("key, store")
@dataclass(slots=True)
class AdminCap:
    """Right to change the rate and to withdraw."""

    id: UID


@MODULE.public("(wal: u64, sui: u64): ExchangeRate")
def new_exchange_rate(_rt: Runtime, wal: int, sui: int) -> ExchangeRate:
    """A rate; aborts if either side is zero."""
    require(wal != 0 and sui != 0, E_INVALID_EXCHANGE_RATE)
    return ExchangeRate(wal, sui)


@MODULE.public("(ctx: &mut TxContext): AdminCap")
def new(rt: Runtime) -> AdminCap:
    """Makes and shares an exchange at 1:1 without funds."""
    return _create(rt)[1]


def _create(rt: Runtime) -> tuple[Exchange, AdminCap]:
    cap = AdminCap(rt.new_uid())
    exchange = Exchange(rt.new_uid(), Balance.zero(), Balance.zero(), ExchangeRate(1, 1), cap.id)
    rt.share(type_of(Exchange), exchange)
    return exchange, cap


@MODULE.public("(wal: &mut Coin<WAL>, amount: u64, ctx: &mut TxContext): AdminCap")
def new_funded(rt: Runtime, wal: Coin, amount: int) -> AdminCap:
    """Makes and shares an exchange at 1:1 with WAL in it."""
    exchange, cap = _create(rt)
    add_wal(rt, exchange, wal, amount)
    return cap


def create_at_genesis(rt: Runtime, rate: ExchangeRate, funding: Coin) -> tuple[ObjectId, AdminCap]:
    """An exchange with a rate and funds of its own; gives its id and the capability."""
    exchange, cap = _create(rt)
    exchange.rate = rate
    add_all_wal(rt, exchange, funding)
    return exchange.id, cap


@MODULE.public("(self: &mut Exchange, wal: &mut Coin<WAL>, amount: u64)")
def add_wal(_rt: Runtime, self: Exchange, wal: Coin, amount: int) -> None:
    """Adds WAL from a coin."""
    self.wal.join(wal.balance.split(amount))


@MODULE.public("(self: &mut Exchange, sui: &mut Coin<SUI>, amount: u64)")
def add_sui(_rt: Runtime, self: Exchange, sui: Coin, amount: int) -> None:
    """Adds SUI from a coin."""
    self.sui.join(sui.balance.split(amount))


@MODULE.public("(self: &mut Exchange, wal: Coin<WAL>)")
def add_all_wal(rt: Runtime, self: Exchange, wal: Coin) -> None:
    """Adds a whole coin of WAL."""
    self.wal.join(wal.into_balance(rt))


@MODULE.public("(self: &mut Exchange, sui: Coin<SUI>)")
def add_all_sui(rt: Runtime, self: Exchange, sui: Coin) -> None:
    """Adds a whole coin of SUI."""
    self.sui.join(sui.into_balance(rt))


def check_admin(self: Exchange, admin_cap: AdminCap) -> None:
    """Aborts unless the capability is of this exchange."""
    require(self.admin == admin_cap.id, E_UNAUTHORIZED_ADMIN_CAP)


@MODULE.public("(self: &mut Exchange, amount: u64, admin_cap: &AdminCap, ctx: &mut TxContext): Coin<WAL>")
def withdraw_wal(rt: Runtime, self: Exchange, amount: int, admin_cap: AdminCap) -> Coin:
    """Takes WAL out."""
    check_admin(self, admin_cap)
    require(self.wal.value >= amount, E_INSUFFICIENT_FUNDS_IN_EXCHANGE)
    return self.wal.split(amount).into_coin(rt)


@MODULE.public("(self: &mut Exchange, amount: u64, admin_cap: &AdminCap, ctx: &mut TxContext): Coin<SUI>")
def withdraw_sui(rt: Runtime, self: Exchange, amount: int, admin_cap: AdminCap) -> Coin:
    """Takes SUI out."""
    check_admin(self, admin_cap)
    require(self.sui.value >= amount, E_INSUFFICIENT_FUNDS_IN_EXCHANGE)
    return self.sui.split(amount).into_coin(rt)


@MODULE.public("(self: &mut Exchange, wal: u64, sui: u64, admin_cap: &AdminCap)")
def set_exchange_rate(rt: Runtime, self: Exchange, wal: int, sui: int, admin_cap: AdminCap) -> None:
    """Changes the rate."""
    check_admin(self, admin_cap)
    self.rate = new_exchange_rate(rt, wal, sui)


@MODULE.public("(self: &mut Exchange, sui: Coin<SUI>, ctx: &mut TxContext): Coin<WAL>")
def exchange_all_for_wal(rt: Runtime, self: Exchange, sui: Coin) -> Coin:
    """Gives WAL for a whole coin of SUI."""
    amount = self.rate.sui_to_wal(sui.balance.value)
    require(self.wal.value >= amount, E_INSUFFICIENT_FUNDS_IN_EXCHANGE)
    self.sui.join(sui.into_balance(rt))
    return self.wal.split(amount).into_coin(rt)


@MODULE.public("(self: &mut Exchange, sui: &mut Coin<SUI>, amount_sui: u64, ctx: &mut TxContext): Coin<WAL>")
def exchange_for_wal(rt: Runtime, self: Exchange, sui: Coin, amount_sui: int) -> Coin:
    """Gives WAL for a part of a coin of SUI."""
    require(sui.balance.value >= amount_sui, E_INSUFFICIENT_INPUT_BALANCE)
    return exchange_all_for_wal(rt, self, sui.balance.split(amount_sui).into_coin(rt))


@MODULE.public("(self: &mut Exchange, wal: Coin<WAL>, ctx: &mut TxContext): Coin<SUI>")
def exchange_all_for_sui(rt: Runtime, self: Exchange, wal: Coin) -> Coin:
    """Gives SUI for a whole coin of WAL."""
    amount = self.rate.wal_to_sui(wal.balance.value)
    require(self.sui.value >= amount, E_INSUFFICIENT_FUNDS_IN_EXCHANGE)
    self.wal.join(wal.into_balance(rt))
    return self.sui.split(amount).into_coin(rt)


@MODULE.public("(self: &mut Exchange, wal: &mut Coin<WAL>, amount_wal: u64, ctx: &mut TxContext): Coin<SUI>")
def exchange_for_sui(rt: Runtime, self: Exchange, wal: Coin, amount_wal: int) -> Coin:
    """Gives SUI for a part of a coin of WAL."""
    require(wal.balance.value >= amount_wal, E_INSUFFICIENT_INPUT_BALANCE)
    return exchange_all_for_sui(rt, self, wal.balance.split(amount_wal).into_coin(rt))
