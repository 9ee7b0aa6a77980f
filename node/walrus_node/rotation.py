"""How a node changes its keys, step by step, each step decided anew from what the chain says. Pure.

Protocol (BLS) key: the chain takes the next one with a proof of possession, and the committee chosen at `voting_end` is the
first to name it. A key that is announced after that would be the pool's an epoch before it is a committee's, so the node
waits for the next epoch with it.

Network (TLS) key: the chain has one, and those who look at it now and then know the one of a minute ago. So the next key is
written beside the registered one first (`FURTHER_KEYS_FIELD`); when everybody has seen that, it takes the registered one's
place, and the certificate with it, while the old one stands beside it for as long; then that goes.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from walrus_sui.keys import BlsKey
from walrus_sui.types import EpochPhase, PoolView


@dataclass(frozen=True)
class NetworkKeys:
    """What should be so next; public keys.

    Attributes:
        registered: what the chain should name.
        further: what it should name beside that.
        shown: what the certificate should carry.
    """

    registered: bytes
    further: tuple[bytes, ...]
    shown: bytes

    def ends(self, pool: PoolView) -> bool:
        """Whether the chain says this already, and nothing follows."""
        return not self.further and (self.registered, ()) == (pool.network_public_key, pool.further_network_keys)


def network_step(pool: PoolView, *, wanted: bytes, held: AbstractSet[bytes], settled: bool) -> NetworkKeys:
    """The next step towards a network key.

    Args:
        pool: what the chain says.
        wanted: the key in the end.
        held: all keys that the node can show.
        settled: whether everybody knows by now what the chain says.
    """
    registered, further = pool.network_public_key, pool.further_network_keys
    if registered == wanted:
        return NetworkKeys(wanted, () if settled else further, wanted)
    if registered not in held:
        # Nobody can show it any more, so nobody can be reached by it: there is nothing to hand over from.
        return NetworkKeys(wanted, (), wanted)
    if wanted in further and settled:
        # It is shown when the chain is seen to name it; until then both do.
        return NetworkKeys(wanted, (registered,), registered)
    return NetworkKeys(registered, (wanted,), registered)


def is_unannounced(pool: PoolView, wanted: BlsKey | None) -> bool:
    """Whether there is a next protocol key that the chain does not know."""
    return wanted is not None and wanted.public_key not in {pool.bls_public_key, pool.next_bls_public_key}


def may_announce(phase: EpochPhase) -> bool:
    """Whether a key that is announced now is that of the next committee."""
    return phase is not EpochPhase.PARAMS_SELECTED
