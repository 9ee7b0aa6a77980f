"""`kubectl walrus`: an executable that kubectl finds on PATH, with kubectl's own flags wherever they stand."""

from __future__ import annotations

import importlib
import json
import os
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from walrus_operator.ctl import forward
from walrus_operator.ctl.main import flags_first

ROOT = Path(__file__).resolve().parents[3]
ENTRY = (
    "import sys; sys.argv[0] = 'kubectl-walrus'; from walrus_operator.ctl.main import kubectl_plugin; kubectl_plugin()"
)


def test_the_wheel_installs_what_kubectl_looks_for() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["kubectl-walrus"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["network", "status", "-n", "walrus"], ["--namespace", "walrus", "network", "status"]),
        (["-nwalrus", "network", "plan"], ["--namespace", "walrus", "network", "plan"]),
        (["network", "-n=walrus", "plan"], ["--namespace", "walrus", "network", "plan"]),
        (["a", "--context=c", "b", "--kubeconfig", "k"], ["--context", "c", "--kubeconfig", "k", "a", "b"]),
        (["a", "--namespace=", "b"], ["--namespace", "", "a", "b"]),
        (["blob", "id", "--n-shards", "10", "f"], ["blob", "id", "--n-shards", "10", "f"]),
        (["blob", "store", "-n", "w", "--", "-n"], ["--namespace", "w", "blob", "store", "--", "-n"]),
        (["network", "status", "-n"], ["--namespace", "network", "status"]),
        ([], []),
    ],
)
def test_kubectls_own_flags_go_where_the_program_expects_them(given: list[str], wanted: list[str]) -> None:
    assert flags_first(given) == wanted


class Api(BaseHTTPRequestHandler):
    """As much of an API server as the status page asks."""

    asked: list[str]

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        name = self.path.partition("?")[0].rpartition("/walrusnetworks/")[2]
        found: dict[str, object] = {"items": [], "metadata": {}}
        if name == "demo":
            found = {
                "metadata": {"name": "demo", "namespace": "there", "generation": 1},
                "spec": {"chain": {"devnet": {}}},
            }
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    """Two contexts: the current one leads nowhere, `other` to an API server."""
    Api.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    clusters = {"nowhere": "http://127.0.0.1:1", "here": f"http://127.0.0.1:{server.server_port}"}
    file = tmp_path / "config"
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "current",
                "clusters": [{"name": name, "cluster": {"server": url}} for name, url in clusters.items()],
                "users": [{"name": "me", "user": {"token": "t"}}],
                "contexts": [
                    {"name": "current", "context": {"cluster": "nowhere", "user": "me", "namespace": "elsewhere"}},
                    {"name": "other", "context": {"cluster": "here", "user": "me", "namespace": "there"}},
                ],
            }
        )
    )
    try:
        yield file
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_context_and_kubeconfig_lead_to_the_cluster_and_its_namespace(kubeconfig: Path, tmp_path: Path) -> None:
    flags = ["--context", "other", f"--kubeconfig={kubeconfig}"]
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, "--network", "demo", "network", "status", *flags],
        env={**os.environ, "KUBECONFIG": "", "HOME": str(tmp_path), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Walrus network demo in namespace there: not Ready" in done.stdout, done.stderr
    assert "kubectl -n there describe wnet demo" in done.stdout
    assert done.returncode == 1
    assert any("/namespaces/there/" in path for path in Api.asked)


def test_wrong_usage_names_the_program_as_it_was_called() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, "network", "unheard-of", "-n", "x"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "kubectl walrus network" in done.stderr


def test_the_way_to_a_gateway_goes_through_the_same_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f"#!{sys.executable}\nimport sys, time\n"
        "assert sys.argv[1:] == ['--context', 'other', '--namespace', 'ns', 'port-forward', 'service/x', ':1'], sys.argv\n"
        "print('Forwarding from 127.0.0.1:40123 -> 1', flush=True)\ntime.sleep(600)\n"
    )
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with forward.port_forward("ns", "service/x", 1, context="other") as port:
        assert port == 40123
