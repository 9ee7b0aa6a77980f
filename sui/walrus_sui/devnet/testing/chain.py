"""A chain whose transactions run at once and whose clock is set by hand."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from walrus_codec.types import Epoch, ObjectId
from walrus_sui import bls, messages
from walrus_sui.devnet.genesis import GenesisConfig, Prefunded
from walrus_sui.devnet.ledger import signatures
from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.effects import IdOperation
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.objects import Object
from walrus_sui.devnet.ledger.programs import (
    NestedResult,
)
from walrus_sui.devnet.ledger.transactions import TransactionData
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import packages, tags
from walrus_sui.devnet.move.core.types import MoveType
from walrus_sui.devnet.move.walrus.staking_inner import StakingInnerV1
from walrus_sui.devnet.move.walrus.staking_pool import StakingPool
from walrus_sui.devnet.move.walrus.system_state_inner import SystemStateInnerV1
from walrus_sui.devnet.testing.accounts import Account, Node, account, bls_secret
from walrus_sui.devnet.testing.outcome import raise_failure
from walrus_sui.devnet.testing.program import Program

START_MS = 1_700_000_000_000


class Chain:
    """A chain whose transactions run at once.

    Args:
        config: what the chain is made from; accounts named in `accounts` get money on top.
        accounts: names of accounts that may be used.
        sui, wal: whole coins for each account.

    Attributes:
        ledger: the chain itself.
        now_ms: the clock.
    """

    def __init__(
        self,
        config: GenesisConfig | None = None,
        *,
        accounts: Sequence[str] = ("alice", "bob", "carol"),
        sui: int = 1_000_000,
        wal: int = 1_000_000,
    ) -> None:
        self._accounts = {name: account(name) for name in accounts}
        funded = tuple(Prefunded(account.address, sui, wal) for account in self._accounts.values())
        base = config or GenesisConfig()
        self.now_ms = START_MS
        self.ledger, _ = Ledger.genesis(
            replace(base, prefunded=(*base.prefunded, *funded)), now_ms=self.now_ms, strict=True
        )
        self.network = self.ledger.well_known

    def fork(self) -> "Chain":
        """A chain that goes on from here on its own; transactions of the open checkpoint are sealed first."""
        if self.ledger.pending():
            self.advance()
        genesis = self.ledger.checkpoint(0)
        if genesis is None:
            raise RuntimeError("a chain always keeps its checkpoint 0")
        other = Chain.__new__(Chain)
        other._accounts = self._accounts  # noqa: SLF001 - the other is of this class
        other.now_ms = self.now_ms
        other.ledger = Ledger.restore(
            self.ledger.config,
            objects=self.ledger.objects(),
            genesis=genesis,
            head=self.ledger.head,
            history_limit=None,
            strict=True,
        )
        other.network = other.ledger.well_known
        return other

    def account(self, name: str) -> Account:
        """An account by name."""
        return self._accounts[name]

    # Time

    def advance(self, *, ms: int = 0) -> None:
        """Moves the clock on and closes a checkpoint."""
        self.now_ms += ms
        self.ledger.close_checkpoint(self.now_ms)

    # Calls

    def program(self, sender: Account) -> Program:
        """A transaction to be put together and run."""
        return Program(self, sender)

    def call(self, function: str, /, *, sender: Account, **arguments: Any) -> Any:
        """Runs one function, ``module::name`` or ``package::module::name``.

        Args:
            function: which one.
            sender: who signs.
            arguments: by their Move names: plain values as Python values, objects as their ids or handles. The system,
                staking, treasury, exchange and clock objects may be left out.

        Returns:
            None, the value, or a tuple of values. Objects were sent to the sender and come back decoded. What a function
            returns by reference is looked up without a transaction, because none may call it.

        Raises:
            MoveAbort: the contract refused; nothing but gas has changed.
            TransactionFailed: it failed otherwise.
            Rejected: it did not run at all.
        """
        program = self.program(sender)
        result = program.call(function, **arguments)
        returned = program.types_of(result)
        kept = [index for index, move_type in enumerate(returned) if {"key", "store"} <= move_type.abilities]
        if kept and not result.is_reference:
            program.transfer([NestedResult(result.command, index) for index in kept], sender.address)
        values = program.inspect(result) if result.is_reference else program.run_for_values(result)
        return None if not values else values[0] if len(values) == 1 else tuple(values)

    def submit(self, transaction: TransactionData, sender: Account) -> Executed:
        """Signs and executes; raises like `call` if it failed."""
        tx_bytes = transaction.to_bcs()
        executed = self.ledger.execute(tx_bytes, [signatures.sign(tx_bytes, sender.key)])
        raise_failure(executed.effects.failure)
        return executed

    # Nodes

    def add_node(
        self,
        account: Account,
        *,
        commission_rate: int = 0,
        storage_price: int = 5,
        write_price: int = 1,
        node_capacity: int = 1_000_000_000_000,
    ) -> Node:
        """Registers a node whose keys follow from the account's name; the account keeps the capability."""
        secret = bls_secret(account.name)
        program = self.program(account)
        cap = program.call(
            "staking::register_candidate",
            metadata=program.call("node_metadata::new", image_url="", project_url="", description=""),
            name=account.name,
            network_address=f"{account.name}.example:9185",
            public_key=bls.public_key(secret),
            network_public_key=b"\x02" + hashlib.blake2b(account.name.encode(), digest_size=32).digest(),
            proof_of_possession=self.proof_of_possession(account, secret),
            commission_rate=commission_rate,
            storage_price=storage_price,
            write_price=write_price,
            node_capacity=node_capacity,
        )
        program.transfer([cap], account.address)
        made = {item.object_id for item in program.run().effects.changed_objects}
        caps = self.ledger.owned_objects(
            account.address, f"{self.network.walrus_package}::storage_node::StorageNodeCap"
        )
        (cap_id,) = [obj.object_id for obj in caps if obj.object_id in made]
        return Node(account, secret, self.value(cap_id).node_id, cap_id)

    def proof_of_possession(self, account: Account, secret: int) -> bytes:
        """Signature with which an account registers a BLS key now."""
        epoch = Epoch(self.staking().epoch)
        return bls.sign(secret, messages.proof_of_possession(account.address, bls.public_key(secret), epoch))

    def stake(self, sender: Account, node: Node, amount: int) -> Any:
        """Stakes FROST with a node; gives the `StakedWal`."""
        coin = self.coin(sender, amount)
        return self.call("staking::stake_with_pool", sender=sender, to_stake=coin, node_id=node.node_id)

    def certificate(self, message: bytes, signers: Sequence[Node]) -> dict[str, bytes]:
        """Arguments ``signature``, ``signers_bitmap`` and ``message`` of a certificate by these nodes."""
        ids = [member.node_id for member in self.system().committee.members]
        bits = sum(1 << ids.index(node.node_id) for node in signers)
        bitmap = bits.to_bytes((len(ids) + 7) // 8, "little")
        signature = bls.aggregate([bls.sign(node.bls_secret, message) for node in signers])
        return {"signature": signature, "signers_bitmap": bitmap, "message": message}

    # Reads

    def gas_coin(self, owner: Account, *, without: Sequence[ObjectId] = ()) -> Object:
        """The largest coin of SUI of an account."""
        coins = self.ledger.owned_objects(owner.address, self.network.sui_coin)
        return max((coin for coin in coins if coin.object_id not in without), key=lambda coin: coin.coin_balance or 0)

    def coin(self, owner: Account, amount: int, *, coin_type: str | None = None) -> ObjectId:
        """A new coin of exactly this amount, WAL unless said otherwise."""
        coin_type = coin_type or self.network.wal_type
        program = self.program(owner)
        if coin_type == self.network.sui_type:
            part = program.split_gas(amount)
        else:
            whole = self.ledger.owned_objects(owner.address, f"{packages.SUI}::coin::Coin<{coin_type}>")
            source = max(whole, key=lambda coin: coin.coin_balance or 0)
            part = program.split(source.object_id, [amount])
        program.transfer([part], owner.address)
        executed = program.run()
        created = [item for item in executed.effects.changed_objects if item.operation is IdOperation.CREATED]
        return created[0].object_id

    def value(self, object_id: ObjectId) -> Any:
        """An object decoded."""
        obj = self.ledger.object(object_id)
        if obj is None:
            raise KeyError(object_id)
        return self.type_of(obj.type).from_bcs(obj.contents)

    def type_of(self, text: str) -> MoveType:
        """The Move type of a published type's text."""
        return registry.resolve(self.network.packages.aliased(tags.parse(text)))

    def staking(self) -> StakingInnerV1:
        """The staking state decoded; a copy."""
        found: StakingInnerV1 = self.field(self.network.staking)
        return found

    def system(self) -> SystemStateInnerV1:
        """The system state decoded; a copy."""
        found: SystemStateInnerV1 = self.field(self.network.system)
        return found

    def pool(self, node_id: ObjectId) -> StakingPool:
        """A pool decoded; a copy."""
        found: StakingPool = self.value(node_id)
        return found

    def field(self, parent: ObjectId) -> Any:
        """Value of the only dynamic field of an object."""
        (found,) = self.ledger.dynamic_fields(parent)
        return self.type_of(found.value_type).from_bcs(found.value.bcs)

    def balance(self, owner: Account, coin_type: str | None = None) -> int:
        """Sum of an account's coins, WAL unless said otherwise."""
        return self.ledger.balance(owner.address, coin_type or self.network.wal_type)
