"""A devnet in a process of its own, and a client that sends it transactions one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc.aio
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from harness import scratch_folder
from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_proto.sui.rpc.v2 import (
    object_pb2,
    state_service_pb2,
    state_service_pb2_grpc,
    transaction_execution_service_pb2,
    transaction_execution_service_pb2_grpc,
)
from walrus_sui.devnet.ledger.records import (
    GAS_COIN,
    GAS_COIN_TYPE,
    GasData,
    Input,
    NestedResult,
    ObjectRef,
    ProgrammableTransaction,
    Pure,
    SplitCoins,
    TransactionData,
    TransferObjects,
)
from walrus_sui.faucet import request_sui
from walrus_sui.keys import SuiKey

INTERVAL_MS = 250
CONFIG = {
    "seed": "bench",
    "n_shards": 100,
    "checkpoint_interval_ms": INTERVAL_MS,
    "telemetry": {"log_level": "warning"},
}


class Devnet:
    """A devnet process on free ports."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        config = folder / "devnet.yaml"
        config.write_text(yaml.safe_dump(CONFIG))
        ports = ["--rpc-port=0", "--tls-port=0", "--faucet-port=0", "--listen-host=127.0.0.1"]
        command = [sys.executable, "-m", "walrus_sui.devnet.main", "run", f"--config={config}", f"--data={self.data}"]
        self.started = time.perf_counter()
        self.process = subprocess.Popen([*command, *ports], stdout=subprocess.DEVNULL)
        while not (found := self._endpoints()):
            assert self.process.poll() is None, "the devnet did not start"
            time.sleep(0.005)
        self.start_s = time.perf_counter() - self.started
        self.rpc = f"127.0.0.1:{found['rpc_port']}"
        self.faucet = f"http://127.0.0.1:{found['faucet_port']}"

    def _endpoints(self) -> dict[str, int]:
        try:
            found: dict[str, int] = json.loads((self.data / "endpoints.json").read_text())
        except (OSError, json.JSONDecodeError):
            return {}
        return found if found["pid"] == self.process.pid else {}

    @property
    def rss_mb(self) -> float:
        """Resident memory."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def stop(self) -> None:
        """Ends it in good order."""
        self.process.terminate()
        self.process.wait(timeout=60)


@contextmanager
def devnet(fill: Callable[[Path], None] | None = None) -> Iterator[Devnet]:
    with scratch_folder() as folder:
        if fill is not None:
            fill(folder / "data")
        running = Devnet(folder)
        try:
            yield running
        finally:
            running.stop()


@asynccontextmanager
async def channel(running: Devnet) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(running.rpc) as opened:
        yield opened


class Client:
    """Prepares transactions that each spend a coin of their own, and sends them."""

    def __init__(self, running: Devnet, opened: grpc.aio.Channel) -> None:
        self._running = running
        self._state = state_service_pb2_grpc.StateServiceStub(opened)
        self._execution = transaction_execution_service_pb2_grpc.TransactionExecutionServiceStub(opened)
        self._health = health_pb2_grpc.HealthStub(opened)
        self._requests: list[transaction_execution_service_pb2.ExecuteTransactionRequest] = []

    async def prepare(self, count: int) -> None:
        """Signs so many transactions; each is sent once."""
        key = SuiKey.generate()
        while len(self._requests) < count:
            await request_sui(self._running.faucet, key.address)
            (coin,) = (await self._coins(key.address, 1)).objects
            portions = tuple(Input(0) for _ in range(200))
            commands = (
                SplitCoins(GAS_COIN, portions),
                TransferObjects(tuple(NestedResult(0, i) for i in range(200)), Input(1)),
            )
            other = SuiKey.generate()
            pure = (Pure((10**9).to_bytes(8, "little")), Pure(bytes.fromhex(other.address[2:])))
            gas = GasData((_ref(coin),), key.address, 1000, 5 * 10**9)
            await self._send(_request(TransactionData(ProgrammableTransaction(pure, commands), key.address, gas), key))
            for made in (await self._coins(other.address, 200)).objects:
                self._requests.append(_request(_transfer(other.address, made), other))

    async def _coins(self, owner: SuiAddress, size: int) -> state_service_pb2.ListOwnedObjectsResponse:
        request = state_service_pb2.ListOwnedObjectsRequest(owner=owner, object_type=GAS_COIN_TYPE, page_size=size)
        request.read_mask.paths.extend(["object_id", "version", "digest"])
        return await self._state.ListOwnedObjects(request)

    async def _send(self, request: transaction_execution_service_pb2.ExecuteTransactionRequest) -> None:
        answer = await self._execution.ExecuteTransaction(request)
        assert answer.transaction.effects.status.success

    async def transact(self) -> None:
        """Sends the next one."""
        await self._send(self._requests.pop())

    async def nothing(self) -> None:
        """The emptiest call that the server has."""
        await self._health.Check(health_pb2.HealthCheckRequest())


def _ref(coin: object_pb2.Object) -> ObjectRef:
    return ObjectRef(ObjectId(coin.object_id), coin.version, Digest(coin.digest))


def _transfer(owner: SuiAddress, coin: object_pb2.Object) -> TransactionData:
    recipient = Pure(bytes.fromhex(owner[2:]))
    commands = (SplitCoins(GAS_COIN, (Input(0),)), TransferObjects((NestedResult(0, 0),), Input(1)))
    gas = GasData((_ref(coin),), owner, 1000, 50_000_000)
    return TransactionData(ProgrammableTransaction((Pure((7).to_bytes(8, "little")), recipient), commands), owner, gas)


def _request(transaction: TransactionData, key: SuiKey) -> transaction_execution_service_pb2.ExecuteTransactionRequest:
    tx_bytes = transaction.to_bcs()
    request = transaction_execution_service_pb2.ExecuteTransactionRequest()
    request.transaction.bcs.value = tx_bytes
    request.signatures.add().bcs.value = key.sign_transaction(tx_bytes)
    request.read_mask.paths.append("effects.status")
    return request
