"""Challenges, the pure rules: numbers of the specification, edges, and who is judged how."""

import hashlib

import pytest

from walrus_client.challenges import messages, verdicts
from walrus_client.challenges.blobs import BlobSet, is_old_enough
from walrus_client.challenges.deadlines import Deadline, challenger_was_late
from walrus_client.challenges.messages import Pair, Refusal
from walrus_client.challenges.policy import MAX_SAMPLES, Mode, Policy, PolicyError, milder, sample_count
from walrus_client.challenges.samples import AnswerChain, Questions, invalid_answer, shards_of
from walrus_client.challenges.times import EpochTimes, may_feed
from walrus_client.challenges.verdicts import Case, Outcome, Verdict
from walrus_codec import merkle
from walrus_codec.types import Axis, BlobId, Epoch, NodeId, ShardIndex

V, P = (NodeId(f"0x{index:064x}") for index in (1, 2))
SEED = bytes(range(96))


def blob(number: int) -> BlobId:
    return BlobId(hashlib.blake2b(number.to_bytes(8, "big"), digest_size=32).digest())


class TestPolicy:
    def test_the_specifications_number_of_samples(self) -> None:
        assert Policy().samples == 197
        assert sample_count("0.9", "1e-9") == 197
        assert 0.9**197 <= 1e-9 < 0.9**196

    def test_exactly_at_the_target_and_one_beyond(self) -> None:
        assert sample_count("0.5", "0.25") == 2
        assert sample_count("0.5", "0.2500001") == 2
        assert sample_count("0.5", "0.2499999") == 3

    def test_too_many_samples_are_refused(self) -> None:
        assert sample_count("0.9999", "1e-9") == MAX_SAMPLES + 1
        with pytest.raises(PolicyError, match="choose a smaller kept or a larger target"):
            Policy(kept="0.9999")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"kept": "0"},
            {"kept": "1"},
            {"kept": "-0.5"},
            {"target": "2"},
            {"kept": "nine"},
            {"kept": "NaN"},
            {"target": "1e-400"},
            {"kept": "0.1234567890123"},
            {"bytes_per_s": 0},
            {"latency_ms": -1},
            {"keep_epochs": 0},
        ],
    )
    def test_what_cannot_be_is_refused(self, wrong: dict[str, object]) -> None:
        with pytest.raises(PolicyError):
            Policy(**wrong)  # type: ignore[arg-type]

    def test_the_milder_mode_counts(self) -> None:
        assert milder(Mode.VOTE, Mode.REPORT) is milder(Mode.REPORT, Mode.VOTE) is Mode.REPORT
        assert milder(Mode.OFF, Mode.VOTE) is Mode.OFF
        assert milder(Mode.VOTE, Mode.VOTE) is Mode.VOTE


class TestBlobs:
    @pytest.mark.parametrize(("certified", "asked"), [(0, True), (3, True), (4, False), (5, False)])
    def test_a_blob_is_asked_for_two_epochs_after_its_certification(self, certified: int, asked: bool) -> None:
        assert is_old_enough(Epoch(certified), Epoch(5)) is asked

    @pytest.mark.parametrize("count", [1, 4095, 4096, 4097, 8191, 8193, 13_000])
    def test_a_set_made_piece_by_piece_is_the_same(self, count: int) -> None:
        some = [BlobId(number.to_bytes(32, "big")) for number in range(count)]
        made = BlobSet.in_order(iter(some))
        assert (made.ids, made.root) == (b"".join(some), merkle.root(merkle.leaves(some)))

    def test_the_order_of_arrival_does_not_matter(self) -> None:
        some = [blob(number) for number in range(9)]
        one, other = BlobSet.of(some), BlobSet.of([*reversed(some), some[0]])
        assert one == other
        assert len(one) == 9
        assert [one[index] for index in range(9)] == sorted(some)
        assert one.root == merkle.root(merkle.leaves(sorted(some)))
        assert all(item in one for item in some)
        assert blob(10) not in one
        assert "text" not in one

    def test_no_blobs(self) -> None:
        empty = BlobSet.of([])
        assert (len(empty), empty.root) == (0, bytes(32))
        assert blob(1) not in empty
        with pytest.raises(IndexError):
            empty[0]


class TestMessages:
    PAIR = Pair(Epoch(7), V, P, 2)

    def test_the_seed_is_laid_out_as_specified(self) -> None:
        parties = bytes(31) + b"\x01" + bytes(31) + b"\x02"
        expected = b"\xc1\x00\x03" + (7).to_bytes(4, "little") + b"c" * 32 + parties
        expected += (5).to_bytes(8, "little") + b"r" * 32 + b"\x02"
        assert messages.seed(self.PAIR, chain_id=b"c" * 32, blobs=5, root=b"r" * 32) == expected

    def test_no_message_passes_for_another(self) -> None:
        made = [
            messages.seed(self.PAIR, chain_id=bytes(32), blobs=0, root=bytes(32)),
            messages.close(self.PAIR, bytes(32)),
            messages.ready(self.PAIR, blobs=0, root=bytes(32)),
            *(messages.refuse(self.PAIR, reason) for reason in Refusal),
            messages.missing(self.PAIR, 0),
            messages.missing(self.PAIR, 1),
            messages.recovering(V, Epoch(7)),
            messages.recovering(V, Epoch(8)),
        ]
        assert len(set(made)) == len(made)
        assert {item[0] for item in made} == {0xC1, 0xC2, 0xC4, 0xC5}


class TestTimes:
    TIMES = EpochTimes(done_ms=1_000_000, duration_ms=100_000)

    def test_first_attempts_start_between_10_and_40_percent(self) -> None:
        starts = [self.TIMES.first_start(bytes([number]) * 96) for number in range(200)]
        assert min(starts) >= 1_010_000
        assert max(starts) < 1_040_000
        assert max(starts) - min(starts) > 25_000

    def test_later_attempts_keep_a_pause_and_end_at_55_percent(self) -> None:
        assert self.TIMES.next_start(1_030_000) == 1_035_000
        assert self.TIMES.next_start(1_050_000) == 1_055_000
        assert self.TIMES.next_start(1_050_001) is None

    @pytest.mark.parametrize(
        ("question", "first", "last"),
        [
            ("may_start", 10_000, 55_000),
            ("in_window", 10_000, 59_999),
            ("may_pull", 60_000, 90_000),
            ("may_vote", 65_000, 90_000),
            ("may_vote_on_proofs", 10_000, 90_000),
            ("may_execute", 10_000, 98_000),
        ],
    )
    def test_windows_at_their_edges(self, question: str, first: int, last: int) -> None:
        ask = getattr(self.TIMES, question)
        answers = [ask(1_000_000 + at) for at in (first - 1, first, last, last + 1)]
        assert answers == [False, True, True, False]

    def test_verdicts_are_final_at_60_percent(self) -> None:
        assert not self.TIMES.is_final(1_059_999)
        assert self.TIMES.is_final(1_060_000)

    def test_the_challenged_are_not_fed_unless_they_recover(self) -> None:
        held = {"in_window": True, "in_set": True, "answered_for": True}
        assert not may_feed(**held, recovering=False)
        assert may_feed(**held, recovering=True)
        for fact in held:
            assert may_feed(**{**held, fact: False}, recovering=False)


class TestDeadlines:
    def test_the_specifications_arithmetic(self) -> None:
        deadline = Deadline(Policy())
        assert deadline.us == 2_000_000
        for _ in range(197):
            deadline = deadline.then(440)
        assert deadline.us == 2_000_000 + 197 * (20_000 + 110)
        assert not deadline.is_late(deadline.us)
        assert deadline.is_late(deadline.us + 1)

    def test_a_challenger_that_lags_by_more_than_the_latency_says_nothing(self) -> None:
        assert not challenger_was_late(Policy(), 20_000)
        assert challenger_was_late(Policy(), 20_001)


class TestSamples:
    def questions(self, blobs: int, most: int) -> Questions:
        shards = tuple(ShardIndex(shard) for shard in (1, 4, 9))
        own = tuple(ShardIndex(shard) for shard in (0, 7))
        return Questions(SEED, BlobSet.of(blob(number) for number in range(blobs)), shards, own, 10, most)

    def test_few_triples_are_asked_all_and_once(self) -> None:
        questions = self.questions(blobs=5, most=30)
        assert (questions.triples, questions.count) == (30, 30)
        asked = [questions.sample(index, b"") for index in range(30)]
        assert len({(sample.blob_id, sample.shard, sample.axis) for sample in asked}) == 30
        assert [sample.axis for sample in asked[:4]] == [Axis.PRIMARY, Axis.SECONDARY] * 2
        with pytest.raises(IndexError):
            questions.sample(30, b"")

    def test_many_triples_are_drawn(self) -> None:
        questions = self.questions(blobs=6, most=30)
        assert (questions.triples, questions.count) == (36, 30)

    def test_each_answer_decides_the_next_question(self) -> None:
        questions = self.questions(blobs=500, most=197)
        asked = {questions.sample(1, answer.to_bytes(2, "big")).blob_id for answer in range(50)}
        assert len(asked) > 30

    def test_the_first_question_by_hand(self) -> None:
        questions = self.questions(blobs=500, most=197)
        empty = hashlib.blake2b(b"", digest_size=32).digest()
        drawn = hashlib.blake2b(b"sample" + SEED + bytes(4) + empty, digest_size=32).digest()
        triple = int.from_bytes(drawn[:16], "little") % 3000
        own = (0, 7)[int.from_bytes(drawn[16:24], "little") % 2]
        shard, blob_id = (1, 4, 9)[triple // 2 % 3], questions.blobs[triple // 6]
        offset = int.from_bytes(blob_id, "big") % 10
        theirs, ours = (shard - offset) % 10, (own - offset) % 10
        sample = questions.sample(0, b"")
        assert (sample.blob_id, sample.shard, sample.own) == (blob_id, shard, own)
        cell = (theirs, 9 - ours) if triple % 2 == 0 else (ours, 9 - theirs)
        assert (sample.row, sample.column) == cell

    def test_a_member_answers_for_shards_that_it_had_before(self) -> None:
        now, before = ([ShardIndex(shard) for shard in shards] for shards in ([5, 3, 8], [8, 1, 5]))
        assert shards_of(now, before) == (5, 8)

    def test_the_chain_of_answers(self) -> None:
        shards, own = [ShardIndex(1), ShardIndex(300)], [ShardIndex(2)]
        asked = Questions(SEED, BlobSet.of([blob(1)]), shards, own, 1000, 197)
        chain = AnswerChain.start(asked).then(b"one").then(b"two")
        facts = bytes.fromhex("02 0100 2c01 01 0200 e803 c5000000")
        h = hashlib.blake2b(SEED + facts, digest_size=32).digest()
        for number, answer in enumerate([b"one", b"two"]):
            h = hashlib.blake2b(h + number.to_bytes(4, "little") + answer, digest_size=32).digest()
        assert (chain.value, chain.answered) == (h, 2)

    def test_the_answer_for_an_invalid_blob(self) -> None:
        assert invalid_answer(blob(1)) == hashlib.blake2b(b"invalid" + blob(1), digest_size=32).digest()


def case(*outcomes: str, epoch: int = 9) -> Case:
    made = Case(Epoch(epoch))
    for number, outcome in enumerate(outcomes):
        made = made.begin().record(Outcome(outcome), 1_020_000 + number)
    return made


class TestVerdicts:
    TIMES = EpochTimes(done_ms=1_000_000, duration_ms=100_000)

    @pytest.mark.parametrize(
        ("outcomes", "verdict", "reason", "attempt"),
        [
            ("PASS", "PASS", "PASS", 0),
            ("WRONG", "FAIL", "WRONG", 0),
            ("MISSING", "FAIL", "MISSING", 0),
            ("LATE PASS", "PASS", "PASS", 1),
            ("LATE VOID MISSING", "FAIL", "MISSING", 2),
            ("LATE LATE LATE", "FAIL", "LATE", 2),
            ("UNREACHABLE LATE BUSY", "FAIL", "BUSY", 2),
            ("LATE LATE", "NONE", "LATE", 1),
            ("LATE VOID LATE", "NONE", "LATE", 2),
            ("LATE LATE UNREACHABLE", "EXCUSED", "UNREACHABLE", 2),
            ("UNREACHABLE", "EXCUSED", "UNREACHABLE", 0),
            ("LAGGING LAGGING LAGGING", "EXCUSED", "LAGGING", 2),
            ("RECOVERING", "EXCUSED", "RECOVERING", 0),
            ("UNREACHABLE VOID", "EXCUSED", "UNREACHABLE", 0),
            ("VOID VOID VOID", "NONE", None, None),
            ("", "NONE", None, None),
        ],
    )
    def test_what_attempts_come_to(self, outcomes: str, verdict: str, reason: str | None, attempt: int | None) -> None:
        judged = case(*outcomes.split()).conclude([])
        assert case(*outcomes.split()).is_proven is (reason in {"WRONG", "MISSING"})
        assert (judged.verdict.value, judged.reason and judged.reason.value, judged.attempt) == (
            verdict,
            reason,
            attempt,
        )

    def test_an_excuse_is_given_once_in_four_epochs(self) -> None:
        away = case("UNREACHABLE")
        for before, verdict in ((5, Verdict.EXCUSED), (6, Verdict.FAIL), (8, Verdict.FAIL), (9, Verdict.EXCUSED)):
            assert away.conclude([Epoch(before)]).verdict is verdict

    def test_a_challenger_that_lacks_data_itself_judges_nobody(self) -> None:
        for outcome in Outcome:
            assert case(outcome.value).conclude([], challenger_active=False) == verdicts.NOTHING

    def test_what_is_proved_ends_the_case(self) -> None:
        for outcome in ("PASS", "WRONG", "MISSING"):
            settled = case(outcome)
            assert settled.next_start(self.TIMES, SEED) is None
            with pytest.raises(ValueError, match="no attempt is left"):
                settled.begin()

    def test_three_attempts_and_no_more(self) -> None:
        used = case("LATE", "VOID", "LATE")
        assert used.next_start(self.TIMES, SEED) is None
        with pytest.raises(ValueError, match="no attempt is left"):
            used.begin()

    def test_starts(self) -> None:
        assert Case(Epoch(9)).next_start(self.TIMES, SEED) == self.TIMES.first_start(SEED)
        assert case("LATE").next_start(self.TIMES, SEED) == 1_025_000
        assert Case(Epoch(9)).begin().next_start(self.TIMES, SEED) is None

    def test_a_restart_makes_the_running_attempt_void_and_never_uses_its_seed_again(self) -> None:
        cut_off = case("LATE").begin()
        resumed = cut_off.resume(1_040_000)
        assert resumed.attempts[-1] == verdicts.Attempt(1, Outcome.VOID, 1_040_000)
        assert resumed.begin().begun == 3
        assert case("LATE").resume(5) == case("LATE")
        assert Case(Epoch(9)).resume(5) == Case(Epoch(9))

    def test_only_a_running_attempt_ends(self) -> None:
        with pytest.raises(ValueError, match="no attempt is under way"):
            Case(Epoch(9)).record(Outcome.PASS, 1)
