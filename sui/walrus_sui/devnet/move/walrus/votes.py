"""How the votes of a committee become one value (contract module staking_inner).

Prices count from below: a quorum finds the price no lower than it wants. Capacity counts from above: a quorum offers at
least that much. Votes weigh as many shards as their node has.
"""

from walrus_codec import quorum
from walrus_sui.devnet.move.core.aborts import as_u64
from walrus_sui.devnet.move.framework.collections import MaxQueue


def quorum_above(votes: MaxQueue, n_shards: int) -> int:
    """The highest value such that a quorum voted for it or more; uses up the votes."""
    weight_above = 0
    while True:
        value, weight = votes.pop_max()
        weight_above += weight
        if quorum.is_quorum(weight_above, n_shards):
            return value


def quorum_below(votes: MaxQueue, n_shards: int) -> int:
    """The lowest value such that a quorum voted for it or less; uses up the votes."""
    weight_below = n_shards
    while True:
        value, weight = votes.pop_max()
        weight_below = as_u64(weight_below - weight)
        if not quorum.is_quorum(weight_below, n_shards):
            return value
