"""What a prover may try within one run: answers about invalid blobs, messages out of order, signatures for something else.

None of it passes, and none of it is taken for the challenger's fault: a void attempt would cost the prover nothing.
"""

import asyncio
from dataclasses import replace

import pytest
from tests.unit.node.challenge_worlds import EPOCH, Four

from walrus_client.challenges import messages
from walrus_client.challenges.messages import Pair, Refusal
from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.samples import Sample, invalid_answer
from walrus_client.challenges.verdicts import Outcome
from walrus_client.peers.challenges import Answer, Close, Missing, Ready, Refused
from walrus_codec.types import Axis, Epoch, ShardIndex
from walrus_node.challenges import examiner
from walrus_node.challenges.cells import Cell
from walrus_node.store.shards import SliverKey
from walrus_sui.events import InvalidBlobId

PATIENT = Policy(mode=Mode.VOTE, grace_ms=60_000)


class Table:
    """A challenger and a prover whose messages are changed on their way."""

    def __init__(self, four):
        self.four = four
        self.challenger, self.prover = four.nodes[0], four.nodes[3]
        self.honest = self.prover.challenges.prover.serve

    @property
    def pair(self):
        return Pair(EPOCH, self.challenger.node_id, self.prover.node_id, 0)

    def change(self, trick):
        """`trick` makes other parts, in a list, of each part that the honest prover says."""

        async def serve(*about):
            async for part in self.honest(*about):
                for other in trick(part):
                    yield other

        self.prover.challenges.prover.serve = serve

    def sign(self, message, *, by=None):
        return (by or self.prover).key.sign(message)

    async def outcomes(self, *percents):
        """How the attempts at these hours of the epoch end."""
        for percent in percents or (41,):
            await self.four.at(percent, nodes=[self.challenger])
        record = await self.challenger.storage.case(EPOCH, self.prover.node_id)
        return [attempt.outcome for attempt in record.case.attempts]


@pytest.fixture
async def table(tmp_path):
    four = await Four(tmp_path, policy=PATIENT, blobs=3).start()
    yield Table(four)
    await four.close()


async def test_a_blob_that_everybody_has_heard_to_be_invalid_has_one_answer(table):
    for node in table.four.nodes:
        await node.events(InvalidBlobId(EPOCH, table.four.blobs[1].blob_id))
    assert await table.outcomes() == [Outcome.PASS]


async def test_who_has_not_heard_that_a_blob_is_invalid_lags_until_it_has(table):
    event = InvalidBlobId(EPOCH, table.four.blobs[1].blob_id)
    await table.challenger.events(event)
    assert await table.outcomes(41) == [Outcome.LAGGING]
    await table.prover.events(event)
    assert await table.outcomes(47) == [Outcome.LAGGING, Outcome.PASS]


async def test_who_answers_wrongly_for_invalid_blobs_again_and_again_lags_for_ever(table):
    """It may have made the bad blob itself; the attempts are not void."""
    for node in (table.challenger, table.prover):
        await node.events(InvalidBlobId(EPOCH, table.four.blobs[1].blob_id))
    honest = table.prover.challenges.cells.answer

    async def lie(sample, client):
        cell = await honest(sample, client)
        return replace(cell, data=bytes(70)) if sample.blob_id == table.four.blobs[1].blob_id else cell

    table.prover.challenges.cells.answer = lie
    assert await table.outcomes(41, 47, 53) == [Outcome.LAGGING] * 3


async def test_who_says_that_a_good_blob_is_invalid_is_waited_for_and_has_answered_wrongly(table, monkeypatch):
    monkeypatch.setattr(examiner, "EVENT_S", 0.05)

    async def lie(sample, client):
        return Cell(invalid_answer(sample.blob_id), b"")

    table.prover.challenges.cells.answer = lie
    assert await table.outcomes() == [Outcome.WRONG]


async def test_a_sliver_that_goes_because_its_blob_becomes_invalid_while_it_is_asked_for_is_not_missing(
    table, monkeypatch
):
    blob, prover = table.four.blobs[0], table.prover
    shard = ShardIndex(prover.shards[0])

    async def too_late(_key):
        await prover.events(InvalidBlobId(EPOCH, blob.blob_id))

    cells, now = prover.challenges.cells, await prover.challenges.rounds.current()
    key = SliverKey(shard, Axis.PRIMARY, blob.blob_id)
    sample = Sample(0, blob.blob_id, key.axis, shard, ShardIndex(0), 0, 0)
    assert now.n_blobs == 3
    monkeypatch.setattr(prover.storage, "sliver", too_late)
    assert await cells.answer(sample, "one") == Cell(invalid_answer(blob.blob_id), b"")


def doubled(part):
    return [part, part] if isinstance(part, Answer) else [part]


def skipped(part):
    return [] if isinstance(part, Answer) and part.index == 4 else [part]


def swapped(part):
    return [replace(part, index=5 - part.index)] if isinstance(part, Answer) and part.index in {2, 3} else [part]


def closed_early(part):
    return [Close(bytes(32), bytes(96))] if isinstance(part, Answer) and part.index == 7 else [part]


def other_chain(part):
    return [replace(part, chain=bytes(32))] if isinstance(part, Close) else [part]


def not_closed(part):
    return [] if isinstance(part, Close) else [part]


def ready_again(part):
    return [part, part] if isinstance(part, Ready) else [part]


@pytest.mark.parametrize(
    "trick",
    [doubled, skipped, swapped, closed_early, other_chain, not_closed, ready_again],
    ids=lambda trick: trick.__name__,
)
async def test_messages_out_of_order_end_the_run_as_if_the_node_were_away(table, trick):
    table.change(trick)
    assert await table.outcomes(41, 47, 53) == [Outcome.UNREACHABLE] * 3


@pytest.mark.parametrize("what", ["by another", "another answer", "no signature", "another attempt", "not its turn"])
async def test_who_admits_a_lack_for_something_else_has_admitted_nothing(table, what):
    """Otherwise somebody else's admission, or an old one, would convict it."""
    pair, index, by = table.pair, 2, table.prover
    if what == "by another":
        by = table.challenger
    if what == "another attempt":
        pair = replace(pair, attempt=1)
    signed = table.sign(messages.missing(pair, index + (what == "another answer")), by=by)
    said = Missing(index + (what == "not its turn"), bytes(96) if what == "no signature" else signed)

    def trick(part):
        return [said] if isinstance(part, Answer) and part.index == index else [part]

    table.change(trick)
    assert await table.outcomes() == [Outcome.UNREACHABLE]


@pytest.mark.parametrize("reason", list(Refusal))
async def test_a_refusal_that_it_has_not_signed_is_none(table, reason):
    def trick(part):
        return [Refused(reason, table.sign(messages.refuse(replace(table.pair, attempt=2), reason)))]

    table.change(trick)
    assert await table.outcomes() == [Outcome.UNREACHABLE]


@pytest.mark.parametrize("signed", [True, False])
async def test_who_is_ready_for_other_blobs_lags_if_it_has_signed_that(table, signed):
    message = messages.ready(table.pair, blobs=2, root=bytes(32))
    ready = Ready(2, bytes(32), table.sign(message, by=table.prover if signed else table.challenger))
    table.change(lambda part: [ready] if isinstance(part, Ready) else [part])
    assert await table.outcomes() == [Outcome.LAGGING if signed else Outcome.UNREACHABLE]


async def test_a_node_that_never_gets_ready_is_away(table, monkeypatch):
    monkeypatch.setattr(examiner, "READY_S", 0.2)

    async def serve(*_about):
        await asyncio.Event().wait()
        yield

    table.prover.challenges.prover.serve = serve
    assert await table.outcomes() == [Outcome.UNREACHABLE]


async def test_answers_that_were_right_in_another_attempt_are_wrong_in_this_one(table):
    """Nothing of a run can be kept for the next one when there is more than can be asked."""
    policy = replace(PATIENT, kept="0.5", target="0.001")
    assert policy.samples < 3 * 2 * 2
    four = table.four
    for node in four.nodes:
        taken = await node.storage.challenge_round(EPOCH)
        assert taken.blobs == 3
        await node.storage.drop_challenges(before=Epoch(4))
        node.challenges.rounds._stored = (EPOCH, await node.storage.take_round(EPOCH, policy))
    kept = []

    def keep(part):
        # The first run is cut off at its end, so that there is a second one.
        kept.append(part)
        return [] if isinstance(part, Close) else [part]

    table.change(keep)
    assert await table.outcomes(41) == [Outcome.UNREACHABLE]
    answers = {part.index: part for part in kept if isinstance(part, Answer)}
    assert len(answers) == policy.samples
    table.change(lambda part: [answers[part.index]] if isinstance(part, Answer) else [part])
    assert (await table.outcomes(47))[-1] is Outcome.WRONG
