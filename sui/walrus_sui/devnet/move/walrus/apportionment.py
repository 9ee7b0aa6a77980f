"""How many shards each node gets: the method of D'Hondt with a cap per node (contract module staking_inner).

Shards go one by one to the node with the largest stake per shard that it would then have, so the price of a shard is as
equal as whole numbers allow. A first batch is handed out at once by a lower bound that never exceeds the outcome.
"""

import heapq
from collections.abc import Sequence

from walrus_sui.devnet.move.core.aborts import AbortCode, MoveAbort, as_u64, div_ceil, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS

QUEUE = Module(WALRUS, "apportionment_queue")

E_POP_FROM_EMPTY_HEAP = QUEUE.error(0, "EPopFromEmptyHeap")

MIN_NODES_FOR_SHARDS_LIMIT = 20
SHARDS_LIMIT_DENOMINATOR = 10
_FRACTION_BITS = 64


def max_shards_per_node(n_nodes: int, n_shards: int) -> int:
    """Most shards that one node may have: a tenth from 20 nodes on, with fewer nodes proportionally more."""
    if n_nodes >= MIN_NODES_FOR_SHARDS_LIMIT:
        return n_shards // SHARDS_LIMIT_DENOMINATOR
    return div_ceil(n_shards * MIN_NODES_FOR_SHARDS_LIMIT, n_nodes * SHARDS_LIMIT_DENOMINATOR)


def dhondt(n_shards: int, stake: Sequence[int], *, no_stake: AbortCode) -> list[int]:
    """Shards per node.

    Args:
        n_shards: how many there are.
        stake: stake of each node; an earlier node wins a tie.
        no_stake: the code to abort with when nobody has stake.

    Returns:
        As many numbers as there are nodes, with sum `n_shards`.
    """
    total = as_u64(sum(stake))
    require(total > 0, no_stake)
    cap = max_shards_per_node(len(stake), n_shards)
    distribution_number = total // (n_shards + 1) + 1
    shards = [min(amount // distribution_number, cap) for amount in stake]

    def entry(index: int) -> tuple[int, int]:
        # Largest quotient first, then the earlier node. UQ64.64 quotients, rounded down as on chain.
        return -((stake[index] << _FRACTION_BITS) // (shards[index] + 1)), index

    queue = [entry(index) for index in range(len(stake)) if shards[index] != cap]
    heapq.heapify(queue)
    for _ in range(n_shards - sum(shards)):
        if not queue:  # only when the cap is zero: 20 nodes and fewer than 10 shards
            raise MoveAbort.of(E_POP_FROM_EMPTY_HEAP, function="pop_max")
        _, index = heapq.heappop(queue)
        shards[index] += 1
        if shards[index] != cap:
            heapq.heappush(queue, entry(index))
    return shards
