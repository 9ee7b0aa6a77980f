"""What the project relies on in the pinned pysui, and what it works around.

The tests named `broken` hold as long as a defect is there. When one fails, pysui has mended it: look whether the
detour that the test names can go.
"""

import asyncio
import base64
import inspect
import logging
import ssl
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest
from grpclib.client import Channel
from pysui import GroupProtocol, GrpcProtocolClient, NetworkType, PysuiConfiguration
from pysui.sui.sui_bcs import bcs as pbcs
from pysui.sui.sui_common.config.confgroup import Profile, ProfileGroup
from pysui.sui.sui_common.config.confmodel import PysuiConfigModel
from pysui.sui.sui_grpc import pgrpc_requests as requests

from walrus_codec import bcs
from walrus_proto.sui.rpc.v2 import (
    ledger_service_pb2,
    move_package_service_pb2,
    object_pb2,
    transaction_execution_service_pb2,
)
from walrus_sui.abi import move_types
from walrus_sui.client.transport import Transport
from walrus_sui.keys import SuiKey

KEY = SuiKey(bytes(range(32)))
STAKING = "0x" + "57" * 32
STAKING_TYPE = f"{STAKING}::staking::Staking"
TX_CONTEXT = "0x" + "2".rjust(64, "0") + "::tx_context::TxContext"
Body = object_pb2.OpenSignatureBody


def scalar(kind: str) -> Body:
    return Body(type=Body.Type.Value(kind))


def datatype(name: str, *inner: Body) -> Body:
    return Body(type=Body.DATATYPE, type_name=name, type_parameter_instantiation=inner)


def option(inner: Body) -> Body:
    return datatype("0x" + "1".rjust(64, "0") + "::option::Option", inner)


class Node:
    """A full node that knows one shared object and the functions that a test declares."""

    def __init__(self):
        self.functions = {}
        self.seen = {}

    def declare(self, name, *parameters):
        self.functions[name] = [
            object_pb2.OpenSignature(reference=reference, body=body) for reference, body in parameters
        ]

    async def GetFunction(self, request, context):
        parameters = [*self.functions[request.name], object_pb2.OpenSignature(reference=2, body=datatype(TX_CONTEXT))]
        found = object_pb2.FunctionDescriptor(name=request.name, parameters=parameters)
        return move_package_service_pb2.GetFunctionResponse(function=found)

    async def BatchGetObjects(self, request, context):
        answer = ledger_service_pb2.BatchGetObjectsResponse()
        for wanted in request.requests:
            found = answer.objects.add().object
            found.object_id, found.version, found.object_type = wanted.object_id, 9, STAKING_TYPE
            found.digest = "11111111111111111111111111111111"
            found.owner.kind, found.owner.version = object_pb2.Owner.SHARED, 2
        return answer

    async def GetEpoch(self, request, context):
        self.seen["GetEpoch"] = list(request.read_mask.paths)
        answer = ledger_service_pb2.GetEpochResponse()
        answer.epoch.epoch, answer.epoch.reference_gas_price = 1, 1000
        return answer

    async def SimulateTransaction(self, request, context):
        self.seen["SimulateTransaction"] = request
        answer = transaction_execution_service_pb2.SimulateTransactionResponse()
        answer.transaction.effects.status.success = True
        answer.transaction.effects.gas_used.computation_cost = 5
        answer.transaction.effects.gas_used.storage_cost = 7
        answer.transaction.effects.gas_used.storage_rebate = 3
        answer.command_outputs.add().return_values.add().value.value = b"\7"
        return answer

    async def ExecuteTransaction(self, request, context):
        self.seen["ExecuteTransaction"] = request
        answer = transaction_execution_service_pb2.ExecuteTransactionResponse()
        answer.transaction.digest = "d"
        answer.transaction.effects.status.success = True
        return answer


def configuration(url):
    profile = Profile("node", url, None, None, NetworkType.LOCAL)
    group = ProfileGroup("walrus", "node", "", [], [], [], [profile], GroupProtocol.GRPC)
    config = PysuiConfiguration.__new__(PysuiConfiguration)
    config._model = PysuiConfigModel(version="1.2.0", sui_binary="", group_active="walrus", groups=[group])
    config._config_root = Path("/nonexistent")
    config._config_file = config._config_root / "PysuiConfig.json"
    key = base64.b64encode(b"\0" + bytes(range(32))).decode()
    (address,) = config.add_keys(key_block=[{"key_string": key, "alias": "key0"}], in_group="walrus", persist=False)
    config.make_active(group_name="walrus", profile_name="node", address=address, persist=False)
    assert address == KEY.address
    return config


class PlainClient(GrpcProtocolClient):
    def __init__(self, port):
        super().__init__(pysui_config=configuration(f"http://127.0.0.1:{port}"))
        self._channel.close()
        self._channel = Channel(host="127.0.0.1", port=port, ssl=None)


@asynccontextmanager
async def serving(node):
    server = grpc.aio.server()
    services = {
        "MovePackageService": (move_package_service_pb2, ["GetFunction"]),
        "LedgerService": (ledger_service_pb2, ["BatchGetObjects", "GetEpoch"]),
        "TransactionExecutionService": (
            transaction_execution_service_pb2,
            ["SimulateTransaction", "ExecuteTransaction"],
        ),
    }
    for service, (messages, methods) in services.items():
        handlers = {
            method: grpc.unary_unary_rpc_method_handler(
                getattr(node, method),
                request_deserializer=getattr(messages, f"{method}Request").FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
            for method in methods
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"sui.rpc.v2.{service}", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


@pytest.fixture
def node():
    return Node()


@pytest.fixture
async def pysui(node):
    logging.getLogger("pgrpc_client").setLevel(logging.CRITICAL)
    async with serving(node) as port:
        client = PlainClient(port)
        yield client
        transport = getattr(getattr(client._channel._protocol, "connection", None), "_transport", None)
        client._channel.close()
        if transport is not None:
            transport.abort()
        await asyncio.sleep(0)  # the socket's last callback


async def inputs_of(pysui, *calls):
    """The inputs of a program that pysui builds: BCS of pure values, mutability of shared objects."""
    transaction = await pysui.transaction()
    for name, arguments in calls:
        await transaction.move_call(target=f"{STAKING}::t::{name}", arguments=arguments)
    kind = (await transaction.raw_kind()).value
    return [bytes(item.value) if item.enum_name == "Pure" else bool(item.value.value.Mutable) for item in kind.Inputs]


# -- what a configuration in memory and a channel of our own rely on


def test_a_configuration_needs_no_file_and_no_home(monkeypatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    config = configuration("http://127.0.0.1:9000")
    assert config.active_address == KEY.address
    assert config.url == "http://127.0.0.1:9000"


def test_keys_stay_in_memory_when_told_so() -> None:
    parameters = inspect.signature(PysuiConfiguration.add_keys).parameters
    assert parameters["persist"].default is True  # so every call must say False
    assert not Path("/nonexistent").exists()


async def test_broken_the_channel_is_always_tls() -> None:
    """Detour: `Transport._connect` brings its own channel."""
    client = GrpcProtocolClient(pysui_config=configuration("http://127.0.0.1:9000"))
    assert isinstance(client._channel._ssl, ssl.SSLContext)
    client._channel.close()


def test_broken_requests_have_no_default_timeout() -> None:
    """Detour: `Transport._unary` bounds every call."""
    assert inspect.signature(GrpcProtocolClient.execute).parameters["timeout"].default is None


# -- what travels


async def test_execution_sends_the_bytes_as_they_are(node) -> None:
    async with serving(node) as port:
        transport = Transport(f"http://127.0.0.1:{port}")
        executed = await transport.execute(b"data", b"signature")
        await transport.close()
    request = node.seen["ExecuteTransaction"]
    assert request.transaction.bcs.value == b"data"
    assert [item.bcs.value for item in request.signatures] == [b"signature"]
    assert "effects.status" in request.read_mask.paths
    assert executed.digest == "d"


async def test_simulation_asks_for_no_gas_coins_and_returns_values(node) -> None:
    async with serving(node) as port:
        transport = Transport(f"http://127.0.0.1:{port}")
        simulated = await transport.simulate(b"data")
        await transport.close()
    request = node.seen["SimulateTransaction"]
    assert request.transaction.bcs.value == b"data"
    assert not request.do_gas_selection
    assert request.checks == transaction_execution_service_pb2.SimulateTransactionRequest.TransactionChecks.DISABLED
    assert (simulated.failure, simulated.gas_used, simulated.returned) == (None, 12, ((b"\7",),))


async def test_the_gas_price_is_asked_for_by_itself(node) -> None:
    async with serving(node) as port:
        transport = Transport(f"http://127.0.0.1:{port}")
        assert await transport.gas_price() == 1000
        await transport.close()
    assert node.seen["GetEpoch"] == ["epoch", "reference_gas_price"]


def test_more_objects_than_a_batch_are_refused_by_pysui() -> None:
    requests.GetMultipleObjects(object_ids=[STAKING] * 50)
    with pytest.raises(ValueError, match="50"):
        requests.GetMultipleObjects(object_ids=[STAKING] * 51)


# -- pysui's own argument encoding, which the project does not use (`abi.ptb` encodes all)


async def test_plain_values_are_right(node, pysui) -> None:
    node.declare("plain", (0, scalar("U64")), (0, scalar("BOOL")), (0, scalar("ADDRESS")))
    assert await inputs_of(pysui, ("plain", [7, True, STAKING])) == [bcs.u64(7), b"\1", b"\x57" * 32]


async def test_broken_some_of_an_option_is_encoded_as_none(node, pysui) -> None:
    node.declare("some", (0, option(scalar("U64"))))
    assert await inputs_of(pysui, ("some", [7])) == [b"\0"]


async def test_broken_a_shared_object_read_first_stays_immutable(node, pysui) -> None:
    node.declare("reads", (1, datatype(STAKING_TYPE)))
    node.declare("writes", (2, datatype(STAKING_TYPE)))
    assert await inputs_of(pysui, ("writes", [STAKING])) == [True]
    assert await inputs_of(pysui, ("reads", [STAKING]), ("writes", [STAKING])) == [False]


async def test_broken_a_shared_object_by_value_is_immutable(node, pysui) -> None:
    node.declare("takes", (0, datatype(STAKING_TYPE)))
    assert await inputs_of(pysui, ("takes", [STAKING])) == [False]


@pytest.mark.parametrize("text", ["vector<u8>", "vector<0x2::sui::SUI>", "0x2::a::A<vector<u8>>"])
def test_broken_vectors_in_type_arguments(text: str) -> None:
    try:
        theirs = bytes(pbcs.TypeTag.type_tag_from(text).serialize())
    except Exception as error:
        theirs = repr(error).encode()
    assert theirs != move_types.type_tag(text)


@pytest.mark.parametrize("text", ["0x2::sui::SUI", "0x2::coin::Coin<0x2::sui::SUI>", "u64", "bool"])
def test_plain_type_arguments_are_right(text: str) -> None:
    assert bytes(pbcs.TypeTag.type_tag_from(text).serialize()) == move_types.type_tag(text)


async def test_broken_an_ascii_string_is_taken_for_an_object(node, pysui) -> None:
    node.declare("ascii", (0, datatype("0x" + "1".rjust(64, "0") + "::ascii::String")))
    assert await inputs_of(pysui, ("ascii", ["abc"])) == [False]  # an object's mutability, where bytes should be
