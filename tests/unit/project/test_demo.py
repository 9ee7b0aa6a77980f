"""The demo's ways through trouble: what others own stays, an interrupted run is taken up, failures are one sentence."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
CRDS = "".join(
    f"customresourcedefinition.apiextensions.k8s.io/{name}\n"
    for name in ("walrusnetworks.walrus-operator.dev", "walrusnodes.walrus-operator.dev", "things.example.com")
)


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo_under_test", ROOT / "scripts" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kubeconfig = tmp_path / "config"
    kubeconfig.touch()
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("PATH", os.environ["PATH"])  # which it changes
    monkeypatch.setattr(sys, "argv", ["demo.py", "--down"])
    monkeypatch.setattr(module.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    return module


def play(demo: ModuleType, monkeypatch: pytest.MonkeyPatch, networks: list[dict[str, Any]]) -> list[str]:
    """Replaces the commands; returns the list that they are written down in."""
    said: list[str] = []

    def run(command: list[str]) -> str:
        line = " ".join(command)
        said.append(line)
        if "get crd" in line:
            return CRDS
        return json.dumps({"items": networks}) if "get wnet" in line else ""

    monkeypatch.setattr(demo, "run", run)
    return said


def test_down_removes_all_that_the_demo_made(demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    said = play(demo, monkeypatch, [])
    assert demo.main() == 0
    gone = [line for line in said if "delete" in line or "uninstall" in line]
    assert [line.split()[:4] for line in gone] == [
        ["helm", "uninstall", "demo", "--namespace"],
        ["kubectl", "delete", "namespace", "walrus"],
        ["helm", "uninstall", "walrus-operator", "--namespace"],
        ["kubectl", "delete", CRDS.split()[0], "--ignore-not-found"],
        ["kubectl", "delete", CRDS.split()[1], "--ignore-not-found"],
        ["kubectl", "delete", "namespace", "walrus-system"],
    ]


def test_down_keeps_what_other_networks_live_from(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = play(demo, monkeypatch, [{"metadata": {"namespace": "team", "name": "prod"}}])
    assert demo.main() == 0
    assert "team/prod" in capsys.readouterr().out
    assert not [line for line in said if "delete customresource" in line or "uninstall walrus-operator" in line]


def test_down_without_a_cluster_has_nothing_to_do(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = play(demo, monkeypatch, [])
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert demo.main() == 0
    assert said == []
    assert "nothing to remove" in " ".join(capsys.readouterr().out.split())


def test_a_failed_command_is_shown_with_its_output(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "NETWORK", "x")
    monkeypatch.setattr(demo, "down", lambda: demo.run(["sh", "-c", "echo the cluster said no >&2; exit 3"]))
    assert demo.main() == 1
    assert "the cluster said no" in capsys.readouterr().out


def test_an_interrupted_demo_says_how_to_go_on(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "down", interrupted)
    assert demo.main() == 130
    assert "make demo" in capsys.readouterr().out


def test_a_release_that_helm_was_killed_over_is_taken_up(demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Helm refuses to touch a pending release for ever; its record is removed, its objects are adopted."""
    said = play(demo, monkeypatch, [])
    demo.helm("demo", "walrus", chart="walrus-testnet")
    assert said[0].startswith(
        "kubectl --namespace walrus delete secret --selector owner=helm,name=demo,status in (pending"
    )
    assert said[1].startswith("helm upgrade --install demo ")


def test_the_next_commands_fit_the_cluster(demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALRUS_GATEWAY_PORT", "31999")
    assert "http://127.0.0.1:31999/v1/blobs/ID" in demo.next_commands(str(ROOT / ".kube" / "config"), "ID")
    assert "port-forward svc/demo-gateway" in demo.next_commands("/home/me/.kube/config", "ID")
