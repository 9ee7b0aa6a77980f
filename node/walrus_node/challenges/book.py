"""Signed reports: this node's own, and those that it pulls from the others and passes on.

Life of a report: signed here at the end of the window, or when it is proven, or pulled; checked with the key of the epoch's
committee; stored before anybody is given it; counted by the voter; forgotten after some epochs. Each member is asked for its
own reports until all have come, or before 60 % those on the provers that this node wants to vote on; and one of them, drawn
anew each time, for everything that it knows: so the reports of a member that is away go round all the same, and one who tells
different things to different members is found out. Whatever is known already
costs no signature check; a member that hands on a report that nobody signed is not listened to any more in that pass.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection

from walrus_client.challenges.reports import Addition, Report, ReportError, Reports, SignedReport
from walrus_client.errors import PeerError
from walrus_client.peers import PeerPool
from walrus_codec.types import Epoch, NodeId
from walrus_node.challenges.rounds import Round
from walrus_node.challenges.seldom import Seldom
from walrus_node.store.storage import Storage
from walrus_sui import bls
from walrus_sui.keys import Signer
from walrus_sui.telemetry import meter, names
from walrus_sui.types import CommitteeMember

_log = logging.getLogger(__name__)

_AT_ONCE = 8
"""Members that are asked at a time."""


class ReportBook:
    """All reports of the current epoch.

    Args:
        storage: where they are kept.
        key: signs this node's own.
        rng: draws who is asked for everything.
    """

    def __init__(self, *, storage: Storage, key: Signer, rng: random.Random) -> None:
        self._storage = storage
        self._key = key
        self._rng = rng
        self._reports: Reports | None = None
        self._bodies: dict[tuple[NodeId, NodeId], set[bytes]] = {}
        self._listening: set[NodeId] = set()
        self._writing = asyncio.Lock()
        self._seldom = Seldom(time.monotonic)
        self._taken = meter().create_counter(
            names.NODE_CHALLENGE_REPORTS, description="Reports of challenges that were offered, by what became of them."
        )

    async def reports(self, epoch: Epoch) -> Reports:
        """Those of the epoch that count; read from the disk once."""
        async with self._writing:
            return await self._of(epoch)

    async def sign(self, report: Report) -> None:
        """Signs and keeps a report of this node; there must be none on this prover in this epoch."""
        body = report.to_bytes()
        signature = await asyncio.to_thread(self._key.sign, body)
        async with self._writing:
            reports = await self._of(report.epoch)
            if not reports.knows(report.challenger, report.prover):
                await self._keep(reports, report, SignedReport(body, signature))

    async def pull(
        self,
        current: Round,
        peers: PeerPool,
        *,
        about: Collection[NodeId] = (),
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        """One pass over the members, in any order, but for those that an earlier pass still listens to.

        Args:
            current: the round.
            peers: channels.
            about: provers on whom reports are wanted; all by default.
            heard: is called behind each member.
        """
        reports = await self.reports(current.epoch)
        places = asyncio.Semaphore(_AT_ONCE)
        n_others = len(current.others)
        # On a network of others' nodes there may be many that have no such port.
        reachable = [member for member in current.others if member.grpc_address]

        async def ask(member: CommitteeMember, challengers: Collection[NodeId]) -> None:
            async with places:
                if member.node_id in self._listening:
                    return
                self._listening.add(member.node_id)
                try:
                    await self._ask(current, peers, member, challengers)
                finally:
                    self._listening.discard(member.node_id)
            heard()

        def lacks(member: NodeId) -> bool:
            if about:
                return any(prover != member and reports.of(member, prover) is None for prover in about)
            return sum(challenger == member for challenger, _prover in reports.valid) < n_others

        lacking = [member for member in reachable if lacks(member.node_id)]
        # Those that take their time must not always be asked before the others.
        self._rng.shuffle(lacking)
        await asyncio.gather(*(ask(member, [member.node_id]) for member in lacking))
        if reachable:
            await ask(self._rng.choice(reachable), ())

    async def _ask(
        self, current: Round, peers: PeerPool, member: CommitteeMember, challengers: Collection[NodeId]
    ) -> None:
        n = len(current.committee.members)
        # Of each pair at most one report, and a second one where somebody has signed two.
        pages = peers.get(member).list_challenge_reports(
            current.epoch, challengers, most=2 * (len(challengers) or n) * (n - 1)
        )
        try:
            async for page in pages:
                for signed in page:
                    await self.offer(current, signed)
        except PeerError as error:
            if self._seldom.may_say(member.node_id, "not pulled"):
                _log.info("reports cannot be pulled", extra={"node": member.name, "error": str(error)})
        except ReportError as error:
            self._count("REFUSED")
            if self._seldom.may_say(member.node_id, "bad report"):
                _log.warning("a member hands on a bad report", extra={"node": member.name, "error": str(error)})
        finally:
            await pages.aclose()

    async def offer(self, current: Round, signed: SignedReport) -> Addition:
        """Takes a report from outside.

        Raises:
            ReportError: it is none, of another epoch, of or about a stranger, badly signed, or alleged to be ours.
        """
        report = Report.from_bytes(signed.body)
        if report.epoch != current.epoch:
            raise ReportError(f"a report of epoch {report.epoch}, expected {current.epoch}")
        pair = (report.challenger, report.prover)
        known = self._bodies.get(pair, set())
        # Two are proof enough of an equivocation; a third would only cost a check.
        if signed.body in known or len(known) > 1:
            return Addition.KNOWN
        if report.challenger == current.us and known:
            raise ReportError("a report in this node's name that it has not made: is its key in use twice?")
        await asyncio.to_thread(signed.verified, current.keys, bls.verify)
        async with self._writing:
            reports = await self._of(report.epoch)
            if signed.body in self._bodies.get(pair, set()) or len(self._bodies.get(pair, set())) > 1:
                return Addition.KNOWN
            return await self._keep(reports, report, signed)

    async def _keep(self, reports: Reports, report: Report, signed: SignedReport) -> Addition:
        pair = (report.challenger, report.prover)
        second = pair in self._bodies
        await self._storage.add_report(report.epoch, *pair, signed, second=second)
        self._bodies.setdefault(pair, set()).add(signed.body)
        addition = reports.add(report)
        self._count(addition.name)
        if addition is Addition.EQUIVOCATION and self._seldom.may_say(report.challenger, "equivocation"):
            facts = {"epoch": report.epoch, "challenger": report.challenger, "prover": report.prover}
            _log.warning("a member has signed two different reports; neither counts", extra=facts)
        return addition

    async def _of(self, epoch: Epoch) -> Reports:
        if self._reports is None or self._reports.epoch != epoch:
            reports = Reports(epoch)
            bodies: dict[tuple[NodeId, NodeId], set[bytes]] = {}
            for signed in await self._storage.reports(epoch):
                report = Report.from_bytes(signed.body)
                reports.add(report)
                bodies.setdefault((report.challenger, report.prover), set()).add(signed.body)
            self._reports, self._bodies = reports, bodies
        return self._reports

    def _count(self, outcome: str) -> None:
        self._taken.add(1, {names.ATTR_OUTCOME: outcome})
