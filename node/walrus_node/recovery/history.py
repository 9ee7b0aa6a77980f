"""Makes a node's view of the chain anew when the chain has pruned the events that it needs.

    newest checkpoint T of the chain ─► every member's list of records, T applied ─► compared side by side
        ─► tables and cursor T replaced in one batch ─► events from T + 1 on, those that are shown already left out

A record is believed when nodes of more than f shards say the very same: one of them is honest. All members together must
hold a quorum (or be all that there are beside us), so that what every honest node knows reaches that weight; when those
beside us hold f shards or fewer, nothing that they say can be believed, and only an endpoint with more history helps. Before
the first committee there are no records at all. Nodes are asked
while the chain goes on, so one may show a change that another does not yet: then a record may be known to enough nodes,
but to too few in any one form, and everybody is asked once more. Lists come in order, so they are compared as they
arrive: what liars add costs no memory, and who adds too much is heard no longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from walrus_client.errors import PeerError
from walrus_client.peers import PeerPool
from walrus_client.records import RawRecord, RecordKey
from walrus_codec import quorum
from walrus_codec.types import NodeId
from walrus_node.chain import ChainView
from walrus_node.errors import StoreError
from walrus_node.events import history
from walrus_node.events.processor import EventProcessor
from walrus_node.store.history import Record, read_record
from walrus_node.store.records import Cursor, NodeState, NodeStatus
from walrus_node.store.storage import Storage
from walrus_sui.types import CheckpointInfo, Committee, CommitteeMember

_log = logging.getLogger(__name__)

LIST_S = 3600.0
IDLE_S = 30.0
"""A node that sends nothing for so long is not waited for."""
MAX_ALONE = 10_000
"""Records of one node that too few others know, after which it is heard no longer."""


class NoAgreementError(Exception):
    """The other nodes' records cannot be had, or differ; later they may be."""


class Tip(Protocol):
    """Where the chain is."""

    async def latest_checkpoint(self) -> CheckpointInfo:
        """The newest checkpoint."""
        ...


@dataclass(eq=False)
class _Witness:
    """One node's list, as far as it was read."""

    member: CommitteeMember
    pages: AsyncGenerator[list[RawRecord], None]
    page: list[RawRecord] = field(default_factory=list)
    place: int = 0
    alone: int = 0

    @property
    def record(self) -> RawRecord:
        return self.page[self.place]


class HistoryRebuilder:
    """One per process.

    Args:
        chain: tells the newest checkpoint.
        view: the committees.
        peers: channels to other nodes.
        storage: whose tables are replaced.
        processor: goes on from the new cursor.
        us: this node.
    """

    def __init__(
        self,
        *,
        chain: Tip,
        view: ChainView,
        peers: PeerPool,
        storage: Storage,
        processor: EventProcessor,
        us: NodeId,
    ) -> None:
        self._chain = chain
        self._view = view
        self._peers = peers
        self._storage = storage
        self._processor = processor
        self._us = us
        self.waits_for = ""

    async def begin(self) -> None:
        """Notes, durably, that the node's history has a gap: it says so, and does no duty of a member until it is filled."""
        state = await self._storage.node_state()
        gap = NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY
        self.waits_for = "the chain has pruned events that this node needs; it asks the other nodes for their records"
        if state.status is not gap:
            await self._storage.change_epoch(NodeState(gap, state.epoch), {})

    async def run_once(self) -> Cursor:
        """Replaces the records; returns the cursor to follow the chain from.

        Raises:
            NoAgreementError: too few nodes answered, or not the same; `waits_for` says so.
            ChainError: the chain cannot be read.
        """
        epoch = (await self._view.refresh()).epoch
        tip = await self._chain.latest_checkpoint()
        staking = await self._view.refresh()
        if staking.epoch != epoch:
            raise NoAgreementError("the epoch changed meanwhile")
        try:
            agreed = await self._agree(staking.committee, tip.sequence)
        except NoAgreementError as error:
            self.waits_for = f"the chain has pruned events that this node needs, and the other nodes' records: {error}"
            raise
        # Whoever has answered was not ahead of this one.
        until = (await self._chain.latest_checkpoint()).sequence
        records = history.derive(agreed)
        cursor = Cursor(tip.sequence, tip.timestamp_ms, epoch)
        await self._storage.replace_history(records, cursor, replay_until=until)
        self._processor.restart(cursor, replay_until=until)
        self.waits_for = ""
        facts = {
            "epoch": epoch,
            "checkpoint": tip.sequence,
            "objects": len(records.objects),
            "blobs": len(records.blobs),
        }
        _log.info("the records were made anew from those of the other nodes", extra=facts)
        return cursor

    async def _agree(self, committee: Committee, checkpoint: int) -> dict[RecordKey, Record]:
        others = [member for member in committee.members if member.node_id != self._us]
        weight = sum(member.weight for member in others)
        if committee.members and not quorum.is_one_honest(weight, committee.n_shards):
            raise NoAgreementError(
                f"the other members have {weight} shards together, too few to be believed; "
                "use an endpoint with more history (chain.network_config)"
            )
        async with contextlib.AsyncExitStack() as stack:
            witnesses: list[_Witness] = []
            for member in others:
                pages = self._peers.get(member).list_records(checkpoint, timeout_s=LIST_S, idle_s=IDLE_S)
                witnesses.append(_Witness(member, await stack.enter_async_context(contextlib.aclosing(pages))))
            return await _Comparison(committee, others, witnesses).run()


class _Comparison:
    """Several ordered lists, read side by side.

    Args:
        committee: whose weights count.
        others: all that could be asked.
        witnesses: their lists, from the beginning.
    """

    def __init__(self, committee: Committee, others: list[CommitteeMember], witnesses: list[_Witness]) -> None:
        self._n_shards = committee.n_shards
        self._needed = min(quorum.quorum_weight(committee.n_shards), sum(member.weight for member in others))
        self._heard = list(witnesses)
        self._reading = list(witnesses)
        self._problems: list[str] = []
        self._agreed: dict[RecordKey, Record] = {}
        self._undecided = 0

    async def run(self) -> dict[RecordKey, Record]:
        """Reads all lists to their ends.

        Raises:
            NoAgreementError: too few nodes are left, or records are in flux.
        """
        await self._advance(self._reading)
        while self._reading:
            key = min(witness.record.key for witness in self._reading)
            at_it = [witness for witness in self._reading if witness.record.key == key]
            self._judge(key, at_it)
            for witness in at_it:
                witness.place += 1
            await self._advance(at_it)
        if self._undecided:
            raise NoAgreementError(f"{self._undecided} records are in flux")
        return self._agreed

    def _judge(self, key: RecordKey, witnesses: list[_Witness]) -> None:
        votes: Counter[Record] = Counter()
        for witness in witnesses:
            try:
                votes[read_record(witness.record)] += witness.member.weight
            except StoreError:  # of a newer release, or a lie
                witness.alone += 1
        if not votes:
            return
        record, weight = votes.most_common(1)[0]
        if quorum.is_one_honest(weight, self._n_shards):
            self._agreed[key] = record
        elif quorum.is_one_honest(votes.total(), self._n_shards):
            self._undecided += 1
        else:
            for witness in witnesses:
                witness.alone += 1

    async def _advance(self, witnesses: list[_Witness]) -> None:
        """Brings these to their next record; those that end or fail are read no longer."""
        empty = [witness for witness in witnesses if witness.place >= len(witness.page)]
        if empty:
            await asyncio.gather(*(self._turn_page(witness) for witness in empty))
        for witness in [witness for witness in self._heard if witness.alone > MAX_ALONE]:
            self._drop(witness, f"{witness.member.name} has told {MAX_ALONE} records that nobody else knows")
        if sum(witness.member.weight for witness in self._heard) < self._needed:
            have = sum(witness.member.weight for witness in self._heard)
            raise NoAgreementError(
                f"nodes with {have} shards answer, {self._needed} are needed ({'; '.join(self._problems)})"
            )

    async def _turn_page(self, witness: _Witness) -> None:
        witness.page, witness.place = [], 0
        try:
            while not witness.page:
                witness.page = await anext(witness.pages)
        except StopAsyncIteration:
            self._reading.remove(witness)
        except PeerError as error:
            self._drop(witness, str(error))

    def _drop(self, witness: _Witness, why: str) -> None:
        self._problems.append(why)
        self._heard.remove(witness)
        if witness in self._reading:
            self._reading.remove(witness)
