"""Checkpoints: the order of transactions, sealed, and what the store must write for each of them.

Executed transactions wait in the ledger until `close_checkpoint` seals them under the next sequence number. What comes
back is a `Delta`: everything that changed since the checkpoint before, to be written in one database transaction.

Source: ``sui-types`` module messages_checkpoint.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.effects import Effects, Event, GasUsed, events_from_bcs, events_to_bcs
from walrus_sui.devnet.ledger.objects import Object
from walrus_sui.devnet.ledger.transactions import TransactionData, transaction_digest


@dataclass(frozen=True)
class Executed:
    """A transaction that ran.

    Attributes:
        transaction: the decoded transaction.
        tx_bytes: its BCS.
        signatures: each ``flag || signature || public key``; none for system transactions.
        effects: what it did.
        events: in the order of emission; the place in this list is the event's sequence number.
        input_objects: the changed objects before, and the objects that were only read.
        output_objects: the changed objects after.
        checkpoint: sequence number, None until its checkpoint is closed.
        timestamp_ms: time of the checkpoint, None until it is closed.
    """

    transaction: TransactionData
    tx_bytes: bytes
    signatures: tuple[bytes, ...]
    effects: Effects
    events: tuple[Event, ...]
    input_objects: tuple[Object, ...] = ()
    output_objects: tuple[Object, ...] = ()
    checkpoint: int | None = None
    timestamp_ms: int | None = None

    @property
    def digest(self) -> Digest:
        """The transaction's digest."""
        return self.effects.transaction_digest

    @property
    def events_bcs(self) -> bytes:
        """BCS of all events; restore with `from_stored`."""
        return events_to_bcs(self.events)

    @property
    def signatures_bcs(self) -> bytes:
        """BCS of the signatures; restore with `from_stored`."""
        return bcs.vector(bcs.bytes_, self.signatures)

    def in_checkpoint(self, sequence: int, timestamp_ms: int) -> "Executed":
        """The same with its checkpoint filled in."""
        return replace(self, checkpoint=sequence, timestamp_ms=timestamp_ms)

    @classmethod
    def from_stored(
        cls,
        *,
        tx_bytes: bytes,
        signatures_bcs: bytes,
        effects_bcs: bytes,
        events_bcs: bytes,
        checkpoint: int,
        timestamp_ms: int,
        input_objects: tuple[Object, ...] = (),
        output_objects: tuple[Object, ...] = (),
    ) -> "Executed":
        """Puts a transaction together from its stored row.

        The objects are optional: they are the versions named in `Effects.changed_objects`.

        Raises:
            bcs.BcsError: the row is damaged.
        """
        reader = bcs.Reader(signatures_bcs)
        signatures = tuple(reader.vector(bcs.Reader.bytes_))
        reader.finish()
        effects = Effects.from_bcs(effects_bcs)
        if effects.transaction_digest != transaction_digest(tx_bytes):
            raise bcs.BcsError("effects and transaction do not belong together")
        return cls(
            TransactionData.from_bcs(tx_bytes),
            tx_bytes,
            signatures,
            effects,
            events_from_bcs(events_bcs),
            input_objects,
            output_objects,
            checkpoint,
            timestamp_ms,
        )


@dataclass(frozen=True)
class Checkpoint:
    """A sealed stretch of transactions.

    Attributes:
        epoch: Sui epoch, always 0 on a devnet.
        sequence: 0 for genesis, then without gaps.
        total_transactions: of the whole chain up to here.
        contents_digest: digest of `contents_bcs`.
        previous_digest: None for genesis.
        rolling_gas: gas of the whole epoch up to here.
        timestamp_ms: the clock after this checkpoint.
        transactions: digests in order.
        effects_digests: digests of their effects, in the same order.
        signatures: signatures of each transaction, in the same order.
    """

    epoch: int
    sequence: int
    total_transactions: int
    previous_digest: Digest | None
    rolling_gas: GasUsed
    timestamp_ms: int
    transactions: tuple[Digest, ...]
    effects_digests: tuple[Digest, ...]
    signatures: tuple[tuple[bytes, ...], ...]

    @cached_property
    def contents_bcs(self) -> bytes:
        """BCS of the contents: transactions with their effects, then all signatures."""
        pairs = list(zip(self.transactions, self.effects_digests, strict=True))
        executions = bcs.vector(lambda pair: digests.write(pair[0]) + digests.write(pair[1]), pairs)
        return b"\x00" + executions + bcs.vector(lambda sigs: bcs.vector(bcs.bytes_, sigs), self.signatures)

    @cached_property
    def contents_digest(self) -> Digest:
        """Digest of the contents."""
        return digests.of("CheckpointContents", self.contents_bcs)

    @cached_property
    def summary_bcs(self) -> bytes:
        """BCS of the summary."""
        return b"".join(
            (
                bcs.u64(self.epoch),
                bcs.u64(self.sequence),
                bcs.u64(self.total_transactions),
                digests.write(self.contents_digest),
                bcs.option(digests.write, self.previous_digest),
                self.rolling_gas.to_bcs(),
                bcs.u64(self.timestamp_ms),
                b"\x00",  # no commitments
                b"\x00",  # not the end of an epoch
                b"\x00",  # no version-specific data
            )
        )

    @cached_property
    def digest(self) -> Digest:
        """Digest of the summary; the one of checkpoint 0 is the chain id."""
        return digests.of("CheckpointSummary", self.summary_bcs)

    @classmethod
    def from_bcs(cls, summary_bcs: bytes, contents_bcs: bytes) -> "Checkpoint":
        """Reads a checkpoint back from its stored row.

        Raises:
            bcs.BcsError: damaged, or the two parts do not belong together.
        """
        reader = bcs.Reader(contents_bcs)
        reader.uleb()
        pairs = reader.vector(lambda r: (digests.read(r), digests.read(r)))
        signatures = tuple(reader.vector(lambda r: tuple(r.vector(bcs.Reader.bytes_))))
        reader.finish()
        reader = bcs.Reader(summary_bcs)
        epoch, sequence, total, contents = reader.u64(), reader.u64(), reader.u64(), digests.read(reader)
        previous, gas, timestamp = reader.option(digests.read), GasUsed.read(reader), reader.u64()
        checkpoint = cls(
            epoch,
            sequence,
            total,
            previous,
            gas,
            timestamp,
            tuple(pair[0] for pair in pairs),
            tuple(pair[1] for pair in pairs),
            signatures,
        )
        if checkpoint.contents_digest != contents or checkpoint.summary_bcs != summary_bcs:
            raise bcs.BcsError("summary and contents of the checkpoint do not belong together")
        return checkpoint


@dataclass(frozen=True)
class Delta:
    """All that a checkpoint adds to the store; write it in one database transaction.

    Attributes:
        checkpoint: the sealed checkpoint.
        transactions: its transactions in order, with checkpoint and time filled in.
        put: the live version of each object that was written; replaces the row of that id.
        deleted: ids whose row goes.
        versions: every version that was written, the intermediate ones included; for reads of past versions.
    """

    checkpoint: Checkpoint
    transactions: tuple[Executed, ...]
    put: tuple[Object, ...]
    deleted: tuple[ObjectId, ...]
    versions: tuple[Object, ...]
