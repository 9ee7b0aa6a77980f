"""The parts of challenges by themselves: refusals, turns, feeding, reports, the epoch's blobs, and restarts."""

import asyncio
from dataclasses import replace

import pytest
from tests.unit.node.challenge_worlds import DONE_MS, EPOCH, Four
from tests.unit.node.feeding import feed, start_epochs
from tests.unit.node.worlds import EPOCH_MS, blob_id, certified, deleted, object_id, put_state, registered

from walrus_client.challenges import messages
from walrus_client.challenges.blobs import BlobSet
from walrus_client.challenges.messages import Pair, Refusal
from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.reports import Addition, ReportError, SignedReport
from walrus_client.challenges.verdicts import Case, Outcome, Verdict
from walrus_client.peers.challenges import Answer, Close, Hello, Ready, Refused
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec import mapping
from walrus_codec.types import Epoch, PairIndex, ShardIndex
from walrus_node.challenges import prover
from walrus_node.challenges.feeding import HeldBack
from walrus_node.challenges.turns import Turns
from walrus_node.store.challenge_forms import CaseRecord
from walrus_node.store.records import NodeState, NodeStatus
from walrus_node.store.shards import SliverKey
from walrus_sui import bls
from walrus_sui.events import EpochChangeStart, InvalidBlobId

POLICY = Policy(mode=Mode.VOTE)


@pytest.fixture
async def four(tmp_path):
    made = await Four(tmp_path).start()
    yield made
    await made.close()


async def current(node):
    found = await node.challenges.rounds.current()
    assert found is not None
    return found


class TestProver:
    async def hello(self, four, **changes):
        now = await current(four.nodes[1])
        return replace(Hello(EPOCH, 0, now.n_blobs, now.root, now.policy.samples), **changes)

    async def ask(self, four, hello, *, challenger=None, seed=None):
        asked, asker = four.nodes[1], four.nodes[0]

        async def sigma():
            if seed is not None:
                return seed
            now = await current(asked)
            pair = Pair(EPOCH, asker.node_id, asked.node_id, hello.attempt)
            message = messages.seed(pair, chain_id=now.chain_id, blobs=now.n_blobs, root=now.root)
            return asker.key.sign(message)

        parts = asked.challenges.prover.serve(hello, challenger or asker.member(), asked.node_id, sigma)
        return [part async for part in parts]

    async def refused(self, four, hello, **options):
        (only,) = await self.ask(four, hello, **options)
        assert isinstance(only, Refused)
        pair = Pair(hello.epoch, four.nodes[0].node_id, four.nodes[1].node_id, hello.attempt)
        assert bls.verify(four.nodes[1].key.public_key, messages.refuse(pair, only.reason), only.signature)
        return only.reason

    async def test_it_answers_everything_and_signs_the_end(self, four):
        four.now = DONE_MS + EPOCH_MS // 10
        ready, *answers, close = await self.ask(four, await self.hello(four))
        assert isinstance(ready, Ready)
        assert isinstance(close, Close)
        assert [answer.index for answer in answers] == list(range(len(four.blobs) * 3 * 2))
        assert all(isinstance(answer, Answer) for answer in answers)
        assert four.nodes[1].challenges.prover.answering == 0

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"epoch": Epoch(2)}, Refusal.WRONG_EPOCH),
            ({"epoch": Epoch(4)}, Refusal.WRONG_EPOCH),
            ({"root": bytes(32)}, Refusal.LAGGING),
            ({"blobs": 5}, Refusal.LAGGING),
            ({"samples": 196}, Refusal.LAGGING),
        ],
    )
    async def test_it_refuses_what_it_knows_otherwise(self, four, changes, reason):
        four.now = DONE_MS + EPOCH_MS // 10
        assert await self.refused(four, await self.hello(four, **changes)) is reason

    @pytest.mark.parametrize(("percent", "open_"), [(7, False), (8, True), (57, True), (58, False)])
    async def test_it_answers_in_the_window_with_some_slack_for_clocks(self, four, percent, open_):
        four.now = DONE_MS + EPOCH_MS * percent // 100
        first, *_rest = await self.ask(four, await self.hello(four))
        assert isinstance(first, Ready) is open_
        assert open_ or first.reason is Refusal.OUT_OF_WINDOW

    async def test_an_attempt_is_used_once(self, four):
        four.now = DONE_MS + EPOCH_MS // 10
        await self.ask(four, await self.hello(four))
        assert await self.refused(four, await self.hello(four)) is Refusal.ATTEMPT_USED
        assert isinstance((await self.ask(four, await self.hello(four, attempt=1)))[-1], Close)

    async def test_it_refuses_while_it_recovers_and_strangers_always(self, four):
        four.now = DONE_MS + EPOCH_MS // 10
        stranger = replace(four.nodes[0].member(), node_id=four.nodes[0].node_id[:-1] + "f")
        (only,) = await self.ask(four, await self.hello(four), challenger=stranger)
        assert only.reason is Refusal.NOT_MEMBER
        await four.nodes[1].challenges.declarations.announce(await current(four.nodes[1]), four.nodes[1].peers)
        assert await self.refused(four, await self.hello(four)) is Refusal.RECOVERING

    async def test_a_seed_that_the_challenger_has_not_signed_is_refused(self, four):
        four.now = DONE_MS + EPOCH_MS // 10
        other = four.nodes[2].key.sign(b"another seed")
        with pytest.raises(RequestRefused) as raised:
            await self.ask(four, await self.hello(four), seed=other)
        assert raised.value.reason is Reason.MESSAGE_VERIFICATION_FAILED
        assert four.nodes[1].challenges.prover.answering == 0

    async def test_whoever_waits_for_too_long_or_asks_twice_at_a_time_is_told_that_it_is_busy(self, four, monkeypatch):
        four.now = DONE_MS + EPOCH_MS // 10
        monkeypatch.setattr(prover, "QUEUE_S", 0.02)
        turns = four.nodes[1].challenges.prover._turns
        taken = [turns.join(number) for number in range(prover.AT_ONCE)]
        assert await self.refused(four, await self.hello(four)) is Refusal.BUSY
        taken[0].leave()
        mine = turns.join(four.nodes[0].node_id)
        assert await self.refused(four, await self.hello(four)) is Refusal.BUSY
        mine.leave()
        # Neither has used the attempt up.
        assert isinstance((await self.ask(four, await self.hello(four)))[-1], Close)

    async def test_a_run_whose_answers_nobody_fetches_loses_its_turn(self, four, monkeypatch):
        four.now = DONE_MS + EPOCH_MS // 10
        monkeypatch.setattr(prover, "SEED_S", 0.05)
        monkeypatch.setattr(prover, "_SPARE_S", 0.0)
        monkeypatch.setattr(prover, "_longest_s", lambda _policy: 0.0)
        node, asker = four.nodes[1].challenges.prover, four.nodes[0]

        async def sigma():
            now = await current(four.nodes[1])
            pair = Pair(EPOCH, asker.node_id, four.nodes[1].node_id, 0)
            message = messages.seed(pair, chain_id=now.chain_id, blobs=now.n_blobs, root=now.root)
            return asker.key.sign(message)

        parts = node.serve(await self.hello(four), asker.member(), four.nodes[1].node_id, sigma)
        assert isinstance(await anext(parts), Ready)
        async with asyncio.timeout(20):
            while node.answering:  # noqa: ASYNC110 - nobody rings when a turn has expired
                await asyncio.sleep(0.01)
        with pytest.raises(RequestRefused) as raised:
            async for _part in parts:
                pass
        assert raised.value.reason is Reason.CACHE_SATURATED

    async def test_members_that_stall_keep_no_other_one_out(self, four, monkeypatch):
        """f members might open challenges to an honest node and leave it waiting, so that it seems busy to the others."""
        four.now = DONE_MS + EPOCH_MS // 10
        monkeypatch.setattr(prover, "PATIENCE_S", 0.02)
        asked = four.nodes[1]
        asked.challenges.prover._turns = Turns(2)
        hello, stallers = await self.hello(four), [four.nodes[2], four.nodes[3]]
        stalled = [
            asked.challenges.prover.serve(hello, node.member(), asked.node_id, asyncio.Event().wait)
            for node in stallers
        ]
        for parts in stalled:
            assert isinstance(await anext(parts), Ready)
        async with asyncio.timeout(prover.QUEUE_S):
            assert isinstance((await self.ask(four, hello))[-1], Close)
        assert asked.challenges.prover.answering == 2, "they still have their chance"
        for parts in stalled:
            await parts.aclose()
        assert asked.challenges.prover.answering == 0

    async def test_without_challenges_everybody_is_told_that_it_lags(self, tmp_path):
        four = await Four(tmp_path, policy=Policy(mode=Mode.OFF)).start()
        hello = Hello(EPOCH, 0, 6, bytes(32), 197)
        assert await self.refused(four, hello) is Refusal.LAGGING
        await four.at(20)
        assert four.nodes[0].challenges.progress.mode == "Off"
        await four.close()


class TestTurns:
    async def test_some_at_once_the_others_in_order_each_once(self):
        turns = Turns(2)
        a, b, c, d = (turns.join(name) for name in "abcd")
        assert turns.join("a") is None
        assert [await turn.wait(0.01) for turn in (a, b, c, d)] == [True, True, False, False]
        b.leave()
        assert [await turn.wait(0.01) for turn in (c, d)] == [True, False]
        b.leave()
        assert turns.served == 2
        assert turns.join("b") is not None

    async def test_whoever_keeps_the_node_waiting_lends_its_place_and_gets_one_behind_the_others(self):
        turns = Turns(1)
        a, b, c = (turns.join(name) for name in "abc")
        a.lend_in(0.01)
        assert await b.wait(20)
        assert (a.holds, b.holds, a.stalled) == (False, True, True)
        again = asyncio.create_task(a.back())
        await asyncio.sleep(0)
        d = turns.join("d")
        b.leave()
        assert [c.holds, d.holds, again.done()] == [True, False, False], "c was first"
        c.leave()
        assert [d.holds, again.done()] == [True, False], "d came later than a, but has kept nobody waiting"
        d.leave()
        await again
        assert a.holds
        assert turns.served == 1

    async def test_who_is_back_in_time_or_alone_keeps_its_place(self):
        turns = Turns(1)
        a = turns.join("a")
        a.lend_in(20)
        b = turns.join("b")
        await a.back()
        assert (a.holds, a.stalled, b.holds) == (True, False, False)
        b.leave()
        a.lend_in(0)
        await asyncio.sleep(0.01)
        assert not a.holds
        await a.back()
        assert a.holds

    async def test_one_that_waits_for_a_place_again_may_expire(self):
        turns = Turns(1)
        a, b = turns.join("a"), turns.join("b")
        a.lend_in(0)
        assert await b.wait(20)
        a.expire_in(0.01)
        await a.back()
        assert (a.over, b.over, turns.served) == (True, False, 1)

    async def test_one_that_waits_no_longer_leaves_its_place(self):
        turns = Turns(1)
        a, b, c = (turns.join(name) for name in "abc")
        assert not await b.wait(0.01)
        b.leave()
        a.leave()
        assert await c.wait(0.01)

    async def test_one_that_does_not_leave_is_expired(self):
        turns = Turns(1)
        a, b = turns.join("a"), turns.join("b")
        a.expire_in(0.01)
        assert await b.wait(20)
        assert a.over
        assert not b.over


class TestFeeding:
    async def check(self, four, asker, blob, shard, *, server=0):
        pair = mapping.pair_of_shard(ShardIndex(shard), blob, 10)
        member = asker.member() if asker is not None else None
        await four.nodes[server].challenges.feeding.check_symbols(member, blob, [PairIndex(pair)], 10)

    async def refuses(self, four, asker, blob, shard):
        with pytest.raises(RequestRefused) as raised:
            await self.check(four, asker, blob, shard)
        assert raised.value.reason is Reason.CHALLENGE_WINDOW

    async def test_in_the_window_nobody_is_fed_what_he_answers_for(self, four):
        blob, asker = four.blobs[0].blob_id, four.nodes[3]
        for percent in (9, 60):
            four.now = DONE_MS + EPOCH_MS * percent // 100
            await self.check(four, asker, blob, 8)
            await self.check(four, None, blob, 8)
        for percent in (10, 59):
            four.now = DONE_MS + EPOCH_MS * percent // 100
            await self.refuses(four, asker, blob, 8)
            await self.refuses(four, None, blob, 8)
            # A shard that it does not answer for, and a blob that is not asked for.
            await self.check(four, asker, blob, 1)
            await self.check(four, asker, blob_id(99), 8)
            await self.check(four, None, blob_id(99), 8)
            with pytest.raises(RequestRefused, match="CHALLENGE_WINDOW"):
                await four.nodes[0].challenges.feeding.check_shard(asker.member(), ShardIndex(8))
            await four.nodes[0].challenges.feeding.check_shard(asker.member(), ShardIndex(1))

    async def test_who_has_declared_is_fed_by_all_also_after_their_restart(self, four):
        four.now = DONE_MS + EPOCH_MS // 5
        sick = four.nodes[3]
        await sick.challenges.declarations.announce(await current(sick), sick.peers)
        for server in range(3):
            await self.check(four, sick, four.blobs[0].blob_id, 8, server=server)
        assert await four.nodes[0].storage.declarations(EPOCH) == [sick.node_id]
        await self.refuses(four, four.nodes[2], four.blobs[0].blob_id, 6)

    async def test_a_declaration_that_its_node_has_not_signed_is_refused(self, four):
        four.now = DONE_MS + EPOCH_MS // 5
        declarations, sick = four.nodes[0].challenges.declarations, four.nodes[3]
        forged = four.nodes[2].key.sign(messages.recovering(sick.node_id, EPOCH))
        for epoch, node, reason in [
            (EPOCH, sick.node_id, Reason.MESSAGE_VERIFICATION_FAILED),
            (Epoch(4), sick.node_id, Reason.INVALID_EPOCH),
            (EPOCH, sick.node_id[:-1] + "f", Reason.REQUEST_UNAUTHORIZED),
        ]:
            with pytest.raises(RequestRefused) as raised:
                await declarations.add(epoch, node, forged)
            assert raised.value.reason is reason

    async def test_slivers_that_are_compared_with_are_held_back_until_the_run_is_over(self):
        held, key = HeldBack(), SliverKey(ShardIndex(1), "primary", blob_id(1))
        with held.holding([key]):
            with held.holding([key, key]):
                waiting = asyncio.create_task(held.released(key))
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not waiting.done(), "another run still compares with it"
        await waiting
        await held.released(key)


class TestReports:
    async def reported(self, four):
        await four.attempts()
        await four.at(60)
        node = four.nodes[0]
        return node, (await node.challenger._book.reports(EPOCH)).of(node.node_id, four.nodes[1].node_id)

    async def test_what_a_member_tells_differently_counts_for_nobody(self, four):
        node, report = await self.reported(four)
        other = replace(report, verdict=Verdict.FAIL, reason=Outcome.MISSING, first=0)
        book = four.nodes[2].challenger._book
        now = await current(four.nodes[2])
        first = SignedReport(report.to_bytes(), node.key.sign(report.to_bytes()))
        second = SignedReport(other.to_bytes(), node.key.sign(other.to_bytes()))
        assert await book.offer(now, first) in {Addition.NEW, Addition.KNOWN}
        assert await book.offer(now, second) is Addition.EQUIVOCATION
        assert await book.offer(now, first) is Addition.KNOWN
        reports = await book.reports(EPOCH)
        assert reports.of(node.node_id, report.prover) is None
        assert reports.equivocating == {node.node_id}
        # Both are on the disk, so others hear of it, and a restart does not forget it.
        assert {first, second} <= set(await four.nodes[2].storage.reports(EPOCH, [node.node_id]))
        four.nodes[2].make_challenger(four.slashing)
        assert (await four.nodes[2].challenger._book.reports(EPOCH)).equivocating == {node.node_id}

    async def test_forged_foreign_and_old_reports_are_not_taken(self, four):
        node, report = await self.reported(four)
        book, now = four.nodes[2].challenger._book, await current(four.nodes[2])
        stranger = replace(report, challenger=report.challenger[:-1] + "f")
        forged = replace(report, verdict=Verdict.FAIL, reason=Outcome.MISSING, first=0)
        mine = replace(forged, challenger=four.nodes[2].node_id)
        cases = [
            (forged, four.nodes[3].key, "is not signed by"),
            (stranger, node.key, "no member"),
            (replace(report, epoch=Epoch(2)), node.key, "epoch 2"),
            (mine, four.nodes[2].key, "has not made"),
        ]
        before = dict((await book.reports(EPOCH)).valid)
        for made, key, words in cases:
            with pytest.raises(ReportError, match=words):
                await book.offer(now, SignedReport(made.to_bytes(), key.sign(made.to_bytes())))
        assert dict((await book.reports(EPOCH)).valid) == before

    async def test_a_restart_neither_contradicts_a_verdict_nor_asks_again(self, four):
        node, report = await self.reported(four)
        await node.challenger.close()
        node.make_challenger(four.slashing)
        for blob in four.blobs:
            await four.nodes[1].lose(blob)
        await four.at(61)
        again = await node.challenger._book.reports(EPOCH)
        assert again.of(node.node_id, report.prover) == report
        assert again.equivocating == frozenset()

    async def test_a_member_that_takes_its_time_to_hand_on_reports_holds_up_no_vote(self, four):
        """In a short epoch the time for votes would be over before it has been listened to."""
        *honest, cheater = four.nodes
        for blob in four.blobs:
            await cheater.lose(blob)
        await four.attempts()
        for node in honest:
            ask = node.challenger._book._ask

            async def stalled(current, peers, member, challengers, ask=ask):
                if member.node_id == cheater.node_id:
                    await asyncio.Event().wait()
                await ask(current, peers, member, challengers)

            node.challenger._book._ask = stalled
        for percent in range(66, 90):
            four.now = DONE_MS + EPOCH_MS * percent // 100
            for node in honest:
                await node.challenger.run_once()
            await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            while not four.slashing.slashed:
                for node in honest:
                    await node.challenger.run_once()
                await asyncio.sleep(0.05)
        assert four.slashing.slashed == [cheater.node_id]
        for node in honest:
            pulls = node.challenger._consequences.pulls
            assert pulls, "it is still waited for"
            assert len(pulls) <= 3, "and asked once at a time"


class TestRestarts:
    async def test_an_attempt_that_a_restart_cut_off_is_void_and_its_seed_is_not_used_again(self, four):
        node, other = four.nodes[0], four.nodes[1].node_id
        begun = CaseRecord(Case(EPOCH).begin(), (DONE_MS,))
        await node.storage.set_case(EPOCH, other, begun)
        four.now = DONE_MS + EPOCH_MS // 10
        await node.challenger.run_once()
        await node.challenger.settled()
        record = await node.storage.case(EPOCH, other)
        assert record.case.attempts[0].outcome is Outcome.VOID
        for percent in range(10, 60, 5):
            await four.at(percent, nodes=[node])
        record = await node.storage.case(EPOCH, other)
        assert [(attempt.number, attempt.outcome) for attempt in record.case.attempts] == [
            (0, Outcome.VOID),
            (1, Outcome.PASS),
        ]
        assert CaseRecord.from_bytes(record.to_bytes(), EPOCH) == record

    async def test_an_excuse_is_given_once_in_four_epochs(self, four):
        node, away = four.nodes[0], four.nodes[3]
        await away.server.stop(0)
        for epoch, verdict in [(3, Verdict.EXCUSED), (4, Verdict.FAIL), (5, Verdict.FAIL)]:
            if epoch > 3:
                await node.events(EpochChangeStart(Epoch(epoch)))
                await four.look(epoch)
                await put_state(node.storage, NodeState(NodeStatus.ACTIVE, Epoch(epoch)))
            for percent in (*range(10, 60, 5), 60):
                await four.at(percent, nodes=[node])
            report = (await node.challenger._book.reports(Epoch(epoch))).of(node.node_id, away.node_id)
            assert (report.verdict, report.reason) == (verdict, Outcome.UNREACHABLE), epoch


class TestBlobsOfAnEpoch:
    async def test_they_are_the_old_live_ones_in_order_and_stay_as_they_were_at_its_start(self, storage):
        await start_epochs(storage, 1)
        for number in range(1, 6):
            await feed(storage, registered(blob_id(number), object_id(number), 9, deletable=True))
        for number in range(1, 5):
            await feed(storage, certified(blob_id(number), object_id(number), 9, deletable=True))
        await feed(storage, InvalidBlobId(Epoch(1), blob_id(4)))
        await start_epochs(storage, 2)
        await feed(storage, registered(blob_id(7), object_id(7), 9, epoch=2))
        await feed(storage, certified(blob_id(7), object_id(7), 9, epoch=2))
        await feed(storage, deleted(blob_id(1), object_id(1), 9, was_certified=True))
        await start_epochs(storage, 3)
        taken = await storage.take_round(EPOCH, POLICY)
        expected = BlobSet.of([blob_id(2), blob_id(3)])
        assert await storage.at_epoch_start()
        assert (taken.blobs, taken.root, taken.policy) == (2, expected.root, POLICY)
        await feed(storage, deleted(blob_id(2), object_id(2), 9, was_certified=True))
        assert not await storage.at_epoch_start()
        assert await storage.challenge_round(EPOCH) == taken
        assert await storage.challenged_blobs(EPOCH, taken.root) == expected
        await storage.drop_challenged_blobs(before=Epoch(4))
        assert len(await storage.challenged_blobs(EPOCH, taken.root)) == 0
        await storage.drop_challenges(before=Epoch(4))
        assert await storage.challenge_round(EPOCH) is None

    async def test_more_of_them_than_one_record_holds(self, storage, monkeypatch):
        monkeypatch.setattr("walrus_node.store.challenge_records._IDS", 2)
        await start_epochs(storage, 1)
        ids = [blob_id(number) for number in range(1, 6)]
        for number, blob in enumerate(ids, 1):
            await feed(storage, registered(blob, object_id(number), 9))
            await feed(storage, certified(blob, object_id(number), 9))
        await start_epochs(storage, 3)
        taken = await storage.take_round(EPOCH, POLICY)
        assert list(await storage.challenged_blobs(EPOCH, taken.root)) == ids
        assert BlobSet.of(ids).root == taken.root

    async def test_epochs_that_are_caught_up_with_are_not_looked_through(self, four):
        node = four.nodes[0]
        await four.look(4)
        await node.storage.drop_challenges(before=Epoch(4))
        await node.challenges.rounds.take(EPOCH)
        assert await node.storage.challenge_round(EPOCH) is None
        await node.challenges.rounds.take(Epoch(4))
        assert (await node.storage.challenge_round(Epoch(4))).blobs == len(four.blobs)

    async def test_a_process_that_died_behind_the_first_checkpoint_does_it_at_its_next_start(self, four):
        rounds, storage = four.nodes[0].challenges.rounds, four.nodes[0].storage
        taken = await storage.challenge_round(EPOCH)
        await storage.drop_challenges(before=Epoch(4))
        await rounds.take_after_crash()
        assert await storage.challenge_round(EPOCH) == taken
