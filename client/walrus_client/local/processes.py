"""Child processes of a local network: started into sessions of their own, found again after the parent has gone.

A process is known by its id and its start time, so that a signal never reaches a stranger that got the same id later.
Output goes to a log file. Ending is polite first (SIGTERM), then by force.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from walrus_client.errors import LocalNetworkError
from walrus_client.local.state import Running

_ENTRY = {
    "walrus-devnet": "walrus_sui.devnet.main",
    "walrus-node": "walrus_node.main",
    "walrus-gateway": "walrus_client.gateway.main",
}
_POLL_S = 0.05


def command_of(program: str) -> list[str]:
    """How to start one of the project's programs with the interpreter that runs now."""
    script = Path(sys.executable).with_name(program)
    if script.exists():
        return [str(script)]
    return [sys.executable, "-c", f"from {_ENTRY[program]} import main; main()"]


def start(program: str, arguments: Sequence[str], *, log: Path) -> Running:
    """Starts a program in a session of its own, its output appended to `log`.

    Raises:
        LocalNetworkError: It cannot be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}
    try:
        with log.open("ab") as output:
            child = subprocess.Popen(
                [*command_of(program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )
    except OSError as error:
        raise LocalNetworkError(f"cannot start {program}: {error}") from error
    started = _start_time(child.pid)
    # The child may outlive us, and `is_alive` reaps it: this object must neither wait for it nor warn about it.
    child.returncode = 0
    return Running(child.pid, started or 0)


def is_alive(running: Running) -> bool:
    """True while this very process runs."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(running.pid, os.WNOHANG)
    return _start_time(running.pid) == running.started != 0


def stop_all(processes: Mapping[str, Running], *, patience_s: float = 20.0) -> list[str]:
    """Ends these processes together; returns the names of those that had to be killed."""
    waiting = {name: running for name, running in processes.items() if is_alive(running)}
    for running in waiting.values():
        _signal(running, signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    while waiting and time.monotonic() < deadline:
        waiting = {name: running for name, running in waiting.items() if is_alive(running)}
        time.sleep(_POLL_S)
    for running in waiting.values():
        _signal(running, signal.SIGKILL)
    killed = list(waiting)
    deadline = time.monotonic() + patience_s
    while waiting and time.monotonic() < deadline:
        waiting = {name: running for name, running in waiting.items() if is_alive(running)}
        time.sleep(_POLL_S)
    return killed


def last_lines(log: Path, count: int = 8) -> str:
    """The end of a log file, for error messages."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, maxlen=count)).rstrip()
    except OSError:
        return "(no log)"


def _signal(running: Running, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, number)


def _start_time(pid: int) -> int | None:
    """Start time in clock ticks since boot; None when there is no such process, or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])
