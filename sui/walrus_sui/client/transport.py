"""gRPC calls to a Sui full node through pysui, and one tree of errors.

Life of a call: typed arguments become a pysui request, `GrpcProtocolClient` sends it over our own channel, the answer
becomes a plain value of `wire`. pysui reports failures in three ways (a result that is not ok, an exception, an
exception while a stream is read); all of them leave here as `walrus_sui.errors.ChainError`.

What pysui does not offer is done here: time-outs, and (in `connection`) a configuration in memory and a channel without TLS
or with a private root.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any, NoReturn
from urllib.parse import urlsplit

import grpclib.client
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from h2.exceptions import H2Error

from walrus_codec.types import Digest, ObjectId
from walrus_sui.abi import move_types
from walrus_sui.client import wire
from walrus_sui.client.connection import apart, configuration_in_memory, drop, next_or_none, tls_context
from walrus_sui.client.from_pysui import checkpoint_from, executed_from, object_from, service_info_from, simulated_from
from walrus_sui.client.pysui_library import GrpcProtocolClient, requests
from walrus_sui.errors import (
    ChainError,
    ChainTimeout,
    ChainUnreachable,
    MalformedChainData,
    NetworkConfigError,
    ObjectNotFound,
    RequestRefused,
)
from walrus_sui.telemetry import http_trace_headers

BATCH = 50
"""Objects per BatchGetObjects; pysui refuses more."""

_PAGE = 200
_OBJECT_MASK = ["object_id", "version", "digest", "owner", "object_type", "contents"]
_HISTORY_MASK = [*_OBJECT_MASK, "previous_transaction"]
_EXECUTED_MASK = [
    "digest",
    "effects.status",
    "effects.transaction_digest",
    "effects.gas_used",
    "effects.gas_object",
    "effects.changed_objects",
    "events",
    "checkpoint",
    "objects.objects.object_id",
    "objects.objects.version",
    "objects.objects.digest",
    "objects.objects.owner",
    "objects.objects.object_type",
    "objects.objects.contents",
]
_SIMULATED_MASK = ["transaction.effects.status", "transaction.effects.gas_used", "command_outputs"]
_CHECKPOINT_MASK = [
    "sequence_number",
    "digest",
    "summary.timestamp",
    "transactions.digest",
    "transactions.events",
    "transactions.effects.status",
]
_UNREACHABLE = {
    Status.UNAVAILABLE,
    Status.RESOURCE_EXHAUSTED,
    Status.ABORTED,
    Status.CANCELLED,
    Status.UNKNOWN,
    Status.INTERNAL,
    Status.DATA_LOSS,
}

# pysui logs a traceback at ERROR, on a logger outside its own name, for every answer that is an error.
logging.getLogger("pgrpc_client").setLevel(logging.CRITICAL)


class Transport:
    """A connection to one full node. Build it inside the running loop; calls may overlap.

    Args:
        rpc_url: "http://host:port" (h2c) or "https://host:port".
        ca_pem: the only root to trust with https; None means the system's.
        timeout: seconds for each call.
    """

    def __init__(self, rpc_url: str, *, ca_pem: str | None = None, timeout: float = 10.0) -> None:
        parts = urlsplit(rpc_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise NetworkConfigError(f'rpc_url is "http://host:port" or "https://host:port", not {rpc_url!r}')
        self._url = rpc_url
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = tls_context(ca_pem) if parts.scheme == "https" else None
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._last_answer = self._loop.time()
        self._client = GrpcProtocolClient(pysui_config=configuration_in_memory(self._host, self._port))
        self._connect()

    async def close(self) -> None:
        """Close the connection; calls in flight fail."""
        drop(self._client._channel)  # noqa: SLF001  (pysui offers no way to bring one's own channel)
        await asyncio.sleep(0)  # lets the socket close before the loop may end

    async def service_info(self) -> wire.ServiceInfo:
        """Ask the endpoint who it is and how far it is."""
        return service_info_from(await self._unary(requests.GetServiceInfo(), "service information"))

    async def gas_price(self) -> int:
        """Return the reference gas price of the current Sui epoch, in MIST per unit."""
        request = requests.GetEpoch(field_mask=["epoch", "reference_gas_price"])
        answer = await self._unary(request, "epoch")
        if answer.epoch is None or answer.epoch.reference_gas_price is None:
            raise MalformedChainData("the chain's answer lacks the reference gas price")
        return int(answer.epoch.reference_gas_price)

    async def objects(self, object_ids: Iterable[ObjectId]) -> dict[ObjectId, wire.RawObject]:
        """Read current versions of objects; those that do not exist are left out."""
        wanted = list(dict.fromkeys(object_ids))
        batches = [wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)]
        found: dict[ObjectId, wire.RawObject] = {}
        for objects in await asyncio.gather(*(self._batch(batch) for batch in batches)):
            found.update((item.ref.object_id, item) for item in objects)
        return found

    async def object(self, object_id: ObjectId) -> wire.RawObject:
        """Read the current version of one object.

        Raises:
            ObjectNotFound: there is none (any more, or yet).
        """
        found = await self.objects([object_id])
        if object_id not in found:
            raise ObjectNotFound(f"object {object_id} does not exist on {self._url}")
        return found[object_id]

    async def version(self, object_id: ObjectId, version: int | None = None) -> wire.RawObject | None:
        """Read a past version of an object, the current one when none is named, with the transaction that wrote it.

        Returns:
            None when the endpoint does not have it (any more).
        """
        request = (
            requests.GetObject(object_id=object_id, field_mask=_HISTORY_MASK)
            if version is None
            else requests.GetPastObject(object_id=object_id, version=version, field_mask=_HISTORY_MASK)
        )
        try:
            answer = await self._unary(request, f"object {object_id}")
        except ObjectNotFound:
            return None
        return object_from(answer.object) if answer.object is not None else None

    async def owned(self, owner: str, object_type: str) -> list[wire.RawObject]:
        """List the objects of one type that an address owns, with contents."""
        found: list[wire.RawObject] = []
        token: bytes | None = None
        while True:
            request = requests.GetObjectsOwnedByAddress(
                owner=owner, object_type=object_type, field_mask=_OBJECT_MASK, page_size=_PAGE, page_token=token
            )
            answer = await self._unary(request, f"objects of {owner}")
            found.extend(object_from(item) for item in answer.objects)
            token = answer.next_page_token
            if not token:
                return found

    async def balance(self, owner: str, coin_type: str) -> int:
        """Return the sum of an address's coins of one token."""
        request = requests.GetAddressCoinBalance(owner=owner, coin_type=coin_type)
        answer = await self._unary(request, f"balance of {owner}")
        return int(answer.balance.balance or 0) if answer.balance is not None else 0

    async def dynamic_fields(self, parent: ObjectId) -> list[ObjectId]:
        """List the ids of the objects that hold a parent's dynamic fields."""
        found: list[ObjectId] = []
        token: bytes | None = None
        while True:
            request = requests.GetDynamicFields(parent, _PAGE, token, field_mask=["parent", "field_id"])
            answer = await self._unary(request, f"fields of {parent}")
            found.extend(ObjectId(item.field_id) for item in answer.dynamic_fields if item.field_id)
            token = answer.next_page_token
            if not token:
                return found

    async def type_origins(self, package: ObjectId) -> dict[str, ObjectId]:
        """Return the version of a package that first defined each of its types, by "module::Name"."""
        answer = await self._unary(requests.GetPackage(package=package), f"package {package}")
        origins = answer.package.type_origins if answer.package is not None else []
        return {
            f"{item.module_name}::{item.datatype_name}": move_types.object_id(move_types.address_bytes(item.package_id))
            for item in origins
            if item.package_id
        }

    async def execute(self, transaction: bytes, signature: bytes) -> wire.Executed:
        """Submit a signed transaction; sending the identical bytes again returns the first result."""
        request = requests.ExecuteTransaction(tx_bytestr=transaction, sig_array=[signature], field_mask=_EXECUTED_MASK)
        answer = await self._unary(request, "transaction")
        if answer is None:
            raise MalformedChainData("the chain executed a transaction and returned nothing")
        return executed_from(answer)

    async def simulate(self, transaction: bytes) -> wire.Simulated:
        """Run a transaction without effect, and without payment: the endpoint invents a gas coin."""
        request = requests.SimulateTransaction(
            transaction=transaction, checks_enabled=False, gas_selection=False, field_mask=_SIMULATED_MASK
        )
        return simulated_from(await self._unary(request, "simulation"))

    async def transaction(self, digest: Digest) -> wire.Executed | None:
        """Look a transaction up; None when the endpoint does not know it (yet)."""
        request = requests.GetTransaction(digest=digest, field_mask=_EXECUTED_MASK)
        try:
            answer = await self._unary(request, f"transaction {digest}")
        except ObjectNotFound:
            return None
        return executed_from(answer.transaction) if answer.transaction is not None else None

    async def checkpoint(self, sequence: int | None = None) -> wire.RawCheckpoint:
        """Read a checkpoint, the latest one when `sequence` is None.

        Raises:
            ObjectNotFound: not there yet, or pruned.
        """
        request = requests.GetCheckpoint(sequence=sequence, field_mask=_CHECKPOINT_MASK)
        answer = await self._unary(request, "checkpoint" if sequence is None else f"checkpoint {sequence}")
        if answer.checkpoint is None:
            raise ObjectNotFound(f"checkpoint {sequence} does not exist on {self._url}")
        return checkpoint_from(answer.checkpoint)

    async def subscribe(self) -> AsyncGenerator[wire.RawCheckpoint]:
        """Stream checkpoints from the tip on, as they are made; ends with a `ChainError`, never silently.

        The caller bounds the wait for each frame and closes the generator.
        """
        request = requests.SubscribeCheckpoints(field_mask=_CHECKPOINT_MASK)
        try:
            result = await self._client.execute_grpc_request(request=request)
            if not result.is_ok():
                _raise_refusal(result.result_string, "subscription")
            async with aclosing(result.result_data) as frames:
                while (frame := await apart(next_or_none(frames))) is not None:
                    self._last_answer = self._loop.time()
                    if frame.checkpoint is None:
                        raise MalformedChainData("a frame of the checkpoint stream holds no checkpoint")
                    yield checkpoint_from(frame.checkpoint)
        except (GRPCError, StreamTerminatedError, ProtocolError, H2Error, OSError) as error:
            raise self._chain_error(error, "subscription") from error
        raise ChainUnreachable(f"{self._url} ended the checkpoint stream")

    async def _batch(self, object_ids: list[ObjectId]) -> list[wire.RawObject]:
        request = requests.GetMultipleObjects(object_ids=object_ids, field_mask=_OBJECT_MASK)
        answer = await self._unary(request, "objects")
        return [object_from(item.object) for item in answer.objects if item.object is not None]

    async def _unary(self, request: Any, what: str) -> Any:
        """Send one request and wait for its answer; every failure is a `ChainError`."""
        started = self._loop.time()
        try:
            async with asyncio.timeout(self._timeout):
                call = self._client.execute_grpc_request(request=request, metadata=http_trace_headers())
                result = await apart(call)
        except TimeoutError:
            self._reconnect_if_silent_since(started)
            raise ChainTimeout(f"{self._url} did not answer ({what}) within {self._timeout} s") from None
        except (GRPCError, StreamTerminatedError, ProtocolError, H2Error, OSError) as error:
            raise self._chain_error(error, what) from error
        self._last_answer = self._loop.time()
        if not result.is_ok():
            _raise_refusal(result.result_string, what)
        return result.result_data

    def _chain_error(self, error: Exception, what: str) -> ChainError:
        if isinstance(error, GRPCError):
            return _error_of_status(error.status, error.message or "", what)
        return ChainUnreachable(f"{self._url} cannot be reached ({what}): {str(error) or type(error).__name__}")

    def _connect(self) -> None:
        drop(self._client._channel)  # noqa: SLF001
        self._client._channel = grpclib.client.Channel(host=self._host, port=self._port, ssl=self._tls)  # noqa: SLF001

    def _reconnect_if_silent_since(self, moment: float) -> None:
        """Drop a connection that has been mute for a whole call: the peer may be gone without a word."""
        if self._last_answer <= moment:
            self._connect()
            self._last_answer = self._loop.time()  # calls that wait on the old connection must not drop the new one


def _raise_refusal(reason: Any, what: str) -> NoReturn:
    """Raise the error for a pysui result that is not ok: (status, message, details), or arguments of an exception."""
    if isinstance(reason, tuple) and reason and isinstance(reason[0], Status):
        raise _error_of_status(reason[0], str(reason[1] or "") if len(reason) > 1 else "", what)
    if isinstance(reason, tuple) and any("SSL" in str(part) or "certificate" in str(part) for part in reason):
        raise ChainUnreachable(f"TLS with the chain's endpoint failed ({what}): {reason}")
    raise MalformedChainData(f"the chain's answer ({what}) cannot be read: {reason}")


def _error_of_status(status: Status, message: str, what: str) -> ChainError:
    text = f"{what}: {status.name}: {message}"
    if status is Status.NOT_FOUND:
        return ObjectNotFound(text)
    if status is Status.DEADLINE_EXCEEDED:
        return ChainTimeout(text)
    if status in _UNREACHABLE:
        return ChainUnreachable(text)
    return RequestRefused(text)
