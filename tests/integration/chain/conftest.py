"""A devnet process that can be stopped, killed and started again under an open client."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import yaml

START_SECONDS = 30
TOKEN = "a token for tests only"
GENESIS = {
    "seed": "chain",
    "n_shards": 10,
    "encoding": "rs2",
    "epoch_duration": "4s",
    "epoch_zero_duration": "1s",
    "checkpoint_interval_ms": 50,
    "telemetry": {"log_format": "text", "log_level": "warning"},
}


class Devnet:
    def __init__(self, folder, **genesis):
        self.data, self.log, self.config = folder / "data", folder / "devnet.log", folder / "devnet.yaml"
        token = folder / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        self.config.write_text(yaml.safe_dump(GENESIS | {"admin_token_file": str(token)} | genesis))
        self.ports = {"rpc": 0, "tls": 0, "faucet": 0}
        self.process = None

    def start(self):
        """Starts it, on the ports of the last time if there was one."""
        ports = [f"--{name}-port={port}" for name, port in self.ports.items()]
        command = [sys.executable, "-m", "walrus_sui.devnet.main", "run", f"--config={self.config}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, f"--data={self.data}", "--listen-host=127.0.0.1", *ports], stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                found = json.loads((self.data / "endpoints.json").read_text())
                self.ports = {name: found[f"{name}_port"] for name in self.ports}
                if found["pid"] == self.process.pid and self.get("/readyz")[0] == 200:
                    return self
            except (OSError, ValueError):
                pass
            time.sleep(0.02)
        raise AssertionError(f"the devnet did not start:\n{self.log.read_text()}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=20) == 0, self.log.read_text()

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=10)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.ports['faucet']}"

    @property
    def network_config(self):
        return f"{self.url}/v1/network-config"

    def advance(self, ms):
        """Moves a manual clock."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        body = json.dumps({"ms": ms}).encode()
        request = urllib.request.Request(f"{self.url}/v1/admin/advance", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200

    def get(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, ""


@pytest.fixture
def make_devnet(tmp_path):
    made = []

    def make(**genesis):
        folder = tmp_path / f"devnet-{len(made)}"
        folder.mkdir()
        made.append(Devnet(folder, **genesis))
        return made[-1].start()

    yield make
    for devnet in made:
        if devnet.process.poll() is None:
            devnet.kill()


@pytest.fixture
def devnet(make_devnet):
    return make_devnet()
