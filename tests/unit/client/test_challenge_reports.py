"""Reports of challenges and the votes that follow from them."""

from dataclasses import replace

import pytest

from walrus_client.challenges import votes
from walrus_client.challenges.policy import Mode
from walrus_client.challenges.reports import Addition, Report, ReportError, Reports, SignedReport
from walrus_client.challenges.verdicts import PROVED, Outcome, Verdict
from walrus_codec.types import Epoch, NodeId
from walrus_sui import bls
from walrus_sui.keys import BlsKey

NODES = [NodeId(f"0x{index:064x}") for index in range(1, 11)]
V, P = NODES[:2]
FAILURES = [outcome for outcome in Outcome if outcome not in {Outcome.PASS, Outcome.VOID}]


def report(challenger: NodeId = V, prover: NodeId = P, verdict: Verdict = Verdict.FAIL, **changes: object) -> Report:
    reason = {
        Verdict.FAIL: Outcome.WRONG,
        Verdict.PASS: Outcome.PASS,
        Verdict.EXCUSED: Outcome.LAGGING,
        Verdict.NONE: None,
    }[verdict]
    made = Report(
        epoch=Epoch(9),
        challenger=challenger,
        prover=prover,
        attempt=1,
        seed=b"" if reason is None else b"s" * 96,
        blobs=5,
        root=b"r" * 32,
        samples=197,
        verdict=verdict,
        reason=reason,
        first=3 if verdict is Verdict.FAIL else None,
        answered=4,
        chain=b"h" * 32,
        start_ms=1,
        end_ms=2,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_report_comes_back_from_its_bytes(verdict: Verdict) -> None:
    made = report(verdict=verdict)
    assert Report.from_bytes(made.to_bytes()) == made
    assert made.to_bytes()[:7] == b"\xc3\x00\x03" + (9).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prover": V}, "nobody challenges itself"),
        ({"attempt": 3}, "out of range"),
        ({"answered": 198}, "out of range"),
        ({"samples": 10_001}, "out of range"),
        ({"seed": b"s"}, "has a seed exactly when"),
        ({"first": 5}, "behind the answers"),
        ({"reason": Outcome.PASS}, "cannot have the reason PASS"),
        ({"verdict": Verdict.EXCUSED, "reason": Outcome.WRONG}, "cannot have the reason WRONG"),
        ({"verdict": Verdict.PASS, "reason": None, "seed": b""}, "cannot have the reason none"),
    ],
)
def test_a_report_that_contradicts_itself_is_none(changes: dict[str, object], words: str) -> None:
    bad = replace(report(), **changes)  # type: ignore[arg-type]
    with pytest.raises(ReportError, match=words):
        Report.from_bytes(bad.to_bytes())


def test_bytes_that_are_no_report() -> None:
    good = report().to_bytes()
    for bad in (b"", good[:-1], good + b"\0", b"\xc2" + good[1:], good[:7] + b"\x01" + good[8:], bytes(513)):
        with pytest.raises(ReportError):
            Report.from_bytes(bad)


class TestSignatures:
    KEY = BlsKey.generate()
    OTHER = BlsKey.generate()

    def signed(self, made: Report) -> SignedReport:
        return SignedReport(made.to_bytes(), self.KEY.sign(made.to_bytes()))

    def test_a_members_report_is_taken(self) -> None:
        keys = {V: self.KEY.public_key, P: self.OTHER.public_key}
        assert self.signed(report()).verified(keys, bls.verify) == report()

    def test_somebody_elses_signature_is_not(self) -> None:
        keys = {V: self.OTHER.public_key, P: self.KEY.public_key}
        with pytest.raises(ReportError, match="is not signed by"):
            self.signed(report()).verified(keys, bls.verify)
        with pytest.raises(ReportError, match="is not signed by"):
            SignedReport(report().to_bytes(), b"short").verified(keys, bls.verify)

    @pytest.mark.parametrize("known", [V, P])
    def test_strangers_are_refused(self, known: NodeId) -> None:
        with pytest.raises(ReportError, match="no member"):
            self.signed(report()).verified({known: self.KEY.public_key}, bls.verify)


class TestLedgerOfReports:
    def test_the_same_report_counts_once(self) -> None:
        reports = Reports(Epoch(9))
        assert reports.add(report()) is Addition.NEW
        assert reports.add(report()) is Addition.KNOWN
        assert reports.of(V, P) == report()
        assert reports.equivocating == frozenset()

    def test_two_different_ones_void_each_other_for_good(self) -> None:
        reports = Reports(Epoch(9))
        reports.add(report())
        assert reports.add(report(verdict=Verdict.PASS)) is Addition.EQUIVOCATION
        assert reports.of(V, P) is None
        assert reports.add(report()) is Addition.KNOWN
        assert reports.of(V, P) is None
        assert reports.equivocating == {V}

    def test_other_epochs_are_refused(self) -> None:
        with pytest.raises(ReportError, match="epoch 9"):
            Reports(Epoch(8)).add(report())


def failing(prover: NodeId, challengers: list[NodeId], verdict: Verdict = Verdict.FAIL) -> Reports:
    reports = Reports(Epoch(9))
    for challenger in challengers:
        reports.add(report(challenger, prover, verdict))
    return reports


class TestVotes:
    WEIGHTS = dict.fromkeys(NODES, 10)
    """n = 100, f = 33: four members are the least that outweighs f."""

    def ask(self, reports: Reports, me: NodeId = V, mode: Mode = Mode.VOTE) -> tuple[NodeId, ...]:
        return votes.votes(me=me, mode=mode, reports=reports, weights=self.WEIGHTS, n_shards=100)

    def test_more_than_f_and_the_own_eyes(self) -> None:
        others = [node for node in NODES if node not in {V, P}]
        assert self.ask(failing(P, [V, *others[:3]])) == (P,)
        assert self.ask(failing(P, [V, *others[:2]])) == ()
        assert self.ask(failing(P, others)) == (), "it has not seen the failure itself"
        assert self.ask(failing(P, others, Verdict.EXCUSED)) == ()

    def test_exactly_f_plus_one(self) -> None:
        weights = {**self.WEIGHTS, NODES[2]: 13, NODES[3]: 11, NODES[4]: 6}
        ask = {"me": V, "weights": weights, "n_shards": 100}
        assert not votes.deserves_vote(P, reports=failing(P, [V, NODES[2], NODES[5]]), **ask)  # 33
        assert votes.deserves_vote(P, reports=failing(P, [V, NODES[2], NODES[3]]), **ask)  # 34

    @pytest.mark.parametrize(("reason", "early"), [(reason, reason in PROVED) for reason in FAILURES])
    def test_only_proofs_count_before_65_percent(self, reason: Outcome, early: bool) -> None:
        ask = {"me": V, "weights": self.WEIGHTS, "n_shards": 100}
        others = [node for node in NODES if node not in {V, P}]
        for mine, theirs in ((reason, Outcome.WRONG), (Outcome.MISSING, reason)):
            reports = Reports(Epoch(9))
            reports.add(report(V, P, reason=mine))
            for node in others[:3]:
                reports.add(report(node, P, reason=theirs))
            assert votes.would_vote(reports=reports, **ask, proven=True) == ((P,) if early else ())
            assert votes.would_vote(reports=reports, **ask) == (P,)
        assert votes.votes(mode=Mode.REPORT, reports=reports, **ask, proven=True) == ()

    def test_early_it_takes_more_than_f_too(self) -> None:
        ask = {"me": V, "weights": self.WEIGHTS, "n_shards": 100, "proven": True}
        others = [node for node in NODES if node not in {V, P}]
        assert votes.would_vote(reports=failing(P, [V, *others[:3]]), **ask) == (P,)
        assert votes.would_vote(reports=failing(P, [V, *others[:2]]), **ask) == ()
        assert votes.would_vote(reports=failing(P, others), **ask) == ()

    def test_whose_failure_a_member_has_proved(self) -> None:
        reports = failing(P, [V, NODES[3]])
        reports.add(report(V, NODES[4], reason=Outcome.LATE))
        reports.add(report(V, NODES[5], Verdict.PASS))
        reports.add(report(V, NODES[2], reason=Outcome.MISSING))
        assert votes.proved_by(V, reports) == (P, NODES[2])
        reports.add(report(V, P, Verdict.PASS))
        assert votes.proved_by(V, reports) == (NODES[2],), "two different ones are none"
        assert reports.knows(V, P)
        assert not reports.knows(P, V)

    @pytest.mark.parametrize("mode", [Mode.OFF, Mode.REPORT])
    def test_only_the_mode_vote_votes(self, mode: Mode) -> None:
        reports = failing(P, [node for node in NODES if node != P])
        assert self.ask(reports, mode=mode) == ()
        assert votes.would_vote(me=V, reports=reports, weights=self.WEIGHTS, n_shards=100) == (P,)

    def test_nobody_votes_on_itself_or_on_strangers(self) -> None:
        reports = failing(P, [node for node in NODES if node != P])
        assert self.ask(reports, me=P) == ()
        stranger = NodeId("0x" + "f" * 64)
        assert self.ask(failing(stranger, NODES)) == ()
        assert self.ask(reports, me=stranger) == ()

    def test_the_count_of_reports(self) -> None:
        reports = failing(P, NODES[2:4])
        reports.add(report(NODES[4], P, Verdict.PASS))
        reports.add(report(NODES[5], P, Verdict.EXCUSED))
        reports.add(report(NODES[6], P, Verdict.NONE))
        reports.add(report(NODES[7], P, reason=Outcome.LATE))
        assert votes.tally(P, reports, self.WEIGHTS) == votes.Tally(P, 10, 30, 20, 10, 10, silent=30)

    def test_failures_in_order(self) -> None:
        reports = failing(P, [NODES[4], NODES[2]])
        reports.add(report(NODES[3], P, Verdict.PASS))
        assert [found.challenger for found in votes.failing(reports)] == [NODES[2], NODES[4]]

    def test_silent_is_who_reports_on_less_than_half(self) -> None:
        weights = dict.fromkeys(NODES[:5], 10)
        reports = Reports(Epoch(9))
        for prover in NODES[1:3]:
            reports.add(report(V, prover, Verdict.NONE))
        for challenger in NODES[2:5]:
            reports.add(report(challenger, V, Verdict.PASS))
        assert votes.silent(reports, weights) == tuple(NODES[1:5])
