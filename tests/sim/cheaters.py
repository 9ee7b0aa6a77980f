"""Members that cheat, by the rules of the simulation (`epochs`): as provers, as reporters, as voters.

A prover's conduct says what comes to one question after the other; what it withholds is drawn by the same function that
makes real nodes cheat (`walrus_node.cheating.orders`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from walrus_client.challenges.messages import Refusal
from walrus_client.challenges.samples import Questions, Sample
from walrus_client.challenges.verdicts import Judgement, Outcome, Verdict
from walrus_codec import bcs
from walrus_codec.types import Epoch, NodeId
from walrus_node.cheating.orders import Orders
from walrus_node.store.shards import SliverKey


class Says(Enum):
    """What a member reports of others, whatever it saw."""

    TRUTH = "truth"
    ALL_FAIL = "everybody outside of its coalition fails, and votes so"
    FRIENDS_PASS = "its coalition passes"
    NOTHING = "nothing"
    TWO_FACED = "everybody outside of its coalition fails, to one half; passes, to the other; and votes against all"


@dataclass(frozen=True)
class Conduct:
    """How a member behaves; the default is honest.

    Attributes:
        orders: what it lacks and how it answers.
        says: what it reports.
        friends: its coalition.
        favoured: members whose challenges it answers well, because it keeps what these compare with.
        away_for: members that it refuses as lagging, in one epoch after the other, over and over.
    """

    orders: Orders = field(default_factory=Orders)
    says: Says = Says.TRUTH
    friends: frozenset[NodeId] = frozenset()
    favoured: frozenset[NodeId] = frozenset()
    away_for: tuple[frozenset[NodeId], ...] = ()

    @property
    def is_honest(self) -> bool:
        """Whether it is the default."""
        return self == HONEST

    def answers(self, node: NodeId, questions: Questions, *, replayed: bool) -> tuple[Outcome, int]:
        """How the answers to a run compare, and how many came, if all come in time.

        Args:
            node: the prover.
            questions: of the run; each answer decides the next question.
            replayed: it has answers of an earlier run of this challenger.
        """
        orders = self.orders
        if orders.refuses is not None:
            raise ValueError("who refuses answers nothing")
        if orders.replays and replayed:
            return Outcome.WRONG, questions.count
        if not (orders.dropped or orders.drops_shard or orders.metadata_only or orders.wrong):
            return Outcome.PASS, questions.count
        previous, wrong = b"", False
        for index in range(questions.count):
            sample = questions.sample(index, previous)
            key = SliverKey(sample.shard, sample.axis, sample.blob_id)
            if orders.lacks(node, key, questions.shards[0]):
                return (Outcome.WRONG if wrong else self._without), index
            wrong = wrong or orders.is_wrong(node, questions.seed, bcs.u32(index))
            previous = cell(sample)
        return (Outcome.WRONG if wrong else Outcome.PASS), questions.count

    @property
    def _without(self) -> Outcome:
        return Outcome.UNREACHABLE if self.orders.hangs_up else Outcome.MISSING

    def refuses(self, challenger: NodeId, epoch: Epoch) -> Refusal | None:
        """Why it does not answer this member in this epoch, None when it does."""
        if self.away_for and challenger in self.away_for[epoch % len(self.away_for)]:
            return Refusal.LAGGING
        return self.orders.refuses

    @property
    def accuses(self) -> bool:
        """Whether it votes against everybody outside of its coalition."""
        return self.says in {Says.ALL_FAIL, Says.TWO_FACED}

    def reported(self, prover: NodeId, judged: Judgement, face: int) -> Judgement | None:
        """What it signs of a prover that it has judged so; None when it keeps silent.

        Args:
            prover: of whom.
            judged: what it found.
            face: which half of the members hears it, 0 or 1.
        """
        friendly = prover in self.friends
        match self.says:
            case Says.NOTHING:
                return None
            case Says.TWO_FACED if face and not friendly:
                return _PASSED
            case Says.ALL_FAIL | Says.TWO_FACED if not friendly:
                return Judgement(Verdict.FAIL, Outcome.WRONG, 0)
            case Says.ALL_FAIL | Says.FRIENDS_PASS | Says.TWO_FACED if friendly:
                return _PASSED
        return judged


_PASSED = Judgement(Verdict.PASS, Outcome.PASS, 0)


HONEST = Conduct()


def cell(sample: Sample) -> bytes:
    """The bytes of a cell in the simulated blobs: two that follow from its place."""
    return (int.from_bytes(sample.blob_id[:4], "little") + 31 * sample.row + sample.column).to_bytes(8, "little")[:2]
