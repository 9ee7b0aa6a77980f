"""The ledger: the one object that whoever runs a devnet holds.

Its life: `genesis` or `restore`, then `execute` for each transaction, and `close_checkpoint` again and again. Everything
is decided in memory and in order of the calls; there is one caller at a time. Nothing here reads a clock, draws random
numbers or does IO: the same calls give the same digests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from walrus_codec.bcs import BcsError
from walrus_codec.types import Digest, SuiAddress
from walrus_sui.devnet import genesis as geneses
from walrus_sui.devnet.genesis import Genesis, GenesisConfig
from walrus_sui.devnet.ledger import gas, inputs, queries, signatures, system_transactions
from walrus_sui.devnet.ledger.checkpoints import Checkpoint, Delta, Executed
from walrus_sui.devnet.ledger.effects import NO_GAS
from walrus_sui.devnet.ledger.errors import LedgerError, Rejected, RestoreError
from walrus_sui.devnet.ledger.execution import Execution
from walrus_sui.devnet.ledger.history import History
from walrus_sui.devnet.ledger.inputs import LoadedInputs
from walrus_sui.devnet.ledger.objects import CLOCK_ID, GAS_COIN_TYPE, PACKAGE_TYPE, Object
from walrus_sui.devnet.ledger.programs import (
    GAS_COIN,
    Input,
    NestedResult,
    ProgrammableTransaction,
    Pure,
    SplitCoins,
    TransferObjects,
)
from walrus_sui.devnet.ledger.readable import SUI_EPOCH, Readable
from walrus_sui.devnet.ledger.state import State, StoredObject
from walrus_sui.devnet.ledger.transactions import GasData, TransactionData, transaction_digest
from walrus_sui.devnet.ledger.upgrades import with_upgrades
from walrus_sui.devnet.move.core.tags import TypeTagError

FAUCET_BUDGET = 50_000_000


class Ledger(Readable):
    """A chain in memory that goes on.

    Make it with `genesis` or `restore`.

    Attributes:
        config: what the chain was made from.
    """

    def __init__(
        self,
        config: GenesisConfig,
        made: Genesis,
        *,
        state: State,
        genesis: Checkpoint,
        head: Checkpoint,
        history: History,
        strict: bool,
    ) -> None:
        super().__init__(made.well_known, genesis=genesis, head=head, state=state, history=history, rules=made.rules)
        self.config = config
        self._strict = strict
        self._faucet_key = geneses.faucet_key(config)
        self._know_packages(state.of_type(PACKAGE_TYPE))

    # Life

    @classmethod
    def genesis(
        cls, config: GenesisConfig, *, now_ms: int, history_limit: int | None = None, strict: bool = False
    ) -> tuple["Ledger", Delta]:
        """Makes a new chain.

        Args:
            config: what it is made from.
            now_ms: the clock at genesis.
            history_limit: checkpoints to keep in memory; None keeps all.
            strict: check native code's borrows, for tests; slower.

        Returns:
            The ledger and checkpoint 0, which is to be stored.
        """
        made = geneses.build(config, now_ms=now_ms)
        executed = system_transactions.genesis(made.objects)
        checkpoint = _seal([executed], previous=None, timestamp_ms=now_ms)
        placed = executed.in_checkpoint(0, now_ms)
        objects = executed.output_objects
        delta = Delta(checkpoint, (placed,), objects, (), objects)
        history = History(history_limit)
        history.add(delta)
        state = State(objects)
        ledger = cls(config, made, state=state, genesis=checkpoint, head=checkpoint, history=history, strict=strict)
        return ledger, delta

    @classmethod
    def restore(
        cls,
        config: GenesisConfig,
        *,
        objects: Iterable[Object | StoredObject],
        genesis: Checkpoint,
        head: Checkpoint,
        history_limit: int | None = 1_000,
        strict: bool = False,
    ) -> "Ledger":
        """Continues a stored chain.

        Transactions that were executed after `head` was closed are to be executed again, in order.

        Args:
            config: the one that the chain was made from.
            objects: live objects, one version each.
            genesis: checkpoint 0.
            head: last stored checkpoint.
            history_limit: checkpoints to keep in memory.
            strict: check native code's borrows, for tests.

        Raises:
            RestoreError: the rows do not fit together or belong to another configuration.
        """
        made = geneses.build(config, now_ms=genesis.timestamp_ms)
        state = State(objects)
        if genesis.sequence != 0:
            raise RestoreError(f"checkpoint {genesis.sequence} was given as genesis")
        expected = _seal([system_transactions.genesis(made.objects)], previous=None, timestamp_ms=genesis.timestamp_ms)
        if expected.digest != genesis.digest:
            raise RestoreError(
                f"the stored chain {genesis.digest} was not made from this configuration: restore the configuration "
                "that the data directory was made with, or start with an empty directory"
            )
        for object_id in (CLOCK_ID, made.well_known.system, made.well_known.staking):
            if state.get(object_id) is None:
                raise RestoreError(f"object {object_id} is missing in the stored state")
        history = History(history_limit)
        return cls(config, made, state=state, genesis=genesis, head=head, history=history, strict=strict)

    # Transactions

    def execute(self, tx_bytes: bytes, user_signatures: Sequence[bytes], *, digest: Digest | None = None) -> Executed:
        """Checks and runs a transaction; one that is known already gives its first result again.

        Args:
            tx_bytes: BCS of the transaction.
            user_signatures: of the sender and, if somebody else pays, of the payer.
            digest: of the transaction, from a caller who has hashed it and knows that it is new.

        Raises:
            Rejected: it is malformed, badly signed or its inputs cannot be used; it did not run.
        """
        if digest is None:
            digest = transaction_digest(tx_bytes)
            known = self.transaction(digest)
            if known is not None:
                return known
        transaction = decode(tx_bytes)
        inputs.check_form(transaction, len(tx_bytes))
        signatures.verify(tx_bytes, transaction, user_signatures)
        self._check_expiration(transaction)
        payment = inputs.load_payment(self._state, transaction)
        inputs.check_gas(transaction, payment)
        loaded = LoadedInputs(inputs.load_objects(self._state, transaction), payment)
        outcome = Execution(
            self._state,
            self._rules,
            transaction=transaction,
            digest=digest,
            inputs=loaded,
            strict=self._strict,
        ).run(SUI_EPOCH)
        for object_id in outcome.deleted:
            self._state.remove(object_id)
        for obj in outcome.after:
            self._state.put(obj)
        self._know_packages(outcome.after)
        executed = Executed(
            transaction,
            tx_bytes,
            tuple(user_signatures),
            outcome.effects,
            outcome.events,
            outcome.before,
            outcome.after,
        )
        self._pending[digest] = executed
        return executed

    def faucet(self, recipient: SuiAddress, amounts: Sequence[int]) -> Executed:
        """Gives SUI to an address: a transaction like any other, signed by the faucet's account.

        Args:
            recipient: canonical address.
            amounts: MIST, one new coin each; they stand among the created objects of the effects.

        Raises:
            LedgerError: the faucet is empty.
        """
        coin = self._faucet_coin()
        if coin is None or (coin.coin_balance or 0) < sum(amounts) + FAUCET_BUDGET:
            raise LedgerError("the faucet is empty: make a new devnet or send SUI to " + self.well_known.faucet)
        values = [Pure(amount.to_bytes(8, "little")) for amount in amounts]
        address = Pure(bytes.fromhex(recipient[2:]))
        commands = (
            SplitCoins(GAS_COIN, tuple(Input(index) for index in range(len(values)))),
            TransferObjects(tuple(NestedResult(0, index) for index in range(len(values))), Input(len(values))),
        )
        executed = self.execute_as_faucet(ProgrammableTransaction((*values, address), commands), coin)
        if executed.effects.failure is not None:
            raise LedgerError(f"the faucet failed: {executed.effects.failure.description}")
        return executed

    def execute_as_faucet(self, kind: ProgrammableTransaction, payment: Object | None = None) -> Executed:
        """Runs a program signed by the faucet's account, for calls that anybody may make.

        Raises:
            LedgerError: the faucet is empty.
        """
        coin = payment or self._faucet_coin()
        if coin is None:
            raise LedgerError("the faucet is empty: make a new devnet or send SUI to " + self.well_known.faucet)
        gas_data = GasData((coin.ref,), self.well_known.faucet, gas.REFERENCE_GAS_PRICE, FAUCET_BUDGET)
        tx_bytes = TransactionData(kind, self.well_known.faucet, gas_data).to_bcs()
        return self.execute(tx_bytes, [signatures.sign(tx_bytes, self._faucet_key)])

    def _faucet_coin(self) -> Object | None:
        coins = queries.owned_objects(self._state, self.well_known.faucet, GAS_COIN_TYPE)
        return max(coins, key=lambda obj: obj.coin_balance or 0, default=None)

    def close_checkpoint(self, now_ms: int) -> Delta:
        """Moves the clock to `now_ms`, never back, and seals everything since the last checkpoint."""
        sequence = self.head.sequence + 1
        timestamp_ms = max(now_ms, self.head.timestamp_ms)
        clock = self._state.get(CLOCK_ID)
        if clock is None:
            raise LedgerError("the clock is missing")
        tick = system_transactions.clock(clock, epoch=SUI_EPOCH, sequence=sequence, timestamp_ms=timestamp_ms)
        self._state.put(tick.output_objects[0])
        executed = [*self._pending.values(), tick]
        checkpoint = _seal(executed, previous=self.head, timestamp_ms=timestamp_ms)
        versions = tuple(obj for item in executed for obj in item.output_objects)
        touched = {change.object_id for item in executed for change in item.effects.changed_objects}
        live = {object_id: self._state.get(object_id) for object_id in sorted(touched)}
        delta = Delta(
            checkpoint,
            tuple(item.in_checkpoint(sequence, timestamp_ms) for item in executed),
            tuple(obj for obj in live.values() if obj is not None),
            tuple(object_id for object_id, obj in live.items() if obj is None),
            versions,
        )
        self._pending.clear()
        self.head = checkpoint
        self._history.add(delta)
        return delta

    def _know_packages(self, objects: Iterable[Object]) -> None:
        packages = with_upgrades(self._rules.packages, objects)
        if packages != self._rules.packages:
            self._rules = replace(self._rules, packages=packages)

    def _check_expiration(self, transaction: TransactionData) -> None:
        now_ms = self.head.timestamp_ms
        inputs.check_expiration(transaction, epoch=SUI_EPOCH, chain_id=self.chain_id, now_ms=now_ms)


def decode(tx_bytes: bytes) -> TransactionData:
    """Reads a transaction that came from outside.

    Raises:
        Rejected: it is malformed.
    """
    try:
        return TransactionData.from_bcs(tx_bytes)
    except (BcsError, TypeTagError) as error:
        raise Rejected(f"Invalid transaction: {error}") from None


def _seal(executed: Sequence[Executed], *, previous: Checkpoint | None, timestamp_ms: int) -> Checkpoint:
    rolling = sum((item.effects.gas_used for item in executed), previous.rolling_gas if previous else NO_GAS)
    return Checkpoint(
        epoch=SUI_EPOCH,
        sequence=previous.sequence + 1 if previous else 0,
        total_transactions=(previous.total_transactions if previous else 0) + len(executed),
        previous_digest=previous.digest if previous else None,
        rolling_gas=rolling,
        timestamp_ms=timestamp_ms,
        transactions=tuple(item.digest for item in executed),
        effects_digests=tuple(item.effects.digest for item in executed),
        signatures=tuple(item.signatures for item in executed),
    )
