"""Who drops slivers is found by the nodes' own prover and challenger as often as arithmetic says; the docs tell just that."""

from pathlib import Path

import pytest
from tests.sim.detection import KINDS, measured
from tests.sim.statistics import at_least, interval

DOCS = Path(__file__).parents[3] / "docs" / "challenges.md"


@pytest.mark.parametrize("name", KINDS)
async def test_a_challenger_finds_who_drops_slivers_as_often_as_predicted(name, tmp_path):
    seen = await measured(KINDS[name], tmp_path)
    low, high = seen.interval
    assert low <= seen.predicted <= high, seen
    low, high = interval(seen.slashed, seen.epochs, 0.99)
    assert low <= seen.slash_predicted <= high, seen
    if KINDS[name].share >= 0.1:
        assert seen.waits == {1: seen.epochs}, "slashed in each epoch"
    else:
        assert 0.86 < seen.predicted < 0.87
        assert max(seen.waits) > 1, "and one that got away for an epoch was slashed in a later one"
    assert seen.row(name) in DOCS.read_text(encoding="utf-8"), "print the table anew: python -m tests.sim.detection"


@pytest.mark.parametrize(("hits", "trials"), [(0, 20), (20, 20), (3, 20), (500, 630)])
def test_the_interval_holds_the_chances_that_explain_what_was_seen(hits, trials):
    low, high = interval(hits, trials, 0.95)
    assert low <= hits / trials <= high
    assert (low == 0) == (hits == 0)
    assert (high == 1) == (hits == trials)
    if hits:
        assert at_least(hits, trials, low) == pytest.approx(0.025)
    if hits < trials:
        assert 1 - at_least(hits + 1, trials, high) == pytest.approx(0.025)
