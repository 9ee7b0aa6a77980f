"""Votes and their execution: what reports oblige this node to, carried out through the official contract.

Life of a vote: when this node's own challenge failed and failing reports reach one honest shard, it votes, once per epoch
and candidate: over proven failures at once, over all from 65 % on. What happened is noted, so a restart repeats nothing, and
the contract refuses a second vote anyway. Who comes behind the slashing has nothing to vote about any more: its vote would
begin a new proposal, which nobody completes and which would stay open until the epoch ends. While one of its candidates is open the node looks at the proposals on chain, and executes the slashing when it
is the first to see the quorum. What a slashing burned every voter reads from the chain, whoever executed it, so that it is known
also when that one is gone. Votes die with the epoch, so nothing is retried in the next one. In mode Report the node
only says what it would have voted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from walrus_client.challenges import votes
from walrus_client.challenges.policy import Mode
from walrus_client.challenges.reports import Reports
from walrus_codec import quorum
from walrus_codec.types import Epoch, NodeId
from walrus_node.challenges.rounds import Round
from walrus_node.store.challenge_forms import VoteRecord
from walrus_node.store.storage import Storage
from walrus_sui.errors import MoveAbort, NetworkConfigError
from walrus_sui.keys import SuiKey
from walrus_sui.telemetry import meter, names
from walrus_sui.types import PoolView, SlashingProposal

_log = logging.getLogger(__name__)

_SLASHING = "slashing"
_DUPLICATE_VOTE, _NO_PROPOSAL, _WRONG_EPOCH, _NOT_ENOUGH = 1, 2, 3, 4


class SlashingChain(Protocol):
    """The calls that votes need; every one raises `walrus_sui.errors.ChainError`."""

    async def vote_for_slashing(self, key: SuiKey, *, voter: NodeId, candidate: NodeId) -> None:
        """Votes in the current epoch."""
        ...

    async def execute_slashing(self, key: SuiKey, candidate: NodeId) -> None:
        """Burns the candidate's commission."""
        ...

    async def pool(self, node_id: NodeId) -> PoolView:
        """The record of a node, with its commission."""
        ...

    async def burned_commission(self, node_id: NodeId, *, epoch: Epoch | None = None) -> int | None:
        """FROST that the last slashing of a node (in an epoch) burned; None when the chain tells of none."""
        ...

    async def slashing_proposals(self) -> list[SlashingProposal]:
        """All proposals."""
        ...


class Voter:
    """One per node.

    Args:
        storage: notes what was done.
        chain: where votes go.
        key: pays for them.
    """

    def __init__(self, *, storage: Storage, chain: SlashingChain, key: SuiKey) -> None:
        self._storage = storage
        self._chain = chain
        self._key = key
        self._cast = meter().create_counter(
            names.NODE_CHALLENGE_VOTES, description="Votes to slash, and slashings, by what became of them."
        )

    async def vote(self, current: Round, reports: Reports, *, proven: bool = False) -> None:
        """Casts what the reports oblige to and was not cast yet; `proven` as in `votes.deserves_vote`.

        Raises:
            ChainError: the chain cannot be reached; called again, it goes on.
        """
        for candidate in votes.would_vote(
            me=current.us,
            reports=reports,
            weights=current.weights,
            n_shards=current.committee.n_shards,
            proven=proven,
        ):
            if await self._storage.vote(current.epoch, candidate) is not None:
                continue
            facts = {"epoch": current.epoch, "candidate": candidate}
            if current.mode is not Mode.VOTE:
                _log.warning("would vote to slash a node", extra=facts)
                self._count("DRY_RUN")
                await self._storage.set_vote(current.epoch, candidate, VoteRecord(voted=False))
                continue
            try:
                burned = await self._chain.burned_commission(candidate, epoch=current.epoch)
                if burned is not None:
                    await self._ended(current, candidate, "BY_OTHERS", voted=False, burned=burned)
                    continue
                await self._chain.vote_for_slashing(self._key, voter=current.us, candidate=candidate)
            except MoveAbort as abort:
                if (abort.module, abort.code) != (_SLASHING, _DUPLICATE_VOTE):
                    _log.warning("the vote was refused", extra=facts | {"abort": str(abort)})
                    await self._storage.set_vote(current.epoch, candidate, VoteRecord(voted=False, executed="REFUSED"))
                    self._count("REFUSED")
                    continue
            except NetworkConfigError as error:
                _log.warning("votes are not possible here", extra=facts | {"error": str(error)})
                await self._storage.set_vote(current.epoch, candidate, VoteRecord(voted=False, executed="IMPOSSIBLE"))
                continue
            await self._storage.set_vote(current.epoch, candidate, VoteRecord(voted=True))
            self._count("CAST")
            _log.warning("voted to slash a node", extra=facts)

    async def counts(self, current: Round) -> tuple[int, int]:
        """Votes that this node has cast in the epoch, and how many of them have led to a slashing or can no more."""
        cast = [record for record in (await self._storage.votes(current.epoch)).values() if record.voted]
        return len(cast), sum(bool(record.executed) for record in cast)

    async def open_candidates(self, current: Round) -> Sequence[NodeId]:
        """Those that this node has voted against and that nobody was seen to slash yet."""
        records = await self._storage.votes(current.epoch)
        return [node for node, record in records.items() if record.voted and not record.executed]

    async def undecided(self, current: Round, candidates: Sequence[NodeId]) -> Sequence[NodeId]:
        """Those of these on whom this node has not voted, nor said what it would vote."""
        records = await self._storage.votes(current.epoch)
        return [node for node in candidates if node not in records]

    async def execute(self, current: Round, candidates: Sequence[NodeId]) -> None:
        """Executes what has its quorum; raises `ChainError` as `vote`."""
        proposals = {proposal.node_id: proposal for proposal in await self._chain.slashing_proposals()}
        for candidate in candidates:
            proposal = proposals.get(candidate)
            if proposal is None or proposal.epoch != current.epoch or current.us not in proposal.voters:
                # This node's vote is on chain, so somebody has executed it: the proposal goes then, late votes make a new one.
                await self._by_others(current, candidate)
            elif quorum.is_quorum(proposal.weight, current.committee.n_shards):
                await self._execute(current, candidate)

    async def _execute(self, current: Round, candidate: NodeId) -> None:
        # Nothing is paid into it, nor can more be taken, between two epochs as a rule.
        burned = (await self._chain.pool(candidate)).commission
        try:
            await self._chain.execute_slashing(self._key, candidate)
        except MoveAbort as abort:
            if abort.module != _SLASHING or abort.code not in {_NO_PROPOSAL, _WRONG_EPOCH, _NOT_ENOUGH}:
                raise
            if abort.code == _NO_PROPOSAL:
                await self._by_others(current, candidate)
            elif abort.code == _WRONG_EPOCH:
                await self._ended(current, candidate, "TOO_LATE")
            return
        await self._ended(current, candidate, "EXECUTED", burned=burned)

    async def _by_others(self, current: Round, candidate: NodeId) -> None:
        burned = await self._chain.burned_commission(candidate, epoch=current.epoch)
        await self._ended(current, candidate, "BY_OTHERS", burned=burned or 0)

    async def _ended(self, current: Round, candidate: NodeId, how: str, *, voted: bool = True, burned: int = 0) -> None:
        await self._storage.set_vote(current.epoch, candidate, VoteRecord(voted=voted, executed=how, burned=burned))
        self._count(how)
        facts = {"epoch": current.epoch, "candidate": candidate, "how": how, "burned": burned}
        _log.warning("a node is slashed", extra=facts)

    def _count(self, outcome: str) -> None:
        self._cast.add(1, {names.ATTR_OUTCOME: outcome})
