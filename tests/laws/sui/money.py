"""What there is on a chain, counted the dumb way: every object is decoded and all purses in it are added up."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.objects import Object
from walrus_sui.devnet.ledger.programs import MoveCall
from walrus_sui.devnet.ledger.transactions import TransactionData
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.wal_exchange.wal_exchange import Exchange
from walrus_sui.devnet.move.walrus.storage_resource import Storage
from walrus_sui.devnet.testing import Account, Chain, TransactionFailed


@dataclass(frozen=True)
class Holdings:
    """What one object holds.

    Attributes:
        value: decoded; of a dynamic field its value; None for packages and coins.
        wal: FROST: coins, stakes, pools, purses and rewards to come.
        sui: MIST: coins and exchanges, without storage rebates.
        storage: reservations.
    """

    value: Any
    wal: int
    sui: int
    storage: tuple[Storage, ...]


class CheckedChain(Chain):
    """Looks at every transaction: one that fails changes gas only, of one that succeeds the calls are noted.

    Attributes:
        reached: calls that took effect, ``module::function``.
        refused: calls of programs that failed.
    """

    reached: set[str]
    refused: set[str]
    _held: dict[tuple[ObjectId, int], Holdings]

    @classmethod
    def of(cls, chain: Chain) -> "CheckedChain":
        """The same chain, which looks at its transactions from now on."""
        chain.__class__ = cls
        assert isinstance(chain, cls)
        chain.reached, chain.refused, chain._held = set(), set(), {}
        chain.keep_failures = True
        return chain

    def submit(self, transaction: TransactionData, sender: Account) -> Executed:
        calls = {
            f"{command.module}::{command.function}"
            for command in transaction.kind.commands  # type: ignore[union-attr]  # all are programs
            if isinstance(command, MoveCall)
        }
        before = self._snapshot()
        try:
            done = super().submit(transaction, sender)
        except (MoveAbort, TransactionFailed):
            effects = self.ledger.pending()[-1].effects
            gas, after = effects.gas_object, self._snapshot()
            assert effects.failure is not None
            assert effects.events_digest is None
            assert gas is not None
            assert before.keys() == after.keys()
            assert {key for key, contents in after.items() if before[key] != contents} == {gas.object_id}
            self.refused |= calls
            raise
        self.reached |= calls
        return done

    def _snapshot(self) -> dict[str, bytes]:
        return {obj.object_id: obj.contents for obj in self.ledger.objects()}

    # Sums

    def holdings(self) -> list[Holdings]:
        """What each live object holds."""
        return [self._holdings(obj) for obj in self.ledger.objects()]

    def _holdings(self, obj: Object) -> Holdings:
        key = obj.object_id, obj.version
        if key not in self._held:
            self._held[key] = self._decoded(obj)
        return self._held[key]

    def _decoded(self, obj: Object) -> Holdings:
        if obj.is_package:
            return Holdings(None, 0, 0, ())
        if obj.coin_type is not None:
            amount = obj.coin_balance or 0
            is_wal, is_sui = obj.coin_type == self.network.wal_type, obj.coin_type == self.network.sui_type
            return Holdings(None, amount * is_wal, amount * is_sui, ())
        value = self.type_of(obj.type).from_bcs(obj.contents)
        sui = value.sui.value if isinstance(value, Exchange) else 0  # the only purse that is not of WAL
        wal = sum(purse.value for purse in _inside(value, Balance)) - sui
        return Holdings(getattr(value, "value", value), wal, sui, tuple(_inside(value, Storage)))

    def wal_supply(self) -> int:
        """FROST that was not burned, as the treasury says."""
        info = self.ledger.coin_info(self.network.wal_type)
        assert info is not None
        return info.total_supply

    def sui_spent(self) -> int:
        """MIST kept for storage, and spent for gas since genesis."""
        kept = sum(obj.storage_rebate for obj in self.ledger.objects())
        gas = self.ledger.head.rolling_gas
        for executed in self.ledger.pending():
            gas += executed.effects.gas_used
        return kept + gas.computation + gas.non_refundable


def _inside(value: Any, kind: type[Any]) -> Iterator[Any]:
    """All values of a class inside a decoded one."""
    if isinstance(value, kind):
        yield value
    elif is_dataclass(value):
        for item in fields(value):
            yield from _inside(getattr(value, item.name), kind)
    elif isinstance(value, dict):
        for pair in value.items():
            yield from _inside(pair, kind)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _inside(item, kind)


def replay(fresh: Chain, log: Chain) -> None:
    """Runs all transactions of a chain on another that stands where it began, and compares what comes of them."""
    for sequence in range(fresh.ledger.head.sequence + 1, log.ledger.head.sequence + 1):
        checkpoint = log.ledger.checkpoint(sequence)
        assert checkpoint is not None
        for digest in checkpoint.transactions[:-1]:  # the last one sets the clock
            done = log.ledger.transaction(digest)
            assert done is not None
            assert fresh.ledger.execute(done.tx_bytes, done.signatures).effects.digest == done.effects.digest
        assert fresh.ledger.close_checkpoint(checkpoint.timestamp_ms).checkpoint == checkpoint
    ours, theirs = fresh.ledger.objects(), log.ledger.objects()
    assert {obj.object_id: obj for obj in ours} == {obj.object_id: obj for obj in theirs}
