"""The audit of a ledger on disk: does everything in it fit together?

It looks at one consistent snapshot, which may belong to a running devnet. From the first kept checkpoint on, every digest
is computed again, every checkpoint must follow from the one before, every transaction must be signed and stand in its
checkpoint, and every object version must be the one that effects name. What is left after the last checkpoint must be
the table of live objects, their money must add up to what genesis made, and the journal must come out as promised. With
`replay`, all transactions since genesis are run again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from walrus_codec.types import Digest, ObjectId
from walrus_sui.devnet import genesis as geneses
from walrus_sui.devnet.genesis_config import TOTAL_SUI, GenesisConfig
from walrus_sui.devnet.ledger import signatures
from walrus_sui.devnet.ledger.conservation import totals
from walrus_sui.devnet.ledger.effects import events_digest
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.records import Checkpoint, Effects, Executed, LedgerError, Object
from walrus_sui.devnet.ledger.state import owner_key
from walrus_sui.devnet.storage import genesis_text
from walrus_sui.devnet.storage.schema import StoreError, damage
from walrus_sui.devnet.storage.stored_chain import Loaded, StoredChain, snapshot

MAX_FINDINGS: Final = 50
_MIST_PER_SUI: Final = 10**9


@dataclass
class Report:
    """What an audit saw.

    Attributes:
        chain_id: digest of checkpoint 0.
        first, head: the checkpoints that it walked over.
        transactions, objects: how many, live ones.
        findings: a sentence for each thing that is wrong, at most `MAX_FINDINGS`; empty when all is well.
    """

    chain_id: Digest
    first: int
    head: int
    transactions: int = 0
    objects: int = 0
    findings: list[str] = field(default_factory=list)


class _Enough(Exception):  # noqa: N818 - an ending
    """There are so many findings that more would not help."""


def audit(file: Path, *, replay: bool = False) -> Report:
    """Audits a database file.

    Args:
        file: the database.
        replay: also run everything since genesis again; takes about as long as the chain was busy.

    Raises:
        StoreError: the file is no ledger of this program version, or too damaged to be walked over; or a replay is
            wanted of a ledger whose first transactions are pruned.
    """
    with snapshot(file) as store:
        loaded = store.load()
        if loaded is None:
            raise StoreError("there is no chain in it")
        if replay and store.floors.checkpoints:
            raise StoreError(f"what came before checkpoint {store.floors.checkpoints} is pruned: it cannot be replayed")
        walk = _Audit(store, loaded)
        try:
            with damage():
                walk.integrity()
                walk.history()
                walk.live()
                ledger = walk.restored()
                if ledger is not None:
                    walk.money(ledger)
                    walk.journal(ledger)
                if replay:
                    walk.replay()
        except _Enough:
            pass
        return walk.report


class _Audit:
    def __init__(self, store: StoredChain, loaded: Loaded) -> None:
        self._store = store
        self._loaded = loaded
        self._live: dict[ObjectId, tuple[int, Digest] | None] = {}
        self.report = Report(loaded.first.digest, store.floors.checkpoints, loaded.head.sequence)

    def _find(self, sentence: str) -> None:
        self.report.findings.append(sentence)
        if len(self.report.findings) >= MAX_FINDINGS:
            raise _Enough

    def integrity(self) -> None:
        """What SQLite itself can tell."""
        for (line,) in self._store.rows("PRAGMA integrity_check"):
            if line != "ok":
                self._find(f"the database is damaged: {line}")

    # Checkpoints and transactions

    def history(self) -> None:
        """Walks from the first kept checkpoint to the newest."""
        previous: Checkpoint | None = None
        for sequence in self._sequences():
            checkpoint = self._store.checkpoint(sequence)
            if checkpoint is None:
                self._find(f"checkpoint {sequence} is missing")
                previous = None
                continue
            if checkpoint.sequence != sequence:
                self._find(f"checkpoint {sequence} says that it is {checkpoint.sequence}")
            stored = self._store.checkpoint(checkpoint.digest)
            if stored is None or stored.sequence != sequence:
                self._find(f"checkpoint {sequence} is not filed under its digest {checkpoint.digest}")
            executed = self._store.transactions(sequence)
            self._contents(checkpoint, executed)
            if previous is not None and previous.sequence == sequence - 1:
                self._follows(checkpoint, previous, executed)
            if sequence + 1 < self._store.floors.checkpoints:
                self._live.clear()  # what came next is pruned
            previous = checkpoint

    def _sequences(self) -> Iterator[int]:
        floor = self._store.floors.checkpoints
        if floor:
            yield 0
        yield from range(floor, self._loaded.head.sequence + 1)

    def _follows(self, checkpoint: Checkpoint, previous: Checkpoint, executed: tuple[Executed, ...]) -> None:
        name = f"checkpoint {checkpoint.sequence}"
        if checkpoint.previous_digest != previous.digest:
            self._find(f"{name} does not follow from checkpoint {previous.sequence}")
        if checkpoint.total_transactions != previous.total_transactions + len(checkpoint.transactions):
            self._find(
                f"{name} counts {checkpoint.total_transactions} transactions in all, not one more for each of its own"
            )
        if checkpoint.timestamp_ms < previous.timestamp_ms:
            self._find(f"{name} is older than the one before")
        gas = sum((item.effects.gas_used for item in executed), start=previous.rolling_gas)
        if checkpoint.rolling_gas != gas:
            self._find(f"{name} counts other gas than its transactions used")

    def _contents(self, checkpoint: Checkpoint, executed: tuple[Executed, ...]) -> None:
        found = [(item.digest, item.effects.digest, item.signatures) for item in executed]
        wanted = list(zip(checkpoint.transactions, checkpoint.effects_digests, checkpoint.signatures, strict=True))
        if found != wanted:
            self._find(f"checkpoint {checkpoint.sequence} does not have the transactions that its contents name")
        for item in executed:
            self.report.transactions += 1
            self._transaction(checkpoint.sequence, item)

    def _transaction(self, sequence: int, executed: Executed) -> None:
        name = f"transaction {executed.digest} in checkpoint {sequence}"
        if executed.effects.events_digest != events_digest(executed.events):
            self._find(f"{name} has other events than its effects name")
        if not executed.transaction.is_system:
            try:
                signatures.verify(executed.tx_bytes, executed.transaction, executed.signatures)
            except LedgerError as error:
                self._find(f"{name}: {error}")
        self._versions(sequence, name, executed.effects)

    # Objects

    def _versions(self, sequence: int, name: str, effects: Effects) -> None:
        kept = sequence >= self._store.floors.objects
        for change in effects.changed_objects:
            object_id = change.object_id
            before = None if change.before is None else (change.before.version, change.before.digest)
            after = None if change.after is None else (change.after.version, change.after.digest)
            if object_id in self._live and self._live[object_id] != before:
                self._find(f"{name} changes {object_id} as if it were at {before}, it was at {self._live[object_id]}")
            if kept and before is not None:
                self._version(object_id, before)
            self._live[object_id] = after

    def _version(self, object_id: ObjectId, wanted: tuple[int, Digest]) -> None:
        version, digest = wanted
        found = self._store.version(object_id, version)
        if found is None:
            self._find(f"object {object_id} at version {version} is missing")
        elif found.digest != digest:
            self._find(f"object {object_id} at version {version} has digest {found.digest}, effects name {digest}")

    def live(self) -> None:
        """The table of live objects is what the history leaves."""
        seen: set[ObjectId] = set()
        for stored in self._loaded.objects:
            obj = Object.from_bcs(stored.data)
            seen.add(stored.object_id)
            if obj.object_id != stored.object_id:
                self._find(f"the row of object {stored.object_id} holds {obj.object_id}")
            if (stored.owner, stored.type) != (owner_key(obj), obj.type):
                self._find(f"object {stored.object_id} is filed under another owner or type than it has")
            wanted = self._live.get(stored.object_id, (obj.version, obj.digest))
            if wanted is None:
                self._find(f"object {stored.object_id} is live, its history says that it ended")
            elif wanted != (obj.version, obj.digest):
                self._find(f"object {stored.object_id} is at {(obj.version, obj.digest)}, its history ends at {wanted}")
        self.report.objects = len(seen)
        for object_id, last in self._live.items():
            if last is not None and object_id not in seen:
                self._find(f"object {object_id} is not live, its history ends at version {last[0]}")

    # Running again

    def _genesis(self) -> GenesisConfig:
        return genesis_text.read(self._loaded.genesis)

    def restored(self) -> Ledger | None:
        """The chain as it goes on from the last checkpoint."""
        loaded = self._loaded
        try:
            return Ledger.restore(self._genesis(), objects=loaded.objects, genesis=loaded.first, head=loaded.head)
        except LedgerError as error:
            self._find(f"the chain cannot go on: {error}")
            return None

    def money(self, ledger: Ledger) -> None:
        """Nothing was made and nothing lost."""
        known, gas = ledger.well_known, ledger.head.rolling_gas
        found = totals(ledger.objects(), known.packages, known.wal_type)
        sui = found.sui + found.rebates + gas.computation + gas.non_refundable
        # Nobody paid for the storage of the first objects: what it holds back came on top.
        made = geneses.build(self._genesis(), now_ms=self._loaded.first.timestamp_ms).objects
        total = TOTAL_SUI * _MIST_PER_SUI + sum(obj.storage_rebate for obj in made)
        if sui != total:
            self._find(f"there are {sui} MIST with all gas, genesis made {total}")
        info = ledger.coin_info(known.wal_type)
        if info is None or info.total_supply != found.wal:
            self._find(f"there are {found.wal} FROST, the treasury says {info and info.total_supply}")

    def journal(self, ledger: Ledger) -> None:
        """What was answered after the last checkpoint still comes out so."""
        for row in self._loaded.journal:
            try:
                executed = ledger.execute(row.tx_bytes, row.signatures)
            except LedgerError as error:
                self._find(f"transaction {row.ordinal} of the journal does not run: {error}")
                return
            if executed.effects.digest != row.effects_digest:
                self._find(f"transaction {executed.digest} of the journal now has other effects than were promised")
                return

    def replay(self) -> None:
        """Runs everything since genesis again."""
        first = self._loaded.first
        ledger, delta = Ledger.genesis(self._genesis(), now_ms=first.timestamp_ms, history_limit=2)
        if delta.checkpoint.digest != first.digest:
            self._find("genesis comes out different when it is made again")
            return
        for sequence in range(1, self._loaded.head.sequence + 1):
            wanted = self._store.checkpoint(sequence)
            for executed in self._store.transactions(sequence):
                if executed.transaction.is_system:
                    continue
                again = ledger.execute(executed.tx_bytes, executed.signatures)
                if again.effects.digest != executed.effects.digest:
                    self._find(
                        f"transaction {executed.digest} in checkpoint {sequence} has other effects when it is run again"
                    )
                    return
            sealed = ledger.close_checkpoint(0 if wanted is None else wanted.timestamp_ms).checkpoint
            if wanted is None or sealed.digest != wanted.digest:
                self._find(f"checkpoint {sequence} comes out different when it is run again")
                return
