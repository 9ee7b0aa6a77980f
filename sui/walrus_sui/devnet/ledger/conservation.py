"""Adds up the money of a whole chain: every coin, every balance inside an object, what storage holds back.

No transaction makes or loses money, so the sums follow from genesis: all SUI is in coins, in the exchange, in storage
rebates or was paid as gas; all WAL that was not burned is in coins or in balances inside of objects.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from walrus_sui.devnet.ledger.objects import SUI_TYPE, Object
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.packages import WAL_EXCHANGE, Packages
from walrus_sui.devnet.move.framework.coin import Balance


@dataclasses.dataclass(frozen=True, slots=True)
class Totals:
    """Sums over objects, in the smallest unit.

    Attributes:
        sui: in coins and in balances.
        wal: in coins and in balances.
        rebates: SUI that storage holds back.
    """

    sui: int
    wal: int
    rebates: int


def totals(objects: Iterable[Object], packages: Packages, wal_type: str) -> Totals:
    """The money in some objects.

    Raises:
        registry.UnknownType: an object has a type that no native module declares.
        bcs.BcsError: contents are not of the object's type.
    """
    sui = wal = rebates = 0
    for obj in objects:
        rebates += obj.storage_rebate
        if obj.is_package:
            continue
        if obj.coin_type is not None:
            sui += (obj.coin_balance or 0) if obj.coin_type == SUI_TYPE else 0
            wal += (obj.coin_balance or 0) if obj.coin_type == wal_type else 0
            continue
        tag = packages.aliased(tags.parse(obj.type))
        value = registry.resolve(tag).from_bcs(obj.contents)
        held = _held(value)
        if tag.head == (WAL_EXCHANGE, "wal_exchange", "Exchange"):  # the only object that holds SUI
            sui, held = sui + value.sui.value, held - value.sui.value
        wal += held
    return Totals(sui, wal, rebates)


def _held(value: Any) -> int:
    """Sum of all balances inside a value."""
    if isinstance(value, Balance):
        return value.value
    if isinstance(value, list):
        return sum(map(_held, value)) if value and not isinstance(value[0], int | str | bytes) else 0
    if isinstance(value, dict):
        return sum(map(_held, value.values()))
    if dataclasses.is_dataclass(value):
        return sum(_held(getattr(value, field.name)) for field in dataclasses.fields(value))
    return 0
