"""Single cells out of slivers that are stored here: what a prover answers with, and what a challenger compares with.

A cell is computed from the sliver on the local disk and nothing else. The sliver is expanded and compared with the
metadata first, so that a rotten one counts as missing and is not answered with.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from walrus_client.challenges.samples import Sample, invalid_answer
from walrus_client.compute import Compute
from walrus_codec.errors import CodecError
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.recovery import make_symbols
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, BlobId, SliverIndex
from walrus_node.errors import DamagedError
from walrus_node.store.storage import SliverKey, Storage

Admission = Callable[[str, int], AbstractAsyncContextManager[None]]
"""Memory for one cell's work: in whose name, how many bytes; held while the block runs."""


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        data: its bytes.
        proof: siblings bottom up that prove it against the hash of the sliver it was taken from; empty for a blob that
            was declared invalid, which has no right cells.
    """

    data: bytes = field(repr=False)
    proof: bytes = field(repr=False)


class Cells:
    """Reads cells.

    Args:
        storage: where the slivers are.
        compute: expands them off the event loop.
        admitted: memory for it.
    """

    def __init__(self, *, storage: Storage, compute: Compute, admitted: Admission) -> None:
        self._storage = storage
        self._compute = compute
        self._admitted = admitted

    async def answer(self, sample: Sample, client: str) -> Cell | None:
        """The cell that a question asks of the prover, None when it is not here; `client` is who asks."""
        return await self._read(SliverKey(sample.shard, sample.axis, sample.blob_id), sample.place, client)

    async def truth(self, sample: Sample, client: str) -> Cell | None:
        """The same cell from the challenger's sliver that crosses the prover's."""
        return await self._read(SliverKey(sample.own, sample.axis.orthogonal, sample.blob_id), sample.sliver, client)

    async def _read(self, key: SliverKey, place: SliverIndex, client: str) -> Cell | None:
        source = await self._storage.cell_source(key.blob_id)
        if source.invalid:
            return Cell(invalid_answer(key.blob_id), b"")
        if source.metadata is None:
            return None
        try:
            metadata = BlobMetadata.from_bcs(source.metadata)
            params = CodeParams(len(metadata.hashes), metadata.encoding_type)
            size = 2 * params.n_shards * params.symbol_size(metadata.unencoded_length)
            async with self._admitted(client, size):
                stored = await self._storage.sliver(key)
                if stored is None:
                    # Its data goes when a blob is declared invalid, which may have been a moment ago.
                    return await self._if_invalid(key.blob_id)
                return await self._compute.run(_cell, key.axis, stored, place, metadata, params)
        except (CodecError, DamagedError):
            return None

    async def _if_invalid(self, blob_id: BlobId) -> Cell | None:
        return Cell(invalid_answer(blob_id), b"") if (await self._storage.cell_source(blob_id)).invalid else None


def _cell(axis: Axis, stored: memoryview, place: SliverIndex, metadata: BlobMetadata, params: CodeParams) -> Cell:
    (symbol,) = make_symbols(Sliver.from_bcs(axis, stored), [place], metadata, params)
    return Cell(bytes(symbol.data), symbol.proof)
