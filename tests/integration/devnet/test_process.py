"""The process: exit codes, refusals with a sentence, one process per directory."""

import signal
import socket

import pytest
import yaml

EXIT_CONFIG, EXIT_DATA, EXIT_PORT = 2, 3, 4


def refused(process, *arguments):
    code = process.spawn(*arguments).wait(timeout=60)
    return code, process.log.read_text()


@pytest.fixture
def process(tmp_path, tools):
    process = tools.process(tmp_path)
    yield process
    if process.process is not None and process.process.poll() is None:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_in_good_order(process, number):
    process.start()
    process.process.send_signal(number)
    assert process.process.wait(timeout=60) == 0
    assert not (process.data / "endpoints.json").exists()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("n_shards: [", "n_shards"),
        ("unknown_name: 1", "unknown_name"),
        ("n_shards: 11", "n_shards"),
        ("telemetry: {log_format: xml}", "telemetry.log_format"),
    ],
)
def test_a_wrong_configuration_is_named(process, text, word):
    process.config.write_text(f"seed: x\n{text}")
    code, log = refused(process)
    assert code == EXIT_CONFIG
    assert word in log
    assert "Traceback" not in log


def test_a_missing_configuration_is_named(process):
    process.config.unlink()
    code, log = refused(process)
    assert code == EXIT_CONFIG
    assert str(process.config) in log


def test_wrong_usage(process):
    assert refused(process, "--nonsense")[0] == EXIT_CONFIG
    assert refused(process, "--rpc-port=70000")[0] == EXIT_CONFIG


def test_a_data_directory_serves_one_process(process, tools):
    process.start()
    second = tools.process(process.folder)
    second.log = process.folder / "second.log"
    code, log = refused(second)
    assert code == EXIT_DATA
    assert "another devnet uses" in log


def test_a_data_directory_keeps_its_genesis(process):
    process.start()
    process.stop()
    config = yaml.safe_load(process.config.read_text())
    process.config.write_text(yaml.safe_dump(config | {"n_shards": 13}))
    code, log = refused(process)
    assert code == EXIT_DATA
    assert "another genesis" in log
    # What is no part of genesis may change.
    process.config.write_text(yaml.safe_dump(config | {"checkpoint_interval_ms": 30}))
    process.start()


def test_a_data_directory_that_cannot_be_made(process):
    process.data.write_text("a file")
    code, log = refused(process)
    assert code == EXIT_DATA
    assert str(process.data) in log
    assert "Traceback" not in log


@pytest.mark.parametrize("option", ["--rpc-port", "--tls-port", "--faucet-port"])
def test_a_taken_port_is_named(process, option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, log = refused(process, f"{option}={port}")
    assert code == EXIT_PORT
    assert str(port) in log
    assert "Traceback" not in log
