"""A worker process: one task at a time, until its socket closes.

Started by the pool as `python -m walrus_client.compute FD`. It imports the codec once, answers "ready", then
loops: receive a task and its segments, run it, send the result and new segments. A codec error is a result like any
other; the process ends when the pool closes the socket or dies, so no worker outlives its owner.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

from walrus_client.compute import wire
from walrus_client.compute.segments import Segment


@dataclass(frozen=True)
class Task:
    """What the pool asks for: a name of `tasks.TASKS`, its arguments and the sizes of the segments that ride along."""

    name: str
    arguments: dict[str, Any]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of it: a value and the sizes of the segments that ride along, or a fault."""

    value: Any = None
    sizes: tuple[int, ...] = ()
    fault: Fault | None = None


@dataclass(frozen=True)
class Fault:
    """An exception in pieces, because exceptions with their own constructors cannot be pickled whole."""

    kind: type[BaseException]
    arguments: tuple[Any, ...]
    attributes: dict[str, Any]

    @classmethod
    def of(cls, error: BaseException) -> Fault:
        """Takes an exception apart; what cannot travel is replaced by its text."""
        return cls(type(error), tuple(error.args), {key: value for key, value in vars(error).items() if key[0] != "_"})

    def exception(self) -> BaseException:
        """Puts the exception together again without calling its constructor."""
        error = self.kind.__new__(self.kind)
        error.args = self.arguments
        vars(error).update(self.attributes)
        return error


def serve(channel: socket.socket) -> None:
    """Answers tasks until the other side closes."""
    from walrus_client.compute.tasks import TASKS  # noqa: PLC0415 - after "spawned", so that its import time is ours

    wire.send(channel, "ready")
    while True:
        try:
            task, fds = wire.receive(channel)
        except EOFError:
            return
        with contextlib.ExitStack() as stack:
            inputs = [stack.enter_context(Segment.received(fd, size)) for fd, size in zip(fds, task.sizes, strict=True)]
            made: list[Segment] = []
            try:
                value, made = TASKS[task.name](inputs, **task.arguments)
                outcome = Outcome(value=value, sizes=tuple(segment.size for segment in made))
            except Exception as error:
                outcome = Outcome(fault=Fault.of(error))
            for segment in made:
                stack.enter_context(segment)
            try:
                wire.send(channel, outcome, [segment.fd for segment in made])
            except (BrokenPipeError, ConnectionResetError):
                return


def main() -> None:
    """Entry of the child process; the only argument is the number of the inherited socket."""
    # Ctrl-C goes to the whole process group; the owner decides when a worker ends, by closing the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        serve(channel)
