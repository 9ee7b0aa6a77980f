"""What pools need to know of the epoch (contract module walrus_context)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WalrusContext:
    """The epoch as staking sees it.

    Attributes:
        epoch: current epoch.
        committee_selected: whether the next committee is chosen already.
    """

    epoch: int
    committee_selected: bool
