"""`walrusctl blob store FILE...`: several files at once, each with an outcome of its own.

Life of a file: it waits until there is room beside those that are under way, is sent to the gateway, and its outcome is kept;
one that fails stops no other. Files that are under way together are registered and certified together: the gateway makes
one transaction of all that it has at hand. Storing the same files again goes on where it stopped (`reuse_resources`): what
the gateway's key has stored already for long enough is not paid for twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from walrus_client.cli import files
from walrus_client.cli.gateway_api import ApiError, GatewayApi
from walrus_client.cli.output import EXIT_SOME, CommandError, exit_code

DONE = 0
AT_ONCE = 16
"""Files under way: as many as the gateway puts into one transaction."""
BYTES_AT_ONCE = 64 << 20
"""Bytes under way, so that files of this size come one after the other and the gateway's memory suffices."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes:
        file: its name.
        answer: the gateway's answer; None when it failed.
        error: why it failed.
        code: exit code that fits it.
    """

    file: str
    answer: Mapping[str, Any] | None = None
    error: str = ""
    code: int = DONE

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {"file": self.file, **(dict(self.answer) if self.answer is not None else {"error": self.error})}


class Room:
    """Bytes that may be under way at once; one file that is larger goes alone."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._used = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Waits for room, and gives it back at the end of the block."""
        size = min(size, self._capacity)
        with self._changed:
            self._changed.wait_for(lambda: self._used + size <= self._capacity)
            self._used += size
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()


def store_all(
    api: GatewayApi, paths: Sequence[Path], parameters: Mapping[str, str], *, advance: Callable[[int], object]
) -> list[Outcome]:
    """Stores files; returns their outcomes in the order of the files.

    Args:
        api: The gateway.
        paths: The files.
        parameters: Of each PUT.
        advance: Told of every part that was sent; called from several threads.
    """
    room = Room(BYTES_AT_ONCE)

    def one(path: Path) -> Outcome:
        try:
            with files.source(path) as source, room.take(source.size if source.size is not None else BYTES_AT_ONCE):
                body = source.chunks(advance, lambda: None)
                answer = api.store(body, source.size, {**parameters, "reuse_resources": "true"})
                return Outcome(str(path), answer)
        except ApiError as error:
            return Outcome(str(path), error=str(error), code=exit_code(error.code))
        except CommandError as error:
            return Outcome(str(path), error=str(error), code=error.code)

    with ThreadPoolExecutor(min(AT_ONCE, len(paths))) as pool:
        return list(pool.map(one, paths))


def exit_code_of(outcomes: Sequence[Outcome]) -> int:
    """0 when all are stored, the first one's code when none is, otherwise `EXIT_SOME`."""
    failed = [outcome for outcome in outcomes if outcome.code != DONE]
    if not failed:
        return DONE
    return EXIT_SOME if len(failed) < len(outcomes) else failed[0].code
