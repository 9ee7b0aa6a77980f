"""What transactions cost.

Computation is a flat number of units, the smallest bucket of a real network; storage is paid by size when an object is
written and mostly given back when it is written again or deleted. All of it is taken from the gas coin, also when the
transaction fails.

Source: ``sui-types`` modules gas, gas_model; object sizes as ``object_size_for_gas_metering``.
"""

from collections.abc import Iterable

from walrus_sui.devnet.ledger.effects import GasUsed
from walrus_sui.devnet.ledger.objects import PACKAGE_TYPE, Object, type_size

REFERENCE_GAS_PRICE = 1_000
COMPUTATION_UNITS = 1_000
MAX_BUDGET = 50_000_000_000
MIST_PER_BYTE = 100 * 76
REBATE_BASIS_POINTS = 9_900
SAFE_OVERHEAD_UNITS = 1_000

_METADATA_SIZE = 40 + 32 + 8
_MOVE_HEADER_SIZE = 1 + 8


def storage_cost(type_text: str, contents_size: int) -> int:
    """MIST for keeping an object of this type with contents of this size."""
    if type_text == PACKAGE_TYPE:
        return MIST_PER_BYTE * (_METADATA_SIZE + contents_size)
    return MIST_PER_BYTE * (_METADATA_SIZE + _MOVE_HEADER_SIZE + type_size(type_text) + contents_size)


def object_cost(obj: Object) -> int:
    """MIST for keeping an object."""
    return storage_cost(obj.type, len(obj.contents))


def computation_cost(price: int) -> int:
    """MIST for computing."""
    return COMPUTATION_UNITS * price


def min_budget(price: int) -> int:
    """Least budget that is accepted."""
    return COMPUTATION_UNITS * price


def summary(price: int, *, stored: int, replaced: Iterable[Object]) -> GasUsed:
    """Cost of a transaction.

    Args:
        price: MIST per unit.
        stored: storage cost of all that it writes.
        replaced: live versions that it replaces or deletes.
    """
    held = sum(obj.storage_rebate for obj in replaced)
    rebate = held * REBATE_BASIS_POINTS // 10_000
    return GasUsed(computation_cost(price), stored, rebate, held - rebate)


def fits(used: GasUsed, budget: int) -> bool:
    """Whether the budget covers it."""
    return used.computation + max(0, used.storage - used.rebate) <= budget


def suggested_budget(used: GasUsed, price: int) -> int:
    """Budget that lets a simulated transaction pass."""
    return used.computation + max(0, used.storage - used.rebate) + SAFE_OVERHEAD_UNITS * price
