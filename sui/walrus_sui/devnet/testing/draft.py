"""A transaction while it grows: its commands and its inputs, of which each object is one, whoever asks for it.

Coins are inputs too: `money` takes amounts off the sender's coins of a type, which are merged when no single one suffices.
"""

from collections.abc import Sequence
from dataclasses import replace

from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger.objects import COIN_PREFIX, AddressOwner, ImmutableOwner, Object, SharedOwner
from walrus_sui.devnet.ledger.programs import (
    Argument,
    CallInput,
    Command,
    Input,
    MergeCoins,
    NestedResult,
    OwnedObject,
    ProgrammableTransaction,
    Pure,
    SharedObject,
    SplitCoins,
)
from walrus_sui.devnet.ledger.readable import Readable
from walrus_sui.devnet.testing.accounts import Account
from walrus_sui.devnet.testing.values import ArgumentError


class Draft:
    """The inputs and commands of one transaction.

    Args:
        ledger: where objects are looked up.
        sender: whose coins are spent.
    """

    def __init__(self, ledger: Readable, sender: Account) -> None:
        self._ledger = ledger
        self._sender = sender
        self._inputs: list[CallInput] = []
        self._objects: dict[ObjectId, int] = {}
        self._commands: list[Command] = []
        self._purses: dict[str, Argument] = {}

    @property
    def kind(self) -> ProgrammableTransaction:
        """The transaction as it stands."""
        return ProgrammableTransaction(tuple(self._inputs), tuple(self._commands))

    @property
    def objects(self) -> tuple[ObjectId, ...]:
        """Objects among the inputs."""
        return tuple(self._objects)

    def add(self, command: Command) -> int:
        """Adds a command; gives its number."""
        self._commands.append(command)
        return len(self._commands) - 1

    def pure(self, data: bytes) -> Argument:
        """An input of plain bytes."""
        self._inputs.append(Pure(data))
        return Input(len(self._inputs) - 1)

    def object(self, object_id: ObjectId, *, mutable: bool) -> Argument:
        """An object as input; one that is wanted again stays one input.

        Raises:
            ArgumentError: no transaction may take it.
        """
        known = self._objects.get(object_id)
        if known is None:
            made = self._chain_input(object_id, mutable=mutable)
            known = self._objects[object_id] = len(self._inputs)
            self._inputs.append(made)
        item = self._inputs[known]
        if mutable and isinstance(item, SharedObject):
            self._inputs[known] = replace(item, mutable=True)
        return Input(known)

    def split(self, coin: Argument, amounts: Sequence[int]) -> Argument:
        """Splits coins off; gives the first one."""
        command = SplitCoins(coin, tuple(self.pure(amount.to_bytes(8, "little")) for amount in amounts))
        return NestedResult(self.add(command), 0)

    def money(self, coin_type: str, amount: int) -> Argument:
        """A new coin of this amount, off the sender's coins of a type.

        Raises:
            ArgumentError: the sender has less.
        """
        if coin_type not in self._purses:
            self._purses[coin_type] = self._purse(coin_type, amount)
        return self.split(self._purses[coin_type], [amount])

    def _purse(self, coin_type: str, amount: int) -> Argument:
        owned = self._ledger.owned_objects(self._sender.address, f"{COIN_PREFIX}{coin_type}>")
        coins = sorted((coin for coin in owned if coin.object_id not in self._objects), key=_richest_first)
        if sum(coin.coin_balance or 0 for coin in coins) < amount or not coins:
            raise ArgumentError(f"{self._sender.name} has less than {amount} of {coin_type}")
        first, covered, more = coins[0], coins[0].coin_balance or 0, []
        for coin in coins[1:]:
            if covered >= amount:
                break
            covered += coin.coin_balance or 0
            more.append(self.object(coin.object_id, mutable=True))
        purse = self.object(first.object_id, mutable=True)
        if more:
            self.add(MergeCoins(purse, tuple(more)))
        return purse

    def _chain_input(self, object_id: ObjectId, *, mutable: bool) -> CallInput:
        obj = self._ledger.object(object_id)
        if obj is None:
            raise ArgumentError(f"no object {object_id} is live")
        if isinstance(obj.owner, SharedOwner):
            return SharedObject(object_id, obj.owner.initial_version, mutable)
        if isinstance(obj.owner, AddressOwner | ImmutableOwner):
            return OwnedObject(obj.ref)
        raise ArgumentError(f"object {object_id} is a child of another object")


def _richest_first(coin: Object) -> int:
    return -(coin.coin_balance or 0)
