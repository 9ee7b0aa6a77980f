"""Which values a private entry function may take: none that hang together with an unspent hot potato.

A function that is ``entry`` but not ``public`` is to be called by a transaction, not by code that still has a say after
it. A hot potato, a result with neither ``drop`` nor ``store``, is how code keeps a say: whoever gave it must be called
again. So values that met in one command form a clique, cliques that meet become one, and as long as a clique has a potato
that was not spent, no value of it may go into a private entry function. A shared object taken by value leaves its clique
hot for good.

Source: Sui's execution layer since v1.62 (``static_programmable_transactions``, verification of private entry arguments).
"""

from collections.abc import Sequence

from walrus_sui.devnet.ledger.objects import SharedOwner
from walrus_sui.devnet.ledger.slots import Slot


class _Clique:
    """One set of values; those that were joined to another one lead to it."""

    __slots__ = ("joined", "potatoes", "stays_hot")

    def __init__(self) -> None:
        self.joined: _Clique | None = None
        self.potatoes = 0
        self.stays_hot = False

    def end(self) -> "_Clique":
        """The clique that this one has become."""
        found = self
        while found.joined is not None:
            found = found.joined
        return found

    @property
    def is_hot(self) -> bool:
        """Whether a potato of it is unspent."""
        return self.stays_hot or self.potatoes > 0


class Cliques:
    """The cliques of one transaction. Slots must outlive it, as they are known by identity."""

    def __init__(self) -> None:
        self._of: dict[int, _Clique] = {}
        self._potatoes: set[int] = set()

    def first_hot(self, arguments: Sequence[Slot]) -> int | None:
        """Place of the first argument that hangs together with an unspent potato; arguments that were taken are spent."""
        self._spend(arguments)
        return next((place for place, slot in enumerate(arguments) if self._clique(slot).is_hot), None)

    def join(self, arguments: Sequence[Slot], results: Sequence[Slot]) -> None:
        """Notes a command: its arguments and results hang together from now on."""
        self._spend(arguments)
        clique = _Clique()
        for part in {id(found): found for found in map(self._clique, arguments)}.values():
            clique.potatoes += part.potatoes
            clique.stays_hot |= part.stays_hot
            part.joined = clique
        clique.stays_hot |= any(_is_spent_shared(slot) for slot in arguments)
        for slot in results:
            self._of[id(slot)] = clique
            if slot.move_type is not None and not {"drop", "store"} & slot.move_type.abilities:
                self._potatoes.add(id(slot))
                clique.potatoes += 1

    def _clique(self, slot: Slot) -> _Clique:
        return self._of.setdefault(id(slot), _Clique()).end()

    def _spend(self, slots: Sequence[Slot]) -> None:
        for slot in slots:
            if id(slot) in self._potatoes and not slot.is_left:
                self._potatoes.remove(id(slot))
                self._clique(slot).potatoes -= 1


def _is_spent_shared(slot: Slot) -> bool:
    return not slot.is_left and slot.source is not None and isinstance(slot.source.owner, SharedOwner)
