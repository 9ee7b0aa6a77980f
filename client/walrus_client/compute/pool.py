"""The pool of worker processes: lends a worker to one job at a time, replaces dead ones, retires idle ones.

Life of a job: wait for a free place (as many as there are workers), take an idle worker or start one, send tasks and
their segments, wait for each answer in a thread, give the place back. A worker that dies fails the job that it
served (`ComputeCrashedError`), never another one; the next job on that place gets a new process.

Blocking socket calls run in the pool's own threads: descriptors can only be passed by `sendmsg`, which asyncio does
not offer.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from walrus_client.compute import wire
from walrus_client.compute.segments import Segment
from walrus_client.compute.worker import Outcome, Task
from walrus_client.errors import ComputeClosedError, ComputeCrashedError, ComputeTimeoutError

_log = logging.getLogger(__name__)
T = TypeVar("T")

START_TIMEOUT_S = 60.0
"""A fresh worker has this long to import the codec; a loaded machine may need seconds."""

CLOSE_TIMEOUT_S = 5.0
"""How long `close` waits for a worker to end by itself before it is killed."""


@dataclass(eq=False)
class _Worker:
    """One child process and our end of its socket."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    idle_since: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls) -> _Worker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            # -P: a file in the current directory must not shadow a module.
            command = [sys.executable, "-P", "-m", "walrus_client.compute", str(theirs.fileno())]
            # No linear algebra happens here: numpy's thread pool would only cost memory.
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=environment)
        worker = cls(process, ours)
        try:
            ours.settimeout(START_TIMEOUT_S)
            wire.receive(ours)
        except BaseException as error:
            worker.kill()
            raise ComputeCrashedError(f"a compute worker did not start ({worker.last_words()})") from error
        return worker

    def call(self, task: Task, inputs: Sequence[Segment], timeout: float) -> tuple[Outcome, list[Segment]]:
        """Sends the task and waits for its outcome; blocking.

        Raises:
            ComputeCrashedError: The process died.
            ComputeTimeoutError: It took too long and was killed.
        """
        self.channel.settimeout(timeout)
        try:
            wire.send(self.channel, task, [segment.fd for segment in inputs])
            outcome, fds = wire.receive(self.channel)
        except TimeoutError:
            self.kill()
            raise ComputeTimeoutError(f"{task.name} took longer than {timeout:.0f} s and was stopped") from None
        except (EOFError, OSError) as error:
            self.kill()
            raise ComputeCrashedError(
                f"the worker died during {task.name} ({self.last_words()}); try again, with fewer or smaller blobs "
                "at once if it was killed for want of memory"
            ) from error
        return outcome, [Segment.received(fd, size) for fd, size in zip(fds, outcome.sizes, strict=True)]

    @property
    def alive(self) -> bool:
        return self.channel.fileno() >= 0 and self.process.poll() is None and not self._hung_up()

    def _hung_up(self) -> bool:
        """True when the other end of the socket is closed, which a dying process does before it can be waited for."""
        self.channel.settimeout(0)  # with any other time-out, recv would wait for it; every call sets its own
        try:
            return self.channel.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def last_words(self) -> str:
        code = self.process.poll()
        if code is None:
            return "still running"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def close(self) -> None:
        """Ends the process: politely, then by force; blocking for at most `CLOSE_TIMEOUT_S`."""
        self.channel.close()
        try:
            self.process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(CLOSE_TIMEOUT_S)


class WorkerPool:
    """At most `size` worker processes, started when needed; single event loop.

    Whoever acquires a place must release it, after its last call on it has ended: `Compute` runs its jobs in tasks of
    their own, which a cancelled asker leaves alone.
    """

    def __init__(self, *, size: int, idle_timeout_s: float = 60.0) -> None:
        self.size = size
        self._idle_timeout_s = idle_timeout_s
        self._places = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._threads = concurrent.futures.ThreadPoolExecutor(size, thread_name_prefix="compute-io")
        self._retiring: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def idle_pids(self) -> list[int]:
        """Processes that wait for work."""
        return [worker.process.pid for worker in self._idle]

    async def acquire(self) -> Lease:
        """Waits for a place; its process starts with the first call.

        Raises:
            ComputeClosedError: The pool is closed.
        """
        await self._places.acquire()
        if self._closed:
            self._places.release()
            raise ComputeClosedError("compute is closed; this process is shutting down")
        return Lease(self, self._take())

    async def acquire_many(self, wanted: int) -> list[Lease]:
        """Waits for one place and takes up to `wanted` of those that are free then."""
        leases = [await self.acquire()]
        while len(leases) < wanted and not self._places.locked():
            leases.append(await self.acquire())
        return leases

    async def close(self) -> None:
        """Ends the idle workers; the caller has waited for its jobs. May be called twice."""
        self._closed = True
        if self._retiring is not None:
            self._retiring.cancel()
        idle, self._idle = self._idle, []
        await asyncio.gather(*(asyncio.to_thread(worker.close) for worker in idle))
        self._threads.shutdown(wait=False)

    def give_back(self, worker: _Worker | None) -> None:
        """Takes a place and its worker back; dead workers are dropped."""
        if worker is not None and worker.alive:
            worker.idle_since = time.monotonic()
            self._idle.append(worker)
            if self._retiring is None and not self._closed:
                self._retiring = asyncio.get_running_loop().call_later(self._idle_timeout_s, self._retire)
        self._places.release()

    async def blocking(self, function: Callable[..., T], *args: Any) -> T:
        """Runs a blocking call of a lease in the pool's own threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    def _take(self) -> _Worker | None:
        while self._idle:
            worker = self._idle.pop()  # the one used last: its caches are warm and the others may retire
            if worker.alive:
                return worker
            _log.warning("a compute worker died while it was idle", extra={"cause": worker.last_words()})
            worker.channel.close()
        return None

    def _retire(self) -> None:
        """Ends the workers that were idle for the whole time-out, so that a quiet process gives its memory back."""
        self._retiring = None
        now = time.monotonic()
        stale = [worker for worker in self._idle if now - worker.idle_since >= self._idle_timeout_s * 0.99]
        self._idle = [worker for worker in self._idle if worker not in stale]
        for worker in stale:
            self._threads.submit(worker.close)
        if self._idle:
            self._retiring = asyncio.get_running_loop().call_later(self._idle_timeout_s, self._retire)


class Lease:
    """A place in the pool, and its worker once the first call has started it."""

    def __init__(self, pool: WorkerPool, worker: _Worker | None) -> None:
        self._pool = pool
        self._worker = worker

    @property
    def alive(self) -> bool:
        """False when no process was started yet, or it has died."""
        return self._worker is not None and self._worker.alive

    async def run(
        self, name: str, arguments: dict[str, Any], inputs: Sequence[Segment] = (), *, timeout_s: float
    ) -> tuple[Any, list[Segment]]:
        """Runs one task; returns its value and the segments it made, which the caller owns.

        Raises:
            CodecError: What the task itself raised.
            ComputeError: The worker crashed or timed out.
        """
        if self._worker is None:
            self._worker = await self._pool.blocking(_Worker.start)
        task = Task(name, arguments, tuple(segment.size for segment in inputs))
        outcome, made = await self._pool.blocking(self._worker.call, task, inputs, timeout_s)
        if outcome.fault is not None:
            raise outcome.fault.exception()
        return outcome.value, made

    def release(self) -> None:
        """Gives the place back; no call may be running on it."""
        self._pool.give_back(self._worker)


def default_size() -> int:
    """One worker for each core that this process may use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
