"""Maintenance windows: whether one is open, and when the next one opens. All in UTC, so that no clock change matters."""

from __future__ import annotations

from collections.abc import Iterable

from walrus_operator.api.base import seconds
from walrus_operator.api.network import MaintenanceWindow

_DAY = 86_400
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EPOCH_DAY = 3
"""1970-01-01 was a Thursday."""


def next_opening(windows: Iterable[MaintenanceWindow] | None, now: float) -> float:
    """The first moment from `now` on in which a window is open; `now` itself when one is, or when there are none.

    Args:
        windows: The windows; None stands for "at any time".
        now: Unix seconds.
    """
    windows = tuple(windows or ())
    if not windows:
        return now
    today = int(now // _DAY)
    found = []
    for window in windows:
        hours, minutes = window.start.split(":")
        begins = int(hours) * 3600 + int(minutes) * 60
        # One that opened yesterday may last until today; one that opens weekly does so within the next seven days.
        for day in range(today - 1, today + 8):
            opens = day * _DAY + begins
            closes = opens + seconds(window.duration)
            if now < closes and (window.days is None or _DAYS[(day + _EPOCH_DAY) % 7] in window.days):
                found.append(max(now, float(opens)))
    return min(found)
