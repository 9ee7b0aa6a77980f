"""Programs become executed transactions: coins, references, signature, submission, and what is learnt from the effects.

Life of a program: it waits for its turn, in order of arrival per key; a transaction in doubt is settled first; WAL coins
are chosen from the purse, references filled in, the gas is estimated and gas coins chosen; the bytes are signed and
sent, and sent again, the same bytes, until the chain gives an answer. A refusal means that something known was stale:
everything is read anew and the program is built again; when other bytes come out they are sent, and after a few rounds
the refusal is the answer. A transaction that ran and was cut off (out of gas, congestion) is dead and built again with
more room. Effects are checked, and the new versions remembered, so that the next program needs no reads at all.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.abi import aborts, move_types, ptb
from walrus_sui.abi.ptb import ObjectRef, Program
from walrus_sui.client import wire
from walrus_sui.client.coins import CoinChooser, ScatteredError
from walrus_sui.client.gas import GAS_CAP, MARK, GasEstimates
from walrus_sui.client.purse import MAX_PAYMENT, Purse, Signed
from walrus_sui.client.submission import Endpoint, Submission
from walrus_sui.client.versions import Versions
from walrus_sui.errors import (
    ChainError,
    ChainTimeout,
    MoveAbort,
    ObjectNotFound,
    TransactionFailed,
    TransactionRejected,
)
from walrus_sui.keys import SuiKey
from walrus_sui.telemetry import meter, names, tracer

_ROUNDS = 4
_LAG_PAUSES = 6  # about five seconds in all
_GAS_PRICE_SECONDS = 600.0
_FIRST_PAUSE = 0.1

Build = Callable[[Program, Sequence[ObjectId]], object]
"""Adds commands to a program, given the WAL coins of the sender (none unless asked for)."""


class Executor:
    """Executes programs for any number of keys; programs of one key run one after the other.

    Args:
        endpoint: the transport.
        wal_type: Move type of WAL.
        patience: seconds to go on submitting the same bytes, and to wait for a lagging index.
        queue_patience: seconds that a call may wait for its turn.
        gas_cap: MIST that no transaction may exceed.
        rng: source of jitter.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        wal_type: str,
        patience: float = 60.0,
        queue_patience: float = 600.0,
        gas_cap: int = GAS_CAP,
        rng: random.Random | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self._rng = rng or random.Random()  # noqa: S311  (jitter, no secret)
        self._submission = Submission(endpoint, patience=patience, rng=self._rng)
        self._queue_patience = queue_patience
        self._estimates = GasEstimates(endpoint, cap=gas_cap)
        self._purses: dict[SuiAddress, Purse] = {}
        self._shared_since: dict[ObjectId, int] = {}
        self._versions = Versions(patience=patience, pause=self._submission.pause)
        self._coins = CoinChooser(endpoint, self._versions, wal_type=wal_type)
        self._gas_price: tuple[int, float] | None = None
        self._count = meter().create_counter(names.CHAIN_TRANSACTIONS, description="Transactions by result.")
        self._duration = meter().create_histogram(
            names.CHAIN_TRANSACTION_DURATION, unit="s", description="From the call to known effects."
        )

    async def run(self, key: SuiKey, build: Build, *, wal: int | None = None) -> wire.Executed:
        """Execute a program and return its effects.

        Args:
            key: who signs and pays.
            build: adds the commands; may be called again when what it was built on turns out to be stale.
            wal: FROST that `build` will spend from the sender's coins, which are then handed to it; 0 hands it all
                coins, for calls whose price only the contract knows; None hands it none.

        Raises:
            MoveAbort: the contract refused.
            TransactionFailed: execution failed otherwise.
            TransactionRejected: the chain refused to execute.
            TransactionUnknown: sent, but no answer within `patience`.
            InsufficientFunds: too little SUI or no WAL; nothing was sent.
            ChainUnreachable: nothing was sent; also when too many others wait for the same key (`ChainTimeout`).
        """
        purse = self._purses.setdefault(key.address, Purse(key.address))
        started = time.monotonic()
        attributes = {names.ATTR_FUNCTION: "unbuilt", names.ATTR_OUTCOME: "error"}
        with tracer().start_as_current_span("chain transaction") as span:
            try:
                async with self._turn(purse):
                    executed = await self._run_locked(purse, key, build, wal=wal, attributes=attributes)
                if executed.failure is not None:
                    raise _error_of(executed.failure, executed.digest)
                attributes[names.ATTR_OUTCOME] = "executed"
            except ChainError as error:
                attributes[names.ATTR_OUTCOME] = type(error).__name__
                raise
            finally:
                span.set_attributes(attributes)
                self._count.add(1, attributes)
                self._duration.record(time.monotonic() - started, attributes)
        return executed

    async def simulate(self, build: Build, *, sender: SuiAddress) -> wire.Simulated:
        """Run a program without effect or payment, to learn what its commands return.

        Raises:
            MoveAbort: it would abort.
            ChainUnreachable: nobody answers.
        """
        program = Program()
        build(program, ())
        shared = await self._shared(program.shared_objects)
        owned = await self._owned(Purse(sender), program.owned_objects)
        kind = program.encode(owned, shared)
        price, cap = await self._price(), self._estimates.unknown.wanted
        data = ptb.transaction_data(kind, sender=sender, payment=[], gas_price=price, gas_budget=cap)
        simulated = await self._endpoint.simulate(data)
        if simulated.failure is not None:
            raise _error_of(simulated.failure, "")
        return simulated

    @asynccontextmanager
    async def _turn(self, purse: Purse) -> AsyncIterator[None]:
        """Hold a key; callers get it in the order in which they came."""
        try:
            async with asyncio.timeout(self._queue_patience):
                await purse.lock.acquire()
        except TimeoutError:
            raise ChainTimeout(
                f"other transactions of {purse.address} took all of {self._queue_patience} s; nothing was sent"
            ) from None
        try:
            yield
        finally:
            purse.lock.release()

    async def _run_locked(
        self,
        purse: Purse,
        key: SuiKey,
        build: Build,
        *,
        wal: int | None,
        attributes: dict[str, str],
        may_gather: bool = True,
    ) -> wire.Executed:
        settled = await self._submission.settle(purse)
        if settled is not None:
            self._versions.learn(settled)
        previous, pause = b"", _FIRST_PAUSE
        mark = self._rng.randrange(MARK)
        rounds = pauses = 0
        cut_off = False
        refusal = TransactionRejected("the chain refused the transaction")
        while True:
            program = Program()
            try:
                coins = await self._coins.wal(purse, wal) if wal is not None else ()
            except ScatteredError as scattered:
                await self._gather(purse, key, scattered, may_gather=may_gather)
                continue
            build(program, coins)
            attributes[names.ATTR_FUNCTION] = program.description
            shared = await self._shared(program.shared_objects)
            owned = await self._owned(purse, program.owned_objects)
            kind, price = program.encode(owned, shared), await self._price()
            budget = self._estimates.unknown
            if not cut_off:
                budget = await self._estimates.budget(program, kind, sender=key.address, price=price)
            try:
                payment, allowed = await self._coins.payment(purse, program, budget)
            except ScatteredError as scattered:
                await self._gather(purse, key, scattered, may_gather=may_gather)
                continue
            gas = [coin.ref for coin in payment]
            data = ptb.transaction_data(
                kind, sender=key.address, payment=gas, gas_price=price, gas_budget=allowed - mark
            )
            if data == previous:  # perhaps only the index has not seen yet what the refusal is about
                pauses += 1
                if pauses > _LAG_PAUSES:
                    raise refusal
                pause = await self._submission.pause(pause)
                self._distrust(purse, program)
                continue
            previous = data
            inputs = (*gas, *owned.values())
            signed = Signed(data, key.sign_transaction(data), move_types.transaction_digest(data), inputs)
            try:
                executed = await self._submission.submit(purse, signed)
            except TransactionRejected as error:
                refusal = error
                rounds += 1
                if rounds == _ROUNDS:
                    raise
                self._distrust(purse, program)
                continue
            gas_before = sum(coin.balance for coin in payment)
            self._learn(purse, executed, gas_before=gas_before, spent=program.gas_coin_spent)
            self._estimates.learn(program, executed)
            cut_off = executed.failure is not None and executed.failure.may_pass_later
            rounds += 1
            if not cut_off or rounds == _ROUNDS:
                return executed

    async def _gather(self, purse: Purse, key: SuiKey, scattered: ScatteredError, *, may_gather: bool) -> None:
        """Merge coins, because more are needed than one transaction can take."""
        if not may_gather:
            raise scattered.insufficient
        some = [coin.ref.object_id for coin in scattered.coins[1 : MAX_PAYMENT + 1]]
        first: ptb.Argument = ptb.Owned(scattered.coins[0].ref.object_id)
        if scattered.insufficient.coin == "SUI":
            first = ptb.GasCoin()

        def merge(program: Program, _wal: Sequence[ObjectId]) -> None:
            program.add(ptb.MergeCoins(first, tuple(ptb.Owned(coin) for coin in some)))

        merged = await self._run_locked(purse, key, merge, wal=None, attributes={}, may_gather=False)
        if merged.failure is not None:
            raise _error_of(merged.failure, merged.digest)

    # -- what a transaction is built from

    async def _owned(self, purse: Purse, object_ids: list[ObjectId]) -> dict[ObjectId, ObjectRef]:
        coins = {object_id: coin.ref for held in purse.coins.values() for object_id, coin in held.items()}
        refs = {object_id: coins.get(object_id) or self._versions.get(object_id) for object_id in object_ids}
        missing = [object_id for object_id, ref in refs.items() if ref is None]

        async def reading() -> list[wire.RawObject]:
            return list((await self._endpoint.objects(missing)).values())

        for item in await self._versions.caught_up(reading) if missing else []:
            if item.owner is not None and item.owner != purse.address:
                raise TransactionRejected(
                    f"object {item.ref.object_id} belongs to {item.owner}, not to {purse.address}"
                )
            refs[item.ref.object_id] = item.ref
            self._versions.remember(item.ref)
        absent = [object_id for object_id, ref in refs.items() if ref is None]
        if absent:
            raise ObjectNotFound(f"objects do not exist: {', '.join(absent)}")
        return {object_id: ref for object_id, ref in refs.items() if ref is not None}

    async def _shared(self, object_ids: list[ObjectId]) -> dict[ObjectId, int]:
        missing = [object_id for object_id in object_ids if object_id not in self._shared_since]
        found = await self._endpoint.objects(missing) if missing else {}
        for object_id in missing:
            since = found[object_id].shared_since if object_id in found else None
            if since is None:
                raise ObjectNotFound(
                    f"{object_id} is not a shared object of this chain; check the network configuration"
                )
            self._shared_since[object_id] = since  # never changes
        return {object_id: self._shared_since[object_id] for object_id in object_ids}

    async def _price(self) -> int:
        now = time.monotonic()
        if self._gas_price is None or now - self._gas_price[1] > _GAS_PRICE_SECONDS:
            self._gas_price = (await self._endpoint.gas_price(), now)
        return self._gas_price[0]

    # -- what is learnt

    def _learn(self, purse: Purse, executed: wire.Executed, *, gas_before: int, spent: int) -> None:
        spent = spent if executed.failure is None else 0
        purse.learn(executed, gas_balance=gas_before - executed.gas_cost - spent)
        self._versions.learn(executed)

    def _distrust(self, purse: Purse, program: Program) -> None:
        """Forget all that a refused transaction was built on."""
        purse.forget()
        self._gas_price = None
        self._versions.forget(program.owned_objects)


def _error_of(failure: wire.Failure, digest: str) -> TransactionFailed:
    if not failure.module:
        return TransactionFailed(f"transaction {digest} failed: {failure.description}", digest=digest)
    return MoveAbort(
        failure.module,
        failure.code,
        function=failure.function,
        digest=digest,
        name=aborts.name(failure.module, failure.code),
        command=failure.command,
    )
