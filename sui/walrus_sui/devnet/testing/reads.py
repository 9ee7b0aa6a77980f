"""What a chain knows, decoded: its objects, its state, its money.

All of it is read from the ledger when it is asked for, and what comes back is a copy that later transactions leave alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.devnet.genesis import WellKnown
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.objects import Object
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import packages, tags
from walrus_sui.devnet.move.core.types import U64, MoveType
from walrus_sui.devnet.move.walrus.staking_inner import StakingInnerV1
from walrus_sui.devnet.move.walrus.staking_pool import StakingPool
from walrus_sui.devnet.move.walrus.system_state_inner import SystemStateInnerV1
from walrus_sui.devnet.testing import values
from walrus_sui.devnet.testing.accounts import Account, Node
from walrus_sui.devnet.testing.handles import Handle


class ChainReads(ABC):
    """The reading half of a `Chain`."""

    ledger: Ledger
    network: WellKnown
    _accounts: dict[str, Account]
    _shared: dict[tuple[str, str, str], ObjectId]

    @abstractmethod
    def account(self, name: str) -> Account:
        """An account by name; a new name gets money."""

    def gas_coin(self, owner: Account, *, without: Sequence[ObjectId] = ()) -> Object:
        """The largest coin of SUI of an account.

        Raises:
            ArgumentError: it has none besides those that are used already.
        """
        owned = self.ledger.owned_objects(owner.address, self.network.sui_coin)
        free = [coin for coin in owned if coin.object_id not in without]
        if not free:
            raise values.ArgumentError(f"{owner.name} has no coin of SUI left to pay the gas with")
        return max(free, key=lambda coin: coin.coin_balance or 0)

    def handle(self, object_id: Any) -> Handle:
        """A handle for an object given by its id or by anything that has one."""
        return Handle(self, values.address_of(object_id))

    def owned(self, owner: Account | Node | str, kind: str) -> list[Handle]:
        """Objects of an account by the name of their type, like ``StakedWal``."""
        found = self.ledger.owned_objects(self._holder(owner).address)
        return [Handle(self, obj.object_id) for obj in found if tags.parse(obj.type).name == kind]

    def value(self, object_id: Any) -> Any:
        """An object decoded; a copy."""
        found = values.address_of(object_id)
        obj = self.ledger.object(found)
        if obj is None:
            raise KeyError(found)
        return self.type_of(obj.type).from_bcs(obj.contents)

    def type_of(self, text: str) -> MoveType:
        """The Move type of a published type's text."""
        return registry.resolve(self.ledger.packages.aliased(tags.parse(text)))

    def shared_at_genesis(self, head: tuple[str, str, str]) -> ObjectId | None:
        """The shared object of a type that was made at genesis."""
        return self._shared.get(head)

    def package(self, alias: str) -> ObjectId:
        """Where calls to a package go; those to Walrus to the package that the staking object names."""
        if alias == packages.WALRUS:
            named: ObjectId = self.value(self.network.staking).package_id
            return named
        return self.network.packages.id_of(alias)

    def staking(self) -> StakingInnerV1:
        """The staking state decoded; a copy."""
        found: StakingInnerV1 = self._inner(self.network.staking)
        return found

    def system(self) -> SystemStateInnerV1:
        """The system state decoded; a copy."""
        found: SystemStateInnerV1 = self._inner(self.network.system)
        return found

    def _inner(self, shared: ObjectId) -> Any:
        version = U64.to_bcs(self.value(shared).version)
        (found,) = [item for item in self.ledger.dynamic_fields(shared) if item.name.bcs == version]
        return self.type_of(found.value_type).from_bcs(found.value.bcs)

    def pool(self, node: Any) -> StakingPool:
        """A pool decoded, by node or node id; a copy."""
        found: StakingPool = self.value(node)
        return found

    def field(self, parent: Any) -> Any:
        """Value of the only dynamic field of an object or extended field, given by its id or by anything that has one.

        Raises:
            LookupError: it has none, or more than one.
        """
        found = self.entries(parent)
        if len(found) != 1:
            raise LookupError(
                f"{values.address_of(parent)} has {len(found)} dynamic fields, not one: look at its entries"
            )
        return next(iter(found.values()))

    def entries(self, parent: Any) -> dict[Any, Any]:
        """Values by key of a table, object table or bag, or of an object's dynamic fields, given as for `field`."""
        return {
            self.type_of(item.name.type).from_bcs(item.name.bcs): (
                self.type_of(item.value_type).from_bcs(item.value.bcs)
                if item.child_id is None
                else self.value(item.child_id)
            )
            for item in self.ledger.dynamic_fields(values.address_of(parent))
        }

    def balance(self, owner: Account | Node | str, coin_type: str | None = None) -> int:
        """Sum of an account's coins in the smallest unit, WAL unless said otherwise; ``"SUI"`` for SUI."""
        return self.ledger.balance(self._holder(owner).address, self._coin_type(coin_type))

    def named(self, value: Any) -> Any:
        """The account, if the value is the name of one that has been named before; otherwise the value."""
        return self._accounts.get(value, value) if isinstance(value, str) else value

    def _holder(self, holder: Account | Node | str) -> Account:
        match holder:
            case Account():
                return holder
            case Node(account=found):
                return found
            case str() if holder.startswith("0x"):
                address = SuiAddress(values.address_of(holder))
                for found in self._accounts.values():
                    if found.address == address:
                        return found
                raise values.ArgumentError(
                    f"no key is known for {holder}: name the account, like {list(self._accounts)}"
                )
            case str():
                return self.account(holder)
        raise values.ArgumentError(f"{holder!r} is no account: give one, its name, or a node")

    def _coin_type(self, text: str | None) -> str:
        known = {None: self.network.wal_type, "WAL": self.network.wal_type, "SUI": self.network.sui_type}
        return known.get(text) or str(tags.parse(text or ""))
