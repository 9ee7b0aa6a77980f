"""walrusctl: options, the way to the gateway, exit codes. kubectl is a script that behaves like it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from walrus_client.cli.gateway_api import ApiError
from walrus_operator.ctl import forward
from walrus_operator.ctl.target import Target

KUBECTL = """#!{python}
import sys, time
print("E1123 something noisy first", flush=True)
{body}
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    def install(body: str) -> None:
        path = tmp_path / "kubectl"
        path.write_text(KUBECTL.format(python=sys.executable, body=body))
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return install


def test_the_port_that_kubectl_names(kubectl: object) -> None:
    pid_file = "open('/dev/null')"
    kubectl(  # type: ignore[operator]
        f"{pid_file}\nassert sys.argv[1:] == ['--namespace', 'ns', 'port-forward', 'service/x', ':31415'], sys.argv\n"
        "print('Forwarding from 127.0.0.1:40123 -> 31415', flush=True)\n"
        "print('noise ' * 100000, flush=True)\ntime.sleep(600)"
    )
    with forward.port_forward("ns", "service/x", 31415) as port:
        assert port == 40123
        started = time.monotonic()
    assert time.monotonic() - started < forward.STOP_TIMEOUT, "the child is stopped with the block"


def test_kubectl_says_no(kubectl: object) -> None:
    kubectl("print('Error from server (NotFound): services \"x\" not found'); sys.exit(1)")  # type: ignore[operator]
    with (
        pytest.raises(ApiError, match=r'(?s)no way to service/x in namespace ns: .*services "x" not found'),
        forward.port_forward("ns", "service/x", 1),
    ):
        pass


def test_kubectl_says_nothing(kubectl: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "READY_TIMEOUT", 0.5)
    kubectl("time.sleep(600)")  # type: ignore[operator]
    with pytest.raises(ApiError, match="something noisy"), forward.port_forward("ns", "service/x", 1):
        pass


def test_no_kubectl_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ApiError, match="give --gateway URL"), forward.port_forward("ns", "service/x", 1):
        pass


def test_a_gateway_url_needs_no_kubernetes() -> None:
    with Target(gateway="http://example.com:1").gateway_url() as url:
        assert url == "http://example.com:1"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "walrus_operator.ctl.main", *arguments]
    return subprocess.run(
        command,
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_all_groups() -> None:
    done = run("--help")
    assert done.returncode == 0
    for group in ("blob", "local", "network"):
        assert group in done.stdout


def test_version() -> None:
    assert run("--version").stdout.strip()


def test_wrong_usage_is_exit_code_2() -> None:
    assert run("network", "unheard-of").returncode == 2


def test_no_cluster_is_exit_code_4_and_says_what_to_do(tmp_path: Path) -> None:
    done = run("--network", "x", "network", "status", KUBECONFIG=str(tmp_path / "none"))
    assert done.returncode == 4
    assert "Set KUBECONFIG" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("blob", "status", "A" * 43), ("network", "status")])
def test_without_cluster_and_gateway_one_sentence_tells_the_ways(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, HOME=str(tmp_path), KUBECONFIG="", WALRUS_GATEWAY="")
    assert done.returncode == 4
    assert "--gateway URL" in done.stderr
    assert "walrusctl local status" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, "no warnings of libraries before it"


def test_a_gateway_that_is_no_url_is_wrong_usage() -> None:
    assert run("--gateway", "ftp://x", "blob", "status", "A" * 43).returncode == 2
