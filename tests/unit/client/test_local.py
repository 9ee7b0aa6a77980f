"""Files and processes of a local network; the network itself is brought up in tests/integration/local."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.client.worlds import until

from walrus_client.errors import LocalNetworkError
from walrus_client.local import LocalNetwork, LocalState, Parameters, configs, ports, processes
from walrus_client.local import state as states
from walrus_client.local.state import Layout, Running


def test_the_state_survives_its_file(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert states.load(layout) is None
    written = LocalState(Parameters(nodes=2), ports.choose(2), {"devnet": Running(1, 2)})
    states.save(layout, written)
    assert states.load(layout) == written
    layout.state_file.write_text('{"version": 1}', encoding="utf-8")
    with pytest.raises(LocalNetworkError, match="damaged"):
        states.load(layout)
    layout.state_file.write_text("{}", encoding="utf-8")
    with pytest.raises(LocalNetworkError, match="version"):
        states.load(layout)


def test_ports_are_all_different() -> None:
    chosen = ports.choose(5)
    flat = [chosen.rpc, chosen.tls, chosen.faucet, chosen.api, chosen.metrics]
    flat += [port for node in chosen.nodes for port in (node.grpc, node.rest, node.http, node.admin)]
    assert len(set(flat)) == len(flat) == 25


def test_configurations_point_at_each_other(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    state = LocalState(Parameters(nodes=2, n_shards=10, encoding="rs2"), ports.choose(2), {})
    assert configs.genesis(state, seed="s")["encoding"] == "rs2"
    node = configs.node(state, layout, 1)
    assert node["public"]["grpc_port"] == node["listen"]["grpc_port"] == state.ports.nodes[1].grpc
    assert node["chain"] == configs.gateway(state, layout)["chain"]
    assert node["admin"]["listen"].endswith(f":{state.ports.nodes[1].admin}")
    assert node["challenges"] == {"network": "Vote"}, "as on any devnet"
    quiet = LocalState(Parameters(nodes=2, challenges="Off"), state.ports, {})
    assert configs.node(quiet, layout, 1)["challenges"] == {"network": "Off"}


def test_a_network_of_an_older_release_comes_up_without_admin_ports(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    states.save(layout, LocalState(Parameters(nodes=1), ports.choose(1), {}))
    document = json.loads(layout.state_file.read_text(encoding="utf-8"))
    del document["ports"]["nodes"][0]["admin"]
    layout.state_file.write_text(json.dumps(document), encoding="utf-8")
    found = states.load(layout)
    assert found is not None
    assert "admin" not in configs.node(found, layout, 0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n_shards": 9}, "multiple of 3"),
        ({"n_shards": 400}, "253"),
        ({"encoding": "raptor"}, "encoding"),
        ({"nodes": 5, "n_shards": 4}, "fewer nodes"),
        ({"epoch_duration": "29s"}, "at least 30s"),
        ({"epoch_duration": "soon"}, "duration like"),
    ],
)
def test_networks_that_cannot_be_are_refused_with_what_to_choose(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        configs.check(Parameters(**wrong))
    configs.check(Parameters(nodes=4, n_shards=4, epoch_duration="30s"))


async def test_a_directory_of_another_network_is_refused(tmp_path: Path) -> None:
    states.save(Layout(tmp_path), LocalState(Parameters(nodes=2), ports.choose(2), {}))
    with pytest.raises(LocalNetworkError, match=r"--nodes 2 .* --purge --dir"):
        await LocalNetwork(tmp_path).bring_up(Parameters(nodes=3))


async def test_a_network_may_come_up_with_other_challenges(tmp_path: Path) -> None:
    states.save(Layout(tmp_path), LocalState(Parameters(nodes=1), ports.choose(1), {}))
    (tmp_path / "devnet").write_text("in the way", encoding="utf-8")
    with pytest.raises(LocalNetworkError, match=r"cannot write to .*devnet"):  # and not: other parameters
        await LocalNetwork(tmp_path).bring_up(Parameters(nodes=1, challenges="Report"))
    found = states.load(Layout(tmp_path))
    assert found is not None
    assert found.parameters.challenges == "Report"


def test_purging_removes_a_network_and_nothing_else(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "net"
    (home / "logs").mkdir(parents=True)
    (home / "logs" / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(LocalNetworkError, match="holds no local network"):
        LocalNetwork(home).take_down(purge=True)
    assert (home / "logs" / "mine").read_text(encoding="utf-8") == "mine"

    layout = Layout(folder)
    states.save(layout, LocalState(Parameters(nodes=2), ports.choose(2), {}))
    layout.node("local-0").mkdir(parents=True)
    layout.treasury_key.write_text("key", encoding="utf-8")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    assert LocalNetwork(folder).take_down(purge=True) == []
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    states.save(layout, LocalState(Parameters(nodes=2), ports.choose(2), {}))
    (folder / "notes.txt").unlink()
    LocalNetwork(folder).take_down(purge=True)
    assert not folder.exists()
    assert LocalNetwork(folder).take_down(purge=True) == [], "nothing to remove is no error"


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    states.save(Layout(tmp_path), LocalState(Parameters(), ports.choose(4), {}))
    (tmp_path / "devnet").write_text("in the way", encoding="utf-8")
    with pytest.raises(LocalNetworkError, match=r"cannot write to .*devnet"):
        await LocalNetwork(tmp_path).bring_up(Parameters())
    with pytest.raises(LocalNetworkError, match=r"cannot write to /proc/.*--dir"):
        await LocalNetwork(Path("/proc/none")).bring_up(Parameters())


async def test_processes_are_found_and_ended_by_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        processes, "command_of", lambda _program: [sys.executable, "-c", "import time; time.sleep(600)"]
    )
    running = processes.start("sleeper", [], log=tmp_path / "logs" / "sleeper.log")
    stranger = Running(running.pid, running.started + 1)
    assert processes.is_alive(running)
    assert not processes.is_alive(stranger)
    assert processes.stop_all({"stranger": stranger}) == []
    assert processes.is_alive(running), "a process with the same id but another start time is not ours"
    assert processes.stop_all({"sleeper": running}) == []
    assert not processes.is_alive(running)


async def test_a_process_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    monkeypatch.setattr(processes, "command_of", lambda _program: [sys.executable, "-c", program])
    log = tmp_path / "deaf.log"
    running = processes.start("deaf", [], log=log)
    await until(lambda: "up" in log.read_text(encoding="utf-8"))
    assert processes.stop_all({"deaf": running}, patience_s=0.3) == ["deaf"]
    assert not processes.is_alive(running)
    assert processes.last_lines(log) == "up"
    with pytest.raises(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
