"""From a proof of inconsistency to the chain's knowledge of it.

The proof goes to all members at once; each checks it with its own metadata and answers with a signed message. As soon as
their shards must hold an honest one, the sum of the signatures goes on chain, and the event makes every node forget the
blob. Judgements of an epoch are worth nothing in the next, so what does not reach the weight is tried anew later.
"""

from __future__ import annotations

import asyncio
import logging

from walrus_client import rules as client_rules
from walrus_client.compute import Compute
from walrus_client.errors import PeerError
from walrus_client.peers import Fault, PeerPool
from walrus_codec import blob_id as blob_ids
from walrus_codec import quorum
from walrus_codec.recovery import InconsistencyProof
from walrus_codec.types import BlobId, NodeId
from walrus_node.chain import Chain, ChainView
from walrus_sui import bls, messages
from walrus_sui.errors import ChainError
from walrus_sui.keys import Signer, SuiKey
from walrus_sui.types import CommitteeMember, SignedMessage

_log = logging.getLogger(__name__)


class ChainDenouncer:
    """Implements `blobs.Denouncer`.

    Args:
        chain: takes the judgement.
        view: who the members are.
        peers: channels to them.
        compute: signs and checks off the event loop.
        key: pays for the transaction.
        protocol_key: this node's own judgement.
        us: this node.
    """

    def __init__(
        self,
        *,
        chain: Chain,
        view: ChainView,
        peers: PeerPool,
        compute: Compute,
        key: SuiKey,
        protocol_key: Signer,
        us: NodeId,
    ) -> None:
        self._chain = chain
        self._view = view
        self._peers = peers
        self._compute = compute
        self._key = key
        self._protocol_key = protocol_key
        self._us = us

    async def denounce(self, blob_id: BlobId, proof: InconsistencyProof) -> bool:
        """Collects judgements and tells the chain; False when it could not be told now."""
        staking = self._view.staking
        if staking is None:
            return False
        committee = staking.committee
        message = messages.invalid_blob(blob_id, staking.epoch)
        signatures: dict[NodeId, bytes] = {}
        if committee.by_id(self._us) is not None:
            signatures[self._us] = await self._compute.run(self._protocol_key.sign, message)
        asked = [
            asyncio.create_task(self._ask(member, blob_id, proof, message))
            for member in committee.members
            if member.node_id != self._us
        ]
        try:
            for answer in asyncio.as_completed(asked):
                node_id, signature = await answer
                if signature is not None:
                    signatures[node_id] = signature
                if quorum.is_one_honest(client_rules.weight_of(committee, signatures), committee.n_shards):
                    break
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        weight = client_rules.weight_of(committee, signatures)
        facts = {"blob_id": blob_ids.to_text(blob_id), "weight": weight}
        if not quorum.is_one_honest(weight, committee.n_shards):
            _log.warning("too few members judged a badly encoded blob; they are asked again later", extra=facts)
            return False
        signed = SignedMessage(
            await self._compute.run(bls.aggregate, list(signatures.values())),
            client_rules.signers_bitmap(committee, signatures),
            message,
        )
        try:
            await self._chain.invalidate_blob_id(self._key, signed)
        except ChainError as error:
            # Also when somebody else was first: the event then ends the attempts.
            _log.warning("the chain was not told of a badly encoded blob", extra=facts | {"error": str(error)})
            return False
        _log.info("the chain knows of a badly encoded blob", extra=facts)
        return True

    async def _ask(
        self, member: CommitteeMember, blob_id: BlobId, proof: InconsistencyProof, message: bytes
    ) -> tuple[NodeId, bytes | None]:
        try:
            answer = await self._peers.get(member).submit_inconsistency_proof(blob_id, proof.axis, proof.to_bcs())
        except PeerError as error:
            self._peers.blame_for(member, error)
            _log.info("no judgement on a badly encoded blob", extra={"error": str(error)})
            return member.node_id, None
        if answer.message != message:
            return member.node_id, None  # its epoch may be another one at this moment
        good = await self._compute.run(bls.verify, member.bls_public_key, message, answer.signature)
        if not good:
            self._peers.blame(member, Fault.LIED, "its judgement on a badly encoded blob has a wrong signature")
        return member.node_id, answer.signature if good else None
