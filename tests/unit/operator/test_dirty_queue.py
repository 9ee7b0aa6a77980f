"""The queue's life of a key, told as a script with virtual time."""

from __future__ import annotations

from walrus_operator.runtime.dirty import FIRST_PAUSE, LONGEST_PAUSE, SETTLE, DirtyQueue


def queue() -> DirtyQueue:
    return DirtyQueue(jitter=lambda: 1.0)


def test_many_marks_make_one_pass() -> None:
    q = queue()
    for moment in (0.0, 0.01, 0.02):
        q.mark("a", moment)
    assert q.take(0.1) is None
    assert q.take(SETTLE) == "a"
    assert q.take(99.0) is None


def test_a_mark_during_a_pass_makes_exactly_one_more() -> None:
    q = queue()
    q.mark("a", 0.0)
    assert q.take(1.0) == "a"
    q.mark("a", 1.1)
    q.mark("a", 1.2)
    assert q.take(5.0) is None, "never two passes over one network at once"
    q.succeeded("a", 2.0, again_after=100.0)
    assert q.take(2.0 + SETTLE) == "a"
    q.succeeded("a", 3.0, again_after=100.0)
    assert q.take(50.0) is None
    assert q.take(103.0) == "a"


def test_failures_double_the_pause_up_to_a_limit_and_marks_do_not_shorten_it() -> None:
    q = queue()
    q.mark("a", 0.0)
    now, pauses = SETTLE, []
    for _ in range(9):
        assert q.take(now) == "a"
        pause = q.failed("a", now)
        q.mark("a", now + 0.1)
        assert q.take(now + pause * 0.99) is None
        pauses.append(pause)
        now += pause
    assert pauses == [FIRST_PAUSE * 2**i for i in range(6)] + [LONGEST_PAUSE] * 3
    assert q.take(now) == "a"
    q.succeeded("a", now, again_after=10.0)
    q.mark("a", now + 1)
    assert q.take(now + 1 + SETTLE) == "a", "after a success marks count at once again"


def test_jitter_keeps_failed_keys_apart() -> None:
    values = iter([0.0, 1.0])
    q = DirtyQueue(jitter=lambda: next(values))
    for key in "ab":
        q.mark(key, 0.0)
    assert {q.take(1.0), q.take(1.0)} == {"a", "b"}
    assert q.failed("a", 1.0) == FIRST_PAUSE / 2
    assert q.failed("b", 1.0) == FIRST_PAUSE


def test_the_longest_waiting_key_comes_first() -> None:
    q = queue()
    q.mark("late", 1.0)
    q.mark("early", 0.5)
    assert q.take(10.0) == "early"
    assert q.take(10.0) == "late"
    assert list(q.running()) == ["early", "late"] or set(q.running()) == {"early", "late"}


def test_forgetting_and_coming_back() -> None:
    q = queue()
    q.mark("a", 0.0)
    assert q.take(1.0) == "a"
    q.forget("a")
    q.succeeded("a", 2.0, again_after=5.0)
    assert len(q) == 0
    assert q.wait(2.0) is None
    q.mark("a", 3.0)
    assert q.take(3.0 + SETTLE) == "a"
    q.mark("a", 3.5)
    q.forget("a")
    q.mark("a", 3.6)
    q.succeeded("a", 4.0, again_after=5.0)
    assert q.take(4.0 + SETTLE) == "a", "a mark after the deletion brings the key back"


def test_wait_tells_how_long_to_sleep() -> None:
    q = queue()
    assert q.wait(0.0) is None
    q.mark("a", 0.0)
    assert q.wait(0.1) == SETTLE - 0.1
    assert q.wait(9.0) == 0.0
