"""The running chain: one ledger, its disk, the checkpoint clock and those who listen.

Life of a transaction: `execute` runs it on the ledger, which is serial because nothing in between awaits; its bytes are
handed to the writer (`writing`) and the caller waits until they are on disk; the checkpoint loop seals all that ran since
the last one, writes it, and only then announces it to subscribers.

The rule that makes crashes harmless: **nothing leaves the process before all it rests on is on disk.** Every answer,
reads included, waits for `settled`; it costs nothing while no write is under way. So whatever any client has seen after
a crash is still so: executed transactions are run again from the journal, with the same effects, and go into the next
checkpoint; announced checkpoints are rows of the database. What was lost, nobody was told of.

When the disk fails, the ledger in memory is ahead of it for good: the engine stops answering and `run` raises.
"""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from walrus_codec.types import SuiAddress
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.hub import Announcement, Hub
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.readable import Readable
from walrus_sui.devnet.ledger.records import (
    Checkpoint,
    Executed,
    LedgerError,
    ProgrammableTransaction,
    Rejected,
    transaction_digest,
)
from walrus_sui.devnet.reads import Reads
from walrus_sui.devnet.storage import genesis_text
from walrus_sui.devnet.storage.pruning import Floors, Retention
from walrus_sui.devnet.storage.schema import StoreError, damage
from walrus_sui.devnet.storage.store import KEEP_ALL, Store
from walrus_sui.devnet.storage.stored_chain import JournalRow, Loaded
from walrus_sui.devnet.writing import CheckpointWrite, EngineStopped, Writer
from walrus_sui.telemetry import meter, names

_log = logging.getLogger(__name__)
_STOP_TIMEOUT: Final = 10.0
HISTORY_LIMIT: Final = 40
"""Checkpoints whose transactions and object versions stay in memory; older ones are read from disk."""
MAX_LAG: Final = HISTORY_LIMIT - 1


class Engine:
    """A chain that runs. Make it with `open`, inside the loop that uses it.

    Attributes:
        ledger: the chain; whoever answers from it, or from `reads`, awaits `settled` before the answer leaves.
        hub: where checkpoints are announced.
        slow_ms: added to the time between two checkpoints; 0 except in tests.
        lag: checkpoints by which readers see the chain late; 0 except in tests, at most `MAX_LAG`.
    """

    def __init__(
        self, ledger: Ledger, store: Store, *, clock: Callable[[], int], interval_ms: int, ordinal: int = 0
    ) -> None:
        self.ledger = ledger
        self.hub = Hub()
        self.lag = self.slow_ms = 0
        self._seen: tuple[tuple[int, int], Readable] | None = None
        self._store = store
        self._clock = clock
        self._interval = interval_ms / 1000
        self._ordinal = ordinal
        self._stopping = asyncio.Event()
        self._writer = Writer(store)
        self._outcomes = {"success": 0, "failure": 0}
        self._checkpoints = meter().create_counter(names.DEVNET_CHECKPOINTS, description="Closed checkpoints.")
        self._transactions = meter().create_counter(names.DEVNET_TRANSACTIONS, description="Executed transactions.")

    @classmethod
    async def open(
        cls,
        genesis: GenesisConfig,
        folder: Path,
        *,
        clock: Callable[[], int],
        interval_ms: int,
        retention: Retention = KEEP_ALL,
    ) -> "Engine":
        """Makes the chain in a new directory, or goes on where the directory's chain stood.

        Args:
            genesis: must be the one the directory was made with.
            folder: data directory.
            clock: Unix milliseconds; read once for each checkpoint.
            interval_ms: between two checkpoints.
            retention: how much of the past to keep on disk.

        Raises:
            StoreError: the directory cannot be used, belongs to another genesis, or its journal comes out different.
            GenesisError: the genesis cannot be used.
        """
        store = await asyncio.to_thread(Store, folder, retention)
        # A hundred thousand new objects would set the collector off again and again, for nothing: none is garbage.
        gc.disable()
        try:
            loaded = await asyncio.to_thread(store.load)
            if loaded is None:
                ledger, delta = Ledger.genesis(genesis, now_ms=clock(), history_limit=HISTORY_LIMIT)
                await asyncio.to_thread(store.create, genesis_text.write(genesis), delta)
                _log.info("made a new chain", extra={"chain_id": ledger.chain_id, "folder": str(folder)})
                return cls(ledger, store, clock=clock, interval_ms=interval_ms)
            with damage():
                ledger = _restore(genesis, loaded)
            _log.info(
                "continuing the chain",
                extra={
                    "chain_id": ledger.chain_id,
                    "checkpoint": loaded.head.sequence,
                    "journal": len(loaded.journal),
                    "objects": len(loaded.objects),
                },
            )
            ordinal = loaded.journal[-1].ordinal if loaded.journal else 0
            return cls(ledger, store, clock=clock, interval_ms=interval_ms, ordinal=ordinal)
        except BaseException:
            store.close()
            raise
        finally:
            gc.enable()

    @property
    def failed(self) -> bool:
        """Whether the disk failed, so that nothing will be answered any more."""
        return self._writer.failure is not None

    async def run(self) -> None:
        """Closes checkpoints at the interval, empty ones too, until `stop`.

        Raises:
            EngineStopped: the disk failed.
        """
        loop = asyncio.get_running_loop()
        due = loop.time() + self._interval
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), max(due - loop.time(), 0))
            if self._stopping.is_set():
                return
            if self.slow_ms:
                await asyncio.sleep(self.slow_ms / 1000)
            await self.close_checkpoint()
            # A late checkpoint does not make the next ones hurry.
            due = max(due + self._interval, loop.time())

    async def close_checkpoint(self) -> Checkpoint:
        """Seals what ran since the last checkpoint, writes it and announces it.

        Raises:
            EngineStopped: the disk failed.
        """
        delta = self.ledger.close_checkpoint(self._clock())
        self._writer.submit(CheckpointWrite(delta, self._ordinal))
        await self.settled()
        self._count()
        self.hub.publish(Announcement(delta.checkpoint, delta.transactions))
        return delta.checkpoint

    async def stop(self) -> None:
        """Ends subscriptions, seals what ran, closes the database. Calls that come later are refused."""
        self._stopping.set()
        self.hub.close()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                await self.close_checkpoint()
        except (EngineStopped, TimeoutError) as error:
            _log.error("the last checkpoint was not written, the journal has its transactions", exc_info=error)
        await self._writer.close()
        self._store.close()

    async def execute(self, tx_bytes: bytes, signatures: tuple[bytes, ...]) -> Executed:
        """Runs a signed transaction; returns when it is on disk. One that ran before returns what it did then.

        Raises:
            Rejected: it did not run.
            EngineStopped: nothing can be answered.
        """
        self._check()
        digest = transaction_digest(tx_bytes)
        known = self.ledger.transaction(digest)
        if known is not None:
            await self.settled()
            return known
        try:
            executed = self.ledger.execute(tx_bytes, signatures, digest=digest)
        except Rejected:
            # One that is on disk alone cannot run again, because it changed the coins that paid for it: so only what
            # is refused needs to be looked for there.
            stored = self.live.find(digest)
            if stored is None:
                raise
            await self.settled()
            return stored[1]
        return await self._accept(executed)

    async def faucet(self, recipient: SuiAddress, amount: int) -> Executed:
        """Gives MIST away in one coin; returns when the transaction is on disk.

        Raises:
            LedgerError: the faucet is empty.
            EngineStopped: nothing can be answered.
        """
        self._check()
        return await self._accept(self.ledger.faucet(recipient, [amount]))

    async def execute_as_faucet(self, kind: ProgrammableTransaction) -> Executed:
        """Runs a program that anybody may run, paid by the faucet's account; returns when it is on disk.

        Raises:
            LedgerError: the faucet is empty.
            EngineStopped: nothing can be answered.
        """
        self._check()
        return await self._accept(self.ledger.execute_as_faucet(kind))

    async def settled(self) -> None:
        """Waits until all that has happened so far is on disk.

        Raises:
            EngineStopped: the disk failed.
        """
        await self._writer.settled()

    @property
    def floors(self) -> Floors:
        """Where the history begins that can still be read."""
        return self._store.floors

    @property
    def live(self) -> Reads:
        """What there is to read."""
        return Reads(self.ledger, self._store)

    @property
    def reads(self) -> Reads:
        """What readers are shown: the live chain, or, while its index lags, the chain of `lag` checkpoints ago."""
        if not self.lag:
            return self.live
        key = (self.ledger.head.sequence, self.lag)
        if self._seen is None or self._seen[0] != key:
            self._seen = (key, self.ledger.as_of(max(key[0] - self.lag, 0)))
        return Reads(self._seen[1], self._store)

    def _check(self) -> None:
        if self._writer.failure is not None:
            raise EngineStopped(self._writer.failure)
        if self._stopping.is_set():
            raise EngineStopped("the devnet is stopping")

    async def _accept(self, executed: Executed) -> Executed:
        self._ordinal += 1
        row = JournalRow(self._ordinal, executed.tx_bytes, executed.signatures, executed.effects.digest)
        self._writer.submit(row)
        self._outcomes["success" if executed.effects.succeeded else "failure"] += 1
        await self.settled()
        return executed

    def _count(self) -> None:
        """Tells what one more checkpoint holds, once for all its transactions: each measurement has its price."""
        self._checkpoints.add(1)
        for outcome, count in self._outcomes.items():
            if count:
                self._transactions.add(count, {names.ATTR_OUTCOME: outcome})
                self._outcomes[outcome] = 0


def _restore(genesis: GenesisConfig, loaded: Loaded) -> Ledger:
    genesis_text.check(loaded.genesis, genesis)
    try:
        ledger = Ledger.restore(
            genesis, objects=loaded.objects, genesis=loaded.first, head=loaded.head, history_limit=HISTORY_LIMIT
        )
        for row in loaded.journal:
            executed = ledger.execute(row.tx_bytes, row.signatures)
            if executed.effects.digest != row.effects_digest:
                raise StoreError(
                    f"transaction {executed.digest} of the journal now has other effects: start the program version "
                    "that wrote it, stop it in good order, then start this one"
                )
    except LedgerError as error:
        raise StoreError(f"the ledger on disk does not fit together: {error}") from error
    return ledger
