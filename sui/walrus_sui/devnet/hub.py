"""Who hears of a new checkpoint.

Life of a subscription: it starts with the next checkpoint that is published, holds a bounded number that its reader has
not taken yet, and ends when the reader stops, the devnet stops, or the reader is so slow that the bound is reached.
It never blocks the chain and never skips: a reader sees consecutive checkpoints until the subscription ends.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final, Self

from walrus_sui.devnet.ledger.records import Checkpoint, Executed
from walrus_sui.telemetry import meter, names

MAX_SUBSCRIBERS: Final = 1000
MAX_WAITING: Final = 256


@dataclass(frozen=True)
class Announcement:
    """A checkpoint that is on disk, with its transactions in order."""

    checkpoint: Checkpoint
    transactions: tuple[Executed, ...]


class SubscriptionEnded(Exception):  # noqa: N818  (an ending, not a failure of the hub)
    """No more checkpoints come through this subscription. Remedy: fill the gap from history and subscribe again."""


class TooSlow(SubscriptionEnded):
    """The reader left too many checkpoints waiting."""


class Closed(SubscriptionEnded):
    """The devnet stops."""


class TooManySubscribers(Exception):  # noqa: N818
    """The limit of subscriptions is reached. Remedy: retry later, or share a subscription."""


class Subscription:
    """One reader's checkpoints; iterate over it once.

    Args:
        limit: checkpoints that may wait for the reader.
    """

    def __init__(self, limit: int) -> None:
        self._waiting: deque[Announcement] = deque()
        self._limit = limit
        self._ending: SubscriptionEnded | None = None
        self._news = asyncio.Event()

    def offer(self, announcement: Announcement) -> bool:
        """Adds a checkpoint; False when the subscription is over."""
        if self._ending is None and len(self._waiting) >= self._limit:
            self._waiting.clear()
            self.end(
                TooSlow(
                    f"{self._limit} checkpoints were waiting for this subscriber: read the missed ones, up to "
                    f"{announcement.checkpoint.sequence}, with GetCheckpoint and subscribe again"
                )
            )
        if self._ending is not None:
            return False
        self._waiting.append(announcement)
        self._news.set()
        return True

    def end(self, reason: SubscriptionEnded) -> None:
        """Ends the subscription after what is waiting."""
        self._ending = reason
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Announcement:
        """The next checkpoint.

        Raises:
            SubscriptionEnded: there will be no more.
        """
        while not self._waiting:
            if self._ending is not None:
                raise self._ending
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()


class Hub:
    """All subscriptions.

    Args:
        max_subscribers: how many may exist at once.
        max_waiting: how many checkpoints may wait for each.
    """

    def __init__(self, *, max_subscribers: int = MAX_SUBSCRIBERS, max_waiting: int = MAX_WAITING) -> None:
        self._subscriptions: set[Subscription] = set()
        self._max_subscribers = max_subscribers
        self._max_waiting = max_waiting
        self._count = meter().create_up_down_counter(
            names.DEVNET_SUBSCRIBERS, description="Open checkpoint subscriptions."
        )

    def __len__(self) -> int:
        return len(self._subscriptions)

    def subscribe(self) -> Subscription:
        """Starts a subscription; give it back to `unsubscribe`.

        Raises:
            TooManySubscribers: the limit is reached.
        """
        if len(self._subscriptions) >= self._max_subscribers:
            raise TooManySubscribers("too many existing subscriptions")
        subscription = Subscription(self._max_waiting)
        self._subscriptions.add(subscription)
        self._count.add(1)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forgets a subscription; forgetting twice is nothing."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._count.add(-1)

    def publish(self, announcement: Announcement) -> None:
        """Tells all subscribers."""
        for subscription in list(self._subscriptions):
            if not subscription.offer(announcement):
                self.unsubscribe(subscription)

    def close(self) -> None:
        """Ends all subscriptions."""
        for subscription in list(self._subscriptions):
            subscription.end(Closed("the devnet is stopping: subscribe again"))
            self.unsubscribe(subscription)
