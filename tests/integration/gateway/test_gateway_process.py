"""The gateway as a process: start before its chain, money, bad configuration, graceful end."""

import asyncio
import gzip
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.gateway.gateways import Gateway, free_port
from tests.integration.local.networks import Network, running, until

from walrus_client import treasury
from walrus_sui import network_config
from walrus_sui.client import ChainClient
from walrus_sui.keys import SuiKey

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running(tmp_path_factory.mktemp("gateway"), "--shards", "10", "--encoding", "rs2") as made:
        yield made


def test_a_gateway_without_money_says_whom_to_pay_and_works_once_paid(network: Network, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, network.network_config())
    try:
        until(lambda: gateway.request("GET", "/readyz", metrics=True).code == 200)
        answer = gateway.request("PUT", "/v1/blobs", b"hello")
        assert (answer.code, answer.reason) == (503, "INSUFFICIENT_FUNDS")
        assert gateway.key.address in answer.body.decode()
        until(lambda: "too little money" in gateway.text())

        async def pay() -> None:
            config = await network_config.load(network.network_config())
            async with ChainClient(config) as chain:
                payer = SuiKey.load(network.folder / "treasury.key")
                await treasury.ensure_funds(chain, payer, sui=10 * 10**9, wal=100 * 10**9, faucet_url=config.faucet_url)
                await treasury.fund(chain, payer, gateway.key.address, sui=5 * 10**9, wal=100 * 10**9)

        asyncio.run(pay())
        until(lambda: gateway.request("PUT", "/v1/blobs", b"hello").code == 200, timeout_s=30)
        for body in (gzip.compress(b"hello"), b"no gzip at all"):
            answer = gateway.request("PUT", "/v1/blobs", body, Content_Encoding="gzip")
            assert answer.code == 200, answer.body
            assert answer.json()["newlyCreated"]["blobObject"]["size"] == len(body), "stored as it was sent"
        metrics = gateway.request("GET", "/metrics", metrics=True).body.decode()
        assert "walrus_client_store_duration_seconds_count" in metrics
        assert "http_server_request_duration_seconds_count" in metrics
    finally:
        assert gateway.end() == 0


def test_a_gateway_may_start_before_its_chain(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, f"http://127.0.0.1:{free_port()}/v1/network-config")
    try:
        until(lambda: gateway.request("GET", "/livez", metrics=True).code == 200)
        assert gateway.request("GET", "/readyz", metrics=True).code == 503
        answer = gateway.request("PUT", "/v1/blobs", b"hello")
        assert (answer.code, answer.reason) == (503, "CHAIN_UNREACHABLE")
    finally:
        assert gateway.end() == 0


def test_a_request_under_way_ends_before_the_gateway_does(network: Network, tmp_path: Path) -> None:
    """Half of a body arrives before SIGTERM, half after it: the request still goes all its way, here to the empty purse."""
    gateway = Gateway(tmp_path, network.network_config())
    until(lambda: gateway.request("GET", "/readyz", metrics=True).code == 200)
    body = os.urandom(100_000)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        head = f"PUT /v1/blobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:50_000])
        until(lambda: gateway.bytes_in_flight() > 0)
        gateway.stop()
        until(lambda: "stopping" in gateway.text())
        assert gateway.request("GET", "/status").code == 0, "new connections are refused"
        connection.sendall(body[50_000:])
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"INSUFFICIENT_FUNDS" in answer
    assert gateway.end() == 0


def test_a_stopping_gateway_serves_on_until_balancers_know(network: Network, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, network.network_config(), drain_delay_s=8)
    until(lambda: gateway.request("GET", "/readyz", metrics=True).code == 200)
    blob_id = network.store(b"drained")["blobObject"]["blobId"]
    gateway.stop()
    until(lambda: gateway.request("GET", "/readyz", metrics=True).code == 503, timeout_s=7)
    assert gateway.request("GET", "/readyz", metrics=True).body == b"stopping\n"
    assert gateway.request("GET", "/livez", metrics=True).code == 200
    late = gateway.request("GET", f"/v1/blobs/{blob_id}")
    assert (late.code, late.body) == (200, b"drained")
    assert late.headers["Connection"] == "close", "the next request goes to another gateway"
    status = gateway.request("GET", "/status")
    assert (status.code, status.reason) == (503, "SHUTTING_DOWN")
    until(lambda: gateway.request("GET", "/status").code == 0, timeout_s=60)
    assert gateway.end() == 0


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"key_file": "/absent", "chain": {"network_config": "x"}}, "/absent"),
        ({"key_file": "/absent"}, "chain"),
        ({"key_file": "/absent", "chain": {"network_config": "x"}, "port": 1}, "port"),
    ],
)
def test_a_bad_configuration_ends_with_a_sentence(tmp_path: Path, document: dict[str, Any], complaint: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    command = [sys.executable, "-m", "walrus_client.gateway.main", "run", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert complaint in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
