"""Blobs that belong to everybody (contract module shared_blob).

A shared blob wraps a blob with a purse of WAL, which anybody may fill, so that anybody may prolong it.
"""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import UID, type_of
from walrus_sui.devnet.move.framework.coin import BALANCE, COIN, Balance, Coin
from walrus_sui.devnet.move.wal.wal import MODULE as WAL
from walrus_sui.devnet.move.walrus import blob as blobs
from walrus_sui.devnet.move.walrus import system as systems
from walrus_sui.devnet.move.walrus.blob import Blob
from walrus_sui.devnet.move.walrus.system import System

MODULE = Module(WALRUS, "shared_blob", uses=(WAL, COIN, BALANCE, blobs.MODULE, systems.MODULE))


@MODULE.struct("key, store")
@dataclass(slots=True)
class SharedBlob:
    """The shared object: the blob and the WAL to prolong it with."""

    id: UID
    blob: Blob
    funds: Balance


@MODULE.public("(blob: Blob, ctx: &mut TxContext)")
def new(rt: Runtime, blob: Blob) -> None:
    """Shares a blob for good, with an empty purse."""
    rt.share(type_of(SharedBlob), SharedBlob(rt.new_uid(), blob, Balance.zero()))


@MODULE.public("(blob: Blob, funds: Coin<WAL>, ctx: &mut TxContext)")
def new_funded(rt: Runtime, blob: Blob, funds: Coin) -> None:
    """Shares a blob for good, with WAL in its purse."""
    balance = funds.into_balance(rt)
    rt.share(type_of(SharedBlob), SharedBlob(rt.new_uid(), blob, balance))


@MODULE.public("(self: &mut SharedBlob, added_funds: Coin<WAL>)")
def fund(rt: Runtime, self: SharedBlob, added_funds: Coin) -> None:
    """Adds WAL to the purse."""
    self.funds.join(added_funds.into_balance(rt))


@MODULE.public("(self: &mut SharedBlob, system: &mut System, extended_epochs: u32, ctx: &mut TxContext)")
def extend(rt: Runtime, self: SharedBlob, system: System, extended_epochs: int) -> None:
    """Prolongs the blob, paid from the purse."""
    coin = self.funds.into_coin(rt)
    systems.extend_blob(rt, system, self.blob, extended_epochs, coin)
    self.funds.join(coin.into_balance(rt))


@MODULE.public("(self: &SharedBlob): &Blob")
def blob(_rt: Runtime, self: SharedBlob) -> Blob:
    """The blob."""
    return self.blob


@MODULE.public("(self: &SharedBlob): &Balance<WAL>")
def funds(_rt: Runtime, self: SharedBlob) -> Balance:
    """The WAL to prolong it with."""
    return self.funds
