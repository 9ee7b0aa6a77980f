"""Answers challenges from what lies on the local disk, in constant memory, a few members at a time.

Life of a run: the opening was checked (a member of the committee signed it); whether it may be answered now is decided
(`_refusal`) and both outcomes are signed; the member waits for its turn, gets Ready, and sends the seed, which must be its
signature. Then each question is computed from the answer before, read, and answered; the end is signed. A cell that is not
here is admitted with a signature, and recovery is told. While a challenger keeps the node waiting others get its place; a
run whose reader does not fetch loses its turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable

from walrus_client.challenges import messages
from walrus_client.challenges.messages import Pair, Refusal
from walrus_client.challenges.policy import Policy
from walrus_client.challenges.samples import AnswerChain, Questions
from walrus_client.peers.challenges import MAX_CELL, Answer, Close, Hello, Missing, Part, Ready, Refused, Reply
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec.types import BlobId, Epoch, NodeId
from walrus_node.challenges.cells import Cells
from walrus_node.challenges.declarations import Declarations
from walrus_node.challenges.rounds import Round, Rounds
from walrus_node.challenges.turns import Turns
from walrus_node.store.storage import Storage
from walrus_sui import bls
from walrus_sui.keys import Signer
from walrus_sui.telemetry import meter, names
from walrus_sui.types import CommitteeMember

_log = logging.getLogger(__name__)

AT_ONCE = 4
QUEUE_S = 20.0
"""Longest wait for a turn."""
SEED_S = 10.0
"""How long the challenger may take between Ready and the seed."""
PATIENCE_S = 1.0
"""How long a place is kept for a challenger that the node waits for, while others wait for a place."""
_SPARE_S = 10.0
"""What a run may take beyond the time that its challenger gives it."""
_COURTESY_S = 0.002
"""Pause before each answer while users are served: a tenth of the time that an answer has."""
_SLACK_PERCENT = 2
"""Two nodes' clocks of the chain may differ by so much of an epoch."""


class Prover:
    """One per node.

    Args:
        rounds: the current epoch.
        cells: reads what is asked for.
        declarations: whether this node recovers.
        storage: is told what turned out to be missing.
        key: signs.
        chain_now_ms: the chain's clock.
        users_active: whether reads or writes are being served.
        on_lost: is told of a blob that lacks something.
    """

    def __init__(
        self,
        *,
        rounds: Rounds,
        cells: Cells,
        declarations: Declarations,
        storage: Storage,
        key: Signer,
        chain_now_ms: Callable[[], int],
        users_active: Callable[[], bool],
        on_lost: Callable[[BlobId], None],
    ) -> None:
        self._rounds = rounds
        self._cells = cells
        self._declarations = declarations
        self._storage = storage
        self._key = key
        self._now_ms = chain_now_ms
        self._users_active = users_active
        self._on_lost = on_lost
        self._turns = Turns(AT_ONCE)
        self._used: tuple[Epoch, set[tuple[NodeId, int]]] = (Epoch(0), set())
        self._replies = meter().create_counter(
            names.NODE_CHALLENGE_ANSWERS, description="Challenges of other nodes, by how they ended here."
        )

    @property
    def answering(self) -> int:
        """Runs that are under way."""
        return self._turns.served

    async def serve(
        self, hello: Hello, challenger: CommitteeMember, us: NodeId, seed: Callable[[], Awaitable[bytes]]
    ) -> AsyncGenerator[Reply | Part]:
        """Yields the reply, and after Ready, behind the seed, the answers and the close.

        Args:
            hello: what the challenger opened with.
            challenger: who signed it.
            us: this node's id.
            seed: waits for the challenger's next message.

        Raises:
            RequestRefused: MESSAGE_VERIFICATION_FAILED for a seed that is not the challenger's signature,
                CACHE_SATURATED when answers were not fetched in time.
        """
        pair = Pair(hello.epoch, challenger.node_id, us, hello.attempt)
        current = await self._rounds.current()
        reason = await self._refusal(current, pair, hello)
        turn = self._turns.join(challenger.node_id) if reason is None else None
        if current is None or turn is None:
            yield await self._refused(pair, reason or Refusal.BUSY)
            return
        try:
            if not await turn.wait(QUEUE_S):
                yield await self._refused(pair, Refusal.BUSY)
                return
            self._used_in(pair.epoch).add((pair.challenger, pair.attempt))
            ready = await self._signed(messages.ready(pair, blobs=current.n_blobs, root=current.root))
            turn.expire_in(SEED_S + _longest_s(current.policy) + _SPARE_S)
            turn.lend_in(PATIENCE_S)
            yield Ready(current.n_blobs, current.root, ready)
            sigma = await self._seed_in_time(seed)
            await turn.back()
            questions = await self._questions(current, pair, challenger, sigma)
            chain, previous = AnswerChain.start(questions), b""
            for index in range(questions.count):
                if turn.over:
                    self._count("BLOCKED")
                    raise RequestRefused(Reason.CACHE_SATURATED, "the answers were not fetched in time")
                if self._users_active():
                    await asyncio.sleep(_COURTESY_S)
                sample = questions.sample(index, previous)
                cell = await self._cells.answer(sample, challenger.node_id)
                if cell is None:
                    await self._lacks(sample.blob_id)
                    yield Missing(index, await self._signed(messages.missing(pair, index)))
                    return
                turn.lend_in(PATIENCE_S)
                yield Answer(index, cell.data)
                await turn.back()
                chain, previous = chain.then(cell.data), cell.data
            self._count("ANSWERED")
            yield Close(chain.value, await self._signed(messages.close(pair, chain.value)))
        finally:
            turn.leave()

    async def _refusal(self, current: Round | None, pair: Pair, hello: Hello) -> Refusal | None:
        """Why this challenge is not answered, None when it is."""
        if current is None:
            return Refusal.LAGGING
        if hello.epoch != current.epoch:
            return Refusal.WRONG_EPOCH
        if not current.shards(pair.prover) or not current.shards(pair.challenger):
            return Refusal.NOT_MEMBER
        slack = current.times.duration_ms * _SLACK_PERCENT // 100
        now = self._now_ms()
        if not (current.times.may_start(now + slack) or current.times.may_start(now - slack)):
            return Refusal.OUT_OF_WINDOW
        if (pair.challenger, pair.attempt) in self._used_in(pair.epoch):
            return Refusal.ATTEMPT_USED
        if await self._declarations.has(current, pair.prover):
            return Refusal.RECOVERING
        same = (hello.blobs, hello.root, hello.samples) == (current.n_blobs, current.root, current.policy.samples)
        return None if same else Refusal.LAGGING

    async def _seed_in_time(self, seed: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            async with asyncio.timeout(SEED_S):
                return await seed()
        except TimeoutError:
            self._count("BLOCKED")
            raise RequestRefused(Reason.UNAVAILABLE, "the seed did not come in time") from None

    async def _questions(self, current: Round, pair: Pair, challenger: CommitteeMember, sigma: bytes) -> Questions:
        message = messages.seed(pair, chain_id=current.chain_id, blobs=current.n_blobs, root=current.root)
        if not await asyncio.to_thread(bls.verify, challenger.bls_public_key, message, sigma):
            raise RequestRefused(Reason.MESSAGE_VERIFICATION_FAILED, "the seed is not the challenger's signature")
        return Questions(
            seed=sigma,
            blobs=await self._rounds.blobs(current),
            shards=current.shards(pair.prover),
            own=current.shards(pair.challenger),
            n_shards=current.committee.n_shards,
            most=current.policy.samples,
        )

    async def _refused(self, pair: Pair, reason: Refusal) -> Refused:
        self._count(reason.name)
        return Refused(reason, await self._signed(messages.refuse(pair, reason)))

    async def _lacks(self, blob_id: BlobId) -> None:
        self._count("MISSING")
        _log.error("a cell that was asked for is not here", extra={"blob_id": blob_id.hex()})
        await self._storage.suspect([blob_id])
        self._on_lost(blob_id)

    async def _signed(self, message: bytes) -> bytes:
        return await asyncio.to_thread(self._key.sign, message)

    def _used_in(self, epoch: Epoch) -> set[tuple[NodeId, int]]:
        if self._used[0] != epoch:
            self._used = (epoch, set())
        return self._used[1]

    def _count(self, outcome: str) -> None:
        self._replies.add(1, {names.ATTR_OUTCOME: outcome})


def _longest_s(policy: Policy) -> float:
    """The most time that any run of this policy has."""
    per_answer_s = policy.latency_ms / 1000 + MAX_CELL / policy.bytes_per_s
    return policy.grace_ms / 1000 + policy.samples * per_answer_s
