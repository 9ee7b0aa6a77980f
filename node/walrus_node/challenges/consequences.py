"""What follows from verdicts: reports of the others are pulled, votes cast, slashings executed, the silent named.

Life of an epoch here:

    10 % … 60 %   nothing, unless this node has proved a failure itself: then it pulls the others' reports on that member, every
                  2 % with jitter, until it has voted, votes as soon as proofs of one honest shard are there, and executes
    60 % … 90 %   everybody pulls everything, every 2 % with jitter
    65 % … 98 %   votes over failures of every kind, and executions of what has its quorum
    90 %          who has kept silent, or contradicted itself, is named in the log

The contract blocks the newest commission until half of the epoch is over: a failure that waited for 65 % would cost nothing
whoever collects before. Where nobody fails, nobody is asked for anything before 60 %. Older nodes hand on no report before
60 %: what they know comes then. Pulls run beside the loop and ring it when they end, because whoever is asked may take its
time, and the votes must not wait for it. Nothing here is lost in a restart: reports and votes are on the disk.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Sequence

from walrus_client.challenges.policy import Mode
from walrus_client.challenges.reports import Reports
from walrus_client.challenges.times import PULL_EVERY, VOTES_FROM, VOTES_UNTIL
from walrus_client.challenges.votes import proved_by, silent
from walrus_client.peers import PeerPool
from walrus_codec.types import NodeId
from walrus_node.challenges.book import ReportBook
from walrus_node.challenges.rounds import Round
from walrus_node.challenges.voter import Voter

_log = logging.getLogger(__name__)


class Consequences:
    """One per node.

    Args:
        book: reports.
        voter: votes and executes.
        peers: channels.
        rng: jitter.
        ring: has the loop look again.
    """

    def __init__(
        self, *, book: ReportBook, voter: Voter, peers: PeerPool, rng: random.Random, ring: Callable[[], None]
    ) -> None:
        self._book = book
        self._voter = voter
        self._peers = peers
        self._rng = rng
        self._ring = ring
        self._pulls: set[asyncio.Task[None]] = set()
        self._final = self._listed = False
        self._next_pull_ms = 0

    @property
    def pulls(self) -> Sequence[asyncio.Task[None]]:
        """Those that have not been reaped."""
        return list(self._pulls)

    def reap(self) -> None:
        """Forgets pulls that have ended; raises what ended them."""
        for pull in [pull for pull in self._pulls if pull.done()]:
            self._pulls.discard(pull)
            pull.result()

    async def begin(self) -> None:
        """Another epoch."""
        await ended(self._pulls)
        self._pulls.clear()
        self._final, self._listed, self._next_pull_ms = False, False, 0

    async def of_proofs(self, current: Round, now: int) -> list[int]:
        """Before verdicts are final: what this node's own proofs lead to; returns moments at which there is more to do.

        Raises:
            ChainError: a vote cannot be brought to the chain.
        """
        if current.mode is Mode.OFF or not current.times.may_vote_on_proofs(now):
            return []
        reports = await self._book.reports(current.epoch)
        proved = proved_by(current.us, reports)
        if not proved:
            return []
        await self._voter.vote(current, reports, proven=True)
        moments = []
        if undecided := await self._voter.undecided(current, proved):
            moments.append(self._pull(current, now, about=undecided))
        return [*moments, *await self._execute(current, now)]

    async def of_verdicts(self, current: Round, now: int) -> int | None:
        """Once verdicts are final: pulls, votes, executes; returns when there is more to do.

        Raises:
            ChainError: as `of_proofs`.
        """
        times, moments = current.times, []
        if current.mode is Mode.OFF:
            return None
        if not self._final:
            # What others have signed only now is not to wait for the turn of an early pull.
            self._final, self._next_pull_ms = True, 0
        if times.may_pull(now):
            moments.append(self._pull(current, now))
        reports = await self._book.reports(current.epoch)
        if times.may_vote_on_proofs(now):
            await self._voter.vote(current, reports, proven=not times.may_vote(now))
        moments += [moment for moment in (times.at(VOTES_FROM), times.at(VOTES_UNTIL) + 1) if moment > now]
        self._list_silent(current, reports, now)
        return min([*moments, *await self._execute(current, now)], default=None)

    def _pull(self, current: Round, now: int, *, about: Collection[NodeId] = ()) -> int:
        """Asks for reports when it is time; returns when it is the next time."""
        if now >= self._next_pull_ms:
            pulling = self._book.pull(current, self._peers, about=about, heard=self._ring)
            pull = asyncio.create_task(pulling, name="pull of reports")
            self._pulls.add(pull)
            pull.add_done_callback(lambda _task: self._ring())
            every = current.times.duration_ms * PULL_EVERY // 100
            self._next_pull_ms = now + round(every * (0.75 + self._rng.random() / 2))
        return self._next_pull_ms

    async def _execute(self, current: Round, now: int) -> list[int]:
        """Executes what has its quorum; returns when to look again, when there is reason to."""
        if not current.times.may_execute(now):
            return []
        candidates = await self._voter.open_candidates(current)
        if not candidates:
            return []
        await self._voter.execute(current, candidates)
        return [now + max(500, current.times.duration_ms // 100)]

    def _list_silent(self, current: Round, reports: Reports, now: int) -> None:
        """Says once, when no reports are pulled any more, who has not told what it must have seen."""
        if self._listed or now <= current.times.at(VOTES_UNTIL):
            return
        self._listed = True
        for listed, members in (("silent", silent(reports, current.weights)), ("equivocating", reports.equivocating)):
            if members:
                facts = {"epoch": current.epoch, "members": sorted(members)}
                _log.warning("members are %s about challenges", listed, extra=facts)


async def ended(tasks: Collection[asyncio.Task[None]]) -> None:
    """Ends tasks, whatever they come to."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
