"""How long a node may be silent, and whom to ask last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walrus_client.errors import PeerError, PeerRefusedError, PeerUnreachableError
from walrus_client.peers.retrying import HINT_JITTER, LONGEST_HINT_S, asked_for_s
from walrus_client.peers.rules import (
    FEWEST_SAMPLES,
    LONGEST_PATIENCE_S,
    MARGIN,
    SAMPLES,
    SHORTEST_PATIENCE_S,
    UNKNOWN_PATIENCE_S,
    Fault,
    Pace,
    Standing,
    patience_s,
)
from walrus_client.reasons import Reason
from walrus_codec.types import NodeId

NODE, OTHER = NodeId("0x1"), NodeId("0x2")
waits = st.lists(st.floats(0, 100), min_size=FEWEST_SAMPLES, max_size=SAMPLES)


def test_patience_is_a_guess_until_enough_is_known() -> None:
    assert patience_s([0.01] * (FEWEST_SAMPLES - 1)) == UNKNOWN_PATIENCE_S
    assert patience_s([0.1] * FEWEST_SAMPLES) == MARGIN * 0.1


def test_one_slow_sliver_in_twenty_changes_nothing_and_two_do() -> None:
    assert patience_s([0.1] * 19 + [90.0]) == 0.2
    assert patience_s([0.1] * 18 + [0.5, 0.5]) == 1.0


@given(waits)
def test_patience_has_bounds_and_covers_nineteen_of_twenty(samples: list[float]) -> None:
    patience = patience_s(samples)
    assert SHORTEST_PATIENCE_S <= patience <= LONGEST_PATIENCE_S
    beyond = sum(sample > patience for sample in samples)
    assert patience == LONGEST_PATIENCE_S or beyond <= len(samples) / 20


@given(waits, st.floats(0, 100))
def test_slower_nodes_never_make_us_more_impatient(samples: list[float], more: float) -> None:
    assert patience_s([sample + more for sample in samples]) >= patience_s(samples)


def test_pace_forgets_and_keeps_sizes_apart() -> None:
    pace = Pace()
    for _ in range(SAMPLES):
        pace.took(1000, 0.5)
    assert pace.patience_s(600) == 1.0, "of the same power of two"
    assert pace.patience_s(1 << 20) == UNKNOWN_PATIENCE_S
    for _ in range(SAMPLES):
        pace.took(1000, 0.1)
    assert pace.patience_s(1000) == 0.2


@pytest.mark.parametrize("fault", list(Fault))
def test_a_mark_ends_by_itself_and_grows_when_it_is_earned_again(fault: Fault) -> None:
    standing, now, lasts = Standing(), 0.0, fault.first_s
    for _ in range(20):
        standing.blame(NODE, fault, now)
        assert standing.is_doubtful(NODE, now + lasts - 0.001)
        assert not standing.is_doubtful(NODE, now + lasts)
        assert not standing.is_doubtful(OTHER, now)
        now, lasts = now + lasts, min(2 * lasts, fault.longest_s)
    assert lasts == fault.longest_s


def test_many_faults_of_one_moment_are_one_mark() -> None:
    standing = Standing()
    for _ in range(10):
        standing.blame(NODE, Fault.STALLED, 0.0)
    assert not standing.is_doubtful(NODE, Fault.STALLED.first_s)


def test_a_milder_fault_does_not_shorten_a_mark() -> None:
    standing = Standing()
    assert standing.blame(NODE, Fault.STALLED, 0.0)
    assert standing.blame(NODE, Fault.LIED, 0.0), "a worse one is news"
    assert not standing.blame(NODE, Fault.FAILED, 1.0)
    assert standing.is_doubtful(NODE, Fault.LIED.first_s - 1)


def test_good_service_clears_only_what_has_ended() -> None:
    standing = Standing()
    standing.blame(NODE, Fault.LIED, 0.0)
    standing.served(NODE, 1.0)
    assert standing.is_doubtful(NODE, 2.0), "one good answer between lies is worth nothing"
    standing.served(NODE, 100.0)
    standing.blame(NODE, Fault.FAILED, 100.0)
    assert not standing.is_doubtful(NODE, 100.0 + Fault.FAILED.first_s), "it begins again with the first mark"
    standing.served(OTHER, 0.0)


def test_a_busy_node_is_asked_last_for_so_long_and_gets_no_mark() -> None:
    standing = Standing()
    standing.busy(NODE, 10.0)
    standing.busy(NODE, 5.0)
    assert standing.is_doubtful(NODE, 9.9)
    assert not standing.is_doubtful(NODE, 10.0)
    assert not standing.is_doubtful(OTHER, 0.0)
    standing.blame(NODE, Fault.FAILED, 20.0)
    assert not standing.is_doubtful(NODE, 20.0 + Fault.FAILED.first_s), "its first mark: having been busy was none"


@given(st.floats(0, 1e6), st.floats(0, 1, exclude_max=True))
def test_a_hint_is_kept_and_spread_within_bounds(hint: float, draw: float) -> None:
    pause = asked_for_s(PeerRefusedError("n", Reason.CACHE_SATURATED, "busy", retry_after_s=hint), draw)
    assert pause is not None
    kept = min(hint, LONGEST_HINT_S)
    assert kept <= pause <= kept * (1 + HINT_JITTER)


@pytest.mark.parametrize(
    "error",
    [
        PeerUnreachableError("n", "away"),
        PeerRefusedError("n", Reason.CACHE_SATURATED, "busy"),
        PeerRefusedError("n", Reason.INVALID_BLOB, "never", retry_after_s=1.0),
    ],
)
def test_without_a_hint_or_a_hope_nothing_is_asked_for(error: PeerError) -> None:
    assert asked_for_s(error, 0.5) is None
