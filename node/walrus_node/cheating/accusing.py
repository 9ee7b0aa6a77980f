"""Lies about others: verdicts that are well signed and false, votes without a reason, reports in other members' names.

What the honest rules make of them is the point: a false verdict of one member counts for nothing by itself, a vote is one
of many, and a report that its alleged maker has not signed is not taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

from walrus_client.challenges.reports import Report, Reports, SignedReport
from walrus_client.challenges.samples import SEED_LENGTH
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_codec.types import Epoch, NodeId
from walrus_node.challenges.book import ReportBook
from walrus_node.challenges.rounds import Round, Rounds
from walrus_node.challenges.voter import Voter
from walrus_node.cheating.orders import OrderFile, is_named
from walrus_node.store.storage import Storage
from walrus_sui.keys import BlsKey


class AccusingBook(ReportBook):
    """Signs that the accused have failed and friends have passed; `parts` are what `ReportBook` needs."""

    def __init__(self, *, orders: OrderFile, **parts: Any) -> None:
        super().__init__(**parts)
        self._orders = orders

    async def sign(self, report: Report) -> None:
        """Signs and keeps a verdict, a false one over the accused and over friends."""
        orders = self._orders.read()
        if is_named(report.prover, orders.accused):
            report = _ended(report, Verdict.FAIL, Outcome.WRONG)
        elif is_named(report.prover, orders.covered):
            report = _ended(report, Verdict.PASS, Outcome.PASS)
        await super().sign(report)


class AccusingVoter(Voter):
    """Votes against the accused as if everybody reported their failure; `parts` are what `Voter` needs."""

    def __init__(self, *, orders: OrderFile, **parts: Any) -> None:
        super().__init__(**parts)
        self._orders = orders

    async def vote(self, current: Round, reports: Reports, *, proven: bool = False) -> None:
        """Casts honest votes and false ones."""
        await super().vote(current, reports, proven=proven)
        accused = self._orders.read().accused
        false = Reports(current.epoch)
        for prover in current.weights:
            if prover != current.us and is_named(prover, accused):
                for challenger in current.weights:
                    if challenger != prover:
                        false.add(_made_up(current, challenger, prover))
        await super().vote(current, false)


class ForgingSource:
    """The reports that others may pull, and behind them some that nobody has made.

    Args:
        orders: over whom.
        storage: has the true ones.
        rounds: the members.
        key: signs in their names, in vain.
    """

    def __init__(self, *, orders: OrderFile, storage: Storage, rounds: Rounds, key: BlsKey) -> None:
        self._orders = orders
        self._storage = storage
        self._rounds = rounds
        self._key = key

    async def report_pages(
        self, epoch: Epoch, challengers: Sequence[NodeId] = (), *, count: int
    ) -> AsyncGenerator[list[SignedReport]]:
        """As `Storage.report_pages`, from `reports`."""
        found = await self.reports(epoch, challengers)
        for start in range(0, len(found), count):
            yield found[start : start + count]

    async def reports(self, epoch: Epoch, challengers: Sequence[NodeId] = ()) -> list[SignedReport]:
        """As `Storage.reports`."""
        true = await self._storage.reports(epoch, challengers)
        forged, current = self._orders.read().forged, await self._rounds.current()
        if not forged or current is None or current.epoch != epoch:
            return true
        bodies = [
            _made_up(current, challenger, prover).to_bytes()
            for prover in current.weights
            for challenger in current.weights
            if is_named(prover, forged) and challenger != prover and current.us not in {challenger, prover}
        ]
        # Not more than there are true ones: who sends too many is not listened to at all.
        bodies = bodies[: max(1, len(true))]
        return [*true, *[SignedReport(body, await asyncio.to_thread(self._key.sign, body)) for body in bodies]]


def _ended(report: Report, verdict: Verdict, reason: Outcome) -> Report:
    """The same attempt with another end."""
    first = 0 if verdict is Verdict.FAIL else None
    return replace(report, seed=report.seed or bytes(SEED_LENGTH), verdict=verdict, reason=reason, first=first)


def _made_up(current: Round, challenger: NodeId, prover: NodeId) -> Report:
    return Report(
        epoch=current.epoch,
        challenger=challenger,
        prover=prover,
        attempt=0,
        seed=bytes(SEED_LENGTH),
        blobs=current.n_blobs,
        root=current.root,
        samples=current.policy.samples,
        verdict=Verdict.FAIL,
        reason=Outcome.WRONG,
        first=0,
        answered=0,
        chain=bytes(32),
        start_ms=current.times.done_ms,
        end_ms=current.times.done_ms,
    )
