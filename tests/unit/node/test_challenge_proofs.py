"""What is proven is voted on at once: before half of the epoch, from which on the contract lets commission be collected."""

import asyncio
from dataclasses import replace

import pytest
from tests.unit.node.challenge_worlds import COMMISSION, DONE_MS, EPOCH, EPOCH_MS, Four

from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.reports import Addition, Report, SignedReport
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_node.challenges.evidence import EvidenceSource
from walrus_node.store.challenge_forms import VoteRecord
from walrus_sui.errors import ChainUnreachable

EARLY = range(10, 50, 2)
"""Hours of the epoch before its half."""


@pytest.fixture
async def make_four(tmp_path):
    made = []

    async def make(*, drops=None, **options):
        made.append(Four(tmp_path, **{"blobs": 2, **options}))
        four = await made[-1].start()
        if drops is not None:
            for blob in four.blobs:
                await four.nodes[drops].lose(blob)
        return four

    yield make
    for four in made:
        await four.close()


def asked(node):
    """The members that the node asks for reports, from now on."""
    book, found = node.challenger._book, []
    ask = book._ask

    async def count(current, peers, member, challengers):
        found.append(member.node_id)
        await ask(current, peers, member, challengers)

    book._ask = count
    return found


async def hours(four, percents, **options):
    for percent in percents:
        await four.at(percent, **options)


async def own_reports(node):
    found = await node.storage.reports(EPOCH, [node.node_id])
    return {Report.from_bytes(signed.body).prover: signed for signed in found}


def signed_by(node, report):
    body = replace(report, challenger=node.node_id).to_bytes()
    return SignedReport(body, node.key.sign(body))


async def accuse(node, prover, report):
    """Puts a false proof in the node's own name where the others pull it."""
    signed = signed_by(node, replace(report, prover=prover))
    await node.storage.add_report(EPOCH, node.node_id, prover, signed, second=False)


async def test_who_proves_a_failure_votes_at_once_and_it_burns_before_it_can_be_collected(make_four):
    four = await make_four(drops=3)
    *honest, cheater = four.nodes
    await hours(four, EARLY)
    everybody = sorted((node.node_id, cheater.node_id) for node in honest)
    assert sorted(four.slashing.votes) == everybody
    assert four.slashing.slashed == [cheater.node_id]
    assert {(now.votes, now.executed) for now in (node.challenges.progress for node in honest)} == {(1, 1)}
    assert [len(await own_reports(node)) for node in four.nodes] == [1, 1, 1, 0], "the rest is judged at 60 %"
    early = [await own_reports(node) for node in honest]
    await hours(four, (50, 55, 60, 62, 65, 70, 80, 95))
    # The early report is the one that stands at 60 %, and whoever has it finds nothing contradictory in it.
    for node, before in zip(honest, early, strict=True):
        assert before.items() <= (await own_reports(node)).items()
    for node in four.nodes:
        reports = await node.challenger._book.reports(EPOCH)
        assert (len(reports.valid), reports.equivocating) == (12, frozenset())
    assert sorted(four.slashing.votes) == everybody, "once in the epoch"
    assert four.slashing.slashed == [cheater.node_id]


async def test_operators_hear_of_early_votes_at_once(make_four):
    four = await make_four(drops=3)
    node = four.nodes[0]
    await node.storage.set_identity(node.identity)
    await hours(four, EARLY)
    said = await EvidenceSource(storage=node.storage, view=node.view).results(EPOCH, own=True)
    assert f'"candidate": "{four.nodes[3].node_id}", "voted": true' in said
    assert f'"burned": {COMMISSION}' in said


async def test_where_nobody_fails_nobody_is_asked_for_reports_before_60_percent(make_four):
    four = await make_four()
    calls = [asked(node) for node in four.nodes]
    await hours(four, (*EARLY, 50, 55, 59))
    assert calls == [[]] * 4
    await four.at(60)
    assert all(calls)


async def test_who_has_voted_asks_no_more_until_60_percent(make_four):
    four = await make_four(drops=3)
    calls = [asked(node) for node in four.nodes]
    await hours(four, EARLY)
    before = [len(found) for found in calls]
    assert all(before[:3]), "to vote they had to ask"
    assert before[3] == 0, "it has proved nothing"
    await hours(four, (50, 52, 54, 56, 58))
    assert [len(found) for found in calls] == before


async def test_who_stays_alone_with_its_proof_asks_every_2_percent_and_votes_on_nobody(make_four):
    """Only the first of the others would be asked for what it has compared with; it holds f shards."""
    four = await make_four()
    alone, cheater = four.nodes[0], four.nodes[3]
    honest = cheater.challenges.cells.answer

    async def lie(sample, client):
        cell = await honest(sample, client)
        return replace(cell, data=bytes(len(cell.data))) if sample.own in alone.shards else cell

    cheater.challenges.prover._cells.answer = lie
    calls = asked(alone)
    await hours(four, range(41, 60))
    assert 3 * 5 <= len(calls) <= 4 * 13, "all of them, and one of them for everything, in 19 % of the epoch"
    await hours(four, (60, 65, 70, 95))
    assert (await four.verdicts())[0, 3] == (Verdict.FAIL, Outcome.WRONG)
    assert four.slashing.votes == []


async def test_other_failures_wait_for_65_percent(make_four):
    four = await make_four(blobs=1)
    four.nodes[3].cheat("refuse BUSY")
    calls = [asked(node) for node in four.nodes]
    await hours(four, (*EARLY, 50, 55, 59))
    assert calls == [[]] * 4
    assert [await own_reports(node) for node in four.nodes] == [{}] * 4
    await hours(four, (60, 62, 64))
    assert four.slashing.votes == []
    await hours(four, (65, 67, 70))
    assert four.slashing.slashed == [four.nodes[3].node_id]


async def test_in_mode_report_it_is_said_at_once_and_nothing_is_done(make_four, caplog):
    four = await make_four(drops=3, policy=Policy(mode=Mode.REPORT, grace_ms=20_000))
    calls = asked(four.nodes[0])
    await hours(four, EARLY)
    said = [record.message for record in caplog.records].count("would vote to slash a node")
    until_half = len(calls)
    await hours(four, (52, 56))
    assert (four.slashing.votes, said, len(calls)) == ([], 3, until_half)
    await hours(four, (60, 65, 70, 95))
    assert four.slashing.votes == []
    assert [record.message for record in caplog.records].count("would vote to slash a node") == 3


async def test_a_restart_between_report_and_vote_loses_nothing_and_repeats_nothing(make_four):
    four = await make_four(drops=3)
    first, *rest = four.nodes
    await four.at(41, nodes=[first])
    (before,) = (await own_reports(first)).values()
    assert four.slashing.votes == [], "nobody else has asked yet"
    await first.challenger.close()
    first.make_challenger(four.slashing)
    await four.at(42, nodes=rest)
    await hours(four, (44, 46, 48))
    assert await own_reports(first) == {four.nodes[3].node_id: before}
    assert sorted(voter for voter, _ in four.slashing.votes) == [node.node_id for node in four.nodes[:3]]
    await hours(four, (49, 60, 65, 95))
    assert len(four.slashing.votes) == 3
    assert four.slashing.slashed == [four.nodes[3].node_id]


async def test_a_crash_between_the_vote_and_its_note_does_not_vote_twice(make_four, monkeypatch):
    four = await make_four(drops=3)
    first, second, third, cheater = four.nodes
    await four.at(41, nodes=[second])

    async def crash(*_about):
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(first.storage, "set_vote", crash)
        with pytest.raises(asyncio.CancelledError):
            await four.at(41, nodes=[first])
    assert four.slashing.votes == [(first.node_id, cheater.node_id)]
    await first.challenger.close()
    first.make_challenger(four.slashing)
    await four.at(43, nodes=[first, second])
    assert await first.storage.vote(EPOCH, cheater.node_id) == VoteRecord(voted=True)
    await four.at(44, nodes=[third])
    await hours(four, (45, 47, 49))
    assert [voter for voter, _ in four.slashing.votes] == [first.node_id, second.node_id, third.node_id]
    assert four.slashing.slashed == [cheater.node_id]


async def test_a_report_that_a_crash_kept_from_the_disk_is_made_again_with_the_same_bytes(make_four):
    four = await make_four(drops=3)
    node, cheater = four.nodes[0], four.nodes[3].node_id
    signed = []

    async def crash(report):
        signed.append(report)
        raise asyncio.CancelledError

    node.challenger._book.sign = crash
    four.now = DONE_MS + EPOCH_MS * 41 // 100
    await node.challenger.run_once()
    await node.challenger.settled()
    with pytest.raises(asyncio.CancelledError):
        await node.challenger.run_once()
    assert await own_reports(node) == {}
    node.make_challenger(four.slashing)
    await four.at(53, nodes=[node])
    assert (await own_reports(node))[cheater].body == signed[0].to_bytes()


async def test_a_second_early_report_that_is_different_voids_both(make_four):
    four = await make_four(drops=3)
    *honest, cheater = four.nodes
    await hours(four, EARLY)
    liar, judge = honest[0], honest[1]
    now, book = await judge.challenges.rounds.current(), judge.challenger._book
    (first,) = (await own_reports(liar)).values()
    report = Report.from_bytes(first.body)
    # Another proof may have been enough for its vote.
    assert await book.offer(now, first) in {Addition.NEW, Addition.KNOWN}
    assert await book.offer(now, first) is Addition.KNOWN
    other = replace(report, verdict=Verdict.PASS, reason=Outcome.PASS, first=None)
    assert await book.offer(now, signed_by(liar, other)) is Addition.EQUIVOCATION
    await hours(four, (60, 62, 65, 70))
    reports = await book.reports(EPOCH)
    assert (reports.of(liar.node_id, cheater.node_id), reports.equivocating) == (None, {liar.node_id})
    assert len(four.slashing.votes) == 3


async def test_a_coalition_of_f_with_false_early_proofs_moves_nobody(make_four):
    four = await make_four()
    liar, *honest = four.nodes
    calls = [asked(node) for node in honest]
    await four.at(41)
    made = await liar.challenger._judge._report(
        await liar.challenges.rounds.current(),
        honest[0].node_id,
        await liar.storage.case(EPOCH, honest[0].node_id),
        (await liar.storage.case(EPOCH, honest[0].node_id)).case.conclude([]),
        0,
    )
    false = replace(made, verdict=Verdict.FAIL, reason=Outcome.MISSING, first=0, answered=0)
    for node in honest:
        await accuse(liar, node.node_id, false)
        await four.slashing.vote_for_slashing(None, voter=liar.node_id, candidate=node.node_id)
    await hours(four, (43, 45, 47, 49, 55))
    assert calls == [[]] * 3, "nobody even asks"
    await hours(four, (60, 62, 65, 70, 80, 95))
    assert {voter for voter, _ in four.slashing.votes} == {liar.node_id}
    assert four.slashing.slashed == []


async def test_f_liars_and_one_that_saw_it_do_not_slash_either(make_four):
    """Six of ten shards vote, and it takes seven, so that more than f honest ones must have seen the failure."""
    four = await make_four()
    liar, judge, victim = four.nodes[0], four.nodes[1], four.nodes[3]
    honest = victim.challenges.cells.answer

    async def fail_one(sample, client):
        cell = await honest(sample, client)
        return replace(cell, data=bytes(len(cell.data))) if sample.own in judge.shards else cell

    victim.challenges.prover._cells.answer = fail_one
    await four.at(41)
    (seen,) = (await own_reports(judge)).values()
    await accuse(liar, victim.node_id, Report.from_bytes(seen.body))
    await four.slashing.vote_for_slashing(None, voter=liar.node_id, candidate=victim.node_id)
    await hours(four, (43, 45, 47, 49, 60, 65, 70, 95))
    assert [voter for voter, _ in four.slashing.votes] == [liar.node_id, judge.node_id]
    assert four.slashing.slashed == []


async def test_beside_older_nodes_it_only_comes_later(make_four):
    """They sign, hand on and pull at 60 %, and vote from 65 % on."""
    four = await make_four(drops=3)
    new, *old = four.nodes[:3]

    async def nothing(*_about):
        return []

    for node in old:
        node.challenger._judge.conclude_proven = nothing
        node.challenger._consequences.of_proofs = nothing
        vote = node.challenger._voter.vote

        async def vote_late(current, reports, *, proven=False, vote=vote):
            if not proven:
                await vote(current, reports)

        node.challenger._voter.vote = vote_late
    calls = asked(new)
    await hours(four, (*EARLY, 50, 55, 59))
    assert calls, "it has asked"
    assert four.slashing.votes == []
    await hours(four, (60, 62, 64))
    assert [voter for voter, _ in four.slashing.votes] == [new.node_id], "their proofs are there"
    await hours(four, (65, 67, 70))
    assert four.slashing.slashed == [four.nodes[3].node_id]
    for node in four.nodes[:3]:
        assert (await node.challenger._book.reports(EPOCH)).equivocating == frozenset()


async def test_who_comes_behind_the_slashing_has_nothing_to_vote_about(make_four):
    """Its vote would begin a new proposal, which stays open to the end of the epoch and holds up whoever wants to restart it."""
    four = await make_four(drops=3)
    cheater = four.nodes[3].node_id
    four.slashing.slashed.append(cheater)
    await hours(four, EARLY)
    assert four.slashing.votes == []
    node = four.nodes[0]
    assert (node.challenges.progress.votes, node.challenges.progress.executed) == (0, 0)
    assert await node.storage.vote(EPOCH, cheater) == VoteRecord(voted=False, executed="BY_OTHERS", burned=COMMISSION)


async def test_a_chain_that_takes_no_votes_stops_no_attempt_and_is_tried_again(make_four):
    four = await make_four(drops=3)
    node, works = four.nodes[0], four.slashing.vote_for_slashing

    async def away(*_about, **_more):
        raise ChainUnreachable("no")

    four.slashing.vote_for_slashing = away
    # The third shares its proof, so that the first has a reason to vote.
    await four.at(41, nodes=[four.nodes[2]])
    four.now = DONE_MS + EPOCH_MS * 41 // 100
    await node.challenger.run_once()
    await node.challenger.settled()
    # It signs and asks; then it has a reason to vote.
    await node.challenger.run_once()
    await node.challenger.settled()
    with pytest.raises(ChainUnreachable):
        await node.challenger.run_once()
    said = node.challenges.progress
    assert (said.window_open, said.pending, said.failed) == (True, 0, 1)
    four.slashing.vote_for_slashing = works
    await four.at(43, nodes=[node])
    assert four.slashing.votes == [(node.node_id, four.nodes[3].node_id)]
