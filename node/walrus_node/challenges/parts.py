"""All parts of challenges of one process, wired: those that serve from the start, and the loop once the chain is found."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from walrus_client.compute import Compute
from walrus_client.peers import PeerPool, RequestSigner
from walrus_codec.types import BlobId
from walrus_node.chain import ChainView
from walrus_node.challenges.book import ReportBook
from walrus_node.challenges.cells import Admission, Cells
from walrus_node.challenges.challenger import Challenger
from walrus_node.challenges.declarations import Declarations
from walrus_node.challenges.examiner import Examiner
from walrus_node.challenges.feeding import Feeding, HeldBack
from walrus_node.challenges.policies import Policies
from walrus_node.challenges.progress import ChallengeProgress
from walrus_node.challenges.prover import Prover
from walrus_node.challenges.rounds import Rounds
from walrus_node.challenges.voter import SlashingChain, Voter
from walrus_node.events.processor import EventProcessor
from walrus_node.store.records import Identity
from walrus_node.store.storage import Storage
from walrus_sui.keys import Signer, SuiKey


@dataclass(frozen=True)
class Roles:
    """What makes the parts that speak to others; tests put cheating ones in their places.

    Attributes:
        cells: reads what is answered and compared with.
        prover: answers.
        book: signs and keeps reports.
        voter: votes.
    """

    cells: Callable[..., Cells] = Cells
    prover: Callable[..., Prover] = Prover
    book: Callable[..., ReportBook] = ReportBook
    voter: Callable[..., Voter] = Voter


HONEST: Final = Roles()


class Challenges:
    """What a node needs for challenges.

    Args:
        storage: what is kept.
        processor: events, their epoch and clock; it is made to note each epoch's blobs.
        view: the chain's committees.
        compute: expands slivers off the event loop.
        admitted: memory for one cell's work.
        users_active: whether reads or writes are being served.
        key: signs.
        policies: what the network and this node do in each epoch.
        roles: makes the parts that speak to others.

    Attributes:
        identity: who this node is; told once it is known.
        on_lost: is told of blobs that lack something here.
        paused: this node begins no attempts at others.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        processor: EventProcessor,
        view: ChainView,
        compute: Compute,
        admitted: Admission,
        users_active: Callable[[], bool],
        key: Signer,
        policies: Policies,
        roles: Roles = HONEST,
    ) -> None:
        self.identity: Identity | None = None
        self.on_lost: Callable[[BlobId], None] = lambda _blob_id: None
        self.paused = False
        self._storage = storage
        self._key = key
        self._roles = roles
        self._now_ms = processor.chain_now_ms
        self._challenger: Challenger | None = None
        self._ring: Callable[[], None] = lambda: None
        self.rounds = Rounds(
            storage=storage,
            view=view,
            policies=policies,
            epoch=lambda: processor.epoch,
            identity=lambda: self.identity,
        )
        processor.at_epoch_start(self.rounds.take)
        self.declarations = Declarations(storage=storage, rounds=self.rounds, key=key)
        self.feeding = Feeding(rounds=self.rounds, declarations=self.declarations, chain_now_ms=self._now_ms)
        self.held = HeldBack()
        self.cells = roles.cells(storage=storage, compute=compute, admitted=admitted)
        self.prover = roles.prover(
            rounds=self.rounds,
            cells=self.cells,
            declarations=self.declarations,
            storage=storage,
            key=key,
            chain_now_ms=self._now_ms,
            users_active=users_active,
            on_lost=self._lost,
        )

    def _lost(self, blob_id: BlobId) -> None:
        self.on_lost(blob_id)

    @property
    def progress(self) -> ChallengeProgress:
        """Where this node's challenges stand."""
        return self._challenger.progress if self._challenger is not None else ChallengeProgress()

    @property
    def attempts(self) -> int:
        """Attempts of this node at others that are under way."""
        return len(self._challenger.under_way) if self._challenger is not None else 0

    async def attempts_over(self) -> None:
        """Returns when none of them is under way."""
        while self._challenger is not None and (running := self._challenger.under_way):
            await asyncio.wait(running)

    def resume(self) -> None:
        """Attempts may begin again, those that have become due meanwhile at once."""
        self.paused = False
        self._ring()

    def look_at_clock(self) -> None:
        """The chain's clock has moved."""
        if self._challenger is not None:
            self._challenger.look_at_clock()

    def make_challenger(
        self,
        *,
        chain: SlashingChain,
        peers: PeerPool,
        signer: RequestSigner,
        sui_key: SuiKey,
        rng: random.Random,
        ring: Callable[[], None],
    ) -> Challenger:
        """The loop, once the chain is found; `sui_key` pays for votes, `ring` has the loop look again."""
        self._ring = ring
        examiner = Examiner(
            cells=self.cells,
            rounds=self.rounds,
            storage=self._storage,
            peers=peers,
            signer=signer,
            held=self.held,
            chain_now_ms=self._now_ms,
            on_lost=self._lost,
        )
        self._challenger = Challenger(
            rounds=self.rounds,
            declarations=self.declarations,
            examiner=examiner,
            book=self._roles.book(storage=self._storage, key=self._key, rng=rng),
            voter=self._roles.voter(storage=self._storage, chain=chain, key=sui_key),
            storage=self._storage,
            peers=peers,
            key=self._key,
            chain_now_ms=self._now_ms,
            rng=rng,
            ring=ring,
            answering=lambda: self.prover.answering,
            paused=lambda: self.paused,
        )
        return self._challenger
