"""Two candidates and one Lease, with virtual clocks that disagree about the time of day."""

from __future__ import annotations

from walrus_operator.runtime.election import DURATION, RENEW_DEADLINE, RETRY, Election, LeaseRecord, Move


def test_the_times_are_in_the_only_safe_order() -> None:
    assert RETRY < RENEW_DEADLINE < DURATION


def test_the_first_one_creates_the_lease_and_leads() -> None:
    a = Election("a")
    assert a.observe(None, 0.0) is Move.CREATE
    a.wrote(LeaseRecord("a", "1"), 0.0)
    assert a.leads(RENEW_DEADLINE - 0.1)
    assert not a.leads(RENEW_DEADLINE)


def test_a_standby_waits_while_the_holder_renews_and_takes_over_when_it_stops() -> None:
    b = Election("b")
    now = 1000.0  # another clock than the holder's
    for version in range(5):
        assert b.observe(LeaseRecord("a", str(version)), now) is Move.WAIT
        now += RETRY
    silent = now - RETRY
    while now < silent + DURATION:
        assert b.observe(LeaseRecord("a", "4"), now) is Move.WAIT
        now += RETRY
    assert b.observe(LeaseRecord("a", "4"), now) is Move.TAKE_OVER
    b.wrote(LeaseRecord("b", "5", 1), now)
    assert b.leads(now)


def test_the_old_holder_stops_before_the_new_one_may_begin() -> None:
    """The holder's last write began at 0 on its clock; the standby saw it later, never earlier."""
    a, b = Election("a"), Election("b")
    a.wrote(LeaseRecord("a", "1"), 0.0)
    b.observe(LeaseRecord("a", "1"), 0.0)
    for tenth in range(10 * DURATION):
        now = tenth / 10
        if b.observe(LeaseRecord("a", "1"), now) is Move.TAKE_OVER:
            assert not a.leads(now)
    assert not a.leads(RENEW_DEADLINE)


def test_a_lease_that_was_given_back_is_free_at_once() -> None:
    b = Election("b")
    assert b.observe(LeaseRecord("a", "1"), 0.0) is Move.WAIT
    assert b.observe(LeaseRecord("", "2"), 0.5) is Move.TAKE_OVER


def test_a_holder_that_reads_another_name_no_longer_leads() -> None:
    a = Election("a")
    a.wrote(LeaseRecord("a", "1"), 0.0)
    assert a.observe(LeaseRecord("b", "2"), 1.0) is Move.WAIT
    assert not a.leads(1.0)


def test_after_a_restart_with_the_same_name_it_renews() -> None:
    again = Election("a")
    assert again.observe(LeaseRecord("a", "7"), 0.0) is Move.RENEW
    assert not again.leads(0.0), "not before its own write"


def test_a_standby_looks_again_at_the_very_moment_that_the_holders_time_is_over() -> None:
    b = Election("b")
    assert b.observe(LeaseRecord("a", "1"), 100.0) is Move.WAIT
    assert b.pause(100.0) == RETRY
    assert b.pause(100.0 + DURATION - 0.5) == 0.5
    assert b.pause(100.0 + DURATION + 3.0) == 0.1, "somebody else was faster: not in a loop"
    moment = 100.0
    while b.observe(LeaseRecord("a", "1"), moment) is Move.WAIT:
        moment += b.pause(moment)
    assert moment == 100.0 + DURATION
    b.wrote(LeaseRecord("b", "2"), moment)
    assert b.pause(moment + DURATION) == RETRY
