"""The clock of a chain: real time, or one that moves only when it is told to.

A chain asks its clock once for each checkpoint. With a manual clock, weeks of epochs pass in a test's second, and nothing
happens by itself while a debugger holds a node. A manual clock stands where the chain stands when the devnet starts.
"""

import time
from dataclasses import dataclass


def unix_ms() -> int:
    """The clock of a devnet that runs in real time."""
    return time.time_ns() // 1_000_000


@dataclass
class ManualClock:
    """A clock that is set by hand.

    Attributes:
        now_ms: Unix milliseconds.
    """

    now_ms: int

    def read(self) -> int:
        """The clock, as an engine asks for it."""
        return self.now_ms
