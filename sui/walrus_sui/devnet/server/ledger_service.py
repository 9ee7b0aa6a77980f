"""LedgerService: objects, transactions, checkpoints, the epoch, and who answers."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from walrus_proto.sui.rpc.v2 import (
    checkpoint_pb2,
    effects_pb2,
    epoch_pb2,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    object_pb2,
)
from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.ledger import transactions as limits
from walrus_sui.devnet.ledger.records import Checkpoint, Executed
from walrus_sui.devnet.server import calls, faults, masks, resolve
from walrus_sui.devnet.server.faults import Fault
from walrus_sui.devnet.server.masks import Mask
from walrus_sui.devnet.server.render import checkpoints, effects, objects
from walrus_sui.devnet.server.render.values import json_value, timestamp

MAX_BATCH: Final = 1000
CHAIN_NAME: Final = "walrus-devnet"
_OBJECT_MASK: Final = "object_id,version,digest"

_PROTOCOL_LIMITS: Final = {
    "max_arguments": limits.MAX_ARGUMENTS,
    "max_gas_payment_objects": limits.MAX_GAS_OBJECTS,
    "max_input_objects": limits.MAX_INPUTS,
    "max_num_event_emit": 1024,
    "max_programmable_tx_commands": limits.MAX_COMMANDS,
    "max_pure_argument_size": limits.MAX_PURE_SIZE,
    "max_tx_gas": 50_000_000_000,
    "max_tx_size_bytes": limits.MAX_TRANSACTION_SIZE,
    "max_type_argument_depth": 16,
    "max_type_arguments": limits.MAX_TYPE_ARGUMENTS,
}


class LedgerService(ledger_service_pb2_grpc.LedgerServiceServicer):
    """Answers from one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        try:
            self._version = f"walrus-devnet/{version('walrus-on-kubernetes')}"
        except PackageNotFoundError:
            self._version = "walrus-devnet/unknown"

    @calls.read
    def GetServiceInfo(
        self,
        request: ledger_service_pb2.GetServiceInfoRequest,  # noqa: ARG002  (it has no fields)
    ) -> ledger_service_pb2.GetServiceInfoResponse:
        """Chain id, head and version."""
        head = self.engine.reads.ledger.head
        return ledger_service_pb2.GetServiceInfoResponse(
            chain_id=self.engine.reads.ledger.chain_id,
            chain=CHAIN_NAME,
            epoch=head.epoch,
            checkpoint_height=head.sequence,
            timestamp=timestamp(head.timestamp_ms),
            lowest_available_checkpoint=self.engine.floors.checkpoints,
            lowest_available_checkpoint_objects=self.engine.floors.objects,
            server=self._version,
        )

    @calls.read
    def GetObject(self, request: ledger_service_pb2.GetObjectRequest) -> ledger_service_pb2.GetObjectResponse:
        """One object, the live version or a past one."""
        mask = masks.of(request, object_pb2.Object.DESCRIPTOR, default=_OBJECT_MASK)
        return ledger_service_pb2.GetObjectResponse(object=self._object(request, mask))

    @calls.read
    def BatchGetObjects(
        self, request: ledger_service_pb2.BatchGetObjectsRequest
    ) -> ledger_service_pb2.BatchGetObjectsResponse:
        """Many objects; what cannot be given is an error in its place. The batch's mask goes for all."""
        _check_batch("requests", len(request.requests))
        mask = masks.of(request, object_pb2.Object.DESCRIPTOR, default=_OBJECT_MASK)
        for index, item in enumerate(request.requests):
            if not item.object_id:
                raise faults.missing(f"requests[{index}].object_id")
            resolve.address(f"requests[{index}].object_id", item.object_id)
        answer = ledger_service_pb2.BatchGetObjectsResponse()
        for item in request.requests:
            try:
                answer.objects.add(object=self._object(item, mask))
            except Fault as fault:
                answer.objects.add(error=fault.status())
        return answer

    @calls.read
    def GetTransaction(
        self, request: ledger_service_pb2.GetTransactionRequest
    ) -> ledger_service_pb2.GetTransactionResponse:
        """One transaction with its outcome."""
        mask = masks.of(request, effects_pb2.ExecutedTransaction.DESCRIPTOR, default="digest")
        if not request.digest:
            raise faults.missing("digest")
        return ledger_service_pb2.GetTransactionResponse(transaction=self._transaction(request.digest, mask))

    @calls.read
    def BatchGetTransactions(
        self, request: ledger_service_pb2.BatchGetTransactionsRequest
    ) -> ledger_service_pb2.BatchGetTransactionsResponse:
        """Many transactions; what cannot be given is an error in its place."""
        _check_batch("digests", len(request.digests))
        mask = masks.of(request, effects_pb2.ExecutedTransaction.DESCRIPTOR, default="digest")
        answer = ledger_service_pb2.BatchGetTransactionsResponse()
        for digest in request.digests:
            try:
                answer.transactions.add(transaction=self._transaction(digest, mask))
            except Fault as fault:
                answer.transactions.add(error=fault.status())
        return answer

    @calls.read
    def GetCheckpoint(
        self, request: ledger_service_pb2.GetCheckpointRequest
    ) -> ledger_service_pb2.GetCheckpointResponse:
        """A checkpoint by number, by digest, or the newest."""
        mask = masks.of(request, checkpoint_pb2.Checkpoint.DESCRIPTOR, default="sequence_number,digest")
        found = self._checkpoint(request)
        executed: tuple[Executed, ...] = ()
        if mask.has("transactions", "objects"):
            executed = self.engine.reads.transactions(found)
            if mask.has("objects") or effects.needs_objects(mask.sub("transactions")):
                executed = tuple(map(self.engine.reads.with_objects, executed))
        shown = checkpoints.checkpoint(found, executed, self.engine.reads.ledger.as_json, mask)
        return ledger_service_pb2.GetCheckpointResponse(checkpoint=shown)

    @calls.read
    def GetEpoch(self, request: ledger_service_pb2.GetEpochRequest) -> ledger_service_pb2.GetEpochResponse:
        """The Sui epoch; a devnet stays in its first."""
        mask = masks.of(request, epoch_pb2.Epoch.DESCRIPTOR, default="epoch")
        info = self.engine.reads.ledger.epoch_info()
        if request.HasField("epoch") and request.epoch != info.epoch:
            raise faults.not_found(f"Epoch {request.epoch} not found")
        epoch = epoch_pb2.Epoch(
            epoch=info.epoch,
            committee=epoch_pb2.ValidatorCommittee(epoch=info.epoch),
            first_checkpoint=0,
            start=timestamp(info.start_ms),
            reference_gas_price=info.reference_gas_price,
        )
        if mask.has("protocol_config"):
            epoch.protocol_config.protocol_version = info.protocol_version
            for name, value in _PROTOCOL_LIMITS.items():
                epoch.protocol_config.attributes[name] = str(value)
                epoch.protocol_config.configs[name].CopyFrom(json_value(str(value)))
        if mask.has("system_state"):
            epoch.system_state.CopyFrom(
                epoch_pb2.SystemState(
                    version=2,
                    epoch=info.epoch,
                    protocol_version=info.protocol_version,
                    validators=epoch_pb2.ValidatorSet(total_stake=0),
                    reference_gas_price=info.reference_gas_price,
                    safe_mode=False,
                    epoch_start_timestamp_ms=info.start_ms,
                )
            )
        return ledger_service_pb2.GetEpochResponse(epoch=mask.prune(epoch))

    def _object(self, request: ledger_service_pb2.GetObjectRequest, mask: Mask) -> object_pb2.Object:
        object_id = resolve.required_address(request, "object_id")
        wanted = request.version if request.HasField("version") else None
        found = self.engine.reads.object(object_id, wanted)
        if found is None:
            version_text = "" if wanted is None else f" with version {wanted}"
            raise faults.not_found(f"Object {object_id}{version_text} not found")
        return objects.obj(found, self.engine.reads.ledger.as_json, mask)

    def _transaction(self, text: str, mask: Mask) -> effects_pb2.ExecutedTransaction:
        digest = resolve.digest("digest", text)
        found = self.engine.reads.find(digest)
        if found is None:
            raise faults.not_found(f"Transaction {digest} not found")
        position, executed = found
        if effects.needs_objects(mask):
            executed = self.engine.reads.with_objects(executed)
        return effects.executed(executed, self.engine.reads.ledger.as_json, mask, position=position)

    def _checkpoint(self, request: ledger_service_pb2.GetCheckpointRequest) -> Checkpoint:
        which = request.WhichOneof("checkpoint_id")
        if which is None:
            return self.engine.reads.ledger.head
        key: Any = request.sequence_number if which == "sequence_number" else resolve.digest("digest", request.digest)
        found = self.engine.reads.checkpoint(key)
        if found is None:
            raise faults.not_found(f"Checkpoint {key} not found")
        return found


def _check_batch(field: str, count: int) -> None:
    if count > MAX_BATCH:
        raise faults.invalid(field, f"{count} items in one batch, at most {MAX_BATCH} are allowed")
