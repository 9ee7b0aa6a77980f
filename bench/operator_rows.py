"""Benchmarks of the operator: one network of 100 WalrusNodes. Bounds are in `docs/performance.md`.

The API server is the tests' one, in a process of its own (`kube_server`) that also serves the nodes' admin ports; the
operator's part is in another one (`operator_process`). What is measured is the operator: its processor time, its memory, and
how long it takes to write everything to a server that answers at once.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from harness import Benchmark, Row, limit_row, scratch_folder

HERE = Path(__file__).parent
NODES = 100
ENVIRONMENT = {"MALLOC_ARENA_MAX": "1"}
"""As the chart gives it to the operator."""
TIMEOUT = 300
CREATE_LIMIT_S = 30.0
IDLE_LIMIT_S = 1.0
RSS_LIMIT_MB = 150.0


@functools.cache
def measured(rounds: int) -> dict[str, float]:
    """One run for all rows."""
    with scratch_folder() as folder:
        command = [sys.executable, str(HERE / "kube_server.py"), str(NODES), str(folder)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            config = folder / "kubeconfig"
            config.write_text(kubeconfig(url))
            done = subprocess.run(
                [sys.executable, HERE / "operator_process.py", str(NODES), str(rounds)],
                env={**os.environ, **ENVIRONMENT, "KUBECONFIG": str(config), "KUBE_SERVER": url},
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        finally:
            server.kill()
            server.wait()
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def kubeconfig(url: str) -> str:
    """The way to a server without certificates and users."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": {"server": url}}],
            "users": [{"name": "bench", "user": {}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        }
    )


def create(rounds: int) -> Row:
    """From an applied WalrusNetwork to all objects, in passes."""
    found = measured(rounds)
    return limit_row(
        "reconcile.create.100",
        value=found["create"],
        unit="s",
        limit=CREATE_LIMIT_S,
        note=f"passes until {found['objects']:.0f} objects and all statuses are written, keys made; the bound is what we allow",
    )


def idle(rounds: int) -> Row:
    """A pass over all of it with nothing to do."""
    return limit_row(
        "reconcile.idle.100",
        value=measured(rounds)["idle"],
        unit="s",
        limit=IDLE_LIMIT_S,
        note="processor time of one pass that reads everything, plans, and writes nothing (or the run fails); best round",
    )


def rss(rounds: int) -> Row:
    """Resident memory after it, of the operator's process alone."""
    found = measured(rounds)
    return limit_row(
        "operator.rss.100",
        value=found["rss"],
        unit="MB",
        limit=RSS_LIMIT_MB,
        note=f"a leading operator with {NODES} TLS connections to nodes, kopf and the chain client; at most {found['peak']:.0f} MB",
    )


BENCHMARKS = [
    Benchmark("reconcile.create.100", 1.0, create),
    Benchmark("reconcile.idle.100", 1.0, idle),
    Benchmark("operator.rss.100", 1.0, rss),
]
