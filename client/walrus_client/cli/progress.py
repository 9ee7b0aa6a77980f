"""Progress bars on a terminal, nothing elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn


class Bar:
    """One transfer; does nothing when there is no terminal."""

    def __init__(self, progress: Progress | None, task: TaskID | None) -> None:
        self._progress = progress
        self._task = task

    def advance(self, size: int) -> None:
        """So many bytes more."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, size)

    def total(self, size: int) -> None:
        """The size is known now."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=size)

    def waiting(self, what: str) -> None:
        """All bytes are sent; something else is waited for."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=what, total=None)


@contextlib.contextmanager
def bar(title: str, size: int | None) -> Iterator[Bar]:
    """A bar for the block, on standard error."""
    if not sys.stderr.isatty():
        yield Bar(None, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, progress.add_task(title, total=size))
