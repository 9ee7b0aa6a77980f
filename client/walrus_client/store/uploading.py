"""Brings a blob's slivers to the nodes of one committee and comes back with a quorum of confirmations.

All members are written to at once, one stream each; chunks in flight are bounded over all of them. A node that fails in
a way that may pass is asked again with back-off, and one that says when, not before, as long as the round lasts. When the confirmed weight is a quorum the blob can be certified; while
that happens, the nodes that are still at work go on, and they get some extra time, because every sliver that is stored
now needs no recovery later. Nodes that have only failed so far, or are in doubt from earlier, are not waited for.

The round ends early when a quorum can no longer be reached, or when the chain has moved to another epoch: confirmations
are bound to the epoch that they were signed in.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Self

from walrus_client import rules
from walrus_client.budget import ByteBudget
from walrus_client.committee import CommitteeTracker
from walrus_client.compute import Compute
from walrus_client.errors import (
    InsufficientConfirmationsError,
    NodeOutcome,
    PeerError,
    PeerMisbehavedError,
    PeerRefusedError,
    PeerUnreachableError,
)
from walrus_client.peers import Fault, PeerPool, SignedMessage, wire
from walrus_client.peers.retrying import Backoff, asked_for_s, worth_retrying
from walrus_client.peers.rules import fault_of
from walrus_client.reasons import Reason
from walrus_client.store.confirmations import Confirmation, verified
from walrus_codec import quorum
from walrus_codec.params import CodeParams
from walrus_codec.redstuff import EncodedBlob
from walrus_codec.slivers import Sliver
from walrus_codec.types import NodeId, PairIndex
from walrus_sui import messages
from walrus_sui.errors import ChainError
from walrus_sui.messages import Persistence
from walrus_sui.types import Committee, CommitteeMember

_log = logging.getLogger(__name__)

BACKOFF = Backoff(first_s=0.1, longest_s=2.0, attempts=7)
STREAM_TIMEOUT_S = 15.0
ROUND_TIMEOUT_S = 30.0
SLOWEST_STREAM_BYTES_PER_S = 1 << 20
SLOWEST_ROUND_BYTES_PER_S = 4 << 20


class EpochChangedError(Exception):
    """The chain is in another epoch than the committee of this round: collect again with the new one."""


@dataclass(frozen=True)
class Upload:
    """What is to be confirmed."""

    encoded: EncodedBlob
    metadata: bytes
    params: CodeParams
    persistence: Persistence


@dataclass(frozen=True)
class Network:
    """Whom to talk to, and with what."""

    peers: PeerPool
    committees: CommitteeTracker
    compute: Compute
    in_flight: ByteBudget
    rng: Random


@dataclass(frozen=True)
class Confirmed:
    """A quorum of verified signatures over `message`."""

    committee: Committee
    message: bytes
    signatures: dict[NodeId, bytes]


class Round:
    """One round with one committee; the uploads run inside of the `async with` block, and end with it.

    Args:
        upload: The blob.
        committee: The write committee.
        network: Whom to talk to.
        ask_first: Ask for the confirmation before sending anything (a later round: most nodes have it all).
    """

    def __init__(self, upload: Upload, committee: Committee, network: Network, *, ask_first: bool) -> None:
        self._upload = upload
        self._committee = committee
        self._network = network
        self._ask_first = ask_first
        self._message = messages.confirmation(upload.encoded.blob_id, committee.epoch, upload.persistence)
        self._unverified: list[Confirmation] = []
        self._signatures: dict[NodeId, bytes] = {}
        self._problems: dict[NodeId, str] = {}
        self._failed: set[NodeId] = set()
        self._news = asyncio.Event()
        self._epoch_changed = False
        self._tasks: list[asyncio.Task[None]] = []
        self._started = self._patience = self._deadline = 0.0

    async def __aenter__(self) -> Self:
        total = self._upload.params.encoded_length(self._upload.encoded.metadata.unencoded_length)
        self._started = time.monotonic()
        self._deadline = self._started + ROUND_TIMEOUT_S + total / SLOWEST_ROUND_BYTES_PER_S
        self._tasks = [
            asyncio.ensure_future(self._serve(member)) for member in self._committee.members if member.weight
        ]
        return self

    async def __aexit__(self, *_failure: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def quorum(self) -> Confirmed:
        """Waits for a quorum of verified confirmations.

        Raises:
            InsufficientConfirmationsError: No quorum in time.
            EpochChangedError: The chain has moved on.
        """
        while not rules.has_quorum(self._committee, self._signatures.keys()):
            await self._wait_for_news(self._deadline)
            claimed = {entry.member.node_id for entry in self._unverified} | self._signatures.keys()
            if rules.has_quorum(self._committee, claimed):
                await self._verify()
            if self._epoch_changed:
                raise EpochChangedError
            over = time.monotonic() >= self._deadline or not self._working()
            if not rules.has_quorum(self._committee, self._signatures.keys()) and (over or self._hopeless()):
                raise self._insufficient()
        now = time.monotonic()
        self._patience = now + rules.straggler_time_s(now - self._started)
        return Confirmed(self._committee, self._message, dict(self._signatures))

    async def stragglers(self) -> None:
        """After the quorum: leaves the nodes that are still at work the rest of their extra time."""
        while self._healthy_stragglers() and time.monotonic() < self._patience:
            await self._wait_for_news(self._patience)
        for member in self._healthy_stragglers():
            self._network.peers.blame(member, Fault.STALLED, "others had long confirmed a blob when it still had not")

    async def _wait_for_news(self, deadline: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    async def _verify(self) -> None:
        batch, self._unverified = self._unverified, []
        good = await self._network.compute.run(verified, self._message, batch)
        self._signatures.update({entry.member.node_id: entry.signature for entry in good})
        for entry in batch:
            if entry.member.node_id not in self._signatures:
                self._fail(entry.member, "its signature does not verify under its registered key", Fault.LIED)

    async def _serve(self, member: CommitteeMember) -> None:
        """Writes to one node until it confirms, fails for good, or the attempts or the round's time are used up."""
        try:
            delays = BACKOFF.delays(self._network.rng)
            while True:
                try:
                    signed = await self._attempt(member)
                    self._unverified.append(Confirmation(member, signed.signature))
                    return None
                except PeerError as error:
                    self._problems[member.node_id] = str(error)
                    pause_s = self._pause_s(member, error, delays) if await self._may_retry(error) else None
                    if pause_s is None:
                        return self._fail(member, str(error), fault_of(error))
                    self._news.set()
                await asyncio.sleep(pause_s)
        finally:
            self._news.set()

    def _pause_s(self, member: CommitteeMember, error: PeerError, delays: Iterator[float]) -> float | None:
        """How long to wait before the next attempt; None when there is to be none."""
        pause_s = asked_for_s(error, self._network.rng.random())
        if pause_s is None:
            return next(delays, None)
        self._network.peers.standing.busy(member.node_id, asyncio.get_running_loop().time() + pause_s)
        # A node that is busy for longer than the round lasts is as good as one that refuses.
        return pause_s if time.monotonic() + pause_s < self._deadline else None

    async def _attempt(self, member: CommitteeMember) -> SignedMessage:
        upload, committee = self._upload, self._committee
        client = self._network.peers.get(member)
        blob_id = upload.encoded.blob_id
        if self._ask_first:
            try:
                signed = await client.get_confirmation(blob_id, upload.persistence, committee.epoch)
                return self._checked(member, signed)
            except PeerRefusedError:
                pass
        header = wire.store_header(blob_id, upload.metadata, upload.persistence, committee.epoch)
        length = upload.encoded.metadata.unencoded_length
        size = upload.params.encoded_length(length) * member.weight // committee.n_shards
        timeout_s = STREAM_TIMEOUT_S + size / SLOWEST_STREAM_BYTES_PER_S
        try:
            async with asyncio.timeout(timeout_s + 5):
                answer = await client.store_blob(
                    header, self._slivers(member), timeout_s=timeout_s, in_flight=self._network.in_flight
                )
        except TimeoutError:
            raise PeerUnreachableError(member.name, f"it did not take its slivers in {timeout_s:.0f} s") from None
        if answer.confirmation is not None:
            return self._checked(member, answer.confirmation)
        raise _refusal(member, answer)

    def _slivers(self, member: CommitteeMember) -> Iterator[tuple[PairIndex, Sliver]]:
        encoded = self._upload.encoded
        for index in rules.pairs_of(member, encoded.blob_id, self._committee.n_shards):
            pair = encoded.pairs[index]
            yield index, pair.primary
            yield index, pair.secondary

    def _checked(self, member: CommitteeMember, signed: SignedMessage) -> SignedMessage:
        if signed.message != self._message:
            raise PeerMisbehavedError(member.name, "it confirmed something else than it was asked for")
        return signed

    async def _may_retry(self, error: PeerError) -> bool:
        """Whether to ask this node again; notices when the chain has moved on."""
        if isinstance(error, PeerRefusedError) and error.refusal is Reason.INVALID_EPOCH:
            try:
                view = await self._network.committees.refresh()
            except ChainError:
                return True
            self._epoch_changed = self._epoch_changed or view.epoch != self._committee.epoch
            # Otherwise the node lags behind and will see the epoch in a moment.
            return not self._epoch_changed
        return worth_retrying(error)

    def _fail(self, member: CommitteeMember, problem: str, fault: Fault | None) -> None:
        if fault is not None:
            self._network.peers.blame(member, fault, problem)
        else:
            _log.info("a storage node did not confirm a blob", extra={"node": member.name, "cause": problem})
        self._problems[member.node_id] = problem
        self._failed.add(member.node_id)

    def _working(self) -> bool:
        return bool(self._unverified) or any(not task.done() for task in self._tasks)

    def _hopeless(self) -> bool:
        return not rules.can_reach_quorum(self._committee, confirmed=self._signatures.keys(), failed=self._failed)

    def _healthy_stragglers(self) -> list[CommitteeMember]:
        now, standing = asyncio.get_running_loop().time(), self._network.peers.standing
        settled = self._signatures.keys() | {entry.member.node_id for entry in self._unverified} | self._problems.keys()
        return [
            member
            for member in self._committee.members
            if member.weight and member.node_id not in settled and not standing.is_doubtful(member.node_id, now)
        ]

    def _insufficient(self) -> InsufficientConfirmationsError:
        outcomes = [
            NodeOutcome(member.name, member.weight, self._problems.get(member.node_id, "no answer in time"))
            for member in self._committee.members
            if member.weight and member.node_id not in self._signatures
        ]
        return InsufficientConfirmationsError(
            weight=rules.weight_of(self._committee, self._signatures.keys()),
            needed=quorum.quorum_weight(self._committee.n_shards),
            n_shards=self._committee.n_shards,
            outcomes=outcomes,
        )


def _refusal(member: CommitteeMember, answer: wire.StoredBlob) -> PeerRefusedError:
    refusal = answer.refusal
    if refusal is None:
        raise AssertionError("an answer without a confirmation has a refusal")
    details = ", ".join(f"{entry.axis.value} {entry.pair}: {entry.reason}" for entry in answer.slivers[:5])
    message = f"{refusal.message} ({details})" if details else refusal.message
    return PeerRefusedError(member.name, refusal.reason, message)
