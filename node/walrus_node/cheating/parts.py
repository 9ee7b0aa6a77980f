"""Puts the cheating parts in the places of the honest ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from walrus_client.compute import Compute
from walrus_node.chain import ChainView
from walrus_node.challenges.parts import Roles
from walrus_node.challenges.rounds import Rounds
from walrus_node.cheating.accusing import AccusingBook, AccusingVoter, ForgingSource
from walrus_node.cheating.answering import CheatingCells, RefusingProver
from walrus_node.cheating.dropping import LackingStorage
from walrus_node.cheating.fetching import Fetcher
from walrus_node.cheating.orders import OrderFile
from walrus_node.store.storage import Storage
from walrus_sui.keys import BlsKey


class Cheating:
    """What a node needs to cheat as its file of faults says.

    Args:
        file: where a test writes.
        name: of the node.
        storage: will lack slivers when it is told so.
        view: the chain's committees.
        compute: decodes and encodes what is fetched from others.
    """

    def __init__(self, file: Path, name: str, storage: Storage, view: ChainView, compute: Compute) -> None:
        self.orders = OrderFile(file, name)
        if isinstance(storage, LackingStorage):
            storage.orders = self.orders
        self._fetcher = Fetcher(view, compute)

    @property
    def roles(self) -> Roles:
        """The parts of challenges that may cheat."""
        return Roles(
            cells=partial(CheatingCells, orders=self.orders, fetcher=self._fetcher),
            prover=partial(RefusingProver, orders=self.orders),
            book=partial(AccusingBook, orders=self.orders),
            voter=partial(AccusingVoter, orders=self.orders),
        )

    def reports(self, storage: Storage, rounds: Rounds, key: BlsKey) -> ForgingSource:
        """The reports that others may pull."""
        return ForgingSource(orders=self.orders, storage=storage, rounds=rounds, key=key)

    async def close(self) -> None:
        """Hangs up."""
        await self._fetcher.close()
