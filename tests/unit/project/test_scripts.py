"""scripts/cluster-up and its neighbours in a world of played tools: each trouble has a sentence, and a second run heals."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# Each looks like the real one to the scripts; what happened is kept as files in $STATE.
TOOLS = {
    "docker": """
case $1 in
    info) [ -z "${DOCKER_SAYS:-}" ] || { echo "$DOCKER_SAYS"; exit 1; } ;;
    version) echo 20.10 ;;
    inspect) case "$*" in *Running*) echo true ;; *) echo kindest/node:played ;; esac ;;
    create) echo container ;;
    cp) cp "$STATE/kubectl" "$3" ;;
    logs) echo "last words of $2" ;;
esac""",
    "kind": """
case "$1 $2" in
    "version ") echo "kind v0.30.0 played" ;;
    "get clusters") [ ! -e "$STATE/cluster" ] || echo walrus ;;
    "get nodes") printf '%s\\n' walrus-control-plane walrus-worker ;;
    "create cluster")
        touch "$STATE/cluster"
        echo created >> "$STATE/log"
        [ -z "${KIND_SAYS:-}" ] || { echo "$KIND_SAYS"; exit 1; }
        [ -z "${KIND_HANGS:-}" ] || sleep 60 ;;
    "delete cluster") rm -f "$STATE/cluster" && echo deleted >> "$STATE/log" ;;
esac""",
    "helm": "echo v3.19.5",
    "go": "echo go version go1.26.0 played",
    "id": 'case "$*" in -u) echo "${USER_ID:-0}" ;; *) echo somebody ;; esac',
    "sysctl": "true",
    "dockerd": "true",
}
KUBECTL = """#!/bin/bash
case "$*" in
    "get nodes"*) seq "${JOINED:-2}" ;;
    version*) printf 'Client Version: v1.34.4\\nServer Version: v1.34.4\\n' ;;
esac
"""


class World:
    """A repository with nothing but the scripts, and played tools in its .tools/bin."""

    def __init__(self, folder: Path) -> None:
        self.repo, self.state = folder / "repo", folder / "state"
        self.state.mkdir()
        shutil.copytree(ROOT / "scripts", self.repo / "scripts")
        shutil.copytree(ROOT / "kind", self.repo / "kind")
        tools = self.repo / ".tools" / "bin"
        tools.mkdir(parents=True)
        for name, body in TOOLS.items():
            self._program(tools / name, f"#!/bin/bash\n{body}\n")
        self._program(self.state / "kubectl", KUBECTL)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @staticmethod
    def _program(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def start(self, script: str, **variables: str) -> subprocess.Popen[str]:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.state), "STATE": str(self.state)}
        return subprocess.Popen(
            # A test run in the background ignores Ctrl-C, and shells keep to what they inherit.
            ["env", "--default-signal=INT", str(self.repo / "scripts" / script)],
            env={**env, "WALRUS_GATEWAY_PORT": str(self.port), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, script: str, **variables: str) -> tuple[int, str]:
        with self.start(script, **variables) as process:
            said, _ = process.communicate(timeout=60)
        return process.returncode, said

    def log(self) -> list[str]:
        file = self.state / "log"
        return file.read_text().split() if file.exists() else []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_cluster_is_made_once(world: World) -> None:
    code, said = world.run("cluster-up")
    assert code == 0, said
    assert "2 nodes, Kubernetes v1.34.4" in said
    assert f"export KUBECONFIG={world.repo}/.kube/config" in said
    code, said = world.run("cluster-up")
    assert code == 0, said
    assert "runs already" in said
    assert world.log() == ["created"]
    assert world.run("cluster-down")[0] == 0
    assert "there is no cluster" in world.run("cluster-down")[1]
    assert world.log() == ["created", "deleted"]


def test_an_interrupted_cluster_is_made_anew(world: World) -> None:
    with world.start("cluster-up", KIND_HANGS="1") as process:
        deadline = time.monotonic() + 30
        while not world.log():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "interrupted" in said
    code, said = world.run("cluster-up")
    assert code == 0, said
    assert world.log() == ["created", "deleted", "created"]


def test_a_failed_cluster_shows_the_nodes_last_words_and_leaves_nothing(world: World) -> None:
    code, said = world.run("cluster-up", KIND_SAYS="kubeadm said no")
    assert code == 1
    assert "last words of walrus-worker" in said
    assert "What to do" in said
    assert world.log() == ["created", "deleted"]


def test_nodes_that_did_not_join_are_told(world: World) -> None:
    code, said = world.run("cluster-up", JOINED="1")
    assert code == 1
    assert "only 1 of 2 nodes joined" in said
    assert "make cluster-down cluster-up" in said


def test_a_port_that_is_taken_is_named(world: World) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", world.port))
        other.listen()
        code, said = world.run("cluster-up")
    assert code == 1
    assert f"127.0.0.1:{world.port}" in said
    assert "WALRUS_GATEWAY_PORT" in said
    assert world.log() == []


@pytest.mark.parametrize("script", ["cluster-up", "cluster-down", "node-image", "images"])
def test_a_docker_of_others_is_not_worked_around(world: World, script: str) -> None:
    code, said = world.run(script, DOCKER_SAYS="Got permission denied while trying to connect", USER_ID="1000")
    assert code == 1
    assert "Docker runs, but somebody may not use it" in said
    assert "usermod -aG docker" in said


def test_no_docker_and_no_root_is_one_sentence(world: World) -> None:
    away = "Cannot connect to the Docker daemon"
    # A sudo of this machine would be found; the scripts ask for it by name.
    (world.repo / "scripts" / "lib.sh").write_text(
        (world.repo / "scripts" / "lib.sh").read_text() + "\nhave() { [ $1 != sudo ] && command -v $1 > /dev/null; }\n"
    )
    code, said = world.run("cluster-up", DOCKER_SAYS=away, USER_ID="1000")
    assert code == 1
    assert "needs root" in said
    assert "start Docker yourself" in said
    code, said = world.run("cluster-down", DOCKER_SAYS=away, USER_ID="1000")
    assert code == 0
    assert "Docker does not run here" in said


def test_a_cluster_of_yours_that_does_not_answer_is_told(world: World) -> None:
    code, said = world.run("cluster-ready", KUBECONFIG="/nowhere/config", PATH="/bin")
    assert code == 1
    assert "/nowhere/config" in said
    assert "What to do" in said
