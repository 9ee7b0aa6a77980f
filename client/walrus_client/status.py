"""Asks the nodes of the write committee what they know of a blob (walrus-sdk `get_verified_blob_status`).

All members are asked at once; as soon as a quorum of weight has answered and the answers agree on something, that is
the status. A stronger claim of a few is believed when the chain has the event that it names. Right after a certification the nodes' answers may still differ, because each follows the chain at its own
pace; then the rest is waited for, up to the deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from walrus_client import statuses
from walrus_client.errors import PeerError, StatusUnknownError
from walrus_client.peers import PeerPool
from walrus_client.statuses import BlobStatus, Invalid, PermanentBlob
from walrus_codec import blob_id as blob_ids
from walrus_codec import quorum
from walrus_codec.types import BlobId
from walrus_sui.errors import ChainError
from walrus_sui.events import Event, EventId
from walrus_sui.types import Committee, CommitteeMember

TIMEOUT_S = 5.0
LOOK_UP_S = 2.0

Claim = Invalid | PermanentBlob


class EventSource(Protocol):
    """The part of the chain client that is needed here."""

    async def event(self, place: EventId) -> Event | None:
        """The event at a place, None when there is none."""


async def blob_status(
    blob_id: BlobId,
    committee: Committee,
    peers: PeerPool,
    *,
    chain: EventSource | None = None,
    timeout_s: float = TIMEOUT_S,
) -> BlobStatus:
    """The strongest status that more than f shards support, or that its event proves.

    Args:
        blob_id: Which blob.
        committee: Whom to ask.
        peers: Ways to the nodes.
        chain: Where events are looked up; None believes weight only.
        timeout_s: How long to wait for answers.

    Raises:
        StatusUnknownError: Too few nodes answered in time, or their answers have nothing in common.
    """
    tasks = {
        asyncio.ensure_future(peers.get(member).get_blob_status(blob_id)): member
        for member in committee.members
        if member.weight
    }
    answers: list[tuple[BlobStatus, int]] = []
    problems: list[str] = []
    looked_up: dict[Claim, Claim | None] = {}
    deadline = asyncio.get_running_loop().time() + timeout_s
    pending = set(tasks)
    try:
        while pending:
            left = deadline - asyncio.get_running_loop().time()
            done, pending = await asyncio.wait(pending, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            for task in done:
                _take(task, tasks[task], peers, answers, problems)
            if quorum.is_quorum(sum(weight for _status, weight in answers), committee.n_shards):
                decided = await _decide(blob_id, answers, committee, chain, looked_up)
                if decided is not None:
                    return decided
    finally:
        await _cancel(tasks)
    decided = await _decide(blob_id, answers, committee, chain, looked_up)
    if decided is not None:
        return decided
    weight = sum(weight for _status, weight in answers)
    raise StatusUnknownError(
        f"nodes with {weight} of {committee.n_shards} shards told the status of {blob_ids.to_text(blob_id)} and more "
        f"than f of them agree on none; try again in a moment. {'; '.join(problems)}"
    )


async def _decide(
    blob_id: BlobId,
    answers: list[tuple[BlobStatus, int]],
    committee: Committee,
    chain: EventSource | None,
    looked_up: dict[Claim, Claim | None],
) -> BlobStatus | None:
    """What the answers so far say; each claim is looked up once."""
    supported, claims = statuses.believed(answers, n_shards=committee.n_shards)
    if chain is None:
        return supported
    for claim in claims:
        if claim not in looked_up:
            looked_up[claim] = await _look_up(blob_id, claim, committee, chain)
        found = looked_up[claim]
        if found is not None:
            return found
    return supported


async def _look_up(blob_id: BlobId, claim: Claim, committee: Committee, chain: EventSource) -> Claim | None:
    try:
        async with asyncio.timeout(LOOK_UP_S):
            event = await chain.event(claim.event)
    except (ChainError, TimeoutError):
        return None  # without the chain, weight has to do
    return statuses.proved(claim, event, blob_id=blob_id, epoch=committee.epoch)


def _take(
    task: asyncio.Task[BlobStatus],
    member: CommitteeMember,
    peers: PeerPool,
    answers: list[tuple[BlobStatus, int]],
    problems: list[str],
) -> None:
    try:
        answers.append((task.result(), member.weight))
    except PeerError as error:
        peers.blame_for(member, error)
        problems.append(str(error))


async def _cancel(tasks: Iterable[asyncio.Task[BlobStatus]]) -> None:
    tasks = [task for task in tasks if not task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
