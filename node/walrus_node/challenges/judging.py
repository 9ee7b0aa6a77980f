"""Verdicts: what the attempts of the epoch come to, as signed reports, and what earlier epochs have to do with it.

A case that is proven (WRONG, MISSING) is judged at once, every other one at 60 %. The report follows from the stored record of
the case alone, so one that a crash kept from the disk is made again with the same bytes.
A case whose attempt still runs, or was cut off by a restart, is judged without it. Who has a report already, from before a
restart, is not judged again: two different reports of one epoch void each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from walrus_client.challenges import messages
from walrus_client.challenges.messages import Pair
from walrus_client.challenges.reports import Report
from walrus_client.challenges.verdicts import EXCUSED_EPOCHS, NOTHING, Judgement, Outcome, Verdict
from walrus_codec.types import Epoch, NodeId
from walrus_node.challenges.book import ReportBook
from walrus_node.challenges.rounds import Round
from walrus_node.store.challenge_forms import CaseRecord
from walrus_node.store.storage import Storage
from walrus_sui.keys import Signer
from walrus_sui.telemetry import meter, names


class Judge:
    """One per node.

    Args:
        storage: has the reports of earlier epochs.
        book: signs and keeps those of this one.
        key: signs seeds, which reports repeat.
    """

    def __init__(self, *, storage: Storage, book: ReportBook, key: Signer) -> None:
        self._storage = storage
        self._book = book
        self._key = key
        self._verdicts = meter().create_counter(
            names.NODE_CHALLENGE_VERDICTS, description="Verdicts over other nodes, by verdict."
        )

    async def conclude(self, current: Round, cases: Mapping[NodeId, CaseRecord], now_ms: int, *, active: bool) -> None:
        """Signs a verdict on every member; `active` is whether this node may judge."""
        for other in current.others:
            await self._judge(current, other.node_id, cases[other.node_id], now_ms, active=active)

    async def conclude_proven(self, current: Round, cases: Mapping[NodeId, CaseRecord], now_ms: int) -> None:
        """Signs the verdicts that are final before 60 %; to be called only while this node may judge."""
        for other in current.others:
            if (record := cases[other.node_id]).case.is_proven:
                await self._judge(current, other.node_id, record, now_ms, active=True)

    async def _judge(self, current: Round, prover: NodeId, record: CaseRecord, now_ms: int, *, active: bool) -> None:
        if (await self._book.reports(current.epoch)).knows(current.us, prover):
            return
        if record.case.is_running:
            record = record.ended(Outcome.VOID, now_ms)
        judged = record.case.conclude(
            await self._excused_in(current, prover),
            challenger_active=active and current.has_questions_for(prover),
        )
        self._verdicts.add(1, {names.ATTR_OUTCOME: judged.verdict.value})
        await self._book.sign(await self._report(current, prover, record, judged, now_ms))

    async def seed(self, current: Round, prover: NodeId, attempt: int) -> bytes:
        """This node's signature for an attempt; it takes a millisecond."""
        pair = Pair(current.epoch, current.us, prover, attempt)
        message = messages.seed(pair, chain_id=current.chain_id, blobs=current.n_blobs, root=current.root)
        return await asyncio.to_thread(self._key.sign, message)

    async def _report(
        self, current: Round, prover: NodeId, record: CaseRecord, judged: Judgement, now_ms: int
    ) -> Report:
        attempt = judged.attempt if judged != NOTHING else None
        seed = await self.seed(current, prover, attempt) if attempt is not None else b""
        first, answered, chain = None, 0, bytes(32)
        start = end = now_ms
        if attempt is not None:
            position = next(i for i, entry in enumerate(record.case.attempts) if entry.number == attempt)
            first, answered, chain = record.details[position]
            start, end = record.started_ms[attempt], record.case.attempts[position].ended_ms
        return Report(
            epoch=current.epoch,
            challenger=current.us,
            prover=prover,
            attempt=attempt or 0,
            seed=seed,
            blobs=current.n_blobs,
            root=current.root,
            samples=current.policy.samples,
            verdict=judged.verdict,
            reason=judged.reason if attempt is not None else None,
            first=first,
            answered=answered,
            chain=chain,
            start_ms=start,
            end_ms=end,
        )

    async def _excused_in(self, current: Round, prover: NodeId) -> list[Epoch]:
        """Epochs, not long ago, in which this node has excused the prover."""
        found = []
        for epoch in range(max(0, current.epoch - EXCUSED_EPOCHS), current.epoch):
            for signed in await self._storage.reports(Epoch(epoch), [current.us]):
                report = Report.from_bytes(signed.body)
                if report.prover == prover and report.verdict is Verdict.EXCUSED:
                    found.append(Epoch(epoch))
        return found
