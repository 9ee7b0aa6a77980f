"""The file that shows a failed challenge to everybody: a transcript with all that a replay needs besides.

Life of a file: the challenger's node puts it together (`GET /v1/challenges/EPOCH/PROVER`), somebody saves it, and
`walrusctl challenges replay FILE` judges it without any network. Metadata is checked against the blob ids. Keys are claims:
compare them with those that are registered on chain.

JSON: version 1; chain_id, challenger_key, prover_key and transcript (BCS, see `transcripts`) as hexadecimal; metadata as an
object from blob id to BCS BlobMetadata, likewise; invalid, the ids of blobs that the chain has declared invalid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from walrus_client.challenges.replay import Replay, Transcript, replay
from walrus_client.challenges.transcripts import TranscriptError, transcript_from_bytes, transcript_to_bytes
from walrus_codec import blob_id as blob_ids
from walrus_codec.errors import CodecError
from walrus_codec.metadata import BlobMetadata, verify_metadata
from walrus_codec.types import BlobId

MAX_FILE = 64 << 20
"""Bytes of a file, at most."""

_VERSION = 1


class EvidenceError(ValueError):
    """A file that is no evidence. Get it anew from the challenger's node."""


@dataclass(frozen=True)
class Evidence:
    """A transcript and what it is judged with.

    Attributes:
        transcript: what was kept.
        chain_id: digest of the genesis checkpoint, 32 bytes.
        challenger_key: BLS public key of the challenger, as the file says.
        prover_key: the same of the prover.
        metadata: of the blobs that were asked for, verified.
        invalid: blobs that the chain has declared invalid, as the file says.
    """

    transcript: Transcript
    chain_id: bytes
    challenger_key: bytes
    prover_key: bytes
    metadata: Mapping[BlobId, BlobMetadata] = field(repr=False)
    invalid: frozenset[BlobId] = frozenset()

    def to_json(self) -> str:
        """The file."""
        return json.dumps(
            {
                "version": _VERSION,
                "epoch": self.transcript.pair.epoch,
                "challenger": self.transcript.pair.challenger,
                "prover": self.transcript.pair.prover,
                "chain_id": self.chain_id.hex(),
                "challenger_key": self.challenger_key.hex(),
                "prover_key": self.prover_key.hex(),
                "transcript": transcript_to_bytes(self.transcript).hex(),
                "metadata": {blob_ids.to_text(blob): found.to_bcs().hex() for blob, found in self.metadata.items()},
                "invalid": sorted(map(blob_ids.to_text, self.invalid)),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Evidence:
        """Reads a file.

        Raises:
            EvidenceError: it is none, or its metadata belongs to other blobs.
        """
        try:
            document: Any = json.loads(text)
            if document["version"] != _VERSION:
                raise EvidenceError(f"a file of version {document['version']}, this program knows version {_VERSION}")
            transcript = transcript_from_bytes(bytes.fromhex(document["transcript"]))
            chain_id = bytes.fromhex(document["chain_id"])
            keys = [bytes.fromhex(document[name]) for name in ("challenger_key", "prover_key")]
            metadata = {blob_ids.parse(name): _metadata(found) for name, found in document["metadata"].items()}
            invalid = frozenset(blob_ids.parse(name) for name in document["invalid"])
            for blob_id, found in metadata.items():
                verify_metadata(blob_id, found, n_shards=transcript.questions.n_shards)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EvidenceError(f"the file lacks a part, or has one of another form: {error}") from error
        except (ValueError, TranscriptError, CodecError) as error:
            raise EvidenceError(f"the file is not readable as evidence: {error}") from error
        if len(chain_id) != 32:
            raise EvidenceError("a chain id has 32 bytes")
        return cls(transcript, chain_id, keys[0], keys[1], metadata, invalid)

    def judge(self, verify: Callable[[bytes, bytes, bytes], bool]) -> Replay:
        """Replays it; `verify` is `walrus_sui.bls.verify`.

        Raises:
            EvidenceError: the metadata of a blob is not in the file.
        """
        try:
            return replay(
                self.transcript,
                chain_id=self.chain_id,
                challenger_key=self.challenger_key,
                prover_key=self.prover_key,
                metadata_of=self.metadata.__getitem__,
                verify=verify,
                is_invalid=self.invalid.__contains__,
            )
        except KeyError as error:
            raise EvidenceError(f"the metadata of blob {blob_ids.to_text(error.args[0])} is not in the file") from None


def blobs_of(transcript: Transcript) -> Iterator[BlobId]:
    """The blobs whose cells were answered, in order; a blob may come several times."""
    previous = b""
    for index, exchange in enumerate(transcript.exchanges[: transcript.questions.count]):
        yield transcript.questions.sample(index, previous).blob_id
        previous = exchange.answer


def _metadata(text: str) -> BlobMetadata:
    return BlobMetadata.from_bcs(bytes.fromhex(text))
