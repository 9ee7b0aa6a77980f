"""The program: usage, and the exit codes that operators see."""

import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from walrus_node.main import app
from walrus_node.store.rocks import RocksStore
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey


@pytest.fixture
def config(tmp_path):
    keys = {"protocol": BlsKey.generate(), "network": NetworkKey.generate(), "sui": SuiKey.generate()}
    for name, key in keys.items():
        key.save(tmp_path / f"{name}.key")
    path = tmp_path / "node.yaml"
    document = {
        "name": "demo-0",
        "data_dir": str(tmp_path / "data"),
        "keys": {name: str(tmp_path / f"{name}.key") for name in keys},
        "chain": {"network_config": str(tmp_path / "network.yaml")},
        "public": {"host": "127.0.0.1"},
        "listen": {"host": "127.0.0.1", "grpc_port": 0, "http_port": 0},
        "telemetry": {"log_format": "text"},
    }
    path.write_text(yaml.safe_dump(document))
    return path


def run(path, *arguments):
    command = [sys.executable, "-m", "walrus_node.main", "run", "--config", str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_help_says_what_it_is():
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "A Walrus storage node" in result.output


def test_wrong_configuration_ends_with_2(tmp_path):
    path = tmp_path / "node.yaml"
    path.write_text("name: demo-0\n")
    result = CliRunner().invoke(app, ["run", "--config", str(path)])
    assert result.exit_code == 2
    assert "data_dir: Field required" in result.stderr


def test_a_missing_key_ends_with_2(config, tmp_path):
    (tmp_path / "sui.key").unlink()
    result = CliRunner().invoke(app, ["run", "--config", str(config)])
    assert result.exit_code == 2
    assert "sui.key" in result.stderr


def test_a_network_configuration_file_that_is_missing_ends_with_2(config):
    result = run(config)
    assert result.returncode == 2, result.stderr
    assert "chain.network_config" in result.stderr


def test_a_public_network_ends_with_2_before_anything_is_sent(config, tmp_path):
    mainnet = {
        "rpc_url": "http://127.0.0.1:1",
        "system_object": "0x2134d52768ea07e8c43570ef975eb3e4c27a39fa6396bef985b5abc58d03ddd2",
        "staking_object": "0x10b9d30c28448939ce6c4d6c6e0ffce4a7f8a4ada8248bdad09ef8b70e4a3904",
        "wal_type": "0x7::wal::WAL",
        "treasury_object": "0x8",
    }
    (tmp_path / "network.yaml").write_text(yaml.safe_dump(mainnet))
    result = run(config)
    assert result.returncode == 2, result.stderr
    assert "Walrus mainnet" in result.stderr
    assert "allow_public_network" in result.stderr
    (tmp_path / "network.yaml").write_text(yaml.safe_dump(mainnet | {"allow_public_network": True}))
    for knob in ("--enable-faults", "--slow-disk"):
        result = run(config, knob, str(tmp_path / "knob"))
        assert result.returncode == 2, result.stderr
        assert "for tests, and refused on Walrus mainnet" in result.stderr


def test_a_store_that_is_in_use_ends_with_3(config, tmp_path):
    store = RocksStore(tmp_path / "data" / "db")
    result = run(config)
    store.close()
    assert result.returncode == 3, result.stderr
    assert "cannot open the database" in result.stderr
