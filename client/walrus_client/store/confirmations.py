"""Checks storage confirmations and sums them up to a certificate.

A confirmation counts when its message is exactly the one expected (intent, epoch, blob id, persistence) and its
signature verifies under the member's key. Honest confirmations are the rule, so a batch is checked by one pairing
equation over the sum of signatures and keys; only when that fails, each one is checked by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from walrus_client import rules
from walrus_codec.types import NodeId, ObjectId
from walrus_sui import bls
from walrus_sui.types import Certificate, Committee, CommitteeMember


@dataclass(frozen=True)
class Confirmation:
    """A member's signature over the expected message."""

    member: CommitteeMember
    signature: bytes


def verified(message: bytes, batch: Sequence[Confirmation]) -> list[Confirmation]:
    """Those of the batch whose signature is good. A few milliseconds of CPU for each pairing: call it in a thread."""
    if not batch:
        return []
    try:
        total = bls.aggregate([entry.signature for entry in batch])
    except ValueError:
        total = None
    if total is not None and bls.aggregate_verify([entry.member.bls_public_key for entry in batch], message, total):
        return list(batch)
    return [entry for entry in batch if bls.verify(entry.member.bls_public_key, message, entry.signature)]


def certificate(
    object_id: ObjectId, committee: Committee, message: bytes, signatures: Mapping[NodeId, bytes]
) -> Certificate:
    """The certificate of these verified signatures, in the form that the contract takes."""
    return Certificate(
        object_id=object_id,
        signature=bls.aggregate([signatures[node_id] for node_id in sorted(signatures)]),
        signers_bitmap=rules.signers_bitmap(committee, signatures.keys()),
        message=message,
    )
