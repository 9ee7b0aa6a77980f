"""Replays a transcript: anybody who has the blobs' metadata can see afterwards what a run was worth.

Life of a transcript: the challenger keeps, for a run that failed, each answer with the true cell of its own sliver and
that cell's Merkle proof, and the prover's closing signature when there was one. A replay starts from the seed, recomputes
each question from the answer before, proves the true cell against the metadata, and compares.

A transcript without Close is the challenger's word only: it may have made up the answers. It informs, it never decides
(`challenges-spec.md` 11).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from walrus_client.challenges import messages
from walrus_client.challenges.messages import Pair
from walrus_client.challenges.samples import AnswerChain, Questions, Sample, invalid_answer
from walrus_codec.errors import CodecError
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.recovery import RecoverySymbol, verify_symbol
from walrus_codec.types import BlobId


@dataclass(frozen=True)
class Exchange:
    """One question's answer beside the truth.

    Attributes:
        answer: y_i as the prover sent it.
        truth: the cell as the challenger's own sliver has it.
        proof: siblings bottom up that prove `truth` against the crossing sliver's hash.
    """

    answer: bytes = field(repr=False)
    truth: bytes = field(repr=False)
    proof: bytes = field(repr=False)


@dataclass(frozen=True)
class Transcript:
    """A run, as the challenger kept it.

    Attributes:
        pair: who asked whom.
        questions: seed, blobs and shards.
        exchanges: answers in order.
        close: the prover's signature over the chain of its answers; None when it sent none.
        missing: the prover's signature that it lacks the cell of the question after the last answer; None as before.
    """

    pair: Pair
    questions: Questions
    exchanges: tuple[Exchange, ...]
    close: bytes | None = field(default=None, repr=False)
    missing: bytes | None = field(default=None, repr=False)


class Finding(Enum):
    """What a replay finds."""

    PASS = "every answer is right and the prover has signed them"  # noqa: S105 - no password
    WRONG = "an answer is wrong, and the prover has signed it"
    MISSING = "the prover has signed that it lacks a cell"
    UNSIGNED_RIGHT = "every answer is right, but the prover has not signed them"
    UNSIGNED_WRONG = "an answer is wrong, but the prover has not signed it: the challenger's word only"
    CALLED_INVALID = (
        "the prover says, and has signed it, that a blob was declared invalid: only the chain knows whether it is"
    )
    INCOMPLETE = "answers are missing; those that came are right"
    BAD_TRUTH = "the challenger's own cell is not the one that the metadata commits to: the transcript is worthless"
    BAD_SEED = "the seed is not the challenger's signature: the transcript is worthless"


@dataclass(frozen=True)
class Replay:
    """The result of a replay.

    Attributes:
        finding: the result.
        sample: the question that decided; None when none did.
        checked: answers that were compared.
    """

    finding: Finding
    sample: Sample | None
    checked: int

    @property
    def proves_failure(self) -> bool:
        """Whether the transcript convicts the prover without trust in the challenger."""
        return self.finding in {Finding.WRONG, Finding.MISSING}


def replay(
    transcript: Transcript,
    *,
    chain_id: bytes,
    challenger_key: bytes,
    prover_key: bytes,
    metadata_of: Callable[[BlobId], BlobMetadata],
    verify: Callable[[bytes, bytes, bytes], bool],
    is_invalid: Callable[[BlobId], bool] = lambda _blob_id: False,
) -> Replay:
    """Judges a transcript.

    Args:
        transcript: what was kept.
        chain_id: digest of the genesis checkpoint.
        challenger_key: BLS public key of the challenger in the committee of the epoch.
        prover_key: the same of the prover.
        metadata_of: verified metadata of a blob.
        verify: `walrus_sui.bls.verify`: public key, message, signature.
        is_invalid: whether the chain has declared the blob invalid during the epoch; the challenger's word when it comes from
            its file, so that no answer about such a blob convicts.

    Raises:
        LookupError: `metadata_of` does not know a blob.
    """
    questions, pair = transcript.questions, transcript.pair
    seeded = messages.seed(pair, chain_id=chain_id, blobs=len(questions.blobs), root=questions.blobs.root)
    if not verify(challenger_key, seeded, questions.seed):
        return Replay(Finding.BAD_SEED, None, 0)
    chain, previous = AnswerChain.start(questions), b""
    wrong: Sample | None = None
    called_invalid: Sample | None = None
    for index, exchange in enumerate(transcript.exchanges[: questions.count]):
        sample = questions.sample(index, previous)
        declared = invalid_answer(sample.blob_id)
        if is_invalid(sample.blob_id) and exchange.truth == declared:
            pass  # there is no right cell of such a blob, and who gave one had not heard of it
        elif not _is_true(sample, exchange, metadata_of(sample.blob_id), questions.n_shards):
            return Replay(Finding.BAD_TRUTH, sample, index)
        elif exchange.answer == declared:
            called_invalid = called_invalid or sample
        elif exchange.answer != exchange.truth:
            wrong = wrong or sample
        chain, previous = chain.then(exchange.answer), exchange.answer
    signed = transcript.close is not None and verify(prover_key, messages.close(pair, chain.value), transcript.close)
    if wrong is not None:
        return Replay(Finding.WRONG if signed else Finding.UNSIGNED_WRONG, wrong, chain.answered)
    if called_invalid is not None:
        return Replay(Finding.CALLED_INVALID if signed else Finding.UNSIGNED_WRONG, called_invalid, chain.answered)
    if chain.answered < questions.count:
        sample = questions.sample(chain.answered, previous)
        lacks = messages.missing(pair, chain.answered)
        admitted = transcript.missing is not None and verify(prover_key, lacks, transcript.missing)
        return Replay(Finding.MISSING if admitted else Finding.INCOMPLETE, sample, chain.answered)
    return Replay(Finding.PASS if signed else Finding.UNSIGNED_RIGHT, None, chain.answered)


def _is_true(sample: Sample, exchange: Exchange, metadata: BlobMetadata, n_shards: int) -> bool:
    symbol = RecoverySymbol(sample.axis, sample.sliver, sample.place, exchange.truth, exchange.proof)
    try:
        verify_symbol(symbol, metadata, CodeParams(n_shards, metadata.encoding_type))
    except CodecError:
        return False
    return True
