"""Who is not fed while challenges are under way: whoever may be asked for a sliver must have it, not fetch it.

Between 10 % and 60 % of an epoch no member gives recovery symbols, or a synced shard, for blobs that are asked for and
shards that the asker answers for, unless the asker has declared that it recovers; strangers get nothing of these blobs.
Also here: the slivers that a running attempt of this node compares with are held back from readers until it is over,
because the one that is asked could read the answers there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from walrus_client.challenges.times import FINAL, may_feed
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec import mapping
from walrus_codec.types import BlobId, PairIndex, ShardIndex
from walrus_node.challenges.declarations import Declarations
from walrus_node.challenges.rounds import Round, Rounds
from walrus_node.store.shards import SliverKey
from walrus_sui.types import CommitteeMember


class Feeding:
    """Decides for the handlers of recovery and of shard transfer.

    Args:
        rounds: the current epoch.
        declarations: who recovers.
        chain_now_ms: the chain's clock.
    """

    def __init__(self, *, rounds: Rounds, declarations: Declarations, chain_now_ms: Callable[[], int]) -> None:
        self._rounds = rounds
        self._declarations = declarations
        self._now_ms = chain_now_ms

    async def check_symbols(
        self, asker: CommitteeMember | None, blob_id: BlobId, targets: Sequence[PairIndex], n_shards: int
    ) -> None:
        """Refuses symbols for slivers that the asker may be asked for now.

        Raises:
            RequestRefused: CHALLENGE_WINDOW.
        """
        current = await self._in_window()
        if current is None or blob_id not in await self._rounds.blobs(current):
            return
        if asker is None:
            raise self._refusal(current, "strangers get no symbols of blobs that are asked for")
        answered_for = set(current.shards(asker.node_id))
        concerned = any(mapping.shard_of_pair(pair, blob_id, n_shards) in answered_for for pair in targets)
        await self._check(current, asker, answered_for=concerned)

    async def check_shard(self, asker: CommitteeMember, shard: ShardIndex) -> None:
        """Refuses a shard that the asker may be asked for now; raises as `check_symbols`."""
        current = await self._in_window()
        if current is not None and current.n_blobs:
            await self._check(current, asker, answered_for=shard in current.shards(asker.node_id))

    async def _check(self, current: Round, asker: CommitteeMember, *, answered_for: bool) -> None:
        recovering = await self._declarations.has(current, asker.node_id)
        if not may_feed(in_window=True, in_set=True, answered_for=answered_for, recovering=recovering):
            raise self._refusal(current, f"{asker.name} answers for these shards and has not said that it recovers")

    async def _in_window(self) -> Round | None:
        current = await self._rounds.current()
        return current if current is not None and current.times.in_window(self._now_ms()) else None

    def _refusal(self, current: Round, why: str) -> RequestRefused:
        # No hint when to come back: it would hold for other blobs too, which are given.
        return RequestRefused(
            Reason.CHALLENGE_WINDOW,
            f"challenges of epoch {current.epoch} are under way: {why}; ask again when their window has ended",
            {"epoch": str(current.epoch), "until_ms": str(current.times.at(FINAL))},
        )


class HeldBack:
    """Slivers that nobody may read for a moment."""

    def __init__(self) -> None:
        self._held: Counter[SliverKey] = Counter()
        self._changed = asyncio.Event()

    @contextlib.contextmanager
    def holding(self, keys: Sequence[SliverKey]) -> Iterator[None]:
        """Holds these back while the block runs."""
        self._held.update(keys)
        try:
            yield
        finally:
            self._held.subtract(keys)
            self._held = +self._held
            self._changed.set()
            self._changed = asyncio.Event()

    async def released(self, key: SliverKey) -> None:
        """Returns when nobody holds this one back."""
        while key in self._held:
            await self._changed.wait()
