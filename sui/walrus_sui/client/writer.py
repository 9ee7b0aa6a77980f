"""What all writes share: execution on the newest package, and answers read from effects and events.

Life of a write: commands are built by `walrus_sui.abi`, executed by `executor.Executor`, and the answer is read from
the effects and events, so that nothing depends on an index that may lag behind.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui import events
from walrus_sui.abi import aborts, move_types
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Program
from walrus_sui.client import wire
from walrus_sui.client.executor import Executor
from walrus_sui.client.gas import GAS_CAP
from walrus_sui.client.object_reads import ObjectReads
from walrus_sui.client.purse import balance_of
from walrus_sui.errors import ChainTimeout, MalformedChainData, MoveAbort
from walrus_sui.keys import SuiKey
from walrus_sui.network_config import NetworkConfig

if TYPE_CHECKING:
    from walrus_sui.client.transport import Transport

T = TypeVar("T")

Build = Callable[[Program, Contract, Sequence[ObjectId]], object]
"""Adds commands to a program, given where calls go and the sender's WAL coins (none unless asked for)."""

View = Callable[[Program, Contract], object]
"""Adds commands whose last one returns what is asked for."""

_NOBODY = SuiAddress(move_types.object_id(bytes(32)))
_POLL_FIRST = 0.05
_POLL_LONGEST = 0.5


class Writer(ObjectReads):
    """Executes programs for the typed writes; base of `ChainClient`, which see."""

    def __init__(
        self,
        config: NetworkConfig,
        transport: "Transport",
        *,
        patience: float,
        until_checkpoint: bool,
        rng: random.Random,
        gas_cap: int = GAS_CAP,
    ) -> None:
        super().__init__(config, transport)
        self._patience = patience
        self._until_checkpoint = until_checkpoint
        self._executor = Executor(transport, wal_type=config.wal_type, patience=patience, gas_cap=gas_cap, rng=rng)

    async def wait_for_checkpoint(self, digest: Digest) -> int:
        """Wait until a checkpoint includes a transaction; returns its sequence number.

        Raises:
            ChainTimeout: it did not happen within the client's patience.
        """
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self._patience, _POLL_FIRST
        while True:
            found = await self._transport.transaction(digest)
            if found is not None and found.checkpoint is not None:
                return found.checkpoint
            if loop.time() > deadline:
                raise ChainTimeout(f"transaction {digest} is in no checkpoint after {self._patience} s")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _POLL_LONGEST)

    async def _run(self, key: SuiKey, build: Build, *, wal: int | None = None) -> wire.Executed:
        """Execute, once more on the newest package when the contract was upgraded in between."""
        executed = await self._on_newest(lambda contract: self._executor.run(key, _bound(build, contract), wal=wal))
        if self._until_checkpoint and executed.checkpoint is None:
            await self.wait_for_checkpoint(executed.digest)
        return executed

    async def _view(self, build: View, *, sender: SuiAddress | None = None) -> bytes:
        """Return the BCS of what the last command of a program would return now; nothing is executed or paid.

        Raises:
            MoveAbort: the function aborts.
            MalformedChainData: it returns nothing.
        """
        simulated = await self._on_newest(
            lambda contract: self._executor.simulate(
                lambda program, _wal: build(program, contract), sender=sender or _NOBODY
            )
        )
        if not simulated.returned or not simulated.returned[-1]:
            raise MalformedChainData("the endpoint's simulation tells no return values")
        return simulated.returned[-1][0]

    async def _on_newest(self, call: Callable[[Contract], Awaitable[T]]) -> T:
        """Call the package that is known to be the newest, and once more when the chain says that it no longer is."""
        try:
            return await call(await self.contract())
        except MoveAbort as error:
            if error.module not in {"staking", "system"} or error.code != aborts.WRONG_VERSION:
                raise
        return await call(await self.contract(fresh=True))

    async def _received_wal(self, executed: wire.Executed) -> int:
        """Return the FROST in the WAL coin that a transaction made."""
        kind = move_types.canonical(move_types.coin_type(self.config.wal_type))
        made = created(executed, kind)
        if not made:
            raise MalformedChainData(f"transaction {executed.digest} made no WAL coin")
        return balance_of(await self._contents(executed, made[0])) or 0

    def _events(self, executed: wire.Executed) -> list[events.Event | None]:
        """Decode a transaction's own events; the sender called the contract itself, so any package's count."""
        return [events.decode(event.type, event.contents) for event in executed.events]

    async def _contents(self, executed: wire.Executed, object_id: ObjectId) -> bytes:
        """Return the BCS of an object that a transaction wrote, from the answer or else from the index."""
        ref = next((change.ref for change in executed.changed if change.object_id == object_id), None)
        for item in executed.objects:
            if item.ref == ref and item.contents:
                return item.contents
        if ref is None:
            raise MalformedChainData(f"transaction {executed.digest} did not write {object_id}")
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self._patience, _POLL_FIRST
        while True:  # read-after-write is not promised
            found = (await self._transport.objects([object_id])).get(object_id)
            if found is not None and found.ref.version >= ref.version:
                return found.contents
            if loop.time() > deadline:
                raise ChainTimeout(f"object {object_id} of transaction {executed.digest} does not appear")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _POLL_LONGEST)


def _bound(build: Build, contract: Contract) -> Callable[[Program, Sequence[ObjectId]], object]:
    return lambda program, wal: build(program, contract, wal)


def created(executed: wire.Executed, object_type: str) -> list[ObjectId]:
    """Return the ids of the objects of one type that a transaction created, in id order."""
    return [change.object_id for change in executed.changed if change.created and change.type == object_type]
