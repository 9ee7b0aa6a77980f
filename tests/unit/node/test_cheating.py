"""Nodes that are told to cheat at challenges: what each order does, that the others find it out, and whom it harms."""

import pytest
from tests.unit.node.challenge_worlds import EPOCH, Four
from tests.unit.node.worlds import blob_id, put_state

from walrus_client.challenges.messages import Refusal
from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.samples import Questions
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_codec.types import Axis, Epoch, ShardIndex
from walrus_node.cheating.orders import EVERYBODY, HONEST, Orders, orders_of
from walrus_node.rpc.faults import faults_of
from walrus_node.store.records import NodeState, NodeStatus
from walrus_node.store.shards import SliverKey
from walrus_sui.events import EpochChangeStart

PASSED = (Verdict.PASS, Outcome.PASS)
PATIENT = Policy(mode=Mode.VOTE, grace_ms=60_000)


@pytest.fixture
async def make_four(tmp_path):
    made = []

    async def make(**options):
        made.append(Four(tmp_path, **({"policy": PATIENT, "blobs": 3} | options)))
        return await made[-1].start()

    yield make
    for four in made:
        await four.close()


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("", HONEST),
        ("drop 0.1\n late 40 ", Orders(dropped=0.1, late_ms=40)),
        ("drop 1\ndrop 0.5", Orders(dropped=0.5)),
        ("drop-shard\nmetadata-only\nreplay", Orders(drops_shard=True, metadata_only=True, replays=True)),
        ("fetch 0\nwrong 0.25", Orders(fetch_ms=0, wrong=0.25)),
        ("refuse BUSY\nrefuse LAGGING\nhang-up", Orders(refuses=Refusal.LAGGING, hangs_up=True)),
        ("cover 0x01\ncover 0x02", Orders(covered=frozenset({"0x01", "0x02"}))),
        ("accuse 0x01\naccuse 0x02\nforge-reports *", Orders(accused=frozenset({"0x01", "0x02"}), forged={EVERYBODY})),
        ("drop\ndrop x\ndrop 1.1\ndrop -0.1\ndrop nan\nlate -1\nfetch 600001\nrefuse NOT\nreplay twice\n", HONEST),
        ("garbage\nGetInfo stall\ndrop 0.1 0.2", HONEST),
    ],
)
def test_a_file_is_read_line_by_line_and_what_is_no_order_is_none(text, orders):
    assert orders_of(text) == orders
    assert ("garbage" in text) == bool(faults_of(text)), "neither kind of line is taken for the other"


def test_the_share_that_is_dropped_is_the_one_that_was_ordered_and_nodes_drop_different_slivers():
    keys = [
        SliverKey(ShardIndex(shard), axis, blob_id(number))
        for number in range(500)
        for shard in range(3)
        for axis in Axis
    ]
    lacked = {}
    for share in (0.0, 0.01, 0.1, 0.5, 1.0):
        orders = Orders(dropped=share)
        for node in "ab":
            lacked[node, share] = {key for key in keys if orders.lacks(node, key, 0)}
            spread = 4 * (len(keys) * share * (1 - share)) ** 0.5
            assert abs(len(lacked[node, share]) - share * len(keys)) <= spread
        assert (lacked["a", share] == lacked["b", share]) is (share in {0.0, 1.0})
    assert lacked["a", 0.01] < lacked["a", 0.1] < lacked["a", 0.5], "who drops more drops the same and others"


async def epoch(four):
    await four.attempts()
    for percent in (60, 66, 72, 95):
        await four.at(percent)
    return await four.verdicts()


def others(number):
    return [other for other in range(4) if other != number]


async def given(node, blob):
    """The slivers of a blob that a reader gets from a node."""
    found = node.service.slivers(blob.blob_id, Axis.PRIMARY, [], client="reader")
    return [entry async for entry in found if isinstance(entry, tuple)]


@pytest.mark.parametrize(("order", "left"), [("drop 0.4", None), ("drop-shard", 1), ("metadata-only", 0)])
async def test_what_is_dropped_is_missing_for_all_and_slashed_and_still_on_the_disk(make_four, order, left):
    four = await make_four()
    cheater = four.nodes[3]
    cheater.cheat(order)
    stored = cheater.storage.slivers_stored
    kept = [len(await given(cheater, blob)) for blob in four.blobs]
    assert sum(kept) < 2 * len(kept) if left is None else kept == [left] * len(kept)
    verdicts = await epoch(four)
    assert {verdicts[v, 3] for v in others(3)} == {(Verdict.FAIL, Outcome.MISSING)}
    assert {verdicts[v, p] for v in range(3) for p in others(v) if p != 3} == {PASSED}
    assert four.slashing.slashed == [cheater.node_id]
    # It finds nobody's failure either: it has nothing, or not enough, to compare with.
    assert {verdicts[3, p][0] for p in range(3)} <= {Verdict.NONE, Verdict.PASS}
    assert cheater.storage.slivers_stored == stored
    page = await cheater.storage.sliver_page(ShardIndex(cheater.shards[0]), Axis.PRIMARY, b"", EPOCH, 99, 1 << 20)
    assert len(page.slivers) < len(four.blobs)
    cheater.cheat("")
    assert [len(await given(cheater, blob)) for blob in four.blobs] == [2] * len(four.blobs)


async def test_who_fetches_in_time_passes(make_four):
    """This is what challenges do not prove."""
    four = await make_four(blobs=1)
    cheater, challenger = four.nodes[3], four.nodes[0]
    cheater.cheat("fetch 0")
    await four.at(41, nodes=[challenger])
    attempts = (await challenger.storage.case(EPOCH, cheater.node_id)).case.attempts
    assert [attempt.outcome for attempt in attempts] == [Outcome.PASS]
    shard = ShardIndex(cheater.shards[0])
    assert await cheater.storage.sliver(SliverKey(shard, Axis.PRIMARY, four.blobs[0].blob_id)) is None


@pytest.mark.parametrize("order", ["fetch 2000", "late 2000"])
async def test_answers_that_take_longer_than_their_time_fail(make_four, order):
    four = await make_four(policy=Policy(mode=Mode.VOTE, grace_ms=0, latency_ms=900), blobs=1)
    challenger, slow = four.nodes[0], four.nodes[3]
    slow.cheat(order)
    for percent in (41, 47, 53, 60):
        await four.at(percent, nodes=[challenger])
    attempts = (await challenger.storage.case(EPOCH, slow.node_id)).case.attempts
    # An attempt is void when this process itself was late.
    assert {attempt.outcome for attempt in attempts} <= {Outcome.LATE, Outcome.VOID}


async def test_wrong_answers_fail(make_four):
    four = await make_four()
    four.nodes[3].cheat("wrong 0.5")
    verdicts = await epoch(four)
    assert {verdicts[v, 3] for v in others(3)} == {(Verdict.FAIL, Outcome.WRONG)}
    assert four.slashing.slashed == [four.nodes[3].node_id]


async def test_answers_of_an_earlier_epoch_fail(make_four):
    four = await make_four(blobs=6)
    challenger, cheater = four.nodes[0], four.nodes[3]
    cheater.cheat("replay")
    await four.at(41, nodes=[challenger])
    first = await challenger.storage.case(EPOCH, cheater.node_id)
    assert [attempt.outcome for attempt in first.case.attempts] == [Outcome.PASS], "there is nothing to replay yet"
    for node in four.nodes:
        await node.events(EpochChangeStart(Epoch(4)))
        await put_state(node.storage, NodeState(NodeStatus.ACTIVE, Epoch(4)))
    await four.look(4)
    await four.at(41, nodes=[challenger])
    second = await challenger.storage.case(Epoch(4), cheater.node_id)
    assert [attempt.outcome for attempt in second.case.attempts] == [Outcome.WRONG]


@pytest.mark.parametrize(
    ("reason", "verdict", "outcome"),
    [
        ("BUSY", Verdict.FAIL, Outcome.BUSY),
        ("LAGGING", Verdict.EXCUSED, Outcome.LAGGING),
        ("RECOVERING", Verdict.EXCUSED, Outcome.RECOVERING),
        ("ATTEMPT_USED", Verdict.EXCUSED, Outcome.UNREACHABLE),
    ],
)
async def test_who_refuses_fails_as_busy_or_is_excused_once(make_four, reason, verdict, outcome):
    four = await make_four(blobs=1)
    four.nodes[3].cheat(f"refuse {reason}")
    verdicts = await epoch(four)
    assert {verdicts[v, 3] for v in others(3)} == {(verdict, outcome)}
    assert four.slashing.slashed == ([four.nodes[3].node_id] if verdict is Verdict.FAIL else [])


async def test_who_hangs_up_rather_than_admit_what_it_lacks_is_excused_once(make_four):
    four = await make_four()
    four.nodes[3].cheat("metadata-only\nhang-up")
    verdicts = await epoch(four)
    assert {verdicts[v, 3] for v in others(3)} == {(Verdict.EXCUSED, Outcome.UNREACHABLE)}
    assert four.slashing.votes == []


async def test_who_accuses_everybody_stays_alone_with_its_votes(make_four):
    four = await make_four(blobs=1)
    liar = four.nodes[0]
    assert len(liar.shards) == 3, "f"
    liar.cheat("accuse *")
    verdicts = await epoch(four)
    assert {verdicts[0, p] for p in others(0)} == {(Verdict.FAIL, Outcome.WRONG)}
    assert {verdicts[v, p] for v in range(1, 4) for p in others(v)} == {PASSED}
    assert sorted(four.slashing.votes) == [(liar.node_id, four.nodes[p].node_id) for p in others(0)]
    assert four.slashing.slashed == []


async def test_who_covers_for_a_friend_hides_nothing_from_the_rest(make_four):
    four = await make_four(blobs=1)
    friend, cheater = four.nodes[2], four.nodes[3]
    cheater.cheat("metadata-only")
    friend.cheat(f"cover {cheater.node_id}\naccuse {four.nodes[0].node_id}")
    verdicts = await epoch(four)
    assert verdicts[2, 3] == PASSED
    assert verdicts[2, 0] == (Verdict.FAIL, Outcome.WRONG)
    assert {verdicts[v, 3] for v in (0, 1)} == {(Verdict.FAIL, Outcome.MISSING)}
    # The two hold 6 of 10 shards: both vote, and it takes 7 to slash.
    assert sorted(vote for vote in four.slashing.votes if vote[1] == cheater.node_id) == [
        (four.nodes[v].node_id, cheater.node_id) for v in (0, 1)
    ]
    assert four.slashing.slashed == [], "friend and cheater hold 4 shards, and f is 3"


async def test_reports_in_the_names_of_others_are_not_taken(make_four, caplog):
    four = await make_four(blobs=1)
    liar, victim = four.nodes[3], four.nodes[0]
    liar.cheat(f"forge-reports {victim.node_id}")
    verdicts = await epoch(four)
    assert {verdicts[v, p] for v in range(4) for p in others(v)} == {PASSED}
    assert four.slashing.votes == []
    refused = [record for record in caplog.records if record.message == "a member hands on a bad report"]
    assert refused
    assert {record.node for record in refused} == {liar.member().name}
    handed_on = await liar.reports_of().reports(EPOCH)
    assert handed_on[-1] not in await liar.storage.reports(EPOCH)


async def test_fetched_cells_are_the_stored_ones(make_four):
    four = await make_four(blobs=1)
    cheater, asker = four.nodes[3], four.nodes[0]
    now = await cheater.challenges.rounds.current()
    blobs = await cheater.challenges.rounds.blobs(now)
    asked = Questions(bytes(96), blobs, now.shards(cheater.node_id), now.shards(asker.node_id), 10, 197)
    samples = [asked.sample(index, b"") for index in range(asked.count)]
    stored = [await cheater.challenges.cells.answer(sample, "one") for sample in samples]
    cheater.cheat("fetch 0")
    assert [await cheater.challenges.cells.answer(sample, "another") for sample in samples] == stored
