"""A gateway as a process of its own, with a key of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from tests.integration.local.networks import Answer

from walrus_sui.keys import SuiKey


class Gateway:
    """A second gateway of the same network, with a key of its own."""

    def __init__(self, folder: Path, network_config_url: str, **limits: Any) -> None:
        self.key = SuiKey.generate()
        self.key.save(folder / "key")
        self.port, self.metrics_port = free_port(), free_port()
        self.file = folder / "gateway.yaml"
        document = {
            "listen": {"host": "127.0.0.1", "port": self.port, "metrics_port": self.metrics_port},
            "key_file": str(folder / "${KEY_NAME}"),
            "chain": {"network_config": network_config_url},
            "telemetry": {"log_format": "json", "log_level": "info", "otlp_endpoint": None},
            "limits": limits,
        }
        self.file.write_text(yaml.safe_dump(document), encoding="utf-8")
        self.log = (folder / "log").open("a+b")
        self.start()

    def start(self) -> None:
        """Starts it, or starts it again on the same ports."""
        command = [sys.executable, "-m", "walrus_client.gateway.main", "run", "--config", str(self.file)]
        environment = {**os.environ, "KEY_NAME": "key"}
        self.process = subprocess.Popen(command, stderr=self.log, env=environment)
        self.stopping = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        return self.request("GET", "/readyz", metrics=True).code == 200

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def request(
        self, method: str, path: str, body: bytes | None = None, *, metrics: bool = False, **headers: str
    ) -> Answer:
        port = self.metrics_port if metrics else self.port
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, headers=named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())
        except OSError:
            return Answer(0, {}, b"")

    def bytes_in_flight(self) -> float:
        return self.metric("walrus_client_bytes_in_flight_bytes")

    def requests_under_way(self) -> float:
        """Those that have begun and not ended, and stores without a client."""
        return self.metric("walrus_client_requests_under_way")

    def metric(self, name: str, *labels: str) -> float:
        """Sum of a metric's values that have all of these labels' values."""
        page = self.request("GET", "/metrics", metrics=True).body.decode()
        found = re.findall(rf"^{name}(\{{.*\}})? (\S+)$", page, re.MULTILINE)
        return sum(float(value) for given, value in found if all(f'"{label}"' in given for label in labels))

    def text(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text(encoding="utf-8")

    def stop(self) -> None:
        """SIGTERM, once: a second one in the last moments of the process would end it by force."""
        if not self.stopping and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.stopping = True

    def end(self) -> int:
        self.stop()
        code = self.process.wait(60)
        self.log.close()
        return code


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
