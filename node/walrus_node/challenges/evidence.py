"""What this node tells operators about challenges: its reports and votes, and the evidence of what has failed it."""

from __future__ import annotations

import asyncio

from walrus_client.challenges.evidence import Evidence, blobs_of
from walrus_client.challenges.results import Results, Vote
from walrus_client.challenges.transcripts import transcript_from_bytes
from walrus_codec.metadata import BlobMetadata
from walrus_codec.types import BlobId, Epoch, NodeId
from walrus_node.chain import ChainView
from walrus_node.store.blob_records import InvalidBlob
from walrus_node.store.storage import Storage
from walrus_sui.abi.move_types import digest_bytes


class EvidenceSource:
    """Reads what is kept.

    Args:
        storage: has transcripts and metadata.
        view: has the members' keys.
    """

    def __init__(self, *, storage: Storage, view: ChainView) -> None:
        self._storage = storage
        self._view = view

    async def results(self, epoch: Epoch, *, own: bool) -> str | None:
        """All reports of an epoch that are kept here, or this node's own, and its votes; None before it knows who it is."""
        identity = await self._storage.identity()
        if identity is None:
            return None
        reports = await self._storage.reports(epoch, [identity.node_id] if own else [])
        votes = await self._storage.votes(epoch)
        results = Results(
            epoch,
            identity.node_id,
            tuple(reports),
            tuple(Vote(node, found.voted, found.executed, found.burned) for node, found in votes.items()),
        )
        return await asyncio.to_thread(results.to_json)

    async def read(self, epoch: Epoch, prover: NodeId) -> str | None:
        """The file for `walrusctl challenges replay`, None when no transcript is kept, or a party is no member any more."""
        stored, identity = await self._storage.transcript(epoch, prover), await self._storage.identity()
        if stored is None or identity is None:
            return None
        transcript = await asyncio.to_thread(transcript_from_bytes, stored)
        keys = [self._key(node) for node in (transcript.pair.challenger, transcript.pair.prover)]
        if keys[0] is None or keys[1] is None:
            return None
        metadata: dict[BlobId, BlobMetadata] = {}
        invalid: set[BlobId] = set()
        for blob_id in set(blobs_of(transcript)):
            if isinstance(await self._storage.blob_info(blob_id), InvalidBlob):
                invalid.add(blob_id)
            if (found := await self._storage.metadata(blob_id)) is not None:
                metadata[blob_id] = BlobMetadata.from_bcs(found)
        evidence = Evidence(transcript, digest_bytes(identity.chain_id), keys[0], keys[1], metadata, frozenset(invalid))
        return await asyncio.to_thread(evidence.to_json)

    def _key(self, node: NodeId) -> bytes | None:
        staking = self._view.staking
        for committee in (staking.committee, staking.previous_committee) if staking is not None else ():
            if (member := committee.by_id(node)) is not None:
                return member.bls_public_key
        return None
