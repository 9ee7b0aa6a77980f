"""Laws of availability challenges: samples cannot be biased, transcripts cannot lie, liars below f cannot slash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_client.challenges import messages, votes
from walrus_client.challenges.blobs import BlobSet
from walrus_client.challenges.messages import Pair
from walrus_client.challenges.policy import ATTEMPTS, Mode, Policy, PolicyError, sample_count
from walrus_client.challenges.replay import Exchange, Finding, Transcript, replay
from walrus_client.challenges.reports import Report, ReportError, Reports
from walrus_client.challenges.samples import AnswerChain, Questions, Sample, invalid_answer
from walrus_client.challenges.times import EpochTimes
from walrus_client.challenges.verdicts import Case, Outcome, Verdict
from walrus_codec import mapping, redstuff
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.recovery import make_symbols
from walrus_codec.types import Axis, BlobId, EncodingType, Epoch, NodeId, ShardIndex
from walrus_sui import bls
from walrus_sui.keys import BlsKey

N_SHARDS = 10
PARAMS = CodeParams(N_SHARDS, EncodingType.ISAL)
V, P = (NodeId(f"0x{index:064x}") for index in (1, 2))
CHAIN = bytes(range(32))
ALL_SHARDS = [ShardIndex(index) for index in range(N_SHARDS)]


# Policy


@given(st.integers(1, 999), st.integers(1, 999_999))
def test_the_number_of_samples_is_the_least_that_suffices(kept: int, target: int) -> None:
    p, limit = f"0.{kept:03d}", f"0.{target:06d}"
    try:
        found = Policy(kept=p, target=limit).samples
    except PolicyError:
        found = sample_count(p, limit)
    assert kept**found * 10**6 <= target * 10 ** (3 * found)
    assert found == 1 or kept ** (found - 1) * 10**6 > target * 10 ** (3 * (found - 1))


# Samples


def dumb_sample(questions: Questions, index: int, previous: bytes) -> tuple[BlobId, Axis, int, int, int, int]:
    """The specification's formulas, one by one; the cell is looked up in a picture of who holds what."""
    before = hashlib.blake2b(previous, digest_size=32).digest()
    x = hashlib.blake2b(b"sample" + questions.seed + index.to_bytes(4, "little") + before, digest_size=32).digest()
    size = len(questions.blobs) * len(questions.shards) * 2
    t = int.from_bytes(x[:16], "little") % size if size > questions.most else index
    own = questions.own[int.from_bytes(x[16:24], "little") % len(questions.own)]
    triples = [
        (blob, shard, axis)
        for blob in sorted(questions.blobs[place] for place in range(len(questions.blobs)))
        for shard in sorted(questions.shards)
        for axis in (Axis.PRIMARY, Axis.SECONDARY)
    ]
    blob, shard, axis = triples[t]
    rows = {(pair + int.from_bytes(blob, "big")) % questions.n_shards: pair for pair in range(questions.n_shards)}
    columns = {holder: questions.n_shards - 1 - pair for holder, pair in rows.items()}
    row, column = (rows[shard], columns[own]) if axis is Axis.PRIMARY else (rows[own], columns[shard])
    return blob, axis, shard, own, row, column


seeds = st.binary(min_size=96, max_size=96)
some_shards = st.sets(st.integers(0, N_SHARDS - 1), min_size=1).map(
    lambda found: [ShardIndex(i) for i in sorted(found)]
)


questions_of = st.builds(
    lambda seed, blobs, shards, own, most: Questions(seed, BlobSet.of(map(BlobId, blobs)), shards, own, N_SHARDS, most),
    seeds,
    st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=9, unique=True),
    some_shards,
    some_shards,
    st.integers(1, 60),
)


@given(questions_of, st.binary(max_size=20), st.data())
def test_samples_equal_the_formulas(questions: Questions, previous: bytes, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, questions.count - 1))
    made = questions.sample(index, previous)
    found = (made.blob_id, made.axis, made.shard, made.own, made.row, made.column)
    assert found == dumb_sample(questions, index, previous)


def test_samples_are_spread_evenly() -> None:
    blobs = BlobSet.of(BlobId(hashlib.blake2b(bytes([i]), digest_size=32).digest()) for i in range(10))
    questions = Questions(bytes(96), blobs, ALL_SHARDS[:2], ALL_SHARDS[5:], N_SHARDS, 39)
    counts: dict[tuple[BlobId, ShardIndex, Axis], int] = {}
    rounds = 8_000
    for number in range(rounds):
        sample = questions.sample(7, number.to_bytes(4, "big"))
        place = (sample.blob_id, sample.shard, sample.axis)
        counts[place] = counts.get(place, 0) + 1
    expected = rounds / questions.triples
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert len(counts) == questions.triples == 40
    assert chi_square < 75, "1 in 2,000 for 39 degrees of freedom; the inputs are fixed"


# Seeds


CHALLENGER, PROVER = (BlsKey(bytes([7 + index]) + bytes(31)) for index in range(2))
PAIR = Pair(Epoch(9), V, P, 1)


@given(st.sampled_from(["epoch", "challenger", "prover", "attempt", "chain", "blobs", "root"]), st.integers(1, 200))
@settings(max_examples=30)
def test_a_seed_for_anything_else_is_refused(part: str, other: int) -> None:
    """The challenger has exactly one seed for each attempt: nothing that goes into it may vary."""
    blobs = BlobSet.of([BlobId(bytes([1]) * 32)])
    facts = {"chain_id": CHAIN, "blobs": len(blobs), "root": blobs.root}
    changed, pair = dict(facts), PAIR
    if part == "chain":
        changed["chain_id"] = bytes([other]) + CHAIN[1:] if other != CHAIN[0] else CHAIN[::-1]
    elif part == "blobs":
        changed["blobs"] = len(blobs) + other
    elif part == "root":
        changed["root"] = hashlib.blake2b(bytes([other]), digest_size=32).digest()
    else:
        values = {"epoch": Epoch(9 + other), "challenger": NodeId(f"0x{other + 2:064x}")}
        values |= {"prover": NodeId(f"0x{other + 2:064x}"), "attempt": (1 + other) % 256}
        pair = replace(PAIR, **{part: values[part]})
    signature = CHALLENGER.sign(messages.seed(pair, **changed))
    assert not bls.verify(CHALLENGER.public_key, messages.seed(PAIR, **facts), signature)


# Transcripts


@cache
def archive() -> dict[BlobId, redstuff.EncodedBlob]:
    encoded = [redstuff.encode(bytes([number]) * (40 + 9 * number), PARAMS) for number in range(4)]
    return {blob.blob_id: blob for blob in encoded}


def metadata_of(blob_id: BlobId) -> BlobMetadata:
    return archive()[blob_id].metadata


def exchange(sample: Sample) -> Exchange:
    """An honest run's exchange: the challenger takes the cell out of its own sliver, with a proof."""
    blob = archive()[sample.blob_id]
    pair = blob.pairs[mapping.pair_of_sliver(sample.place, sample.axis.orthogonal, N_SHARDS)]
    own = pair.secondary if sample.axis is Axis.PRIMARY else pair.primary
    assert mapping.shard_of_pair(pair.index, sample.blob_id, N_SHARDS) == sample.own
    (symbol,) = make_symbols(own, [sample.sliver], blob.metadata, PARAMS)
    return Exchange(bytes(symbol.data), bytes(symbol.data), bytes(symbol.proof))


def run_of(
    most: int, *, change: Callable[[int, Exchange], Exchange] = lambda _i, made: made, stop: int | None = None
) -> Transcript:
    """A run whose answers `change` may change, up to question `stop`."""
    blobs = BlobSet.of(archive())
    seed = CHALLENGER.sign(messages.seed(PAIR, chain_id=CHAIN, blobs=len(blobs), root=blobs.root))
    questions = Questions(seed, blobs, ALL_SHARDS[:3], ALL_SHARDS[6:], N_SHARDS, most)
    chain, previous, exchanges = AnswerChain.start(questions), b"", []
    for index in range(questions.count if stop is None else stop):
        made = change(index, exchange(questions.sample(index, previous)))
        exchanges.append(made)
        chain, previous = chain.then(made.answer), made.answer
    close = PROVER.sign(messages.close(PAIR, chain.value))
    return Transcript(PAIR, questions, tuple(exchanges), close)


def judged(transcript: Transcript, **changes: object) -> Finding:
    facts = {"chain_id": CHAIN, "challenger_key": CHALLENGER.public_key, "prover_key": PROVER.public_key}
    result = replay(transcript, metadata_of=metadata_of, verify=bls.verify, **(facts | changes))  # type: ignore[arg-type]
    assert result.proves_failure == (result.finding in {Finding.WRONG, Finding.MISSING})
    return result.finding


@given(st.integers(1, 40), st.sets(st.integers(0, 23), max_size=3), st.data())
@settings(max_examples=40, deadline=None)
def test_a_transcript_verifies_if_and_only_if_every_symbol_is_right(
    most: int, wrong: set[int], data: st.DataObject
) -> None:
    def change(index: int, made: Exchange) -> Exchange:
        if index not in wrong:
            return made
        bit = data.draw(st.integers(0, 8 * len(made.answer) - 1))
        flipped = (int.from_bytes(made.answer, "big") ^ (1 << bit)).to_bytes(len(made.answer), "big")
        return replace(made, answer=flipped)

    transcript = run_of(most, change=change)
    hit = any(index < transcript.questions.count for index in wrong)
    assert judged(transcript) is (Finding.WRONG if hit else Finding.PASS)
    unsigned = replace(transcript, close=None)
    assert judged(unsigned) is (Finding.UNSIGNED_WRONG if hit else Finding.UNSIGNED_RIGHT)


@given(st.integers(0, 23), st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_challenger_cannot_make_up_the_truth(index: int, proof: bool) -> None:
    transcript = run_of(24)
    made = transcript.exchanges[index]
    lie = replace(made, proof=bytes(len(made.proof))) if proof else replace(made, truth=bytes(len(made.truth) + 2))
    exchanges = (*transcript.exchanges[:index], lie, *transcript.exchanges[index + 1 :])
    assert judged(replace(transcript, exchanges=exchanges)) is Finding.BAD_TRUTH


@pytest.mark.parametrize("stop", [0, 1, 23])
def test_who_stops_is_only_convicted_by_its_own_word(stop: int) -> None:
    transcript = run_of(24, stop=stop)
    assert judged(transcript) is Finding.INCOMPLETE
    admitted = replace(transcript, missing=PROVER.sign(messages.missing(PAIR, stop)))
    assert judged(admitted) is Finding.MISSING
    of_another = replace(transcript, missing=PROVER.sign(messages.missing(PAIR, stop + 1)))
    assert judged(of_another) is Finding.INCOMPLETE
    forged = replace(transcript, missing=CHALLENGER.sign(messages.missing(PAIR, stop)))
    assert judged(forged) is Finding.INCOMPLETE


def test_answers_of_another_run_or_order_are_no_pass() -> None:
    transcript = run_of(24)
    for exchanges in (transcript.exchanges[::-1], transcript.exchanges[:-1], ()):
        assert judged(replace(transcript, exchanges=exchanges)) not in {Finding.PASS, Finding.WRONG}
    assert judged(transcript, chain_id=bytes(32)) is Finding.BAD_SEED
    assert judged(transcript, challenger_key=PROVER.public_key) is Finding.BAD_SEED
    assert judged(transcript, prover_key=CHALLENGER.public_key) is Finding.UNSIGNED_RIGHT


@given(some_shards.flatmap(st.permutations), some_shards.flatmap(st.permutations), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_a_challenger_cannot_show_right_answers_beside_other_questions(
    theirs: list[ShardIndex], own: list[ShardIndex], most: int
) -> None:
    """It has everybody's cells and their proofs, and may write into a transcript whose shards were asked for, and how often."""
    honest = run_of(24)
    questions = replace(honest.questions, shards=theirs, own=own, most=most)
    previous, exchanges = b"", []
    for index in range(min(questions.count, len(honest.exchanges))):
        answer = honest.exchanges[index].answer
        exchanges.append(replace(exchange(questions.sample(index, previous)), answer=answer))
        previous = answer
    forged = replace(honest, questions=questions, exchanges=tuple(exchanges))
    if questions == honest.questions:
        assert judged(forged) is Finding.PASS
    else:
        assert judged(forged) in {Finding.UNSIGNED_WRONG, Finding.UNSIGNED_RIGHT, Finding.INCOMPLETE}


def test_an_invalid_blob_has_one_answer() -> None:
    bad = BlobSet.of(archive())[1]
    blobs = run_of(24).questions.blobs

    def change(index: int, made: Exchange) -> Exchange:
        sample_blob = blobs[index // 6]
        return Exchange(invalid_answer(bad), invalid_answer(bad), b"") if sample_blob == bad else made

    transcript = run_of(24, change=change)
    assert judged(transcript, is_invalid=lambda blob_id: blob_id == bad) is Finding.PASS
    assert judged(transcript) is Finding.BAD_TRUTH


@pytest.mark.parametrize("also_wrong", [False, True])
def test_what_only_the_chain_knows_of_a_blob_convicts_nobody(also_wrong: bool) -> None:
    """The challenger may say of a good blob that it is invalid, or keep quiet that a bad one is."""
    some = BlobSet.of(archive())[1]
    blobs = run_of(24).questions.blobs

    def is_some(index: int) -> bool:
        return blobs[index // 6] == some

    def lie(index: int, made: Exchange) -> Exchange:
        return replace(made, answer=bytes(len(made.answer) + 2)) if also_wrong and index == 23 else made

    honest = run_of(24, change=lie)
    exchanges = tuple(
        Exchange(made.answer, invalid_answer(some), b"") if is_some(index) else made
        for index, made in enumerate(honest.exchanges)
    )
    called_bad = replace(honest, exchanges=exchanges)
    expected = Finding.WRONG if also_wrong else Finding.PASS
    assert judged(called_bad, is_invalid=lambda blob_id: blob_id == some) is expected

    def declared(index: int, made: Exchange) -> Exchange:
        return replace(made, answer=invalid_answer(some)) if is_some(index) else lie(index, made)

    hidden = run_of(24, change=declared)
    assert judged(hidden) is (Finding.WRONG if also_wrong else Finding.CALLED_INVALID)
    assert judged(replace(hidden, close=None)) is Finding.UNSIGNED_WRONG


# Verdicts

outcomes = st.lists(st.sampled_from(Outcome), max_size=ATTEMPTS)


@given(outcomes, st.sets(st.integers(1, 12).map(Epoch)), st.booleans())
def test_a_verdict_needs_a_cause(ended: list[Outcome], excused: set[Epoch], active: bool) -> None:
    case = Case(Epoch(9))
    for number, outcome in enumerate(ended):
        if case.is_settled:
            break
        case = case.begin().record(outcome, number)
    seen = [attempt.outcome for attempt in case.attempts if attempt.outcome is not Outcome.VOID]
    judged_so = case.conclude(excused, challenger_active=active)
    assert judged_so == case.conclude(sorted(excused), challenger_active=active)
    match judged_so.verdict:
        case Verdict.PASS:
            assert Outcome.PASS in seen
        case Verdict.FAIL:
            proved = seen[-1] in {Outcome.WRONG, Outcome.MISSING}
            slow = len(seen) == ATTEMPTS and seen[-1] in {Outcome.LATE, Outcome.BUSY}
            away = seen[-1] in {Outcome.UNREACHABLE, Outcome.LAGGING, Outcome.RECOVERING}
            assert proved or slow or (away and excused & {Epoch(6), Epoch(7), Epoch(8)})
            assert Outcome.PASS not in seen
        case Verdict.EXCUSED:
            assert not excused & {Epoch(6), Epoch(7), Epoch(8)}
        case Verdict.NONE:
            assert not active or not seen or seen[-1] in {Outcome.LATE, Outcome.BUSY}
    assert active or judged_so.verdict is Verdict.NONE


@given(st.integers(1_000, 10**9), seeds, st.lists(st.integers(0, 10**7), max_size=2))
def test_three_attempts_fit_into_the_window(duration_ms: int, seed: bytes, takes: list[int]) -> None:
    times = EpochTimes(0, duration_ms)
    case, starts = Case(Epoch(9)), []
    for take in [*takes, 0]:
        start = case.next_start(times, seed)
        if start is None:
            break
        starts.append(start)
        case = case.begin().record(Outcome.LATE, start + take)
    assert starts
    assert all(times.at(10) <= start <= times.at(55) for start in starts)
    assert all(times.may_start(start) for start in starts)


# Reports and votes


@given(st.binary(max_size=400))
def test_garbage_is_no_report(data: bytes) -> None:
    with pytest.raises(ReportError):
        Report.from_bytes(data)


def report(challenger: NodeId, prover: NodeId, verdict: Verdict) -> Report:
    reasons = {Verdict.PASS: Outcome.PASS, Verdict.FAIL: Outcome.WRONG, Verdict.EXCUSED: Outcome.LAGGING}
    reason = reasons.get(verdict)
    seed = b"" if reason is None else bytes(96)
    zero = bytes(32)
    return Report(Epoch(9), challenger, prover, 0, seed, 4, zero, 24, verdict, reason, None, 24, zero, 1, 2)


@st.composite
def committees(draw: st.DrawFn) -> tuple[dict[NodeId, int], set[NodeId]]:
    """Weights of members, and those that are faulty: at most f shards."""
    weights = draw(st.lists(st.integers(1, 12), min_size=4, max_size=12))
    members = {NodeId(f"0x{index + 1:064x}"): weight for index, weight in enumerate(weights)}
    f, taken, faulty = (sum(weights) - 1) // 3, 0, set()
    for member in draw(st.permutations(sorted(members))):
        if taken + members[member] <= f:
            faulty.add(member)
            taken += members[member]
    return members, faulty


@given(committees(), st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_f_liars_slash_no_honest_member_and_hide_no_cheat(
    committee: tuple[dict[NodeId, int], set[NodeId]], rng: Random
) -> None:
    """Liars accuse everybody honest and praise each other; honest members report what they see."""
    weights, faulty = committee
    n_shards = sum(weights.values())
    honest = sorted(weights.keys() - faulty)
    caught = {member for member in faulty if rng.random() < 0.5}
    reports = Reports(Epoch(9))
    for challenger in weights:
        for prover in weights:
            if challenger == prover:
                continue
            fails = prover not in faulty if challenger in faulty else prover in caught
            reports.add(report(challenger, prover, Verdict.FAIL if fails else Verdict.PASS))
    for me in honest:
        voted = votes.votes(me=me, mode=Mode.VOTE, reports=reports, weights=weights, n_shards=n_shards)
        assert set(voted) == caught
    honest_weight = sum(weights[member] for member in honest)
    assert 3 * honest_weight >= 2 * n_shards + 1, "so honest votes alone reach the contract's quorum"


@given(committees(), st.randoms(use_true_random=False))
def test_votes_depend_on_reports_not_on_their_order(
    committee: tuple[dict[NodeId, int], set[NodeId]], rng: Random
) -> None:
    weights, _faulty = committee
    made = [
        report(challenger, prover, rng.choice(list(Verdict)))
        for challenger in weights
        for prover in weights
        if challenger != prover and rng.random() < 0.8
    ]
    one, other = Reports(Epoch(9)), Reports(Epoch(9))
    for item in made:
        one.add(item)
    for item in rng.sample(made, len(made)) + made[:3]:
        other.add(item)
    for me in weights:
        ask = {"me": me, "mode": Mode.VOTE, "weights": weights, "n_shards": sum(weights.values())}
        assert votes.votes(reports=one, **ask) == votes.votes(reports=other, **ask)
    assert votes.silent(one, weights) == votes.silent(other, weights)
