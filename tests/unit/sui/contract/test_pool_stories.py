"""Stories of one pool, told step by step through the facade's internals: who gets how much, and when nobody may.

Amounts are WAL unless a step says FROST. When somebody leaves, the node is in the current committee (`HERE`), in that
and in the next one (`BOTH`), or in none (`GONE`).
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from walrus_sui.devnet.testing import MoveAbort
from walrus_sui.devnet.testing.internals import new_pool, staked_wal, staking_pool, wctx

WAL = 10**9
FROST = 1 / WAL

Step = tuple[Any, ...]
HERE, BOTH, GONE = (True, False), (True, True), (False, False)


def frost(amount: float) -> int:
    return round(amount * WAL)


@dataclass
class Story:
    """A pool and its stakes while a story is told."""

    commission_rate: int = 0
    selected: bool = False
    epoch: int = 0
    stakes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pool = new_pool(self.now, commission_rate=self.commission_rate)

    @property
    def now(self) -> Any:
        return wctx(self.epoch, self.selected)

    def tell(self, steps: list[Step]) -> None:
        for number, (verb, *arguments) in enumerate(steps):
            try:
                getattr(self, verb)(*arguments)
            except AssertionError as error:
                raise AssertionError(f"step {number}, {verb} {arguments}: {error}") from error

    # What happens

    def stakes_in(self, who: str, amount: float, activation: int) -> None:
        self.stakes[who] = staking_pool.stake(self.pool, frost(amount), self.now)
        assert staked_wal.activation_epoch(self.stakes[who]) == activation

    def splits(self, who: str, amount: float, other: str) -> None:
        self.stakes[other] = staked_wal.split(self.stakes[who], frost(amount))

    def joins(self, who: str, other: str) -> None:
        staked_wal.join(self.stakes[who], self.stakes[other])

    def voting_ends(self) -> None:
        self.selected = True

    def next_epoch(self, rewards: float = 0) -> None:
        self.pass_by()
        staking_pool.advance_epoch(self.pool, frost(rewards), self.now)

    def pass_by(self) -> None:
        self.epoch, self.selected = self.epoch + 1, False

    def requests(self, who: str, seats: tuple[bool, bool], withdraw_epoch: int = 0) -> None:
        staking_pool.request_withdraw_stake(self.pool, self.stakes[who], *seats, self.now)
        assert staked_wal.withdraw_epoch(self.stakes[who]) == withdraw_epoch

    def leaves(self, who: str, seats: tuple[bool, bool], amount: float) -> None:
        paid = staking_pool.withdraw_stake(self.pool, self.stakes[who], *seats, self.now).value
        assert paid == frost(amount), paid

    def refuses(self, module: str, code: int, verb: str, *arguments: Any) -> None:
        with pytest.raises(MoveAbort) as refused:
            getattr(self, verb)(*arguments)
        assert refused.value == MoveAbort(module, code)

    # What is seen

    def holds(self, amount: float) -> None:
        assert staking_pool.wal_balance(self.pool) == frost(amount)

    def holds_at(self, *pairs: tuple[int, float]) -> None:
        seen = [(epoch, staking_pool.wal_balance_at_epoch(self.pool, epoch)) for epoch, _ in pairs]
        assert seen == [(epoch, frost(amount)) for epoch, amount in pairs]

    def shares(self, amount: float) -> None:
        assert staking_pool.num_shares(self.pool) == frost(amount)

    def ends_empty(self) -> None:
        staking_pool.destroy_empty(self.pool)


STORIES: dict[str, list[Step]] = {
    "all rewards of a pool go to its only staker": [
        ("stakes_in", "ann", 1000, 1),
        ("holds", 0),
        ("next_epoch",),
        ("holds", 1000),
        ("next_epoch", 1000),
        ("requests", "ann", HERE, 3),
        ("holds", 2000),
        ("next_epoch",),
        ("leaves", "ann", HERE, 2000),
        ("holds", 0),
        ("ends_empty",),
    ],
    "without rewards everybody gets the principal": [
        ("stakes_in", "ann", 1000, 1),
        ("next_epoch",),
        ("stakes_in", "ben", 1000, 2),
        ("holds", 1000),
        ("next_epoch",),
        ("requests", "ann", HERE, 3),
        ("holds", 2000),
        ("next_epoch",),
        ("requests", "ben", HERE, 4),
        ("leaves", "ann", HERE, 1000),
        ("holds", 1000),
        ("next_epoch",),
        ("leaves", "ben", HERE, 1000),
        ("ends_empty",),
    ],
    "who fetches late earns nothing for waiting": [
        ("stakes_in", "ann", 1000, 1),
        ("stakes_in", "ben", 1000, 1),
        ("next_epoch",),
        ("next_epoch", 1000),
        ("requests", "ann", HERE, 3),
        ("requests", "ben", HERE, 3),
        ("next_epoch",),
        ("leaves", "ann", HERE, 1500),
        ("next_epoch",),
        ("next_epoch",),
        ("leaves", "ben", HERE, 1500),
        ("ends_empty",),
    ],
    "the half that leaves later has earned as much again": [
        ("stakes_in", "ann", 1000, 1),
        ("next_epoch",),
        ("splits", "ann", 500, "rest"),
        ("next_epoch", 1000),
        ("requests", "ann", HERE, 3),
        ("next_epoch", 1000),
        ("requests", "rest", HERE, 4),
        ("leaves", "ann", HERE, 1500),
        ("next_epoch",),
        ("leaves", "rest", HERE, 1500),
        ("ends_empty",),
    ],
    "earlier rewards keep their owner": [
        ("stakes_in", "ann", 1000, 1),
        ("next_epoch",),
        ("stakes_in", "ben", 2000, 2),
        ("next_epoch", 1000),
        ("requests", "ann", HERE, 3),
        ("next_epoch", 1000),
        ("requests", "ben", HERE, 4),
        ("leaves", "ann", HERE, 2500),
        ("next_epoch",),
        ("leaves", "ben", HERE, 2500),
        ("ends_empty",),
    ],
    "four stakers, two of them after the end of voting": [
        ("stakes_in", "ann", 1000, 1),
        ("holds_at", (1, 1000), (2, 1000)),
        ("voting_ends",),
        ("stakes_in", "ben", 1000, 2),
        ("holds_at", (0, 0), (1, 1000), (2, 2000)),
        ("next_epoch",),
        ("stakes_in", "cat", 2000, 2),
        ("holds_at", (1, 1000), (2, 4000), (3, 4000)),
        ("voting_ends",),
        ("stakes_in", "dan", 2000, 3),
        ("holds_at", (1, 1000), (2, 4000), (3, 6000)),
        ("next_epoch", 1000),
        ("holds_at", (2, 5000), (3, 7000), (4, 7000)),
        ("requests", "ann", HERE, 3),
        ("holds_at", (2, 5000), (3, 5000), (4, 5000)),
        ("voting_ends",),
        ("requests", "ben", BOTH, 4),
        ("holds_at", (2, 5000), (3, 5000), (4, 4000)),
        ("next_epoch", 5000),
        ("holds_at", (3, 8000), (4, 6000), (5, 6000)),
        ("requests", "cat", HERE, 4),
        ("holds_at", (3, 8000), (4, 2000), (5, 2000)),
        ("voting_ends",),
        ("requests", "dan", BOTH, 5),
        ("holds_at", (3, 8000), (4, 2000), (5, 0)),
        ("next_epoch", 4000),
        ("holds_at", (4, 3000), (5, 0)),
        ("next_epoch",),
        ("leaves", "ann", HERE, 4000),
        ("leaves", "ben", HERE, 3000),
        ("leaves", "cat", HERE, 6000),
        ("leaves", "dan", HERE, 3000),
        ("ends_empty",),
    ],
    "stake that counted in the vote stays for its one epoch": [
        ("stakes_in", "ann", 1000, 1),
        ("stakes_in", "ben", 500, 1),
        ("holds_at", (1, 1500), (2, 1500)),
        ("voting_ends",),
        ("requests", "ben", BOTH, 2),
        ("stakes_in", "cat", 1000, 2),
        ("holds_at", (0, 0), (1, 1500), (2, 2000)),
        ("leaves", "cat", HERE, 1000),
        ("holds_at", (0, 0), (1, 1500), (2, 1000)),
        ("next_epoch",),
        ("requests", "ann", HERE, 2),
        ("next_epoch",),
        ("leaves", "ann", HERE, 1000),
        ("leaves", "ben", HERE, 500),
        ("ends_empty",),
    ],
    "announced while selected and not yet active": [
        ("voting_ends",),
        ("stakes_in", "ann", 1000, 2),
        ("holds_at", (1, 0), (2, 1000)),
        ("pass_by",),
        ("voting_ends",),
        ("requests", "ann", BOTH, 3),
        ("holds_at", (1, 0), (2, 1000), (3, 0)),
        ("pass_by",),
        ("voting_ends",),
        ("next_epoch",),
        ("holds_at", (3, 0)),
        ("leaves", "ann", BOTH, 1000),
        ("ends_empty",),
    ],
    "projections follow those who go": [
        ("stakes_in", "ann", 1000, 1),
        ("holds_at", (1, 1000)),
        ("next_epoch",),
        ("stakes_in", "ben", 1000, 2),
        ("stakes_in", "cat", 1000, 2),
        ("holds_at", (2, 3000)),
        ("next_epoch", 1000),
        ("requests", "ann", HERE, 3),
        ("holds_at", (3, 2000)),
        ("next_epoch", 1000),
        ("requests", "ben", HERE, 4),
        ("holds_at", (4, 1250)),
        ("next_epoch", 1000),
        ("holds_at", (5, 1750)),
        ("next_epoch", 1000),
        ("holds_at", (6, 2750)),
    ],
    "who comes after the rewards gets none of them": [
        ("stakes_in", "ann", 1000, 1),
        ("next_epoch",),
        ("next_epoch", 1000),
        ("stakes_in", "ben", 1000, 3),
        ("holds_at", (2, 2000), (3, 3000)),
        ("requests", "ann", HERE, 3),
        ("holds_at", (3, 1000)),
        ("next_epoch",),
        ("leaves", "ann", HERE, 2000),
        ("requests", "ben", HERE, 4),
        ("next_epoch",),
        ("leaves", "ben", HERE, 1000),
        ("ends_empty",),
    ],
    "each moment of early leaving": [
        ("stakes_in", "ann", 1000, 1),
        ("leaves", "ann", HERE, 1000),
        ("holds_at", (1, 0)),
        ("stakes_in", "ben", 1000, 1),
        ("refuses", "staking_pool", 13, "requests", "ben", HERE),
        ("voting_ends",),
        ("refuses", "staking_pool", 10, "leaves", "ben", BOTH, 1000),
        ("requests", "ben", BOTH, 2),
        ("refuses", "staking_pool", 8, "requests", "ben", BOTH),
        ("refuses", "staking_pool", 11, "leaves", "ben", BOTH, 1000),
        ("holds_at", (1, 1000)),
        ("stakes_in", "cat", 1000, 2),
        ("stakes_in", "dan", 1000, 2),
        ("next_epoch",),
        ("leaves", "cat", HERE, 1000),
        ("voting_ends",),
        ("requests", "dan", BOTH, 3),
        ("next_epoch", 1000),
        ("leaves", "ben", HERE, 2000),
        ("next_epoch", 1000),
        ("leaves", "dan", HERE, 2000),
        ("holds", 0),
        ("ends_empty",),
    ],
    "a node that no committee took gives stake back at once": [
        ("stakes_in", "ann", 1000, 1),
        ("pass_by",),
        ("pass_by",),
        ("refuses", "staking_pool", 13, "requests", "ann", GONE),
        ("leaves", "ann", GONE, 1000),
        ("holds_at", (3, 0)),
    ],
    "a node that was voted out pays its rewards": [
        ("stakes_in", "ann", 1000, 1),
        ("stakes_in", "ben", 1000, 1),
        ("next_epoch",),
        ("next_epoch", 2000),
        ("requests", "ben", HERE, 3),
        ("holds_at", (2, 4000), (3, 2000)),
        ("next_epoch", 2000),
        ("leaves", "ben", GONE, 3000),
        ("leaves", "ann", GONE, 3000),
        ("holds_at", (3, 0)),
    ],
    "voted in anew, the stake stays two epochs": [
        ("stakes_in", "ann", 1000, 1),
        ("next_epoch",),
        ("voting_ends",),
        ("requests", "ann", BOTH, 3),
        ("next_epoch", 10),
        ("refuses", "staking_pool", 11, "leaves", "ann", BOTH, 1010),
        ("next_epoch", 10),
        ("leaves", "ann", HERE, 1020),
        ("ends_empty",),
    ],
    "an odd FROST stays behind": [
        ("stakes_in", "ann", 100, 1),
        ("stakes_in", "ben", 100, 1),
        ("next_epoch",),
        ("next_epoch", 201 * FROST),
        ("holds", 200 + 201 * FROST),
        ("requests", "ann", HERE, 3),
        ("requests", "ben", HERE, 3),
        ("pass_by",),
        ("leaves", "ann", HERE, 100 + 100 * FROST),
        ("leaves", "ben", HERE, 100 + 100 * FROST),
        ("shares", 200),
        ("next_epoch",),
        ("shares", 0),
        ("refuses", "staking_pool", 3, "ends_empty"),
    ],
    "stakes of two epochs never join, however they leave": [
        ("stakes_in", "ann", 1000, 1),
        ("next_epoch",),
        ("stakes_in", "ben", 1000, 2),
        ("next_epoch",),
        ("next_epoch",),
        ("requests", "ann", HERE, 4),
        ("requests", "ben", HERE, 4),
        ("refuses", "staked_wal", 1, "joins", "ann", "ben"),
    ],
    "nothing can be earned before there is stake": [
        ("pass_by",),
        ("refuses", "staking_pool", 2, "next_epoch", 1),
    ],
}


@pytest.mark.parametrize("steps", STORIES.values(), ids=STORIES.keys())
def test_story(steps: list[Step]) -> None:
    Story().tell(steps)


@pytest.mark.parametrize(
    ("rate", "rewards", "commission", "payout"),
    [
        (1_000, 10_000 * WAL, 1_000 * WAL, 10_000 * WAL),
        (1_000, 202, 20, 1_000 * WAL + 182),  # 20.2 round down
        (0, 7, 0, 1_000 * WAL + 7),
        (1, 9_999, 0, 1_000 * WAL + 9_999),
        (1, 10_000, 1, 1_000 * WAL + 9_999),
        (10_000, 2_000_000 * WAL, 2_000_000 * WAL, 1_000 * WAL),
    ],
)
def test_commission_is_blocked_and_the_rest_is_the_stakers(
    rate: int, rewards: int, commission: int, payout: int
) -> None:
    story = Story(commission_rate=rate)
    story.tell([("stakes_in", "ann", 1000, 1), ("next_epoch",), ("requests", "ann", HERE, 2)])
    story.next_epoch(rewards / WAL)
    story.leaves("ann", HERE, payout / WAL)
    assert staking_pool.commission_amount(story.pool) == commission
    assert staking_pool.blocked_commission_amount(story.pool) == commission
    burned = staking_pool.extract_commission_to_burn(story.pool)
    assert (burned.value, staking_pool.blocked_commission_amount(story.pool)) == (commission, 0)


def test_rates_start_two_epochs_after_they_are_set_the_last_word_counts() -> None:
    story = Story()
    seen = []
    for rates in ((10,), (20, 30), (40,), (), ()):
        for rate in rates:
            staking_pool.set_next_commission(story.pool, rate, story.now)
        seen.append(staking_pool.commission_rate(story.pool))
        story.next_epoch()
    assert seen == [0, 0, 10, 30, 40]
    with pytest.raises(MoveAbort) as refused:
        staking_pool.set_next_commission(story.pool, 10_001, story.now)
    assert refused.value == MoveAbort("staking_pool", 14)


def test_of_rates_that_fell_due_outside_the_committee_the_latest_counts_once() -> None:
    story = Story()
    staking_pool.set_next_commission(story.pool, 1_000, story.now)
    story.pass_by()
    staking_pool.set_next_commission(story.pool, 2_000, story.now)
    story.tell([("pass_by",), ("pass_by",), ("next_epoch",)])
    assert staking_pool.commission_rate(story.pool) == 2_000
    story.next_epoch()
    assert staking_pool.commission_rate(story.pool) == 2_000


def test_a_pool_that_ends_takes_no_stake() -> None:
    story = Story()
    staking_pool.set_withdrawing(story.pool, story.now)
    assert staking_pool.is_withdrawing(story.pool)
    story.refuses("staking_pool", 6, "stakes_in", "ann", 1000, 1)
    with pytest.raises(MoveAbort) as refused:
        staking_pool.set_withdrawing(story.pool, story.now)
    assert refused.value == MoveAbort("staking_pool", 5)
