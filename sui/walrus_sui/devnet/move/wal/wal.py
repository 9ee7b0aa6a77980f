"""The WAL coin and its treasury (contract module wal).

5 billion WAL of 10^9 FROST are minted at genesis. Nobody can mint more: the treasury cap lies inside the shared
`ProtectedTreasury`, which only lets burn.
"""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WAL as PACKAGE
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import UID, type_of
from walrus_sui.devnet.move.framework.coin import COIN, Coin, CoinMetadata, Supply, TreasuryCap, Url
from walrus_sui.devnet.move.framework.fields import DynamicObjectField

MODULE = Module(PACKAGE, "wal", uses=(COIN,))

DECIMALS = 9
FROST_PER_WAL = 10**DECIMALS
TOTAL_SUPPLY = 5_000_000_000 * FROST_PER_WAL
SYMBOL, NAME = "WAL", "WAL Token"
DESCRIPTION = "The native token for the Walrus Protocol."
ICON_URL = "https://www.walrus.xyz/wal-icon.svg"


@MODULE.struct("drop", name="WAL")
@dataclass(slots=True)
class Wal:
    """Names the coin."""


@MODULE.struct("key")
@dataclass(slots=True)
class ProtectedTreasury:
    """Shared object that holds the treasury cap."""

    id: UID


@MODULE.struct("copy, drop, store")
@dataclass(slots=True, frozen=True)
class TreasuryCapKey:
    """Key under which the cap lies."""


WAL_TAG: TypeTag = MODULE.tag("WAL")


COIN_WAL = COIN.concrete("Coin", type_of(Wal))
TREASURY_CAP_WAL = COIN.concrete("TreasuryCap", type_of(Wal))
COIN_METADATA_WAL = COIN.concrete("CoinMetadata", type_of(Wal))

CAP: DynamicObjectField[TreasuryCapKey, TreasuryCap] = DynamicObjectField(TreasuryCapKey, TREASURY_CAP_WAL)
_KEY = TreasuryCapKey()


@MODULE.public("(treasury: &ProtectedTreasury): u64")
def total_supply(rt: Runtime, treasury: ProtectedTreasury) -> int:
    """How much WAL exists, in FROST."""
    return CAP.borrow(rt, treasury.id, _KEY).total_supply.value


@MODULE.public("(treasury: &mut ProtectedTreasury, coin: Coin<WAL>)")
def burn(rt: Runtime, treasury: ProtectedTreasury, coin: Coin) -> None:
    """Destroys a coin."""
    CAP.borrow_mut(rt, treasury.id, _KEY).burn(rt, coin)


def init(rt: Runtime) -> tuple[ProtectedTreasury, Coin]:
    """What publishing the package does: mints the supply, freezes the metadata, shares the treasury."""
    cap = TreasuryCap(rt.new_uid(), Supply(0))
    metadata = CoinMetadata(rt.new_uid(), DECIMALS, NAME, SYMBOL, DESCRIPTION, Url(ICON_URL))
    minted = cap.mint(rt, TOTAL_SUPPLY)
    rt.freeze(COIN_METADATA_WAL, metadata)
    treasury = ProtectedTreasury(rt.new_uid())
    CAP.add(rt, treasury.id, _KEY, cap)
    rt.share(type_of(ProtectedTreasury), treasury)
    return treasury, minted
