"""Challenges of one epoch between four nodes: honest ones pass, cheaters fail, and what follows from it."""

from dataclasses import replace

import pytest
from tests.unit.node.challenge_worlds import Four
from tests.unit.node.worlds import put_state

from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.replay import Finding, replay
from walrus_client.challenges.transcripts import transcript_from_bytes
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_codec.types import Axis, Epoch
from walrus_node.store.records import NodeState, NodeStatus
from walrus_sui import bls
from walrus_sui.abi.move_types import digest_bytes

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


async def test_a_node_that_lost_slivers_in_silence_is_failed_by_all_and_slashed_once(make_four):
    four = await make_four()
    cheater = four.nodes[3]
    for blob in four.blobs[:2]:
        await cheater.lose(blob)
    await four.attempts()
    for percent in (60, 64):
        await four.at(percent)
    assert four.slashing.votes == [], "votes begin at 65 %"
    for percent in (65, 70, 80, 95):
        await four.at(percent)
    verdicts = await four.verdicts()
    assert {verdicts[v, 3] for v in others(3)} == {(Verdict.FAIL, Outcome.MISSING)}
    assert all(verdicts[v, p][0] is Verdict.PASS for v in range(3) for p in others(v) if p != 3)
    assert sorted(four.slashing.votes) == [(four.nodes[v].node_id, cheater.node_id) for v in range(3)]
    assert four.slashing.slashed == [cheater.node_id]
    assert cheater.lost, "recovery was told of what turned out to be missing"


async def test_the_transcript_of_a_failure_convicts_without_trust_in_the_challenger(make_four):
    four = await make_four()
    cheater = four.nodes[3]
    await cheater.lose(four.blobs[0])
    await four.attempts()
    transcript = transcript_from_bytes(await four.nodes[0].storage.transcript(E3, cheater.node_id))
    metadata = {blob.blob_id: blob.metadata for blob in four.blobs}
    keys = {"challenger_key": four.nodes[0].key.public_key, "prover_key": cheater.key.public_key}
    chain_id = digest_bytes(four.nodes[0].identity.chain_id)
    found = replay(transcript, chain_id=chain_id, metadata_of=metadata.__getitem__, verify=bls.verify, **keys)
    assert (found.finding, found.proves_failure) == (Finding.MISSING, True)
    forged = replace(transcript, pair=replace(transcript.pair, attempt=1))
    found = replay(forged, chain_id=chain_id, metadata_of=metadata.__getitem__, verify=bls.verify, **keys)
    assert found.finding is Finding.BAD_SEED


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
    transcript = transcript_from_bytes(await four.nodes[1].storage.transcript(E3, liar.node_id))
    metadata = {blob.blob_id: blob.metadata for blob in four.blobs}
    found = replay(
        transcript,
        chain_id=digest_bytes(liar.identity.chain_id),
        challenger_key=four.nodes[1].key.public_key,
        prover_key=liar.key.public_key,
        metadata_of=metadata.__getitem__,
        verify=bls.verify,
    )
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


async def test_a_node_that_is_away_is_excused_once_and_its_votes_miss_nobody(make_four):
    four = await make_four()
    away = four.nodes[3]
    await away.server.stop(0)
    await four.attempts()
    await four.at(60)
    await four.at(70, nodes=four.nodes[:3])
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
