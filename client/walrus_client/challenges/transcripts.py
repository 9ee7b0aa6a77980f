"""Transcripts as bytes: what a challenger keeps of an attempt that failed, for everybody to replay.

BCS:

    version u8 = 0, epoch u32, challenger 32, prover 32, attempt u8, seed vector<u8>, most u32, shards u16,
    the prover's shards and the challenger's vector<u16> each, blob ids vector<u8>, root 32,
    exchanges vector of (answer vector<u8>, 1 | 0 whether the truth is the same, else the truth vector<u8>, proof
    vector<u8>), close option<vector<u8>>, missing option<vector<u8>>

The blob ids are all of B_e, because which blob is asked for depends on how many there are and in which order.
"""

from __future__ import annotations

from walrus_client.challenges.blobs import BlobSet
from walrus_client.challenges.messages import Pair, node_bytes
from walrus_client.challenges.policy import ATTEMPTS, MAX_SAMPLES
from walrus_client.challenges.replay import Exchange, Transcript
from walrus_client.challenges.samples import SEED_LENGTH, Questions
from walrus_codec import bcs, merkle
from walrus_codec.errors import BcsError
from walrus_codec.types import Epoch, NodeId, ShardIndex

_VERSION = 0


class TranscriptError(ValueError):
    """Bytes that are no transcript, or one whose blobs do not give its root."""


def transcript_to_bytes(transcript: Transcript) -> bytes:
    """The stored form."""
    pair, questions = transcript.pair, transcript.questions
    return b"".join(
        (
            bcs.u8(_VERSION),
            bcs.u32(pair.epoch),
            node_bytes(pair.challenger),
            node_bytes(pair.prover),
            bcs.u8(pair.attempt),
            bcs.bytes_(questions.seed),
            bcs.u32(questions.most),
            bcs.u16(questions.n_shards),
            bcs.vector(bcs.u16, questions.shards),
            bcs.vector(bcs.u16, questions.own),
            bcs.bytes_(questions.blobs.ids),
            questions.blobs.root,
            bcs.vector(_exchange, transcript.exchanges),
            bcs.option(bcs.bytes_, transcript.close),
            bcs.option(bcs.bytes_, transcript.missing),
        )
    )


def transcript_from_bytes(data: bytes) -> Transcript:
    """Reads the stored form; what it says is not judged (`replay.replay`), but its root is.

    Raises:
        TranscriptError: it is none.
    """
    try:
        reader = bcs.Reader(data)
        if (version := reader.u8()) != _VERSION:
            raise TranscriptError(f"a transcript of version {version}, this program knows version {_VERSION}")
        epoch = Epoch(reader.u32())
        challenger, prover = (NodeId("0x" + reader.fixed(32).hex()) for _ in range(2))
        pair = Pair(epoch, challenger, prover, reader.u8())
        seed, most, n_shards = reader.bytes_(), reader.u32(), reader.u16()
        shards, own = (tuple(ShardIndex(shard) for shard in reader.vector(bcs.Reader.u16)) for _ in range(2))
        ids, root = reader.bytes_(), reader.fixed(32)
        exchanges = tuple(reader.vector(_read_exchange))
        close, missing = (reader.option(bcs.Reader.bytes_) for _ in range(2))
        reader.finish()
    except BcsError as error:
        raise TranscriptError(f"malformed transcript: {error}") from error
    blobs = BlobSet(ids, root)
    whole = len(ids) % 32 == 0 and merkle.root(merkle.leaves([blobs[index] for index in range(len(blobs))])) == root
    if not whole:
        raise TranscriptError("the blob ids are not those of the root")
    if not shards or not own or max(*shards, *own, 0) >= n_shards:
        raise TranscriptError("the shards are none, or not below their number")
    if len(seed) != SEED_LENGTH or pair.attempt >= ATTEMPTS or not 0 < most <= MAX_SAMPLES:
        raise TranscriptError("seed, attempt or samples are impossible")
    return Transcript(pair, Questions(seed, blobs, shards, own, n_shards, most), exchanges, close, missing)


def _exchange(exchange: Exchange) -> bytes:
    same = exchange.answer == exchange.truth
    truth = b"" if same else bcs.bytes_(exchange.truth)
    return bcs.bytes_(exchange.answer) + bcs.boolean(same) + truth + bcs.bytes_(exchange.proof)


def _read_exchange(reader: bcs.Reader) -> Exchange:
    answer = reader.bytes_()
    truth = answer if reader.boolean() else reader.bytes_()
    return Exchange(answer, truth, reader.bytes_())
