"""A devnet in one object, for tests and tools: no server, no disk, a clock that is set by hand.

`Chain.call` runs one public function by its Move name with arguments named as in the Move signature, as a real signed
transaction; `Chain.program` puts several commands into one. Accounts are made from names and have money. What a call
returns comes back as Python values; objects go to the sender and come back as handles with their id.

    chain = Chain()
    alice = chain.account("alice")
    stake = chain.call("staking::stake_with_pool", sender=alice, to_stake=chain.coin(alice, 10**9), node_id=node)
    chain.advance(ms=600_000)
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from walrus_codec.types import Epoch, ObjectId, SuiAddress
from walrus_sui import bls, messages
from walrus_sui.devnet.genesis import GenesisConfig, Prefunded
from walrus_sui.devnet.ledger import gas, signatures
from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.effects import IdOperation
from walrus_sui.devnet.ledger.failures import Failure, FailureKind
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.objects import AddressOwner, ImmutableOwner, Object, SharedOwner
from walrus_sui.devnet.ledger.programs import (
    GAS_COIN,
    Argument,
    CallInput,
    Command,
    Input,
    MakeMoveVec,
    MoveCall,
    NestedResult,
    OwnedObject,
    ProgrammableTransaction,
    Pure,
    SharedObject,
    SplitCoins,
    TransferObjects,
)
from walrus_sui.devnet.ledger.transactions import GasData, TransactionData
from walrus_sui.devnet.ledger.views import TypedValue
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import packages, tags
from walrus_sui.devnet.move.core.aborts import AbortCode, MoveAbort
from walrus_sui.devnet.move.core.module import Function
from walrus_sui.devnet.move.core.signatures import substitute
from walrus_sui.devnet.move.core.types import MoveType
from walrus_sui.devnet.move.walrus.staking_inner import StakingInnerV1
from walrus_sui.devnet.move.walrus.staking_pool import StakingPool
from walrus_sui.devnet.move.walrus.system_state_inner import SystemStateInnerV1

START_MS = 1_700_000_000_000
BUDGET = 5_000_000_000
_HOMES = (packages.WALRUS, packages.WAL, packages.WAL_EXCHANGE, packages.SUI, packages.STD)


class TransactionFailed(Exception):  # noqa: N818 - an outcome
    """The transaction ran and failed otherwise than by an abort; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.description)
        self.failure = failure


@dataclass(frozen=True)
class Account:
    """An account with its key."""

    name: str
    address: SuiAddress
    key: Ed25519PrivateKey


@dataclass(frozen=True)
class Node:
    """A registered storage node with its keys."""

    account: Account
    bls_secret: int
    node_id: ObjectId
    cap_id: ObjectId

    @property
    def public_key(self) -> bytes:
        """BLS public key, 48 bytes."""
        return bls.public_key(self.bls_secret)


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
        self._accounts = {name: _account(name) for name in accounts}
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

    def program(self, sender: Account) -> "Program":
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
            None, the value, or a tuple of values. Objects were sent to the sender and come back decoded.

        Raises:
            MoveAbort: the contract refused; nothing but gas has changed.
            TransactionFailed: it failed otherwise.
            Rejected: it did not run at all.
        """
        program = self.program(sender)
        result = program.call(function, **arguments)
        returned = program.types_of(result)
        kept = [index for index, move_type in enumerate(returned) if {"key", "store"} <= move_type.abilities]
        if kept:
            program.transfer([NestedResult(result.command, index) for index in kept], sender.address)
        values = program.run_for_values(result)
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
            metadata=program.call("node_metadata::default"),
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


@dataclass(frozen=True)
class Returned:
    """Results of a command of a program."""

    command: int
    function: Function
    type_arguments: tuple[MoveType, ...]


class Program:
    """Commands of one transaction. Arguments may be results of earlier commands."""

    def __init__(self, chain: Chain, sender: Account) -> None:
        self._chain = chain
        self._sender = sender
        self._inputs: list[CallInput] = []
        self._objects: dict[ObjectId, int] = {}
        self._commands: list[Command] = []

    def call(self, function: str, /, *, types: Sequence[str] = (), **arguments: Any) -> Returned:
        """Adds a call; see `Chain.call` for the arguments."""
        package, module, found = find_function(function)
        type_arguments = tuple(self._chain.type_of(text) for text in types)
        given: list[Argument] = []
        for parameter in found.signature.arguments:
            tag = substitute(parameter.tag, tuple(item.tag for item in type_arguments))
            value = arguments.pop(parameter.name) if parameter.name in arguments else self._default(tag, parameter.name)
            given.append(self._argument(value, registry.resolve(tag), mutable=parameter.reference != "&"))
        if arguments:
            raise TypeError(f"{function} has no arguments {sorted(arguments)}")
        package_id = self._chain.network.packages.id_of(package)
        type_texts = tuple(str(self._chain.network.packages.published(item.tag)) for item in type_arguments)
        self._commands.append(MoveCall(package_id, module, found.name, type_texts, tuple(given)))
        return Returned(len(self._commands) - 1, found, type_arguments)

    def split(self, coin: Any, amounts: Sequence[int]) -> Argument:
        """Splits coins off; with one amount the result is that coin."""
        source = coin if isinstance(coin, Argument) else self._object(coin, mutable=True)
        values = tuple(self._pure(amount.to_bytes(8, "little")) for amount in amounts)
        self._commands.append(SplitCoins(source, values))
        return NestedResult(len(self._commands) - 1, 0)

    def split_gas(self, amount: int) -> Argument:
        """Takes SUI off the gas coin."""
        return self.split(GAS_COIN, [amount])

    def vector(self, elements: Sequence[Any], element_type: str | None = None) -> Argument:
        """A vector of results."""
        made = tuple(self._argument(element, None, mutable=True) for element in elements)
        self._commands.append(MakeMoveVec(element_type, made))
        return NestedResult(len(self._commands) - 1, 0)

    def transfer(self, values: Sequence[Any], recipient: SuiAddress) -> None:
        """Sends objects away."""
        objects = tuple(self._argument(value, None, mutable=True) for value in values)
        self._commands.append(TransferObjects(objects, self._pure(bytes.fromhex(recipient[2:]))))

    def types_of(self, returned: Returned) -> tuple[MoveType, ...]:
        """Types of a command's results."""
        arguments = tuple(item.tag for item in returned.type_arguments)
        return tuple(registry.resolve(substitute(tag, arguments)) for tag in returned.function.signature.returns)

    def transaction(self) -> TransactionData:
        """The transaction as it stands, paid with the sender's largest coin."""
        coin = self._chain.gas_coin(self._sender, without=tuple(self._objects))
        kind = ProgrammableTransaction(tuple(self._inputs), tuple(self._commands))
        data = GasData((coin.ref,), self._sender.address, gas.REFERENCE_GAS_PRICE, BUDGET)
        return TransactionData(kind, self._sender.address, data)

    def run(self) -> Executed:
        """Signs and executes; raises like `Chain.call`."""
        return self._chain.submit(self.transaction(), self._sender)

    def run_for_values(self, returned: Returned) -> list[Any]:
        """Executes and gives the values that one of its commands returned."""
        transaction = self.transaction()
        simulated = self._chain.ledger.simulate(transaction)
        self._chain.submit(transaction, self._sender)
        return [self._decode(value) for value in simulated.outputs[returned.command].return_values]

    def _decode(self, value: TypedValue) -> Any:
        return self._chain.type_of(value.type).from_bcs(value.bcs)

    def _default(self, tag: tags.TypeTag, name: str) -> ObjectId:
        network = self._chain.network
        known = {
            "Clock": ObjectId(tags.normalize_address("0x6")),
            "System": network.system,
            "Staking": network.staking,
            "Exchange": network.exchange,
            "ProtectedTreasury": network.treasury,
        }
        if tag.name not in known:
            raise TypeError(f"argument {name} is missing")
        return known[tag.name]

    def _argument(self, value: Any, move_type: MoveType | None, *, mutable: bool) -> Argument:
        if isinstance(value, Argument):
            return value
        if isinstance(value, Returned):
            return NestedResult(value.command, 0)
        if move_type is None or "key" in move_type.abilities:
            return self._object(getattr(value, "id", value), mutable=mutable)
        return self._pure(move_type.to_bcs(value))

    def _pure(self, data: bytes) -> Argument:
        self._inputs.append(Pure(data))
        return Input(len(self._inputs) - 1)

    def _object(self, object_id: ObjectId, *, mutable: bool) -> Argument:
        known = self._objects.get(object_id)
        if known is None:
            known = self._objects[object_id] = len(self._inputs)
            self._inputs.append(self._chain_input(object_id, mutable=mutable))
        item = self._inputs[known]
        if mutable and isinstance(item, SharedObject):
            self._inputs[known] = replace(item, mutable=True)
        return Input(known)

    def _chain_input(self, object_id: ObjectId, *, mutable: bool) -> CallInput:
        obj = self._chain.ledger.object(object_id)
        if obj is None:
            raise KeyError(f"no object {object_id}")
        if isinstance(obj.owner, SharedOwner):
            return SharedObject(object_id, obj.owner.initial_version, mutable)
        if isinstance(obj.owner, AddressOwner | ImmutableOwner):
            return OwnedObject(obj.ref)
        raise TypeError(f"object {object_id} is a child of another object")


def _account(name: str) -> Account:
    key = Ed25519PrivateKey.from_private_bytes(hashlib.blake2b(name.encode(), digest_size=32).digest())
    return Account(name, signatures.address_of(key.public_key().public_bytes_raw()), key)


def bls_secret(name: str) -> int:
    """A BLS secret that follows from a name."""
    return int.from_bytes(hashlib.blake2b(b"bls" + name.encode(), digest_size=31).digest(), "big")


def find_function(name: str) -> tuple[str, str, Function]:
    """Package alias, module and function of a Move name.

    Raises:
        LookupError: there is none.
    """
    *home, module, function = name.split("::")
    for package in home or _HOMES:
        found = registry.function(package, module, function)
        if found is not None:
            return package, module, found
    raise LookupError(f"no function {name}")


def raise_failure(failure: Failure | None) -> None:
    """Raises what a failed transaction deserves."""
    if failure is None:
        return
    if failure.kind is FailureKind.MOVE_ABORT and failure.location is not None:
        place = failure.location
        code = AbortCode(place.package, place.module, failure.abort_code or 0, failure.note)
        raise MoveAbort(code, function=place.function_name or "")
    raise TransactionFailed(failure)
