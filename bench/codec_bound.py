"""What the codec alone would take for a blob, on all cores at once: the bound of rows of a whole network."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from harness import MIB, cores
from local_network import PARAMETERS
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.slivers import verify_slivers
from walrus_codec.types import EncodingType

PARAMS = CodeParams(PARAMETERS.n_shards, EncodingType.ISAL)
SIZE = 32 * MIB


class AllCores:
    """Runs a piece of work on every core at once, each in a process of its own.

    Attributes:
        least: processor seconds that one process took for it, in its best round. On a quiet machine that is the time of
            the round; on a busy one a network of a dozen processes would get more turns than these few, and a time by
            the clock would flatter it.
    """

    def __init__(self, prepare: Callable[[], None], work: Callable[[], None]) -> None:
        self.least = float("inf")
        self._work = work
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(cores(), mp_context=context, initializer=prepare)

    def run(self) -> None:
        """Returns when all have done it."""
        for done in [self._pool.submit(_processor_seconds, self._work) for _ in range(cores())]:
            self.least = min(self.least, done.result())

    @property
    def bound_seconds(self) -> float:
        """What all cores together need for one piece."""
        return self.least / cores()

    def close(self) -> None:
        """Ends the processes."""
        self._pool.shutdown()


@contextmanager
def on_all_cores(prepare: Callable[[], None], work: Callable[[], None]) -> Iterator[AllCores]:
    workers = AllCores(prepare, work)
    try:
        yield workers
    finally:
        workers.close()


def _processor_seconds(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


PREPARED: dict[str, Any] = {}
"""What a process of `AllCores` works on."""


def prepare_blob() -> None:
    data = os.urandom(SIZE)
    encoded = redstuff.encode(data, PARAMS)
    PREPARED.update(data=data, encoded=encoded)


def encode_and_verify() -> None:
    """What storing a blob takes of the codec: the writer encodes it, the nodes verify all of its slivers."""
    data, encoded = PREPARED["data"], PREPARED["encoded"]
    redstuff.encode(data, PARAMS)
    pairs = encoded.pairs
    for first in range(0, PARAMS.n_shards, 10):
        batch = [
            (pair.index, sliver) for pair in pairs[first : first + 10] for sliver in (pair.primary, pair.secondary)
        ]
        verify_slivers(batch, encoded.metadata, PARAMS)


def verify_and_decode() -> None:
    """What reading a blob takes of the codec: the reader verifies the systematic primary slivers and joins them."""
    encoded = PREPARED["encoded"]
    pairs = encoded.pairs[: PARAMS.k1]
    verify_slivers([(pair.index, pair.primary) for pair in pairs], encoded.metadata, PARAMS)
    redstuff.decode([pair.primary for pair in pairs], SIZE, PARAMS)
