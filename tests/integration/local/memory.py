"""What a process and its workers take of memory: proportional set size (PSS), in which a page that several share counts once.

The kernel keeps no peak of it, so `Watch` looks all the time; a peak that is shorter than one look is missed.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self


def family_pss(pid: int) -> int:
    """PSS of a process and all its descendants, in bytes; what ends meanwhile counts as nothing."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own = next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) << 10
    return own + sum(family_pss(int(child)) for child in children)


class Watch:
    """Watches some families while the block runs.

    Args:
        pids: Processes by name.
        every_s: Pause between two looks.
    """

    def __init__(self, pids: dict[str, int], *, every_s: float = 0.01) -> None:
        self._every_s = every_s
        self.idle = {name: family_pss(pid) for name, pid in pids.items()}
        self.peak = dict(self.idle)
        self._pids = pids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(self._every_s):
            for name, pid in self._pids.items():
                self.peak[name] = max(self.peak[name], family_pss(pid))
