"""Packages by alias.

Native modules are written once, but where their packages are published depends on the chain's genesis. So inside, a
type's address is either a framework address or an alias (``walrus``); at the border, `Packages` turns aliases into
published ids and back. Framework packages have fixed addresses and need no alias.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.tags import TypeTag, normalize_address

STD = normalize_address("0x1")
SUI = normalize_address("0x2")
WAL = "wal"
WAL_EXCHANGE = "wal_exchange"
WALRUS = "walrus"
WALRUS_SUBSIDIES = "walrus_subsidies"


@dataclass(frozen=True)
class Packages:
    """Where each package stands on one chain.

    Attributes:
        ids: alias and the id under which the package was first published, which is the one that types carry.
        upgrades: later packages of the Walrus contract, in order; no other package can be upgraded.
    """

    ids: tuple[tuple[str, ObjectId], ...]
    upgrades: tuple[ObjectId, ...] = ()

    @cached_property
    def _by_alias(self) -> dict[str, ObjectId]:
        return dict(self.ids)

    @cached_property
    def _by_id(self) -> dict[str, str]:
        first = [(str(object_id), alias) for alias, object_id in self.ids]
        return dict(first) | dict.fromkeys(self.upgrades, WALRUS)

    @cached_property
    def _published(self) -> dict[TypeTag, TypeTag]:
        return {}

    @cached_property
    def _aliased(self) -> dict[TypeTag, TypeTag]:
        return {}

    def id_of(self, alias: str) -> ObjectId:
        """Id of a package, given its alias or framework address."""
        return self._by_alias.get(alias, ObjectId(alias))

    def alias_of(self, object_id: str) -> str:
        """Alias of a package, or its id again if it has none."""
        return self._by_id.get(object_id, object_id)

    def upgraded(self, object_id: ObjectId) -> "Packages":
        """The same with one more package of the Walrus contract."""
        return Packages(self.ids, (*self.upgrades, object_id))

    def versions(self, object_id: ObjectId) -> tuple[ObjectId, ...]:
        """All packages that are versions of the same, the first one first."""
        alias = self.alias_of(object_id)
        return (self.id_of(alias), *(self.upgrades if alias == WALRUS else ()))

    def upgrades_behind(self, called: ObjectId) -> int:
        """How many upgrades of the Walrus contract lie behind a call: packages beside it call its newest."""
        if called in self.upgrades:
            return self.upgrades.index(called) + 1
        return 0 if called == self.id_of(WALRUS) else len(self.upgrades)

    def published(self, tag: TypeTag) -> TypeTag:
        """The type as the chain writes it."""
        found = self._published.get(tag)
        if found is None:
            params = tuple(self.published(param) for param in tag.params)
            found = replace(tag, address=self.id_of(tag.address) if tag.address else "", params=params)
            self._published[tag] = found
        return found

    def aliased(self, tag: TypeTag) -> TypeTag:
        """The type as native code names it; the reverse of `published`."""
        found = self._aliased.get(tag)
        if found is None:
            params = tuple(self.aliased(param) for param in tag.params)
            found = replace(tag, address=self.alias_of(tag.address) if tag.address else "", params=params)
            if len(self._aliased) < 10_000:  # type arguments come from outside: bounded
                self._aliased[tag] = found
        return found
