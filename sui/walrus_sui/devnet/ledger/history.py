"""Recent history in memory: transactions, checkpoints and superseded object versions of the last checkpoints.

What falls out here is still in the store of whoever persists the ledger.
"""

from collections import deque

from walrus_codec.types import Digest, ObjectId
from walrus_sui.devnet.ledger.checkpoints import Checkpoint, Delta, Executed
from walrus_sui.devnet.ledger.objects import Object


class History:
    """The last checkpoints.

    Args:
        limit: how many checkpoints to keep; None keeps all.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._deltas: deque[Delta] = deque()
        self._transactions: dict[Digest, Executed] = {}
        self._checkpoints: dict[int, Checkpoint] = {}
        self._sequences: dict[Digest, int] = {}
        self._versions: dict[tuple[ObjectId, int], Object] = {}

    def transaction(self, digest: Digest) -> Executed | None:
        """A transaction of a kept checkpoint."""
        return self._transactions.get(digest)

    def checkpoint(self, key: int | Digest) -> Checkpoint | None:
        """A kept checkpoint, by sequence number or digest."""
        sequence = key if isinstance(key, int) else self._sequences.get(key)
        return None if sequence is None else self._checkpoints.get(sequence)

    def version(self, object_id: ObjectId, version: int) -> Object | None:
        """A version that a kept checkpoint wrote."""
        return self._versions.get((object_id, version))

    def after(self, sequence: int) -> list[Delta]:
        """Kept checkpoints with a higher number, the oldest first."""
        return [delta for delta in self._deltas if delta.checkpoint.sequence > sequence]

    def until(self, sequence: int) -> "History":
        """A history that knows nothing of later checkpoints."""
        other = History(self._limit)
        for delta in self._deltas:
            if delta.checkpoint.sequence <= sequence:
                other.add(delta)
        return other

    def add(self, delta: Delta) -> None:
        """Takes a checkpoint in and drops the oldest beyond the limit."""
        self._deltas.append(delta)
        self._checkpoints[delta.checkpoint.sequence] = delta.checkpoint
        self._sequences[delta.checkpoint.digest] = delta.checkpoint.sequence
        for executed in delta.transactions:
            self._transactions[executed.digest] = executed
        for obj in delta.versions:
            self._versions[obj.object_id, obj.version] = obj
        while self._limit is not None and len(self._deltas) > self._limit:
            self._forget(self._deltas.popleft())

    def _forget(self, delta: Delta) -> None:
        del self._checkpoints[delta.checkpoint.sequence]
        del self._sequences[delta.checkpoint.digest]
        for executed in delta.transactions:
            del self._transactions[executed.digest]
        for obj in delta.versions:
            self._versions.pop((obj.object_id, obj.version), None)
