"""One whole epoch of the network, as fast as the contract lets it pass."""

from typing import Any, Protocol

from walrus_sui.devnet.move.walrus.staking_inner import NextParamsSelected, StakingInnerV1
from walrus_sui.devnet.testing.accounts import Account
from walrus_sui.devnet.testing.handles import Handle


class PassesEpochs(Protocol):
    """What is needed of a chain."""

    @property
    def now_ms(self) -> int:
        """The clock."""

    def accounts(self) -> tuple[Account, ...]:
        """All accounts."""

    def set_clock(self, now_ms: int) -> None:
        """Sets the clock."""

    def staking(self) -> StakingInnerV1:
        """The staking state."""

    def owned(self, owner: Account, kind: str) -> list[Handle]:
        """Objects of an account."""

    def call(self, function: str, /, *, sender: Account, **arguments: Any) -> Any:
        """Runs one function."""


def advance(chain: PassesEpochs) -> None:
    """Attests what is open, ends the voting, starts the next epoch and attests its shards.

    Raises:
        MoveAbort: the contract refuses, for example because nobody has stake.
    """
    attest(chain)
    caller = chain.accounts()[0]
    staking = chain.staking()
    done = getattr(staking.epoch_state, "pos0", 0)
    if not isinstance(staking.epoch_state, NextParamsSelected):
        half = done + staking.epoch_duration // 2 if staking.epoch else staking.first_epoch_start
        chain.set_clock(max(half, chain.now_ms))
        chain.call("staking::voting_end", sender=caller)
    full = done + staking.epoch_duration if staking.epoch else staking.first_epoch_start
    chain.set_clock(max(full, chain.now_ms))
    chain.call("staking::initiate_epoch_change_v2", sender=caller)
    attest(chain)


def attest(chain: PassesEpochs) -> None:
    """Lets every member of the committee that has not done so attest that it has its shards."""
    staking = chain.staking()
    for account in chain.accounts():
        for cap in chain.owned(account, "StorageNodeCap"):
            if cap.node_id in staking.committee and cap.last_epoch_sync_done < staking.epoch:
                chain.call("staking::epoch_sync_done", sender=account, cap=cap, epoch=staking.epoch)
