"""What can be read of a chain: recent things from memory, older ones from disk, as one.

A `Reads` belongs to one state of the ledger and is made anew for each question; it knows nothing of what came after.
"""

from dataclasses import dataclass, replace

from walrus_codec.types import Digest, ObjectId
from walrus_sui.devnet.ledger.readable import Readable
from walrus_sui.devnet.ledger.records import Checkpoint, Executed, Object
from walrus_sui.devnet.storage.stored_chain import StoredChain


@dataclass(frozen=True, slots=True)
class Reads:
    """Reads of one state.

    Attributes:
        ledger: the state.
        store: where older things are.
    """

    ledger: Readable
    store: StoredChain

    def find(self, digest: Digest) -> tuple[int | None, Executed] | None:
        """A transaction, in memory or on disk, with its place in its checkpoint (None while it is in none)."""
        executed = self.ledger.transaction(digest)
        if executed is None:
            found = self.store.transaction(digest)
            return None if found is None or not self._is_seen(found[1].checkpoint) else found
        if executed.checkpoint is None:
            return None, executed
        checkpoint = self.checkpoint(executed.checkpoint)
        return (None if checkpoint is None else checkpoint.transactions.index(digest)), executed

    def checkpoint(self, key: int | Digest) -> Checkpoint | None:
        """A checkpoint by number or digest, in memory or on disk."""
        found = self.ledger.checkpoint(key) or self.store.checkpoint(key)
        return found if found is not None and self._is_seen(found.sequence) else None

    def transactions(self, checkpoint: Checkpoint) -> tuple[Executed, ...]:
        """The transactions of a checkpoint in order; those from disk come without their objects."""
        found = [self.ledger.transaction(digest) for digest in checkpoint.transactions]
        if all(item is not None for item in found):
            return tuple(item for item in found if item is not None)
        return self.store.transactions(checkpoint.sequence)

    def object(self, object_id: ObjectId, version: int | None = None) -> Object | None:
        """The live version of an object, or a certain one, in memory or on disk."""
        found = self.ledger.object(object_id, version)
        if found is None and version is not None:
            return self.store.version(object_id, version)
        return found

    def with_objects(self, executed: Executed) -> Executed:
        """The same transaction with its input and output objects, as far as they are known."""
        if executed.output_objects:
            return executed
        effects = executed.effects
        before = [(change.object_id, change.before.version) for change in effects.changed_objects if change.before]
        read_only = [(object_id, version) for object_id, version, _ in effects.unchanged_shared]
        after = [(change.object_id, change.after.version) for change in effects.changed_objects if change.after]
        return replace(
            executed,
            input_objects=tuple(self._versions([*before, *read_only])),
            output_objects=tuple(self._versions(after)),
        )

    def _versions(self, keys: list[tuple[ObjectId, int]]) -> list[Object]:
        return [found for key in keys if (found := self.object(*key)) is not None]

    def _is_seen(self, sequence: int | None) -> bool:
        return sequence is not None and sequence <= self.ledger.head.sequence
