"""Answers to challenges that are late, wrong, old, refused, or fetched from others.

The close is honest over what was said: a prover that closes badly would only be unreachable.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from walrus_client.challenges.messages import Pair, Refusal
from walrus_client.challenges.samples import Sample
from walrus_client.peers.challenges import Hello, Missing, Part, Reply
from walrus_codec import bcs
from walrus_codec.types import NodeId
from walrus_node.challenges.cells import Cell, Cells
from walrus_node.challenges.prover import Prover
from walrus_node.challenges.rounds import Round
from walrus_node.cheating.fetching import Fetcher
from walrus_node.cheating.orders import OrderFile
from walrus_sui.types import CommitteeMember


class CheatingCells(Cells):
    """Cells as the orders want them; those that this node compares with as a challenger are its own, as far as it has them.

    Args:
        orders: what to do.
        fetcher: reads blobs from others.
        parts: what `Cells` needs.
    """

    def __init__(self, *, orders: OrderFile, fetcher: Fetcher, **parts: Any) -> None:
        super().__init__(**parts)
        self._orders = orders
        self._fetcher = fetcher
        self._first: dict[str, list[Cell]] = {}
        self._replaying: set[str] = set()

    async def answer(self, sample: Sample, client: str) -> Cell | None:
        """What is said to be the cell."""
        orders = self._orders.read()
        if orders.late_ms:
            await asyncio.sleep(orders.late_ms / 1000)
        if orders.replays and (old := self._old(sample, client)) is not None:
            return old
        if orders.fetch_ms is not None:
            await asyncio.sleep(orders.fetch_ms / 1000)
            cell = await self._fetcher.cell(sample)
        else:
            cell = await super().answer(sample, client)
        if cell is None:
            return None
        first = self._first.setdefault(client, [])
        if len(first) == sample.index:
            first.append(cell)
        if orders.is_wrong(self._orders.node, client.encode(), bcs.u32(sample.index), sample.blob_id):
            return replace(cell, data=bytes(byte ^ 0xFF for byte in cell.data))
        return cell

    def _old(self, sample: Sample, client: str) -> Cell | None:
        """What was answered to this number in the client's first run, None in that run."""
        first = self._first.get(client, [])
        if sample.index == 0 and first:
            self._replaying.add(client)
        return first[sample.index] if client in self._replaying and sample.index < len(first) else None


class RefusingProver(Prover):
    """Refuses, or hangs up, when it is told so; `parts` are what `Prover` needs."""

    def __init__(self, *, orders: OrderFile, **parts: Any) -> None:
        super().__init__(**parts)
        self._orders = orders

    async def serve(
        self, hello: Hello, challenger: CommitteeMember, us: NodeId, seed: Callable[[], Awaitable[bytes]]
    ) -> AsyncGenerator[Reply | Part]:
        """As `Prover.serve`, without admissions when it is told so."""
        async with contextlib.aclosing(super().serve(hello, challenger, us, seed)) as parts:
            async for part in parts:
                if isinstance(part, Missing) and self._orders.read().hangs_up:
                    return
                yield part

    async def _refusal(self, current: Round | None, pair: Pair, hello: Hello) -> Refusal | None:
        return self._orders.read().refuses or await super()._refusal(current, pair, hello)
