"""Blobs that belong to everybody (contract module shared_blob).

A shared blob wraps a blob with a purse of WAL, which anybody may fill, so that anybody may prolong it.
"""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import UID, type_of
from walrus_sui.devnet.move.framework.coin import COIN, Balance, Coin
from walrus_sui.devnet.move.wal.wal import MODULE as WAL
from walrus_sui.devnet.move.walrus import blob as blobs
from walrus_sui.devnet.move.walrus.blob import Blob

MODULE = Module(WALRUS, "shared_blob", uses=(WAL, COIN, blobs.MODULE))


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
