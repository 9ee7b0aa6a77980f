"""Which network is looked at next: a queue of dirty keys with per-key back-off. Pure; `queue` is its shell.

A key is a network. Whatever happens to it marks it dirty; marks that come while a pass runs, or while one is due, melt
into one further pass. A pass that failed comes again after a pause that doubles up to a limit, with jitter, and a mark
does not shorten that pause: a network that cannot work must not turn the operator into a busy loop. A pass that went
well says when to look again at the latest.

           mark                start                 finish
    idle ───────► due(at) ──────────────► running ──────────────► due(later)
                    ▲                        │ mark
                    └────────── due(now) ◄───┘ (after finish)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
SETTLE = 0.3
"""Seconds between a mark and the pass: one change is mostly followed by more."""


@dataclass
class _Entry:
    due_at: float
    running: bool = False
    marked: bool = False
    failures: int = 0
    forgotten: bool = False


class DirtyQueue:
    """The state. Times are seconds of any steady clock, given by the caller.

    Args:
        jitter: Gives numbers in [0, 1); a constant in tests.
    """

    def __init__(self, *, jitter: Callable[[], float]) -> None:
        self._entries: dict[str, _Entry] = {}
        self._jitter = jitter

    def mark(self, key: str, now: float) -> None:
        """Something happened to this network."""
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = _Entry(due_at=now + SETTLE)
            return
        entry.forgotten = False
        if entry.running:
            entry.marked = True
        elif not entry.failures:
            entry.due_at = min(entry.due_at, now + SETTLE)

    def take(self, now: float) -> str | None:
        """The key that is due longest, now running; None when none is due."""
        due = [(entry.due_at, key) for key, entry in self._entries.items() if not entry.running and entry.due_at <= now]
        if not due:
            return None
        _, key = min(due)
        self._entries[key].running = True
        self._entries[key].marked = False
        return key

    def succeeded(self, key: str, now: float, *, again_after: float) -> None:
        """A pass went well and asks for another look after so many seconds."""
        entry = self._entries[key]
        entry.failures = 0
        self._finish(key, entry, now + (SETTLE if entry.marked else again_after))

    def failed(self, key: str, now: float) -> float:
        """A pass failed; returns the pause before the next one."""
        entry = self._entries[key]
        entry.failures += 1
        doublings = min(entry.failures - 1, 16)
        pause: float = min(LONGEST_PAUSE, FIRST_PAUSE * (1 << doublings))
        pause *= 0.5 + 0.5 * self._jitter()
        self._finish(key, entry, now + pause)
        return pause

    def forget(self, key: str) -> None:
        """The network is gone; a mark brings it back."""
        entry = self._entries.get(key)
        if entry is None:
            return
        if entry.running:
            entry.forgotten = True
        else:
            del self._entries[key]

    def wait(self, now: float) -> float | None:
        """Seconds until a key is due; None when no key waits."""
        times = [entry.due_at for entry in self._entries.values() if not entry.running]
        return max(0.0, min(times) - now) if times else None

    def running(self) -> Iterator[str]:
        """Keys whose pass is under way."""
        return (key for key, entry in self._entries.items() if entry.running)

    def __len__(self) -> int:
        return len(self._entries)

    def _finish(self, key: str, entry: _Entry, due_at: float) -> None:
        if entry.forgotten and not entry.marked:
            del self._entries[key]
            return
        entry.running = entry.marked = entry.forgotten = False
        entry.due_at = due_at
