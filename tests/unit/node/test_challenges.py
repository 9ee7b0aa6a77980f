"""Challenges of one epoch between four nodes: honest ones pass, cheaters fail, and what follows from it."""

import asyncio
import json
from dataclasses import replace

import pytest
from tests.unit.node.challenge_worlds import COMMISSION, DONE_MS, EPOCH_MS, Four
from tests.unit.node.worlds import put_state
from typer.testing import CliRunner

from walrus_client.challenges.evidence import Evidence
from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.replay import Finding
from walrus_client.challenges.results import Results, merged
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_client.cli import app
from walrus_codec import blob_id as blob_ids
from walrus_codec.types import Axis, Epoch
from walrus_node.challenges.evidence import EvidenceSource
from walrus_node.store.records import NodeState, NodeStatus
from walrus_sui import bls

E3 = Epoch(3)


@pytest.fixture
async def make_four(tmp_path):
    made = []

    async def make(**options):
        made.append(Four(tmp_path, **options))
        return await made[-1].start()

    yield make
    for four in made:
        await four.close()


def others(number):
    return [other for other in range(4) if other != number]


async def test_honest_nodes_pass_and_nobody_votes(make_four):
    four = await make_four()
    await four.attempts()
    for percent in (60, 70, 80, 95):
        await four.at(percent)
    passed = (Verdict.PASS, Outcome.PASS)
    assert await four.verdicts() == {(v, p): passed for v in range(4) for p in others(v)}
    assert (four.slashing.votes, four.slashing.slashed) == ([], [])
    progress = four.nodes[0].challenges.progress
    assert (progress.mode, progress.passed, progress.failed, progress.pending) == ("Vote", 3, 0, 0)


async def test_a_node_that_prepares_for_a_restart_begins_no_attempts_and_makes_up_for_them(make_four):
    four = await make_four()
    node = four.nodes[0]
    node.challenges.paused = True
    for percent in (5, *range(10, 45, 5)):
        await four.at(percent)
    assert node.challenges.attempts == 0
    assert node.challenges.progress.pending == 3
    assert await begun(node) == 0
    rung = node.rings
    node.challenges.resume()
    assert node.rings > rung
    four.now = DONE_MS + EPOCH_MS * 45 // 100
    await node.challenger.run_once()
    assert node.challenges.attempts == 3
    await node.challenges.attempts_over()
    assert node.challenges.attempts == 0
    for percent in (50, 55, 60):
        await four.at(percent)
    found = await four.verdicts()
    assert {found[0, other] for other in others(0)} == {(Verdict.PASS, Outcome.PASS)}


async def begun(node):
    """Attempts that the node has begun in epoch 3."""
    cases = [await node.storage.case(E3, other.node_id) for other in node.view.staking.committee.members]
    return sum(record.case.begun for record in cases)


async def test_a_node_that_lost_slivers_in_silence_is_failed_by_all_and_slashed_once(make_four):
    four = await make_four()
    cheater = four.nodes[3]
    for blob in four.blobs[:2]:
        await cheater.lose(blob)
    await four.attempts()
    for percent in (60, 65, 70, 80, 95):
        await four.at(percent)
    verdicts = await four.verdicts()
    assert {verdicts[v, 3] for v in others(3)} == {(Verdict.FAIL, Outcome.MISSING)}
    assert all(verdicts[v, p][0] is Verdict.PASS for v in range(3) for p in others(v) if p != 3)
    assert sorted(four.slashing.votes) == [(four.nodes[v].node_id, cheater.node_id) for v in range(3)]
    assert four.slashing.slashed == [cheater.node_id]
    assert {(now.votes, now.executed) for now in (four.nodes[v].challenges.progress for v in range(3))} == {(1, 1)}
    assert cheater.lost, "recovery was told of what turned out to be missing"
    assert await EvidenceSource(storage=cheater.storage, view=cheater.view).results(E3, own=True) is None
    # What operators are told: each node speaks for itself, and knows what the others have signed.
    answers = [await results_of(node, own=True) for node in four.nodes]
    assert [len(answer.own()) for answer in answers] == [3, 3, 3, 3]
    assert [len(answer.reports) for answer in answers] == [3, 3, 3, 3]
    votes = [answer.votes[0] for answer in answers[:3]]
    assert answers[3].votes == ()
    assert {(vote.candidate, vote.voted, vote.slashed) for vote in votes} == {(cheater.node_id, True, True)}
    assert sorted(vote.ended for vote in votes) == ["BY_OTHERS", "BY_OTHERS", "EXECUTED"]
    assert [vote.burned for vote in votes] == [COMMISSION] * 3, "all know what burned, whoever has executed it"
    everything = await results_of(four.nodes[0], own=False)
    known = merged(E3, [everything, answers[1]], {node.node_id: node.key.public_key for node in four.nodes}, bls.verify)
    assert len(known.valid) == 12
    strangers = {node.node_id: four.nodes[0].key.public_key for node in four.nodes}
    assert {pair[0] for pair in merged(E3, [everything], strangers, bls.verify).valid} == {four.nodes[0].node_id}


async def results_of(node, *, own):
    """What the node tells operators of epoch 3."""
    source = EvidenceSource(storage=node.storage, view=node.view)
    await node.storage.set_identity(node.identity)
    return Results.from_json(await source.results(E3, own=own))


async def evidence_of(four, challenger, prover):
    """The file that the challenger's node gives."""
    node = four.nodes[challenger]
    await node.storage.set_identity(node.identity)
    source = EvidenceSource(storage=node.storage, view=node.view)
    return await source.read(E3, four.nodes[prover].node_id)


def replayed(path, text):
    """Exit code and result of `walrusctl challenges replay`."""
    path.write_text(text)
    result = CliRunner().invoke(app, ["challenges", "replay", str(path), "-o", "json"])
    return result.exit_code, json.loads(result.stdout) if result.exit_code < 2 else result.stderr


async def test_the_evidence_of_a_failure_convicts_without_trust_in_the_challenger(make_four, tmp_path):
    four = await make_four()
    await four.nodes[3].lose(four.blobs[0])
    await four.attempts()
    good = await evidence_of(four, 0, 3)
    assert await evidence_of(four, 0, 1) is None
    path = tmp_path / "evidence.json"
    code, found = await asyncio.to_thread(replayed, path, good)
    assert (code, found["finding"], found["convicts"]) == (0, "MISSING", True)
    assert found["blob_id"] == blob_ids.to_text(four.blobs[0].blob_id)
    assert found["prover_key"] == four.nodes[3].key.public_key.hex()
    # Whoever changes the file convicts nobody.
    document, evidence = json.loads(good), Evidence.from_json(good)
    transcript = evidence.transcript
    other = four.nodes[1].key.public_key
    changes = {
        "BAD_SEED": replace(evidence, challenger_key=other),
        "INCOMPLETE": replace(evidence, prover_key=other),
    }
    if transcript.exchanges:
        first = replace(transcript.exchanges[0], truth=b"no", answer=b"no")
        changed = replace(transcript, exchanges=(first, *transcript.exchanges[1:]))
        changes["BAD_TRUTH"] = replace(evidence, transcript=changed)
    for finding, forged in changes.items():
        code, found = await asyncio.to_thread(replayed, path, forged.to_json())
        assert (code, found["finding"], found["convicts"]) == (1, finding, False)
    for odd in (
        "",
        "[]",
        json.dumps(document | {"version": 2}),
        json.dumps(document | {"transcript": document["transcript"][:-2]}),
        json.dumps({key: value for key, value in document.items() if key != "metadata"}),
        json.dumps(document | {"chain_id": "00"}),
        json.dumps(document | {"metadata": dict.fromkeys(document["metadata"], four.blobs[5].metadata.to_bcs().hex())})
        if document["metadata"]
        else "{",
    ):
        code, said = await asyncio.to_thread(replayed, path, odd)
        assert (code, str(path) in said) == (2, True), odd[:80]


async def test_wrong_answers_are_signed_by_the_one_who_gave_them_and_convict_him(make_four):
    four = await make_four()
    liar = four.nodes[3]
    honest = liar.challenges.cells.answer

    async def lie(sample, client):
        cell = await honest(sample, client)
        return replace(cell, data=bytes(len(cell.data))) if sample.index >= 5 else cell

    liar.challenges.prover._cells.answer = lie
    await four.attempts()
    for percent in (60, 70):
        await four.at(percent)
    assert {(await four.verdicts())[v, 3] for v in others(3)} == {(Verdict.FAIL, Outcome.WRONG)}
    found = Evidence.from_json(await evidence_of(four, 1, 3)).judge(bls.verify)
    assert (found.finding, found.sample.index) == (Finding.WRONG, 5)
    assert four.slashing.slashed == [liar.node_id]


async def test_in_mode_report_a_node_says_what_it_would_vote_and_does_not(make_four, caplog):
    four = await make_four(policy=Policy(mode=Mode.REPORT, grace_ms=20_000))
    await four.nodes[3].lose(four.blobs[0])
    await four.attempts()
    with caplog.at_level("WARNING"):
        for percent in (60, 70, 80):
            await four.at(percent)
    assert four.slashing.votes == []
    assert [record.message for record in caplog.records].count("would vote to slash a node") == 3


async def test_a_node_that_is_away_is_excused_and_listed_as_silent(make_four, caplog):
    four = await make_four()
    away = four.nodes[3]
    await away.server.stop(0)
    await four.attempts()
    for percent in (60, 70, 95):
        await four.at(percent, nodes=four.nodes[:3])
    lists = [record for record in caplog.records if record.message == "members are silent about challenges"]
    assert [record.members for record in lists] == [[away.node_id]] * 3
    verdicts = await four.verdicts()
    assert {verdicts[v, 3] for v in range(3)} == {(Verdict.EXCUSED, Outcome.UNREACHABLE)}
    assert all(verdicts[v, p][0] is Verdict.PASS for v in range(3) for p in range(3) if v != p)
    assert four.slashing.votes == []


async def test_a_node_that_is_not_whole_says_so_and_is_fed_and_excused(make_four):
    four = await make_four()
    sick = four.nodes[3]
    await put_state(sick.storage, NodeState(NodeStatus.RECOVERY_IN_PROGRESS, E3))
    await four.attempts()
    for percent in (60, 70):
        await four.at(percent)
    verdicts = await four.verdicts()
    assert {verdicts[v, 3] for v in range(3)} == {(Verdict.EXCUSED, Outcome.RECOVERING)}
    assert {verdicts[3, p] for p in range(3)} == {(Verdict.NONE, None)}, "it judges nobody"


@pytest.mark.parametrize("axis", list(Axis))
async def test_a_challenger_that_lacks_its_own_sliver_judges_nobody_and_repairs_itself(make_four, axis):
    four = await make_four()
    for blob in four.blobs:
        await four.nodes[0].lose(blob, [axis])
    await four.attempts()
    await four.at(60)
    assert {(await four.verdicts())[0, p] for p in others(0)} == {(Verdict.NONE, None)}
    assert four.nodes[0].lost


async def test_answers_that_come_too_late_in_all_attempts_are_a_failure(make_four):
    four = await make_four(policy=Policy(mode=Mode.VOTE, grace_ms=0, latency_ms=700), blobs=1)
    slow = four.nodes[3]
    honest = slow.challenges.cells.answer

    async def slowly(sample, client):
        await asyncio.sleep(2)
        return await honest(sample, client)

    slow.challenges.prover._cells.answer = slowly
    for percent in (40, 46, 52, 60):
        await four.at(percent, nodes=four.nodes[:1])
    report = (await four.nodes[0].challenger._book.reports(E3)).of(four.nodes[0].node_id, slow.node_id)
    attempts = (await four.nodes[0].storage.case(E3, slow.node_id)).case.attempts
    # This process may have been late itself: then the attempt is void, and nothing is said of the other one.
    assert {attempt.outcome for attempt in attempts} <= {Outcome.LATE, Outcome.VOID}
    late = sum(attempt.outcome is Outcome.LATE for attempt in attempts)
    assert report.verdict is (Verdict.FAIL if late == 3 else Verdict.NONE)
