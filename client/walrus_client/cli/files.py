"""Where `walrusctl blob` takes bytes from and puts them: files, pipes, devices, standard input and output.

A regular file has a size that is told before its bytes; everything else is sent as it comes. A blob is written beside
its file and put in its place when it is complete; pipes and devices are written to as they are, never replaced. What
goes wrong with a file is a `CommandError` in the file's name, so that nobody looks for the fault in the network.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import typer

from walrus_client.cli.gateway_api import CHUNK
from walrus_client.cli.output import EXIT_FAILED, EXIT_USAGE, CommandError

DASH = Path("-")
"""Standard input or output."""


@dataclass(frozen=True)
class Source:
    """Bytes to store.

    Args:
        name: For people.
        stream: The bytes.
        size: How many there are; None when only the end will tell.
    """

    name: str
    stream: IO[bytes]
    size: int | None

    def chunks(self, advance: Callable[[int], object], finished: Callable[[], object]) -> Iterator[bytes]:
        """The bytes, exactly `size` of them if that is known; raises `CommandError` when there are fewer.

        Args:
            advance: Told of every chunk that was taken.
            finished: Called after the last one.
        """
        left = self.size
        while chunk := self._next(CHUNK if left is None else min(CHUNK, left)):
            yield chunk
            advance(len(chunk))
            if left is not None:
                left -= len(chunk)
        if left:
            raise CommandError(f"{self.name} became {left} bytes shorter while it was read; nothing was stored")
        finished()

    def read(self) -> bytes:
        """All of it."""
        return b"".join(self.chunks(lambda _size: None, lambda: None))

    def _next(self, size: int) -> bytes:
        try:
            return self.stream.read(size)
        except OSError as error:
            raise CommandError(f"cannot read {self.name}: {error.strerror}") from error


@contextlib.contextmanager
def source(path: Path) -> Iterator[Source]:
    """Opens what is to be stored; raises `CommandError` when it cannot be opened."""
    if path == DASH:
        yield Source("standard input", sys.stdin.buffer, None)
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", EXIT_USAGE) from error
    with stream:
        found = os.fstat(stream.fileno())
        yield Source(str(path), stream, found.st_size if stat.S_ISREG(found.st_mode) else None)


@contextlib.contextmanager
def target(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Opens what is to be written and gives the function that writes; raises `CommandError` when it cannot be opened.

    A file appears, or is replaced, at the end of the block and only if nothing was raised in it.
    """
    path = path.resolve()
    if path.is_dir():
        raise CommandError(f"cannot write to {path}: it is a folder; name a file in it", EXIT_USAGE)
    if path.exists() and not path.is_file():
        with _opened(path) as stream:
            yield _writer(stream, str(path))
        return
    try:
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise CommandError(f"cannot write to {path.parent}: {error.strerror}", EXIT_USAGE) from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield _writer(stream, str(path))
        _put_in_place(Path(scratch), path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def standard_output() -> Iterator[Callable[[bytes], None]]:
    """Gives the function that writes to standard output; a reader that has gone away ends the program quietly."""
    yield _writer(sys.stdout.buffer, "standard output")


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise CommandError(f"cannot write to {path}: {error.strerror}", EXIT_USAGE) from error


def _put_in_place(scratch: Path, path: Path) -> None:
    """Gives the finished file the permissions of any new file, and its name."""
    umask = os.umask(0)
    os.umask(umask)
    try:
        scratch.chmod(0o666 & ~umask)
        scratch.replace(path)
    except OSError as error:
        raise CommandError(f"cannot write to {path}: {error.strerror}") from error


def _writer(stream: IO[bytes], name: str) -> Callable[[bytes], None]:
    def write(chunk: bytes) -> None:
        try:
            stream.write(chunk)
            stream.flush()
        except BrokenPipeError:
            # What is left in the buffer must not complain once more when the program ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            raise typer.Exit(EXIT_FAILED) from None
        except OSError as error:
            raise CommandError(f"cannot write to {name}: {error.strerror}") from error

    return write
