"""Fetches a blob's metadata: many nodes are asked, the first answer that gives the blob id back wins.

Nodes with a quorum of the weight, drawn at random by weight and doubtful ones last, are asked at once; each one that
fails is replaced by the next. "I do not have it" from a quorum means that the blob does not exist, or is blocked,
whichever weighs more (walrus-sdk `retrieve_metadata`; one node that lags or lies decides nothing).
"""

from __future__ import annotations

import asyncio
from random import Random

from walrus_client import rules
from walrus_client.errors import (
    BlobForbiddenError,
    BlobInvalidError,
    BlobNotFoundError,
    BlobUnavailableError,
    PeerError,
    PeerMisbehavedError,
    PeerRefusedError,
)
from walrus_client.peers import PeerPool
from walrus_client.reasons import Reason
from walrus_codec import blob_id as blob_ids
from walrus_codec import quorum
from walrus_codec.errors import CodecError
from walrus_codec.metadata import BlobMetadata, verify_metadata
from walrus_codec.types import BlobId
from walrus_sui.types import Committee, CommitteeMember

_ABSENT = frozenset({Reason.METADATA_NOT_FOUND, Reason.NOT_REGISTERED})


async def fetch_metadata(blob_id: BlobId, committee: Committee, peers: PeerPool, rng: Random) -> BlobMetadata:
    """The blob's verified metadata.

    Raises:
        BlobNotFoundError: A quorum does not know the blob.
        BlobForbiddenError: A quorum does not serve it, most of them because it is blocked.
        BlobInvalidError: More than f shards hold its id for invalid.
        BlobUnavailableError: Too few nodes answered.
    """
    search = _Search(blob_id, committee, peers)
    order = peers.doubtful_last(rules.weighted_order(committee.members, rng.random))
    first = rules.quorum_prefix(order, committee.n_shards)
    waiting = order[first:]
    running = {search.ask(member) for member in order[:first]}
    try:
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                found = task.result()
                if found is not None:
                    return found
                search.give_up_if_decided()
                if waiting:
                    running.add(search.ask(waiting.pop(0)))
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    raise BlobUnavailableError(
        f"no storage node gave the metadata of {blob_ids.to_text(blob_id)}; try again later. "
        f"{'; '.join(search.problems)}"
    )


class _Search:
    """What the nodes that had nothing said."""

    def __init__(self, blob_id: BlobId, committee: Committee, peers: PeerPool) -> None:
        self._blob_id = blob_id
        self._committee = committee
        self._peers = peers
        self._absent = 0
        self._forbidden = 0
        self._invalid = 0
        self.problems: list[str] = []

    def ask(self, member: CommitteeMember) -> asyncio.Task[BlobMetadata | None]:
        return asyncio.ensure_future(self._ask(member))

    async def _ask(self, member: CommitteeMember) -> BlobMetadata | None:
        try:
            data = await self._peers.get(member).get_metadata(self._blob_id)
            try:
                metadata = BlobMetadata.from_bcs(data)
                verify_metadata(self._blob_id, metadata, n_shards=self._committee.n_shards)
            except CodecError as error:
                raise PeerMisbehavedError(member.name, f"its metadata is not the blob's: {error}") from error
        except PeerRefusedError as error:
            self._absent += member.weight if error.refusal in _ABSENT else 0
            self._forbidden += member.weight if error.refusal is Reason.FORBIDDEN_BLOB else 0
            self._invalid += member.weight if error.refusal is Reason.INVALID_BLOB else 0
            self.problems.append(str(error))
            return None
        except PeerError as error:
            self._peers.blame_for(member, error)
            self.problems.append(str(error))
            return None
        return metadata

    def give_up_if_decided(self) -> None:
        n_shards = self._committee.n_shards
        text = blob_ids.to_text(self._blob_id)
        if quorum.is_one_honest(self._invalid, n_shards):
            raise BlobInvalidError(f"blob {text} is marked invalid: its writer encoded it wrongly, it has no content")
        if quorum.is_quorum(self._absent + self._forbidden, n_shards):
            if self._absent > self._forbidden:
                raise BlobNotFoundError(f"blob {text} is not stored on this network; check the id and its end epoch")
            raise BlobForbiddenError(f"blob {text} is blocked by the storage nodes")
