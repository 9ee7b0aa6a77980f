"""Asks the nodes of the write committee what they know of a blob (walrus-sdk `get_verified_blob_status`).

All members are asked at once; as soon as a quorum of weight has answered and the answers agree on something, that is
the status. Right after a certification the nodes' answers may still differ, because each follows the chain at its own
pace; then the rest is waited for, up to the deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from walrus_client import statuses
from walrus_client.errors import PeerError, StatusUnknownError
from walrus_client.peers import PeerPool
from walrus_client.statuses import BlobStatus
from walrus_codec import blob_id as blob_ids
from walrus_codec import quorum
from walrus_codec.types import BlobId
from walrus_sui.types import Committee, CommitteeMember

TIMEOUT_S = 5.0


async def blob_status(
    blob_id: BlobId, committee: Committee, peers: PeerPool, *, timeout_s: float = TIMEOUT_S
) -> BlobStatus:
    """The status that more than f shards support.

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
    deadline = asyncio.get_running_loop().time() + timeout_s
    pending = set(tasks)
    try:
        while pending:
            left = deadline - asyncio.get_running_loop().time()
            done, pending = await asyncio.wait(pending, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            for task in done:
                _take(task, tasks[task], answers, problems)
            if quorum.is_quorum(sum(weight for _status, weight in answers), committee.n_shards):
                decided = statuses.decide(answers, n_shards=committee.n_shards)
                if decided is not None:
                    return decided
    finally:
        await _cancel(tasks)
    decided = statuses.decide(answers, n_shards=committee.n_shards)
    if decided is not None:
        return decided
    weight = sum(weight for _status, weight in answers)
    raise StatusUnknownError(
        f"nodes with {weight} of {committee.n_shards} shards told the status of {blob_ids.to_text(blob_id)} and more "
        f"than f of them agree on none; try again in a moment. {'; '.join(problems)}"
    )


def _take(
    task: asyncio.Task[BlobStatus], member: CommitteeMember, answers: list[tuple[BlobStatus, int]], problems: list[str]
) -> None:
    try:
        answers.append((task.result(), member.weight))
    except PeerError as error:
        problems.append(str(error))


async def _cancel(tasks: Iterable[asyncio.Task[BlobStatus]]) -> None:
    tasks = [task for task in tasks if not task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
