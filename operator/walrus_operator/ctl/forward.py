"""`kubectl port-forward` as a child process, for as long as a command needs it.

kubectl chooses a free local port and prints it; that line is waited for, with a deadline. The child is stopped when the
block ends, whatever ended it.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from walrus_client.cli.gateway_api import ApiError

READY_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0

_LISTENING = re.compile(r"Forwarding from (?:127\.0\.0\.1|\[::1\]):(\d+) ->")


@contextmanager
def port_forward(namespace: str, target: str, port: int, *, context: str | None = None) -> Iterator[int]:
    """Forwards a free local port to `target` and gives the local port.

    Raises:
        ApiError: kubectl is missing, or says that it cannot.
    """
    chosen = [] if context is None else ["--context", context]
    command = ["kubectl", *chosen, "--namespace", namespace, "port-forward", target, f":{port}"]
    try:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        raise ApiError(f"kubectl cannot be started ({error}): install it, or give --gateway URL") from error
    if child.stdout is None:
        raise AssertionError("the pipe was asked for")
    # What kubectl says later (a lost pod, a closed stream) must not fill the pipe and stop it.
    drain = threading.Thread(target=child.stdout.read, daemon=True)
    try:
        local = _wait(child.stdout, target, namespace)
        drain.start()
        yield local
    finally:
        child.terminate()
        try:
            child.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if drain.is_alive():
            drain.join(STOP_TIMEOUT)
        child.stdout.close()


def _wait(output: IO[bytes], target: str, namespace: str) -> int:
    """Reads until the port is named; raises `ApiError` with kubectl's words otherwise."""
    deadline = time.monotonic() + READY_TIMEOUT
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if not selector.select(left):
                break
            chunk = os.read(output.fileno(), 4096)
            if not chunk:
                break
            said += chunk
            found = _LISTENING.search(said.decode(errors="replace"))
            if found:
                return int(found[1])
    words = said.decode(errors="replace").strip() or f"no answer within {READY_TIMEOUT:.0f} s"
    raise ApiError(f"no way to {target} in namespace {namespace}: {words}")
