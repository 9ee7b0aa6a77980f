"""One attempt: this node asks another one, with a stopwatch.

Life of an attempt: every question and its right answer is computed from this node's own slivers first; if one is not here,
the attempt is void and recovery is told. Then the stream is opened; behind Ready the seed goes out and the clock runs. Each
answer is compared as it comes (a hash and a size are all that is kept of the right ones) and must keep its deadline. When
one is wrong the rest is still listened to, because the close over the wrong answers is what convicts; then the transcript
is made from what came and from this node's cells with their proofs.

Where this differs from the letter of `challenges-spec.md` 7: a late event loop of this node voids an attempt only when the
attempt would be LATE. Lag makes answers look later, never earlier, so everything else it finds stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from walrus_client.challenges import messages
from walrus_client.challenges.deadlines import Deadline, challenger_was_late
from walrus_client.challenges.messages import Pair, Refusal
from walrus_client.challenges.replay import Exchange, Transcript
from walrus_client.challenges.samples import AnswerChain, Questions, Sample, invalid_answer
from walrus_client.challenges.verdicts import Outcome
from walrus_client.errors import PeerError
from walrus_client.peers import PeerPool, RequestSigner
from walrus_client.peers.challenges import MAX_CELL, Answer, ChallengeCall, Close, Hello, Missing, Part, Ready, Refused
from walrus_codec.types import BlobId
from walrus_node.challenges.cells import Cells
from walrus_node.challenges.feeding import HeldBack
from walrus_node.challenges.lag import measured_lag
from walrus_node.challenges.rounds import Round, Rounds
from walrus_node.store.blob_records import InvalidBlob
from walrus_node.store.storage import SliverKey, Storage
from walrus_sui import bls
from walrus_sui.types import CommitteeMember

_log = logging.getLogger(__name__)

READY_S = 30.0
"""How long the other node may take to be ready; its queue is shorter."""
EVENT_S = 10.0
"""How long this node waits for its events to say that a blob is invalid when the other one answers so."""
MAX_TRANSCRIPT = 4 << 20
"""Bytes of blob ids, answers, cells and proofs that are kept of a failed attempt."""

_OUTCOME_OF = {
    Refusal.LAGGING: Outcome.LAGGING,
    Refusal.WRONG_EPOCH: Outcome.LAGGING,
    Refusal.OUT_OF_WINDOW: Outcome.LAGGING,
    Refusal.NOT_MEMBER: Outcome.LAGGING,
    Refusal.RECOVERING: Outcome.RECOVERING,
    Refusal.BUSY: Outcome.BUSY,
    # No attempt is used twice by this node: who says so does not want to be asked.
    Refusal.ATTEMPT_USED: Outcome.UNREACHABLE,
}


@dataclass(frozen=True)
class Examined:
    """What an attempt found.

    Attributes:
        outcome: how it ended.
        answered: answers that came.
        chain: hash over them.
        first: the first question that was not answered right, None when all were or none was asked.
        transcript: the evidence of a failure, None when there is none or it is too large.
    """

    outcome: Outcome
    answered: int
    chain: bytes = field(repr=False)
    first: int | None = None
    transcript: Transcript | None = field(default=None, repr=False)


@dataclass
class _Run:
    """An attempt under way.

    Attributes:
        expected: hash and size of each right answer.
        chain: over the answers that came.
        deadline: of the last answer that came.
        tail: answers from the first wrong one on, as far as they are kept.
        stopped_s: what the clock stood still.
    """

    pair: Pair
    questions: Questions
    expected: list[tuple[bytes, int]]
    chain: AnswerChain
    deadline: Deadline
    previous: bytes = b""
    wrong: int | None = None
    tail: list[bytes] = field(default_factory=list)
    tail_size: int = 0
    stopped_s: float = 0.0
    close: bytes | None = None
    missing: bytes | None = None

    def ended(self, outcome: Outcome, transcript: Transcript | None = None) -> Examined:
        first = self.wrong if self.wrong is not None else self.chain.answered
        return Examined(
            outcome,
            self.chain.answered,
            self.chain.value,
            None if outcome is Outcome.PASS else first,
            transcript,
        )


class Examiner:
    """Carries attempts out.

    Args:
        cells: reads this node's cells.
        rounds: the blobs.
        storage: what the events say of blobs, and who is told what is missing.
        peers: channels.
        signer: signs openings.
        held: keeps readers from the slivers that are compared with.
        chain_now_ms: the chain's clock.
        on_lost: is told of a blob that lacks something here.
    """

    def __init__(
        self,
        *,
        cells: Cells,
        rounds: Rounds,
        storage: Storage,
        peers: PeerPool,
        signer: RequestSigner,
        held: HeldBack,
        chain_now_ms: Callable[[], int],
        on_lost: Callable[[BlobId], None],
    ) -> None:
        self._now_ms = chain_now_ms
        self._cells = cells
        self._rounds = rounds
        self._storage = storage
        self._peers = peers
        self._signer = signer
        self._held = held
        self._on_lost = on_lost

    async def attempt(self, current: Round, prover: CommitteeMember, number: int, seed: bytes) -> Examined:
        """Asks a member; `seed` must be this node's signature for this attempt and never have been used."""
        questions = Questions(
            seed=seed,
            blobs=await self._rounds.blobs(current),
            shards=current.shards(prover.node_id),
            own=current.shards(current.us),
            n_shards=current.committee.n_shards,
            most=current.policy.samples,
        )
        start = AnswerChain.start(questions)
        run = _Run(
            Pair(current.epoch, current.us, prover.node_id, number), questions, [], start, Deadline(current.policy)
        )
        keys = await self._prepare(run, 0, b"")
        if keys is None:
            return run.ended(Outcome.VOID)
        hello = Hello(current.epoch, number, current.n_blobs, current.root, current.policy.samples)
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(READY_S):
                    call = await stack.enter_async_context(self._peers.get(prover).challenge(hello, self._signer))
                refused = await self._judge_reply(current, prover, run.pair, call.reply)
                if refused is not None:
                    return run.ended(refused)
                with self._held.holding(keys):
                    return await self._ask(current, prover, run, call)
        except TimeoutError:
            return run.ended(Outcome.UNREACHABLE)
        except PeerError as error:
            _log.info("a challenge cannot be carried out", extra={"node": prover.name, "error": str(error)})
            return run.ended(Outcome.UNREACHABLE)

    async def _prepare(self, run: _Run, index: int, previous: bytes) -> list[SliverKey] | None:
        """Finds the right answers from `index` on; returns the slivers that they come from, None when one lacks."""
        del run.expected[index:]
        keys = []
        while index < run.questions.count:
            sample = run.questions.sample(index, previous)
            cell = await self._cells.truth(sample, run.pair.prover)
            if cell is None:
                await self._storage.suspect([sample.blob_id])
                self._on_lost(sample.blob_id)
                return None
            keys.append(SliverKey(sample.own, sample.axis.orthogonal, sample.blob_id))
            run.expected.append((_hash(cell.data), len(cell.data)))
            previous = cell.data
            index += 1
        return keys

    async def _judge_reply(
        self, current: Round, prover: CommitteeMember, pair: Pair, reply: Ready | Refused
    ) -> Outcome | None:
        """How the attempt ends with this reply, None when it goes on; an unsigned one is none at all."""
        outcome: Outcome | None
        match reply:
            case Refused():
                message, outcome = messages.refuse(pair, reply.reason), _OUTCOME_OF[reply.reason]
                if not current.times.may_start(self._now_ms()):
                    outcome = Outcome.VOID  # this node was too slow to ask in time
            case Ready():
                message = messages.ready(pair, blobs=reply.blobs, root=reply.root)
                same = (reply.blobs, reply.root) == (current.n_blobs, current.root)
                outcome = None if same else Outcome.LAGGING
        signed = await asyncio.to_thread(bls.verify, prover.bls_public_key, message, reply.signature)
        return outcome if signed else Outcome.UNREACHABLE

    async def _ask(self, current: Round, prover: CommitteeMember, run: _Run, call: ChallengeCall) -> Examined:
        loop, count = asyncio.get_running_loop(), run.questions.count
        call.send_seed(run.questions.seed)
        async with measured_lag() as lag:
            begun = loop.time()
            while True:
                index = run.chain.answered
                # Behind a wrong answer other questions follow, of which nothing is known: time enough for any of them.
                size = MAX_CELL if run.wrong is not None else run.expected[index][1] if index < count else 0
                due = run.deadline.then(size)
                try:
                    async with asyncio.timeout_at(begun + run.stopped_s + due.us / 1e6):
                        part = await call.next()
                except TimeoutError:
                    part = None
                    late = True
                else:
                    late = due.is_late(round((loop.time() - begun - run.stopped_s) * 1e6))
                if late and run.wrong is None:
                    return run.ended(
                        Outcome.VOID if challenger_was_late(current.policy, lag.worst_us) else Outcome.LATE
                    )
                if late or part is None:
                    break
                run.deadline = due
                if (ended := await self._take(prover, run, part)) is not None:
                    if ended is Outcome.WRONG:
                        break
                    return run.ended(ended, await self._transcript(run) if ended is Outcome.MISSING else None)
        if run.wrong is None:
            return run.ended(Outcome.UNREACHABLE)
        return run.ended(Outcome.WRONG, await self._transcript(run))

    async def _take(self, prover: CommitteeMember, run: _Run, part: Part) -> Outcome | None:
        """Judges one message; returns how the attempt ends with it, None when it goes on."""
        index = run.chain.answered
        match part:
            case Answer() if part.index == index < run.questions.count:
                return await self._compare(run, part.data)
            case Close() if index == run.questions.count:
                good = part.chain == run.chain.value and await self._is_signed(
                    prover, messages.close(run.pair, run.chain.value), part.signature
                )
                run.close = part.signature if good else None
                if run.wrong is not None:
                    return Outcome.WRONG
                return Outcome.PASS if good else Outcome.UNREACHABLE
            case Missing() if part.index == index < run.questions.count and run.wrong is None:
                if await self._is_signed(prover, messages.missing(run.pair, index), part.signature):
                    run.missing = part.signature
                    return Outcome.MISSING
        # Out of order: no answer to what was asked, so the stream is as good as lost.
        return Outcome.UNREACHABLE if run.wrong is None else Outcome.WRONG

    async def _compare(self, run: _Run, data: bytes) -> Outcome | None:
        index = run.chain.answered
        if run.wrong is None and _hash(data) != run.expected[index][0]:
            sample = run.questions.sample(index, run.previous)
            loop = asyncio.get_running_loop()
            begun = loop.time()
            verdict = await self._is_invalid_now(run, sample, data)
            run.stopped_s += loop.time() - begun
            if verdict is Outcome.WRONG:
                run.wrong = index
            elif verdict is not Outcome.PASS:
                return verdict
        if run.wrong is not None:
            run.tail_size += len(data)
            if run.tail_size <= MAX_TRANSCRIPT:
                run.tail.append(data)
        run.chain, run.previous = run.chain.then(data), data
        return None

    async def _is_invalid_now(self, run: _Run, sample: Sample, data: bytes) -> Outcome:
        """What a different answer means: PASS when the blob has become invalid meanwhile, LAGGING when only here.

        Not VOID: who has bad blobs of its own declared invalid could void every attempt with wrong answers to them.
        """
        declared = invalid_answer(sample.blob_id)
        if run.expected[sample.index][0] == _hash(declared):
            return Outcome.LAGGING  # it has not heard of it yet, and there is nothing here to compare with
        if data == declared and await self._hears_invalid(sample.blob_id):
            if await self._prepare(run, sample.index + 1, data) is None:
                return Outcome.VOID
            return Outcome.PASS
        return Outcome.WRONG

    async def _hears_invalid(self, blob_id: BlobId) -> bool:
        """Waits a moment for the event that declares the blob invalid."""
        try:
            async with asyncio.timeout(EVENT_S):
                # Nobody rings for a single blob, so this asks.
                while not isinstance(await self._storage.blob_info(blob_id), InvalidBlob):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            return False
        return True

    async def _is_signed(self, prover: CommitteeMember, message: bytes, signature: bytes) -> bool:
        return await asyncio.to_thread(bls.verify, prover.bls_public_key, message, signature)

    async def _transcript(self, run: _Run) -> Transcript | None:
        """The exchanges with this node's cells and their proofs; None when they are too large or not here any more."""
        exchanges: list[Exchange] = []
        size, previous = len(run.questions.blobs.ids), b""
        for index in range(run.chain.answered):
            sample = run.questions.sample(index, previous)
            cell = await self._cells.truth(sample, run.pair.prover)
            if cell is None:
                return None
            behind = -1 if run.wrong is None else index - run.wrong
            if behind >= len(run.tail):
                return None
            answer = cell.data if behind < 0 else run.tail[behind]
            size += len(answer) + len(cell.data) + len(cell.proof)
            if size > MAX_TRANSCRIPT:
                return None
            exchanges.append(Exchange(answer, cell.data, cell.proof))
            previous = answer
        return Transcript(run.pair, run.questions, tuple(exchanges), run.close, run.missing)


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).digest()
