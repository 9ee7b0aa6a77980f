"""Transactions and signatures as messages."""

from typing import Final

from walrus_proto.sui.rpc.v2 import object_pb2, signature_pb2, transaction_pb2
from walrus_sui.devnet.ledger.records import (
    Argument,
    CallInput,
    Command,
    ConsensusCommitPrologue,
    EpochExpiration,
    Expiration,
    GasCoin,
    GenesisTransaction,
    Input,
    MakeMoveVec,
    MergeCoins,
    MoveCall,
    NestedResult,
    OwnedObject,
    ProgrammableTransaction,
    Publish,
    Pure,
    ReceivingObject,
    Result,
    SharedObject,
    SplitCoins,
    TransactionData,
    TransferObjects,
    Upgrade,
    ValidDuring,
)
from walrus_sui.devnet.server.masks import EVERYTHING, Mask
from walrus_sui.devnet.server.render.objects import reference
from walrus_sui.devnet.server.render.values import timestamp

_SIGNATURE_SIZE: Final = 64
_SIMPLE_SCHEMES: Final = (0, 1, 2)


def transaction(value: TransactionData, tx_bytes: bytes, mask: Mask = EVERYTHING) -> transaction_pb2.Transaction:
    """A transaction, with what the mask wants of it."""
    message = transaction_pb2.Transaction(
        bcs=object_pb2.Bcs(name="TransactionData", value=tx_bytes), version=1, sender=value.sender
    )
    if mask.has("digest"):
        message.digest = value.digest
    if mask.has("gas_payment"):
        message.gas_payment.CopyFrom(
            transaction_pb2.GasPayment(
                objects=[reference(coin) for coin in value.gas.payment],
                owner=value.gas.owner,
                price=value.gas.price,
                budget=value.gas.budget,
            )
        )
    if mask.has("kind"):
        message.kind.CopyFrom(_kind(value))
    message.expiration.CopyFrom(_expiration(value.expiration))
    return mask.prune(message)


def _kind(value: TransactionData) -> transaction_pb2.TransactionKind:
    kinds = transaction_pb2.TransactionKind
    match value.kind:
        case ProgrammableTransaction(inputs, commands):
            program = transaction_pb2.ProgrammableTransaction(
                inputs=[_input(item) for item in inputs], commands=[_command(item) for item in commands]
            )
            return kinds(kind=kinds.PROGRAMMABLE_TRANSACTION, programmable_transaction=program)
        case GenesisTransaction():
            # The created objects are the transaction's output objects; they are not repeated here.
            return kinds(kind=kinds.GENESIS, genesis=transaction_pb2.GenesisTransaction())
        case ConsensusCommitPrologue(epoch, round_, commit_timestamp_ms):
            prologue = transaction_pb2.ConsensusCommitPrologue(
                epoch=epoch, round=round_, commit_timestamp=timestamp(commit_timestamp_ms)
            )
            return kinds(kind=kinds.CONSENSUS_COMMIT_PROLOGUE_V1, consensus_commit_prologue=prologue)


def _input(item: CallInput) -> transaction_pb2.Input:
    inputs = transaction_pb2.Input
    match item:
        case Pure(data):
            return inputs(kind=inputs.PURE, pure=data)
        case SharedObject(object_id, initial_version, mutable):
            return inputs(
                kind=inputs.SHARED,
                object_id=object_id,
                version=initial_version,
                mutable=mutable,
                mutability=inputs.MUTABLE if mutable else inputs.IMMUTABLE,
            )
        case OwnedObject(ref) | ReceivingObject(ref):
            kind = inputs.IMMUTABLE_OR_OWNED if isinstance(item, OwnedObject) else inputs.RECEIVING
            return inputs(kind=kind, object_id=ref.object_id, version=ref.version, digest=ref.digest)


def argument(item: Argument) -> transaction_pb2.Argument:
    """An argument of a command."""
    arguments = transaction_pb2.Argument
    match item:
        case GasCoin():
            return arguments(kind=arguments.GAS)
        case Input(index):
            return arguments(kind=arguments.INPUT, input=index)
        case Result(index):
            return arguments(kind=arguments.RESULT, result=index)
        case NestedResult(index, result):
            return arguments(kind=arguments.RESULT, result=index, subresult=result)


def _command(item: Command) -> transaction_pb2.Command:
    commands = transaction_pb2.Command
    match item:
        case MoveCall():
            call = transaction_pb2.MoveCall(
                package=item.package,
                module=item.module,
                function=item.function,
                type_arguments=item.type_arguments,
                arguments=[argument(value) for value in item.arguments],
            )
            return commands(move_call=call)
        case TransferObjects(objects, address):
            sent = [argument(value) for value in objects]
            return commands(transfer_objects=transaction_pb2.TransferObjects(objects=sent, address=argument(address)))
        case SplitCoins(coin, amounts):
            parts = [argument(value) for value in amounts]
            return commands(split_coins=transaction_pb2.SplitCoins(coin=argument(coin), amounts=parts))
        case MergeCoins(coin, sources):
            merged = [argument(value) for value in sources]
            return commands(merge_coins=transaction_pb2.MergeCoins(coin=argument(coin), coins_to_merge=merged))
        case MakeMoveVec(element_type, elements):
            vector = transaction_pb2.MakeMoveVector(
                element_type=element_type, elements=[argument(value) for value in elements]
            )
            return commands(make_move_vector=vector)
        case Publish(modules, dependencies):
            return commands(publish=transaction_pb2.Publish(modules=modules, dependencies=dependencies))
        case Upgrade(modules, dependencies, package, ticket):
            upgrade = transaction_pb2.Upgrade(
                modules=modules, dependencies=dependencies, package=package, ticket=argument(ticket)
            )
            return commands(upgrade=upgrade)


def _expiration(value: Expiration) -> transaction_pb2.TransactionExpiration:
    kinds = transaction_pb2.TransactionExpiration
    match value:
        case None:
            return kinds(kind=kinds.NONE)
        case EpochExpiration(epoch):
            return kinds(kind=kinds.EPOCH, epoch=epoch)
        case ValidDuring():
            message = kinds(
                kind=kinds.VALID_DURING, epoch=value.max_epoch, min_epoch=value.min_epoch, nonce=value.nonce
            )
            message.chain = value.chain
            if value.min_timestamp_ms is not None:
                message.min_timestamp.CopyFrom(timestamp(value.min_timestamp_ms))
            if value.max_timestamp_ms is not None:
                message.max_timestamp.CopyFrom(timestamp(value.max_timestamp_ms))
            return message


def signature(value: bytes) -> signature_pb2.UserSignature:
    """A serialised signature: flag, 64 bytes of signature, public key."""
    message = signature_pb2.UserSignature(bcs=object_pb2.Bcs(name="UserSignatureBytes", value=value))
    if value and value[0] in _SIMPLE_SCHEMES:
        message.scheme = signature_pb2.SignatureScheme.ValueType(value[0])
        message.simple.CopyFrom(
            signature_pb2.SimpleSignature(
                scheme=message.scheme,
                signature=value[1 : 1 + _SIGNATURE_SIZE],
                public_key=value[1 + _SIGNATURE_SIZE :],
            )
        )
    return message
