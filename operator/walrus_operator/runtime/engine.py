"""kopf in a thread of its own.

kopf installs signal handlers and, when it ends, cancels every task of its loop that it did not know at its start. In a loop
of its own it can do neither to ours, and a long pass cannot delay its watches. Marks cross over by
`call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import kopf

from walrus_operator.handlers import watching

log = logging.getLogger(__name__)

STOP_TIMEOUT = 5.0


class Engine:
    """The watching half of the operator.

    Args:
        mark: Called in the caller's loop with the key of a network to look at.
        namespaces: Where to watch; empty for the whole cluster.
        identity: This process's name; kopf would look up a user name, which a container's user does not have.
    """

    def __init__(self, mark: Callable[[str], None], *, namespaces: Sequence[str], identity: str) -> None:
        self._identity: Any = identity
        self._mark = mark
        self._namespaces = namespaces
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.ended = asyncio.Event()
        """Set when kopf ended, whether asked to or not."""

    @property
    def watching(self) -> bool:
        """Whether kopf has started and not ended."""
        return self._ready.is_set() and not self.ended.is_set()

    def start(self) -> None:
        """Starts the thread; must be called in a running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self._thread.start()

    async def stop(self) -> bool:
        """Asks kopf to end; False when it did not within the time-out (the process should exit then)."""
        self._stop.set()
        if self._thread is None:
            return True
        await asyncio.to_thread(self._thread.join, STOP_TIMEOUT)
        return not self._thread.is_alive()

    def _from_kopf(self, key: str) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._mark, key)

    def _run(self) -> None:
        try:
            asyncio.run(
                kopf.operator(
                    registry=watching.registry(self._from_kopf),
                    settings=watching.settings(),
                    clusterwide=not self._namespaces,
                    namespaces=list(self._namespaces),
                    identity=self._identity,
                    stop_flag=self._stop,
                    ready_flag=self._ready,
                )
            )
        except Exception:
            log.exception("the watches ended with an error")
        finally:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self.ended.set)
