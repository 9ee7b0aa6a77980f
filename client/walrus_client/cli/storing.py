"""`walrusctl blob store FILE...`: several files at once, each with an outcome of its own.

Life of a file: it waits until there is room beside those that are under way, is sent to the gateway, and its outcome is kept;
one that fails stops no other. `Reached` knows how far the files have come, for a user who interrupts the command. Files that are under way together are registered and certified together: the gateway makes
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


class Reached:
    """How far stores have come, and what follows from it for one who interrupts them.

    Args:
        files: How many they are.
    """

    def __init__(self, files: int = 1) -> None:
        self._files = files
        self._sent = 0
        self._stored = 0
        self._lock = threading.Lock()

    def sent(self) -> None:
        """A file was sent whole: from now on the gateway may pay for it."""
        with self._lock:
            self._sent += 1

    def stored(self) -> None:
        """The gateway has answered that a file is stored."""
        with self._lock:
            self._stored += 1

    def message(self) -> str:
        """For the user who interrupts now."""
        open_ = self._sent - self._stored
        again = (
            "the same command again stores it" if self._files == 1 else "the same command again stores what is missing"
        )
        if not open_:
            if self._files == 1:
                return f"interrupted before all was sent: nothing was paid for, {again}"
            return (
                f"interrupted; {self._stored} of {self._files} files are stored, of the others none was sent whole: nothing was "
                f"paid for them, {again}"
            )
        what = (
            "the file was sent whole"
            if self._files == 1
            else f"{self._stored} of {self._files} files are stored, {open_} more were sent whole"
        )
        return (
            f"interrupted; {what}: the gateway finishes what it has begun to pay for, and pays for nothing else. "
            f"{again[0].upper()}{again[1:]}, and what was paid for is not paid for twice"
        )


class Room:
    """Bytes that may be under way at once; one file that is larger goes alone."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._used = 0
        self._closed = False
        self._changed = threading.Condition()

    def close(self) -> None:
        """Lets nobody in any more; who waits gets a `CommandError`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Waits for room, and gives it back at the end of the block."""
        size = min(size, self._capacity)
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._used + size <= self._capacity)
            if self._closed:
                raise CommandError("interrupted")
            self._used += size
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()


def store_all(
    api: GatewayApi,
    paths: Sequence[Path],
    parameters: Mapping[str, str],
    *,
    advance: Callable[[int], object],
    reached: Reached,
) -> list[Outcome]:
    """Stores files; returns their outcomes in the order of the files.

    Args:
        api: The gateway.
        paths: The files.
        parameters: Of each PUT.
        advance: Told of every part that was sent; called from several threads.
        reached: Told how far each file has come.
    """
    room = Room(BYTES_AT_ONCE)

    def one(path: Path) -> Outcome:
        try:
            with files.source(path) as source, room.take(source.size if source.size is not None else BYTES_AT_ONCE):
                answer = api.store(source.chunks(advance, reached.sent), source.size, parameters)
                reached.stored()
                return Outcome(str(path), answer)
        except ApiError as error:
            return Outcome(str(path), error=str(error), code=exit_code(error.code))
        except CommandError as error:
            return Outcome(str(path), error=str(error), code=error.code)

    with ThreadPoolExecutor(min(AT_ONCE, len(paths))) as pool:
        try:
            return list(pool.map(one, paths))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            room.close()
            api.hang_up()
            raise


def exit_code_of(outcomes: Sequence[Outcome]) -> int:
    """0 when all are stored, the first one's code when none is, otherwise `EXIT_SOME`."""
    failed = [outcome for outcome in outcomes if outcome.code != DONE]
    if not failed:
        return DONE
    return EXIT_SOME if len(failed) < len(outcomes) else failed[0].code
