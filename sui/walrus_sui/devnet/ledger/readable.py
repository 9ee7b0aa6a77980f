"""A chain as it stands at one moment, as far as it can be read.

The running `Ledger` is one, and so is what it was when an earlier checkpoint closed (`as_of`). Reading changes nothing,
and neither does `simulate`.
"""

from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.devnet.genesis import WellKnown
from walrus_sui.devnet.ledger import datatypes, gas, past, queries, simulation
from walrus_sui.devnet.ledger.checkpoints import Checkpoint, Executed
from walrus_sui.devnet.ledger.errors import LedgerError
from walrus_sui.devnet.ledger.history import History
from walrus_sui.devnet.ledger.objects import Object
from walrus_sui.devnet.ledger.state import State
from walrus_sui.devnet.ledger.transactions import TransactionData
from walrus_sui.devnet.ledger.views import CoinInfo, Datatype, DynamicField, EpochInfo, FunctionSignature, Simulated
from walrus_sui.devnet.move.core.packages import Packages
from walrus_sui.devnet.move.core.runtime import ChainRules
from walrus_sui.devnet.move.core.types import JSON

SUI_EPOCH = 0
PROTOCOL_VERSION = 100


class Readable:
    """A chain in memory, for reading only.

    Attributes:
        well_known: ids that clients must know.
        chain_id: digest of checkpoint 0.
        head: the last closed checkpoint.
    """

    def __init__(
        self,
        well_known: WellKnown,
        *,
        genesis: Checkpoint,
        head: Checkpoint,
        state: State,
        history: History,
        rules: ChainRules,
    ) -> None:
        self.well_known = well_known
        self.chain_id: Digest = genesis.digest
        self.head = head
        self._genesis = genesis
        self._rules = rules
        self._state = state
        self._history = history
        self._pending: dict[Digest, Executed] = {}

    def as_of(self, sequence: int) -> "Readable":
        """This chain as it was when a checkpoint closed; at most as far back as is kept in memory."""
        head = self.checkpoint(sequence)
        later = self._history.after(sequence)
        if head is None or (later and later[0].checkpoint.sequence != sequence + 1):
            raise LedgerError(f"checkpoint {sequence} is not in memory any more")
        executed = [*(item for delta in later for item in delta.transactions), *self._pending.values()]
        return Readable(
            self.well_known,
            genesis=self._genesis,
            head=head,
            state=past.before(self._state, reversed(executed), self.object),
            history=self._history.until(sequence),
            rules=self._rules,
        )

    def simulate(
        self, transaction: TransactionData, *, do_gas_selection: bool = False, checks: bool = True
    ) -> Simulated:
        """Runs a transaction without effect.

        Args:
            transaction: signed or not; without gas payment, a budget of 0 and a price of 0 stand for "choose".
            do_gas_selection: choose the payer's coins and the budget; otherwise, without payment, an invented coin
                pays.
            checks: whether owned objects must belong to the sender, the gas must suffice, results must be used and
                functions may not return references.

        Raises:
            Rejected: as for `execute`, or there are not enough coins to choose from.
        """
        return simulation.simulate(
            self._state,
            self._rules,
            transaction,
            do_gas_selection=do_gas_selection,
            checks=checks,
            epoch=SUI_EPOCH,
        )

    def transaction(self, digest: Digest) -> Executed | None:
        """A transaction that is pending or in a kept checkpoint."""
        return self._pending.get(digest) or self._history.transaction(digest)

    def pending(self) -> tuple[Executed, ...]:
        """Transactions that wait for their checkpoint, in order."""
        return tuple(self._pending.values())

    def checkpoint(self, key: int | Digest) -> Checkpoint | None:
        """A kept checkpoint, by sequence number or digest."""
        if key in {self.head.sequence, self.head.digest}:
            return self.head
        return self._genesis if key in {0, self.chain_id} else self._history.checkpoint(key)

    def object(self, object_id: ObjectId, version: int | None = None) -> Object | None:
        """The live version of an object, or a past one as far as it is kept."""
        live = self._state.get(object_id)
        if version is None or (live is not None and live.version == version):
            return live
        for executed in self._pending.values():
            for obj in executed.output_objects:
                if (obj.object_id, obj.version) == (object_id, version):
                    return obj
        return self._history.version(object_id, version)

    @property
    def packages(self) -> Packages:
        """Where packages stand now, upgrades included."""
        return self._rules.packages

    def objects(self) -> list[Object]:
        """All live objects."""
        return list(self._state)

    def owned_objects(self, owner: SuiAddress, type_filter: str | None = None) -> list[Object]:
        """Objects of an address, sorted by id; see `queries.owned_objects`."""
        return queries.owned_objects(self._state, owner, type_filter)

    def balances(self, owner: SuiAddress) -> dict[str, int]:
        """Sum of an address's coins, by coin type."""
        return queries.balances(self._state, owner)

    def balance(self, owner: SuiAddress, coin_type: str) -> int:
        """Sum of an address's coins of one type, which may be spelled in any way."""
        return queries.balances(self._state, owner).get(queries.canonical_type(coin_type), 0)

    def dynamic_fields(self, parent: ObjectId) -> list[DynamicField]:
        """Dynamic fields of an object, sorted by the id of the field."""
        return queries.dynamic_fields(self._state, self._rules.packages, parent)

    def coin_info(self, coin_type: str) -> CoinInfo | None:
        """What is known of a coin type."""
        return queries.coin_info(self._state, coin_type)

    def function(self, package: str, module: str, name: str) -> FunctionSignature | None:
        """Signature of a function."""
        return queries.function_signature(self._rules.packages, package, module, name)

    def datatype(self, package: str, module: str, name: str) -> Datatype | None:
        """A struct or enum."""
        return datatypes.datatype(self._rules.packages, package, module, name)

    def as_json(self, type_text: str, contents: bytes) -> JSON:
        """A Move value as Sui renders it."""
        return queries.as_json(self._rules.packages, type_text, contents)

    def epoch_info(self) -> EpochInfo:
        """The Sui epoch."""
        return EpochInfo(
            epoch=SUI_EPOCH,
            start_ms=self._genesis.timestamp_ms,
            reference_gas_price=gas.REFERENCE_GAS_PRICE,
            protocol_version=PROTOCOL_VERSION,
            chain_id=self.chain_id,
        )
