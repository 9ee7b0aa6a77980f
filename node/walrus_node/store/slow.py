"""A disk that takes its time, for tests: shows that a node whose disk is slow is slow itself in nothing else.

Off unless the node was started with `--slow-disk FILE`. The file holds milliseconds and is read again for each write and
each sync, which take so much longer, so that a test can change a running node; anything else, an empty file and no file
mean no delay. What is written is never touched.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from walrus_node.store.kv import Batch
from walrus_node.store.reviving import Opener, RevivingStore

_log = logging.getLogger(__name__)


class SlowStore(RevivingStore):
    """A `RevivingStore` whose writes wait."""

    def __init__(self, open_: Opener, *, free: Callable[[], int], floor: int, delay: Path) -> None:
        """As `RevivingStore`; `delay` holds the milliseconds."""
        super().__init__(open_, free=free, floor=floor)
        self._delay = delay
        _log.warning("this node may be told to have a slow disk; never do that outside of tests", extra={"file": delay})

    def write(self, batch: Batch) -> None:
        """Applies a batch, late."""
        self._wait()
        super().write(batch)

    def sync(self) -> None:
        """Returns when all earlier writes are durable, late."""
        self._wait()
        super().sync()

    def _wait(self) -> None:
        try:
            text = self._delay.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return
        if text.isdecimal():
            time.sleep(int(text) / 1000)
