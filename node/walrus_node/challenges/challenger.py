"""The challenger's loop: when each attempt starts, what is kept of it, and the verdicts.

Life of an epoch here:

    before 60 %   this node says that it recovers, if it must; attempts start at the moments that their seeds decide; a proven
                  failure is a verdict at once, signed, stored
    60 %          a verdict on every other member, signed, stored

What follows from verdicts is decided elsewhere (`consequences`). An attempt is stored as begun before its seed is used, so that
a seed is used once: an attempt that a restart cut off is void. Attempts run beside the loop and ring it when they end. A pass
returns the seconds until something is due; it is also rung when the chain's clock has jumped past that moment.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import replace

from walrus_client.challenges.policy import ATTEMPTS, Mode
from walrus_client.challenges.times import FINAL, LAST_START
from walrus_client.challenges.transcripts import transcript_to_bytes
from walrus_client.challenges.verdicts import Outcome
from walrus_client.peers import PeerPool
from walrus_codec.types import Epoch, NodeId
from walrus_node.challenges.book import ReportBook
from walrus_node.challenges.consequences import Consequences, ended
from walrus_node.challenges.declarations import Declarations
from walrus_node.challenges.examiner import Examined, Examiner
from walrus_node.challenges.judging import Judge
from walrus_node.challenges.progress import ChallengeProgress
from walrus_node.challenges.rounds import Round, Rounds
from walrus_node.challenges.voter import Voter
from walrus_node.store.challenge_forms import CaseRecord
from walrus_node.store.records import NodeStatus
from walrus_node.store.storage import Storage
from walrus_sui.keys import Signer
from walrus_sui.telemetry import meter, names
from walrus_sui.types import CommitteeMember

_log = logging.getLogger(__name__)

IDLE_S = 30.0
_SHORTEST_S = 0.05
RUNS = 8
"""Attempts of this node that run at a time; others begin when one of them ends."""


class Challenger:
    """One per node.

    Args:
        rounds: the current epoch.
        declarations: who recovers.
        examiner: carries attempts out.
        book: reports.
        voter: votes.
        storage: keeps cases.
        peers: channels.
        key: signs seeds.
        chain_now_ms: the chain's clock.
        rng: jitter.
        ring: has the loop look again.
        answering: how many attempts of others are answered now.
        paused: whether no attempt may begin at present.
    """

    def __init__(
        self,
        *,
        rounds: Rounds,
        declarations: Declarations,
        examiner: Examiner,
        book: ReportBook,
        voter: Voter,
        storage: Storage,
        peers: PeerPool,
        key: Signer,
        chain_now_ms: Callable[[], int],
        rng: random.Random,
        ring: Callable[[], None],
        answering: Callable[[], int],
        paused: Callable[[], bool] = lambda: False,
    ) -> None:
        self._rounds = rounds
        self._declarations = declarations
        self._examiner = examiner
        self._book = book
        self._voter = voter
        self._storage = storage
        self._peers = peers
        self._judge = Judge(storage=storage, book=book, key=key)
        self._consequences = Consequences(book=book, voter=voter, peers=peers, rng=rng, ring=ring)
        self._now_ms = chain_now_ms
        self._ring = ring
        self._answering = answering
        self._paused = paused
        self._running: dict[NodeId, asyncio.Task[None]] = {}
        self._epoch = Epoch(0)
        self._cases: dict[NodeId, CaseRecord] = {}
        self._first_seeds: dict[NodeId, bytes] = {}
        self._concluded = False
        self._due_ms: int | None = None
        self._progress = ChallengeProgress()
        self._attempts = meter().create_counter(
            names.NODE_CHALLENGE_ATTEMPTS, description="Attempts at other nodes, by how they ended."
        )

    @property
    def progress(self) -> ChallengeProgress:
        """Where the challenges stand."""
        return replace(
            self._progress,
            running=len(self._running),
            answering=self._answering(),
        )

    @property
    def _beside(self) -> list[asyncio.Task[None]]:
        """What runs beside the loop."""
        return [*self._running.values(), *self._consequences.pulls]

    def look_at_clock(self) -> None:
        """Rings when what the loop waits for is due already: the chain's clock may jump."""
        if self._due_ms is not None and self._now_ms() >= self._due_ms:
            self._ring()

    async def close(self) -> None:
        """Ends what runs; the seeds of these attempts are gone."""
        await ended(self._beside)

    @property
    def under_way(self) -> list[asyncio.Task[None]]:
        """Attempts that have not ended."""
        return [task for task in self._running.values() if not task.done()]

    async def settled(self) -> None:
        """Returns when no attempt runs, and nobody is asked for reports."""
        while self._beside:
            await asyncio.wait(self._beside)
            self._reap()

    async def run_once(self) -> float:
        """Does what is due; returns seconds until the next pass.

        Raises:
            ChainError: a vote cannot be brought to the chain.
        """
        self._reap()
        current = await self._rounds.current()
        if current is None:
            self._due_ms = None
            self._progress = ChallengeProgress()
            return IDLE_S
        now = self._now_ms()
        if current.epoch != self._epoch:
            await self._begin(current)
        if current.times.is_final(now):
            await self._conclude(current)
            self._rounds.release()
            self._due_ms = await self._consequences.of_verdicts(current, now)
        else:
            self._due_ms = await self._before_verdicts(current, now)
            # Also told when the chain takes no votes just now.
            await self._note(current, now)
            self._due_ms = min([self._due_ms, *await self._consequences.of_proofs(current, now)])
        await self._note(current, now)
        if self._due_ms is None:
            return IDLE_S
        return min(IDLE_S, max(_SHORTEST_S, (self._due_ms - self._now_ms()) / 1000))

    async def _begin(self, current: Round) -> None:
        await self._consequences.begin()
        self._epoch, self._concluded = current.epoch, False
        self._cases, self._first_seeds = {}, {}
        for other in current.others:
            record = await self._storage.case(current.epoch, other.node_id)
            if record.case.is_running:
                # A restart cut it off: its seed is used, and what the other one did is not known.
                record = record.ended(Outcome.VOID, self._now_ms())
                await self._storage.set_case(current.epoch, other.node_id, record)
            self._cases[other.node_id] = record

    async def _before_verdicts(self, current: Round, now: int) -> int:
        """Declares and starts what is due, judges what is proven; returns when the next thing is due."""
        if await self._declarations.is_needed(current):
            await self._declarations.announce(current, self._peers)
        moments = [current.times.at(FINAL)]
        if current.mode is not Mode.OFF and await self._is_active():
            for other in current.others:
                start = await self._next_start(current, other.node_id)
                if start is None:
                    continue
                if start > now:
                    moments.append(start)
                elif current.times.may_start(now) and len(self._running) < RUNS and not self._paused():
                    await self._start(current, other)
            await self._judge.conclude_proven(current, self._cases, now)
        return min(moments)

    async def _next_start(self, current: Round, prover: NodeId) -> int | None:
        record = self._cases[prover]
        if prover in self._running or record.case.is_settled or not current.has_questions_for(prover):
            return None
        if prover not in self._first_seeds:
            self._first_seeds[prover] = await self._judge.seed(current, prover, 0)
        return record.case.next_start(current.times, self._first_seeds[prover])

    async def _start(self, current: Round, prover: CommitteeMember) -> None:
        node = prover.node_id
        record = self._cases[node]
        begun = replace(record, case=record.case.begin(), started_ms=(*record.started_ms, self._now_ms()))
        # Before the seed leaves this process.
        await self._storage.set_case(current.epoch, node, begun)
        self._cases[node] = begun
        if await self._declarations.has(current, node):
            await self._finish(current, prover, Examined(Outcome.RECOVERING, 0, bytes(32), 0))
            return
        task = asyncio.create_task(self._attempt(current, prover), name=f"challenge of {prover.name}")
        self._running[node] = task
        task.add_done_callback(lambda _task: self._ring())

    async def _attempt(self, current: Round, prover: CommitteeMember) -> None:
        number = self._cases[prover.node_id].case.begun - 1
        seed = await self._judge.seed(current, prover.node_id, number)
        await self._finish(current, prover, await self._examiner.attempt(current, prover, number, seed))

    async def _finish(self, current: Round, prover: CommitteeMember, found: Examined) -> None:
        self._attempts.add(1, {names.ATTR_OUTCOME: found.outcome.value})
        if self._epoch != current.epoch or self._concluded:
            return  # it came too late to count
        if found.transcript is not None:
            transcript = transcript_to_bytes(found.transcript)
            await self._storage.set_transcript(current.epoch, prover.node_id, transcript)
        detail = (found.first, found.answered, found.chain)
        record = self._cases[prover.node_id].ended(found.outcome, self._now_ms(), detail)
        await self._storage.set_case(current.epoch, prover.node_id, record)
        self._cases[prover.node_id] = record
        if found.outcome is not Outcome.PASS:
            facts = {
                "epoch": current.epoch,
                "node": prover.name,
                "outcome": found.outcome.value,
                "question": found.first,
            }
            _log.warning("a challenge did not pass", extra=facts)

    async def _conclude(self, current: Round) -> None:
        """Signs a verdict on every member that has none, unless that is done."""
        if self._concluded or current.mode is Mode.OFF:
            return
        self._concluded = True
        await self._judge.conclude(current, self._cases, self._now_ms(), active=await self._is_active())

    async def _is_active(self) -> bool:
        return (await self._storage.node_state()).status is NodeStatus.ACTIVE

    def _reap(self) -> None:
        """Forgets attempts and pulls that have ended; raises what ended them."""
        self._consequences.reap()
        for node in [node for node, task in self._running.items() if task.done()]:
            self._running.pop(node).result()

    async def _note(self, current: Round, now: int) -> None:
        cases = {node: record.case for node, record in self._cases.items() if current.has_questions_for(node)}
        open_ = [
            node
            for node, case in cases.items()
            if not case.is_settled
            and (case.is_running or (case.begun < ATTEMPTS and now <= current.times.at(LAST_START)))
        ]
        votes, executed = await self._voter.counts(current)
        self._progress = ChallengeProgress(
            mode=current.mode.value,
            epoch=current.epoch,
            window_open=current.times.in_window(now),
            pending=len(open_) if current.mode is not Mode.OFF and not current.times.is_final(now) else 0,
            votes=votes,
            executed=executed,
        ).with_verdicts(current.us, await self._book.reports(current.epoch))
