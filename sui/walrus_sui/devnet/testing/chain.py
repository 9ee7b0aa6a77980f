"""A chain whose transactions run at once and whose clock is set by hand."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from walrus_codec.types import Epoch, ObjectId
from walrus_sui import bls, messages
from walrus_sui.devnet.genesis import GenesisConfig, Prefunded, faucet_key
from walrus_sui.devnet.ledger import signatures
from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.objects import SharedOwner
from walrus_sui.devnet.ledger.programs import NestedResult
from walrus_sui.devnet.ledger.transactions import TransactionData
from walrus_sui.devnet.ledger.views import Simulated
from walrus_sui.devnet.testing import epochs
from walrus_sui.devnet.testing.accounts import Account, Node, account, bls_secret
from walrus_sui.devnet.testing.handles import Handle
from walrus_sui.devnet.testing.outcome import Receipt, raise_failure, receipt
from walrus_sui.devnet.testing.program import Program
from walrus_sui.devnet.testing.reads import ChainReads
from walrus_sui.devnet.testing.values import ArgumentError

START_MS = 1_700_000_000_000
_COIN = 10**9


class Chain(ChainReads):
    """A chain whose transactions run at once.

    Args:
        config: what the chain is made from, a `GenesisConfig` or the content of a configuration file, in which the
            encoding is ``rs2`` unless it is named; accounts named in `accounts` get money on top.
        accounts: names of accounts that have money from the start; any other name gets as much when it is first used.
        sui, wal: whole coins for each account.
        keep_failures: let calls that fail take effect as on a real chain: the gas is gone, inputs have new versions.
        now_ms: the clock at genesis.
        settings: keys of a configuration file, on top of `config` or instead of it.

    Attributes:
        ledger: the chain itself.
        network: ids of shared objects and packages.
        keep_failures: as given.
    """

    def __init__(
        self,
        config: GenesisConfig | Mapping[str, Any] | None = None,
        *,
        accounts: Sequence[str] = ("alice", "bob", "carol"),
        sui: int = 1_000_000,
        wal: int = 1_000_000,
        keep_failures: bool = False,
        now_ms: int = START_MS,
        **settings: Any,
    ) -> None:
        self._accounts = {name: account(name) for name in accounts}
        self.keep_failures = keep_failures
        self._money = (sui * _COIN, wal * _COIN)
        funded = tuple(Prefunded(account.address, sui, wal) for account in self._accounts.values())
        if not isinstance(config, GenesisConfig):
            config = GenesisConfig.from_mapping({"encoding": "rs2", **(config or {}), **settings})
        elif settings:
            raise TypeError(f"{', '.join(settings)}: give a GenesisConfig that has it, or the content of a file")
        self._now_ms = now_ms
        self.ledger, _ = Ledger.genesis(
            replace(config, prefunded=(*config.prefunded, *funded)), now_ms=self.now_ms, strict=True
        )
        self._start()

    def _start(self) -> None:
        self.network = self.ledger.well_known
        self._shared = {
            self.type_of(obj.type).tag.head: obj.object_id
            for obj in self.ledger.objects()
            if isinstance(obj.owner, SharedOwner) and obj.owner.initial_version == 1
        }
        self._last: Receipt | None = None

    def fork(self) -> "Chain":
        """A chain that goes on from here on its own; transactions of the open checkpoint are sealed first."""
        if self.ledger.pending():
            self.advance()
        genesis = self.ledger.checkpoint(0)
        if genesis is None:
            raise RuntimeError("a chain always keeps its checkpoint 0")
        other = type(self).__new__(type(self))
        other._accounts = dict(self._accounts)  # noqa: SLF001 - the other is of this class
        other.keep_failures, other._money = self.keep_failures, self._money  # noqa: SLF001
        other._now_ms = self._now_ms  # noqa: SLF001
        other.ledger = Ledger.restore(
            self.ledger.config,
            objects=self.ledger.objects(),
            genesis=genesis,
            head=self.ledger.head,
            history_limit=None,
            strict=True,
        )
        other._start()  # noqa: SLF001
        return other

    def account(self, name: str) -> Account:
        """An account by name; a new name gets money from the genesis account."""
        if name not in self._accounts:
            self._accounts[name] = account(name)
            reserve = Program(self, self.deployer)
            sui, wal = self._money
            reserve.transfer([reserve.split_gas(sui), reserve.money(self.network.wal_type, wal)], self._accounts[name])
            reserve.run()
        return self._accounts[name]

    @property
    def deployer(self) -> Account:
        """Who deployed the contracts: has the capabilities over exchange, subsidies and upgrades, and all other money."""
        return Account("deployer", self.network.faucet, faucet_key(self.ledger.config))

    def accounts(self) -> tuple[Account, ...]:
        """All accounts that have been named so far."""
        return tuple(self._accounts.values())

    # Time

    @property
    def now_ms(self) -> int:
        """The clock, in Unix milliseconds; `advance` and `set_clock` move it."""
        return self._now_ms

    def advance(self, ms: int = 0) -> None:
        """Moves the clock on by milliseconds and closes a checkpoint.

        Raises:
            ValueError: not a whole number, or a negative one.
        """
        if int(ms) != ms or ms < 0:
            raise ValueError(f"the clock goes forward by whole milliseconds, not by {ms!r}")
        self._now_ms += int(ms)
        self.ledger.close_checkpoint(self.now_ms)

    def set_clock(self, now_ms: int) -> None:
        """Sets the clock, in Unix milliseconds, and closes a checkpoint.

        Raises:
            ValueError: the chain is past that time, or it is no whole number.
        """
        if int(now_ms) != now_ms or now_ms < self.now_ms:
            raise ValueError(f"the clock stands at {self.now_ms} and never goes back to {now_ms!r}")
        self.advance(ms=now_ms - self.now_ms)

    def next_epoch(self, count: int = 1) -> int:
        """Takes the network through whole epochs; gives the epoch that it is in then.

        Voting ends and the next epoch begins as soon as the clock allows, and every member whose capability belongs to
        an account of this chain attests its shards.
        """
        for _ in range(count):
            epochs.advance(self)
        return int(self.staking().epoch)

    # Calls

    def program(self, sender: Account | Node | str) -> Program:
        """A transaction to be put together and run; the sender in any form that `call` takes."""
        return Program(self, self._holder(sender))

    def call(
        self,
        function: str,
        /,
        *,
        sender: Account | Node | str,
        types: Sequence[str] = (),
        at: str | None = None,
        **arguments: Any,
    ) -> Any:
        """Runs one function, ``module::name`` or ``package::module::name``.

        Args:
            function: which one.
            sender: who signs: an account, its name, its address if it has been named before, or a node for its account.
            types: type arguments, where they do not follow from the arguments; ``WAL`` and ``SUI`` for short.
            at: the package to call, after an upgrade; without it the one that the staking object names.
            arguments: by their Move names, in any form that `walrus_sui.devnet.testing.values` reads. Objects are given
                by id, handle, or, for coins, as the amount to take off the sender's money. Objects that every chain
                has one of (system, staking, exchange, clock...), proofs of identity and node descriptions may be left
                out.

        Returns:
            None, the value, or a tuple of values. Objects were sent to the sender and come back as handles.
            What a function returns by reference is looked up without a transaction, because none may call it.

        Raises:
            MoveAbort: the contract refused; the chain is as it was before.
            TransactionFailed: it failed otherwise; the chain is as it was before.
            ArgumentError: an argument cannot stand for its parameter.
            Rejected: it did not run at all.
        """
        program = self.program(sender)
        result = program.call(function, types=types, at=at, **arguments)
        if result.is_reference:
            return _unpacked(program.inspect(result))
        returned = program.types_of(result)
        kept = [index for index, move_type in enumerate(returned) if {"key", "store"} <= move_type.abilities]
        if kept:
            program.transfer([NestedResult(result.command, index) for index in kept], program.sender)
        found = program.run_for_values(result)
        return _unpacked([Handle(self, item.id) if index in kept else item for index, item in enumerate(found)])

    def view(
        self,
        function: str,
        /,
        *,
        sender: Account | Node | str | None = None,
        types: Sequence[str] = (),
        at: str | None = None,
        **arguments: Any,
    ) -> Any:
        """What a function would return; nothing takes effect. Arguments and errors as of `call`; anybody may look."""
        program = self.program(next(iter(self._accounts.values()), self.deployer) if sender is None else sender)
        return _unpacked(program.inspect(program.call(function, types=types, at=at, **arguments)))

    @property
    def last(self) -> Receipt:
        """What the last transaction that took effect did: ``events``, ``created`` objects, ``effects``.

        Raises:
            LookupError: there was none yet.
        """
        if self._last is None:
            raise LookupError("no transaction has run on this chain yet")
        return self._last

    def rehearse(self, transaction: TransactionData) -> Simulated:
        """Runs a transaction without effect; raises like `call` if it would fail, unless failures are kept."""
        simulated = self.ledger.simulate(transaction)
        if not self.keep_failures:
            raise_failure(simulated.executed.effects.failure)
        return simulated

    def submit(self, transaction: TransactionData, sender: Account) -> Executed:
        """Signs and executes as a client would; if it fails, the gas is gone and it raises like `call`."""
        tx_bytes = transaction.to_bcs()
        executed = self.ledger.execute(tx_bytes, [signatures.sign(tx_bytes, sender.key)])
        self._last = receipt(self, executed)
        raise_failure(executed.effects.failure)
        return executed

    # Nodes

    def add_node(
        self,
        account: Account | str,
        *,
        commission_rate: int = 0,
        storage_price: int = 5,
        write_price: int = 1,
        node_capacity: int = 1_000_000_000_000,
    ) -> Node:
        """Registers a node whose keys follow from the account's name; the account keeps the capability."""
        owner = self.account(account) if isinstance(account, str) else account
        secret = bls_secret(owner.name)
        cap = self.call(
            "staking::register_candidate",
            sender=owner,
            name=owner.name,
            network_address=f"{owner.name}.example:9185",
            public_key=bls.public_key(secret),
            network_public_key=b"\x02" + hashlib.blake2b(owner.name.encode(), digest_size=32).digest(),
            proof_of_possession=self.proof_of_possession(owner, secret),
            commission_rate=commission_rate,
            storage_price=storage_price,
            write_price=write_price,
            node_capacity=node_capacity,
        )
        return Node(owner, secret, cap.node_id, cap.id)

    def proof_of_possession(self, account: Account, secret: int) -> bytes:
        """Signature with which an account registers a BLS key now."""
        epoch = Epoch(self.staking().epoch)
        return bls.sign(secret, messages.proof_of_possession(account.address, bls.public_key(secret), epoch))

    def stake(self, sender: Account | Node | str, node: Node, amount: int) -> Any:
        """Stakes FROST with a node; gives the `StakedWal`."""
        return self.call("staking::stake_with_pool", sender=sender, to_stake=amount, node_id=node)

    def certificate(self, message: bytes, signers: Sequence[Node]) -> dict[str, bytes]:
        """Arguments ``signature``, ``signers_bitmap`` and ``message`` of a certificate by these nodes.

        They fit all calls that take one, also those that have ``members_bitmap``.

        Raises:
            ArgumentError: a signer is no member of the current committee.
        """
        ids = [member.node_id for member in self.system().committee.members]
        for node in signers:
            if node.node_id not in ids:
                raise ArgumentError(f"{node.account.name} is not in the committee of this epoch and cannot sign")
        bits = sum(1 << ids.index(node.node_id) for node in signers)
        bitmap = bits.to_bytes((len(ids) + 7) // 8, "little")
        signature = bls.aggregate([bls.sign(node.bls_secret, message) for node in signers])
        return {"signature": signature, "signers_bitmap": bitmap, "message": message}

    def coin(self, owner: Account | Node | str, amount: int, *, coin_type: str | None = None) -> ObjectId:
        """A new coin of exactly this amount, WAL unless said otherwise."""
        program = self.program(owner)
        program.transfer([program.money(self._coin_type(coin_type), amount)], program.sender)
        program.run()
        (made,) = self.last.created
        return made.id


def _unpacked(found: Sequence[Any]) -> Any:
    return None if not found else found[0] if len(found) == 1 else tuple(found)
