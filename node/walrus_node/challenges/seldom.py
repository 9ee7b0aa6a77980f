"""What others can make this node say in its log, said at most once a minute about the same one for the same reason."""

from __future__ import annotations

from collections.abc import Callable, Hashable

PAUSE_S = 60.0
_KEPT = 4096


class Seldom:
    """Remembers what was said.

    Args:
        clock: seconds, of a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: dict[Hashable, float] = {}

    def may_say(self, *about: Hashable) -> bool:
        """Whether it was not said within the last minute; it counts as said now if so."""
        now = self._clock()
        if now - self._said.get(about, -PAUSE_S) < PAUSE_S:
            return False
        if len(self._said) >= _KEPT:
            self._said = {known: at for known, at in self._said.items() if now - at < PAUSE_S}
        # So many different things in a minute are no news any more.
        if len(self._said) >= _KEPT:
            return False
        self._said[about] = now
        return True
