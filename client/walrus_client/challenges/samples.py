"""Which cells are asked for: the seed gives the first question, each answer the next one.

A triple is (blob, shard of the prover, axis); N of them exist. With N above m, each of m questions draws one; otherwise
all N are asked, in order. The challenger checks an answer with a sliver of its own that crosses the prover's, so the own
shard is drawn too. Since question i depends on answer i − 1, a prover that lacks a cell cannot go on, and nobody can ask
others for all cells at once.

    axis 0, primary    the prover's row p        crossed by the challenger's column n − 1 − q
    axis 1, secondary  the prover's column       n − 1 − p, crossed by the challenger's row q

with p and q the pairs of the two shards for this blob (`challenges-spec.md` 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from walrus_client.challenges.blobs import BlobSet
from walrus_codec import bcs, mapping
from walrus_codec.types import Axis, BlobId, PairIndex, ShardIndex, SliverIndex

SEED_LENGTH = 96
_AXES = (Axis.PRIMARY, Axis.SECONDARY)


def _hash(*parts: bytes) -> bytes:
    state = blake2b(digest_size=32)
    for part in parts:
        state.update(part)
    return state.digest()


@dataclass(frozen=True)
class Sample:
    """One question.

    Attributes:
        index: its number in the run, i.
        blob_id: the blob.
        axis: of the prover's sliver.
        shard: the prover's shard.
        own: the challenger's shard that checks the answer.
        row: of the cell in the matrix of the blob.
        column: of the cell.
    """

    index: int
    blob_id: BlobId
    axis: Axis
    shard: ShardIndex
    own: ShardIndex
    row: SliverIndex
    column: SliverIndex

    @property
    def sliver(self) -> SliverIndex:
        """Index of the prover's sliver that the cell is in."""
        return self.row if self.axis is Axis.PRIMARY else self.column

    @property
    def place(self) -> SliverIndex:
        """Where in the prover's sliver, expanded to n symbols, the cell stands; also the index of the crossing sliver."""
        return self.column if self.axis is Axis.PRIMARY else self.row


@dataclass(frozen=True)
class Questions:
    """All that decides the questions of a run but the answers.

    Attributes:
        seed: σ, the challenger's signature, 96 bytes.
        blobs: B_e.
        shards: S, the prover's shards in this committee and the one before, ascending.
        own: O, the same of the challenger.
        n_shards: n.
        most: m, the policy's number of samples.
    """

    seed: bytes
    blobs: BlobSet
    shards: Sequence[ShardIndex]
    own: Sequence[ShardIndex]
    n_shards: int
    most: int

    @property
    def triples(self) -> int:
        """N."""
        return len(self.blobs) * len(self.shards) * 2

    @property
    def count(self) -> int:
        """How many samples the run has: m, or N when that is not more."""
        return min(self.most, self.triples)

    def sample(self, index: int, previous: bytes) -> Sample:
        """Question `index`, given the answer before; the first one has none (b"").

        Raises:
            IndexError: the run has fewer samples.
        """
        if not 0 <= index < self.count:
            raise IndexError(index)
        drawn = _hash(b"sample", self.seed, bcs.u32(index), _hash(previous))
        triple = int.from_bytes(drawn[:16], "little") % self.triples if self.triples > self.most else index
        own = self.own[int.from_bytes(drawn[16:24], "little") % len(self.own)]
        axis = _AXES[triple % 2]
        shard = self.shards[(triple // 2) % len(self.shards)]
        blob_id = self.blobs[triple // (2 * len(self.shards))]
        theirs, ours = (mapping.pair_of_shard(each, blob_id, self.n_shards) for each in (shard, own))
        across, along = (theirs, ours) if axis is Axis.PRIMARY else (ours, theirs)
        row, column = SliverIndex(across), mapping.secondary_index(PairIndex(along), self.n_shards)
        return Sample(index, blob_id, axis, shard, own, row, column)


def shards_of(now: Sequence[ShardIndex], before: Sequence[ShardIndex]) -> tuple[ShardIndex, ...]:
    """The shards that a member answers for: those that it had in the epoch before and still has, ascending."""
    return tuple(sorted(set(now) & set(before)))


def invalid_answer(blob_id: BlobId) -> bytes:
    """The answer for a blob that was found to be invalid during the epoch."""
    return _hash(b"invalid", blob_id)


@dataclass(frozen=True)
class AnswerChain:
    """h: one hash over what was asked and all answers so far, in order.

    It begins with all that decides the questions, not with the seed alone (`challenges-spec.md` 6): the prover signs it at the
    end, and otherwise a challenger could show right answers beside other questions, as if they were wrong.

    Attributes:
        value: h_i, 32 bytes.
        answered: i.
    """

    value: bytes
    answered: int = 0

    @classmethod
    def start(cls, questions: Questions) -> AnswerChain:
        """h_0 = H(σ ‖ S ‖ O ‖ n ‖ m), the shards as vectors of u16, n as u16, m as u32; σ holds the blobs."""
        shards = (bcs.vector(bcs.u16, each) for each in (questions.shards, questions.own))
        return cls(_hash(questions.seed, *shards, bcs.u16(questions.n_shards), bcs.u32(questions.most)))

    def then(self, answer: bytes) -> AnswerChain:
        """The chain with one more answer."""
        return AnswerChain(_hash(self.value, bcs.u32(self.answered), answer), self.answered + 1)
