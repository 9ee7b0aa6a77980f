"""Transactions of the ledger's own: genesis, and the clock of each checkpoint.

They are not signed and cost nothing, but they have digests and effects like any other and stand in checkpoints.
"""

from collections.abc import Sequence
from dataclasses import replace

from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.effects import NO_GAS, Effects, IdOperation, ObjectChange, ObjectState
from walrus_sui.devnet.ledger.objects import Object
from walrus_sui.devnet.ledger.transactions import (
    ConsensusCommitPrologue,
    GenesisTransaction,
    TransactionData,
    system_transaction,
)


def genesis(objects: Sequence[Object]) -> Executed:
    """The transaction that creates the first objects; they get it as their previous transaction."""
    ordered = sorted(objects, key=lambda obj: obj.object_id)
    transaction = system_transaction(GenesisTransaction(tuple(obj.to_genesis_bcs() for obj in ordered)))
    created = tuple(replace(obj, previous_transaction=transaction.digest) for obj in ordered)
    changes = tuple(
        ObjectChange(obj.object_id, None, ObjectState.of(obj), IdOperation.CREATED, obj.is_package) for obj in created
    )
    return _executed(transaction, changes, version=1, before=(), after=created)


def clock(clock_object: Object, *, epoch: int, sequence: int, timestamp_ms: int) -> Executed:
    """The transaction that sets the clock for checkpoint `sequence`."""
    transaction = system_transaction(ConsensusCommitPrologue(epoch, sequence, timestamp_ms))
    moved = replace(
        clock_object,
        version=clock_object.version + 1,
        contents=clock_object.contents[:32] + timestamp_ms.to_bytes(8, "little"),
        previous_transaction=transaction.digest,
    )
    change = ObjectChange(moved.object_id, ObjectState.of(clock_object), ObjectState.of(moved), IdOperation.NONE)
    return _executed(transaction, (change,), version=moved.version, before=(clock_object,), after=(moved,))


def _executed(
    transaction: TransactionData,
    changes: tuple[ObjectChange, ...],
    *,
    version: int,
    before: tuple[Object, ...],
    after: tuple[Object, ...],
) -> Executed:
    effects = Effects(
        failure=None,
        executed_epoch=0,
        gas_used=NO_GAS,
        transaction_digest=transaction.digest,
        gas_object_index=None,
        events_digest=None,
        dependencies=tuple(obj.previous_transaction for obj in before),
        lamport_version=version,
        changed_objects=changes,
        unchanged_shared=(),
    )
    return Executed(transaction, transaction.to_bcs(), (), effects, (), before, after)
