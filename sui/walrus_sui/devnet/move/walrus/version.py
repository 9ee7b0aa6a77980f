"""Which VERSION of the contract a call runs (constant VERSION of the contract modules staking and system).

A devnet runs one native contract for all of its packages. Each upgraded package takes the next VERSION, as every release
of the contract that migrates its state does; so objects, old packages and new ones part and meet as on a real network.
"""

from walrus_sui.devnet.move.core.runtime import Runtime

AT_GENESIS = 4


def current(rt: Runtime) -> int:
    """VERSION of the package that the transaction calls."""
    return AT_GENESIS + rt.upgrades
