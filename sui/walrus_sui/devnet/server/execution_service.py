"""TransactionExecutionService: execution of signed transactions, simulation of any."""

from typing import Final

from walrus_codec.types import ObjectId
from walrus_proto.sui.rpc.v2 import (
    effects_pb2,
    object_pb2,
    transaction_execution_service_pb2,
    transaction_execution_service_pb2_grpc,
)
from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.ledger.records import FunctionSignature, Object, TypedValue
from walrus_sui.devnet.server import calls, faults, masks, resolve
from walrus_sui.devnet.server.render import effects, transactions
from walrus_sui.devnet.server.render.values import json_value

MAX_SIGNATURES: Final = 2
_Checks = transaction_execution_service_pb2.SimulateTransactionRequest


class _LiveReads:
    """What `resolve` needs, from an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def object(self, object_id: ObjectId) -> Object | None:
        return self._engine.live.object(object_id)

    def function(self, package: ObjectId, module: str, name: str) -> FunctionSignature | None:
        return self._engine.ledger.function(package, module, name)

    @property
    def gas_price(self) -> int:
        return self._engine.ledger.epoch_info().reference_gas_price


class TransactionExecutionService(transaction_execution_service_pb2_grpc.TransactionExecutionServiceServicer):
    """Executes on one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reads = _LiveReads(engine)

    @calls.unary
    async def ExecuteTransaction(
        self, request: transaction_execution_service_pb2.ExecuteTransactionRequest
    ) -> transaction_execution_service_pb2.ExecuteTransactionResponse:
        """Runs a signed transaction; the answer has no checkpoint unless the transaction had run before."""
        mask = masks.of(request, effects_pb2.ExecutedTransaction.DESCRIPTOR, default="effects")
        if not request.HasField("transaction"):
            raise faults.missing("transaction")
        if not 1 <= len(request.signatures) <= MAX_SIGNATURES:
            raise faults.invalid("signatures", f"{len(request.signatures)} signatures, one or two are needed")
        signatures = tuple(resolve.signature(item, index) for index, item in enumerate(request.signatures))
        tx_bytes = resolve.transaction_bytes(request.transaction, self._reads)
        executed = await self.engine.execute(tx_bytes, signatures)
        if effects.needs_objects(mask):
            executed = self.engine.live.with_objects(executed)
        shown = effects.executed(executed, self.engine.ledger.as_json, mask)
        return transaction_execution_service_pb2.ExecuteTransactionResponse(transaction=shown)

    @calls.read
    def SimulateTransaction(
        self, request: transaction_execution_service_pb2.SimulateTransactionRequest
    ) -> transaction_execution_service_pb2.SimulateTransactionResponse:
        """Runs a transaction without effect; chooses budget and coins when asked to and they are not given."""
        mask = masks.of(request, transaction_execution_service_pb2.SimulateTransactionResponse.DESCRIPTOR, default="*")
        if not request.HasField("transaction"):
            raise faults.missing("transaction")
        checks = request.checks == _Checks.ENABLED
        simulated = self.engine.ledger.simulate(
            resolve.transaction(request.transaction, self._reads),
            do_gas_selection=request.do_gas_selection and checks,
            checks=checks,
        )
        as_json = self.engine.ledger.as_json
        answer = transaction_execution_service_pb2.SimulateTransactionResponse(
            suggested_gas_price=self._reads.gas_price
        )
        if mask.has("transaction"):
            answer.transaction.CopyFrom(effects.executed(simulated.executed, as_json, mask.sub("transaction")))
        if mask.has("command_outputs"):
            for output in simulated.outputs:
                result = answer.command_outputs.add()
                result.return_values.extend(self._output(value) for value in output.return_values)
                for argument, value in output.mutated_by_ref:
                    message = self._output(value)
                    message.argument.CopyFrom(transactions.argument(argument))
                    result.mutated_by_ref.append(message)
        return mask.prune(answer)

    def _output(self, value: TypedValue) -> transaction_execution_service_pb2.CommandOutput:
        message = transaction_execution_service_pb2.CommandOutput(
            value=object_pb2.Bcs(name=value.type, value=value.bcs)
        )
        if (rendered := self.engine.ledger.as_json(value.type, value.bcs)) is not None:
            message.json.CopyFrom(json_value(rendered))
        return message
