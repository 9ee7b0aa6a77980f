"""Time that passes when it is told to: by milliseconds, or by whole Walrus epochs.

A chain with a manual clock stands still until an `advance_*` here moves the clock and closes a checkpoint, so that the
chain's ``Clock`` object moves too. For an epoch, the clock goes to the earliest moment that the contract allows; voting
is ended and the next epoch begun by the faucet's account, because anybody may, unless a node was faster. What only the
nodes can do, attest that they have their shards, is waited for.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from walrus_sui.devnet.clock import ManualClock
from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.genesis import WellKnown
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.records import (
    CLOCK_ID,
    Failure,
    Input,
    MoveCall,
    ProgrammableTransaction,
    SharedObject,
    SharedOwner,
)
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.walrus.staking_inner import EpochChangeSync, NextParamsSelected, StakingInnerV1

MAX_ADVANCE_MS: Final = 10 * 365 * 86_400_000
MAX_EPOCHS: Final = 1000


class TimelapseError(Exception):
    """Time cannot pass so. Remedy: the message says what the epoch waits for."""


@dataclass(frozen=True)
class Moment:
    """Where a chain is.

    Attributes:
        now_ms: its clock, Unix milliseconds.
        epoch: the Walrus epoch.
        checkpoint: the newest checkpoint.
    """

    now_ms: int
    epoch: int
    checkpoint: int


class Timelapse:
    """Moves the manual clock of an engine. One call at a time; others wait for it."""

    def __init__(self, engine: Engine, clock: ManualClock) -> None:
        self._engine = engine
        self._clock = clock
        self._turn = asyncio.Lock()

    async def advance_ms(self, ms: int) -> Moment:
        """Moves the clock on and closes a checkpoint.

        Raises:
            TimelapseError: negative, or more than ten years.
            EngineStopped: the devnet stops.
        """
        if not 0 <= ms <= MAX_ADVANCE_MS:
            raise TimelapseError(f"time moves by 0 to {MAX_ADVANCE_MS} ms at once, not by {ms}")
        async with self._turn:
            return await self._to(self._clock.now_ms + ms)

    async def advance_epochs(self, count: int, *, patience_s: float) -> Moment:
        """Takes the network through whole epochs; returns when the last one's change is done.

        Args:
            count: how many.
            patience_s: real seconds that the nodes may take to attest their shards, in each epoch.

        Raises:
            TimelapseError: too many, the contract refused, or the nodes did not attest in time.
            EngineStopped: the devnet stops.
        """
        if not 1 <= count <= MAX_EPOCHS:
            raise TimelapseError(f"1 to {MAX_EPOCHS} epochs can pass at once, not {count}")
        async with self._turn:
            for _ in range(count):
                await self._one_epoch(patience_s)
            return self._moment()

    async def _one_epoch(self, patience_s: float) -> None:
        await self._attested(patience_s)
        staking = _staking(self._engine.ledger)
        epoch, done = staking.epoch, staking.epoch_state.pos0
        if not isinstance(staking.epoch_state, NextParamsSelected):
            await self._to(done + staking.epoch_duration // 2 if epoch else staking.first_epoch_start)
            await self._unless_done(epoch, "voting_end", NextParamsSelected)
        await self._to(done + staking.epoch_duration if epoch else staking.first_epoch_start)
        await self._unless_done(epoch, "initiate_epoch_change_v2", None)
        await self._attested(patience_s)

    async def _unless_done(self, epoch: int, function: str, state: type[object] | None) -> None:
        """Calls what ends a stage of the epoch, unless a node was faster."""
        staking = _staking(self._engine.ledger)
        if staking.epoch == epoch and (state is None or not isinstance(staking.epoch_state, state)):
            failure = await self._call(function)
            if failure is not None:
                raise TimelapseError(f"epoch {epoch} cannot end: {function}: {failure.description}")

    async def _call(self, function: str) -> Failure | None:
        ledger = self._engine.ledger
        known = ledger.well_known
        parts = {
            "voting_end": (known.staking, CLOCK_ID),
            "initiate_epoch_change_v2": (known.staking, known.system, known.treasury, CLOCK_ID),
        }[function]
        inputs = []
        for object_id in parts:
            obj = ledger.object(object_id)
            if obj is None or not isinstance(obj.owner, SharedOwner):
                raise TimelapseError(f"the chain has no shared object {object_id}")
            inputs.append(SharedObject(object_id, obj.owner.initial_version, object_id != CLOCK_ID))
        arguments = tuple(Input(index) for index in range(len(inputs)))
        command = MoveCall(known.walrus_package, "staking", function, (), arguments)
        executed = await self._engine.execute_as_faucet(ProgrammableTransaction(tuple(inputs), (command,)))
        return executed.effects.failure

    async def _attested(self, patience_s: float) -> None:
        """Waits until a quorum of the committee has its shards."""
        subscription = self._engine.hub.subscribe()
        try:
            async with asyncio.timeout(patience_s):
                while isinstance(_staking(self._engine.ledger).epoch_state, EpochChangeSync):
                    await anext(subscription)
        except TimeoutError:
            staking = _staking(self._engine.ledger)
            raise TimelapseError(
                f"epoch {staking.epoch} waits for its nodes: {staking.epoch_state.pos0} of {staking.n_shards} shards are "
                f"attested after {patience_s:g} s; look at the nodes, or give more patience"
            ) from None
        finally:
            self._engine.hub.unsubscribe(subscription)

    async def _to(self, now_ms: int) -> Moment:
        self._clock.now_ms = max(now_ms, self._clock.now_ms)
        await self._engine.close_checkpoint()
        return self._moment()

    def _moment(self) -> Moment:
        head = self._engine.ledger.head
        return Moment(head.timestamp_ms, _staking(self._engine.ledger).epoch, head.sequence)


def _staking(ledger: Ledger) -> StakingInnerV1:
    known: WellKnown = ledger.well_known
    found: list[Any] = []
    for field in ledger.dynamic_fields(known.staking):
        move_type = registry.resolve(known.packages.aliased(tags.parse(field.value.type)))
        found.append(move_type.from_bcs(field.value.bcs))
    inner: StakingInnerV1 = next(item for item in found if isinstance(item, StakingInnerV1))
    return inner
