"""A real devnet process with real sockets, and the smallest client that can use it."""

import asyncio
import json
import resource
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest
import yaml
from google.protobuf.field_mask_pb2 import FieldMask

from walrus_codec import bcs
from walrus_proto.sui.rpc.v2 import (
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    move_package_service_pb2_grpc,
    object_pb2,
    state_service_pb2,
    state_service_pb2_grpc,
    subscription_service_pb2_grpc,
    transaction_execution_service_pb2,
    transaction_execution_service_pb2_grpc,
)
from walrus_sui.devnet.ledger.records import (
    GAS_COIN,
    GAS_COIN_TYPE,
    GasData,
    Input,
    MoveCall,
    NestedResult,
    ObjectRef,
    OwnedObject,
    ProgrammableTransaction,
    Pure,
    Result,
    SharedObject,
    SplitCoins,
    TransactionData,
    TransferObjects,
)
from walrus_sui.keys import SuiKey

START_SECONDS = 60
GENESIS = {
    "seed": "integration",
    "n_shards": 10,
    "encoding": "rs2",
    "epoch_duration": "30s",
    "epoch_zero_duration": "1s",
    "checkpoint_interval_ms": 50,
    "telemetry": {"log_format": "text"},
}
GAS_BUDGET = 100_000_000


class DevnetProcess:
    """`walrus-devnet run` on free ports; may be killed and started again on the same data."""

    def __init__(self, folder: Path, **config):
        self.folder, self.data = folder, folder / "data"
        self.config = folder / "devnet.yaml"
        self.config.write_text(yaml.safe_dump(GENESIS | config))
        self.log = folder / "devnet.log"
        self.process = None
        self.endpoints = {}

    def spawn(self, *arguments):
        ports = [f"--{name}-port=0" for name in ("rpc", "tls", "faucet", "metrics")]
        command = [sys.executable, "-m", "walrus_sui.devnet.main", "run", f"--config={self.config}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, f"--data={self.data}", "--listen-host=127.0.0.1", *ports, *arguments],
                stdout=log,
                stderr=log,
            )
        return self.process

    def start(self, *arguments):
        self.spawn(*arguments)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if self._is_ready():
                return self
            time.sleep(0.02)
        raise AssertionError(f"the devnet did not start:\n{self.log.read_text()}")

    def _is_ready(self):
        try:
            self.endpoints = json.loads((self.data / "endpoints.json").read_text())
            return self.endpoints["pid"] == self.process.pid and self.http("/readyz")[0] == 200
        except (OSError, json.JSONDecodeError):
            return False

    def limit_files(self, size):
        """From now on no file may grow beyond `size` bytes: a disk that is full."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, size))

    def kill(self):
        self.process.kill()
        return self.process.wait(timeout=30)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    @property
    def rpc(self):
        return f"127.0.0.1:{self.endpoints['rpc_port']}"

    def http(self, path, *, body=None, headers=None, method=None):
        """Status and body of one request; without a method GET, or POST if there is a body."""
        url = f"http://127.0.0.1:{self.endpoints['faucet_port']}{path}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def fund(self, address):
        status, text = self.http("/v2/gas", body={"FixedAmountRequest": {"recipient": address}})
        assert status == 200, text
        return json.loads(text)["coins_sent"][0]

    @property
    def network(self):
        return json.loads(self.http("/v1/network-config")[1])

    @asynccontextmanager
    async def client(self):
        async with grpc.aio.insecure_channel(self.rpc) as channel:
            yield Client(channel)


class Client:
    """Stubs of all services on one channel, and helpers that tests share."""

    def __init__(self, channel):
        self.channel = channel
        self.ledger = ledger_service_pb2_grpc.LedgerServiceStub(channel)
        self.state = state_service_pb2_grpc.StateServiceStub(channel)
        self.packages = move_package_service_pb2_grpc.MovePackageServiceStub(channel)
        self.execution = transaction_execution_service_pb2_grpc.TransactionExecutionServiceStub(channel)
        self.subscriptions = subscription_service_pb2_grpc.SubscriptionServiceStub(channel)

    async def info(self):
        return await self.ledger.GetServiceInfo(ledger_service_pb2.GetServiceInfoRequest(), timeout=30)

    async def object(self, object_id, *paths, version=None):
        request = ledger_service_pb2.GetObjectRequest(object_id=object_id, version=version, read_mask=mask(*paths))
        return (await self.ledger.GetObject(request, timeout=30)).object

    async def transaction(self, digest, *paths):
        request = ledger_service_pb2.GetTransactionRequest(digest=digest, read_mask=mask(*paths))
        return (await self.ledger.GetTransaction(request, timeout=30)).transaction

    async def checkpoint(self, sequence, *paths):
        request = ledger_service_pb2.GetCheckpointRequest(sequence_number=sequence, read_mask=mask(*paths))
        return (await self.ledger.GetCheckpoint(request, timeout=30)).checkpoint

    async def gas_coins_page(self, owner, *, read_mask=None, **fields):
        paths = read_mask or ["object_id", "version", "digest", "balance"]
        fields = {"object_type": GAS_COIN_TYPE} | fields
        request = state_service_pb2.ListOwnedObjectsRequest(owner=owner, read_mask=mask(*paths), **fields)
        return await self.state.ListOwnedObjects(request, timeout=30)

    async def gas_coins(self, owner):
        return list((await self.gas_coins_page(owner, page_size=1000)).objects)

    async def walrus_package(self, network):
        system = await self.object(network["system_object"], "contents")
        return "0x" + system.contents.value[40:72].hex()

    async def execute(self, transaction, key, *paths):
        """Signs and runs a `TransactionData`."""
        tx_bytes = transaction.to_bcs()
        request = transaction_execution_service_pb2.ExecuteTransactionRequest(read_mask=mask(*paths))
        request.transaction.bcs.value = tx_bytes
        request.signatures.add().bcs.value = key.sign_transaction(tx_bytes)
        return (await self.execution.ExecuteTransaction(request, timeout=30)).transaction

    async def height(self, at_least):
        """Waits until the chain is this high; returns how high it is."""
        async with asyncio.timeout(60):
            while (found := (await self.info()).checkpoint_height) < at_least:  # noqa: ASYNC110  (another process)
                await asyncio.sleep(0.02)
        return found

    async def finality(self, digest):
        """Waits until the transaction is in a checkpoint; returns its number."""
        async with asyncio.timeout(30):
            while True:
                found = await self.transaction(digest, "checkpoint")
                if found.HasField("checkpoint"):
                    return found.checkpoint
                await asyncio.sleep(0.01)


def mask(*paths):
    return FieldMask(paths=paths or ["*"])


def reference(coin):
    return ObjectRef(coin.object_id, coin.version, coin.digest)


def transfer(key, coin, recipient, *, amount=1000, price=1000):
    """Splits `amount` off the coin, which also pays, and sends it."""
    inputs = (Pure(amount.to_bytes(8, "little")), Pure(bytes.fromhex(recipient[2:])))
    commands = (SplitCoins(GAS_COIN, (Input(0),)), TransferObjects((NestedResult(0, 0),), Input(1)))
    gas = GasData((reference(coin),), key.address, price, GAS_BUDGET)
    return TransactionData(ProgrammableTransaction(inputs, commands), key.address, gas)


class Program:
    """Puts a programmable transaction together."""

    def __init__(self):
        self.inputs, self.commands = [], []

    def _add(self, item):
        self.inputs.append(item)
        return Input(len(self.inputs) - 1)

    def pure(self, data):
        return self._add(Pure(data))

    def text(self, value):
        return self.pure(bcs.string(value))

    def raw(self, value):
        return self.pure(bcs.bytes_(value))

    def owned(self, obj):
        return self._add(OwnedObject(reference(obj)))

    def shared(self, obj, *, mutable=True):
        return self._add(SharedObject(obj.object_id, obj.owner.version, mutable))

    def call(self, target, *arguments):
        package, module, function = target.split("::")
        self.commands.append(MoveCall(package, module, function, (), arguments))
        return Result(len(self.commands) - 1)

    def split(self, coin, amount):
        self.commands.append(SplitCoins(coin, (self.pure(bcs.u64(amount)),)))
        return NestedResult(len(self.commands) - 1, 0)

    def send(self, recipient, *objects):
        self.commands.append(TransferObjects(objects, self.pure(bytes.fromhex(recipient[2:]))))

    def build(self, key, coin, *, budget=GAS_BUDGET):
        kind = ProgrammableTransaction(tuple(self.inputs), tuple(self.commands))
        gas = GasData((reference(coin),), key.address, 1000, budget)
        return TransactionData(kind, key.address, gas)


def own_coin(executed, address):
    """The gas coin as it is after the transaction."""
    change = executed.effects.gas_object
    assert change.output_owner == object_pb2.Owner(kind=object_pb2.Owner.ADDRESS, address=address)
    return object_pb2.Object(object_id=change.object_id, version=change.output_version, digest=change.output_digest)


@dataclass
class Tools:
    """What test modules use of this file; conftest modules cannot be imported by name."""

    process = DevnetProcess
    mask = staticmethod(mask)
    program = Program
    transfer = staticmethod(transfer)
    reference = staticmethod(reference)
    own_coin = staticmethod(own_coin)
    budget = GAS_BUDGET


@pytest.fixture(scope="session")
def tools():
    return Tools()


@pytest.fixture
def make_devnet(tmp_path):
    """Starts devnets that end with the test."""
    made = []

    def make(*arguments, **config):
        folder = tmp_path / f"devnet-{len(made)}"
        folder.mkdir()
        made.append(DevnetProcess(folder, **config))
        return made[-1].start(*arguments)

    yield make
    for devnet in made:
        if devnet.process.poll() is None:
            devnet.kill()


@pytest.fixture(scope="module")
def devnet(tmp_path_factory):
    """One devnet for all tests of a module that only need some devnet."""
    process = DevnetProcess(tmp_path_factory.mktemp("devnet")).start()
    yield process
    assert process.stop() == 0, process.log.read_text()


@pytest.fixture
async def client(devnet):
    async with devnet.client() as client:
        yield client


@pytest.fixture
def key(devnet):
    """A fresh key with a funded coin."""
    key = SuiKey.generate()
    devnet.fund(key.address)
    return key
