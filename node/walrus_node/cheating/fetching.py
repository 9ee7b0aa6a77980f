"""A prover that stores nothing: it reads each blob from the others, as any client, when it is asked for a cell.

Nothing is kept from one question to the next.
"""

from __future__ import annotations

from walrus_client.challenges.samples import Sample, invalid_answer
from walrus_client.committee import CommitteeTracker
from walrus_client.compute import Compute
from walrus_client.errors import BlobInvalidError, ClientError
from walrus_client.peers import PeerPool
from walrus_client.read import Reader
from walrus_codec import mapping, redstuff
from walrus_codec.params import CodeParams
from walrus_codec.recovery import make_symbols
from walrus_codec.types import Axis
from walrus_node.chain import ChainView
from walrus_node.challenges.cells import Cell
from walrus_sui.errors import ChainUnreachable
from walrus_sui.types import StakingView


class Fetcher:
    """Reads cells from others.

    Args:
        view: who they are.
        compute: decodes and encodes.
    """

    def __init__(self, view: ChainView, compute: Compute) -> None:
        self._view = view
        self._compute = compute
        self._peers: PeerPool | None = None

    async def staking(self) -> StakingView:
        """The committee, for the reader."""
        if self._view.staking is None:
            raise ChainUnreachable("the chain was never reached")
        return self._view.staking

    async def cell(self, sample: Sample) -> Cell | None:
        """The cell, None when the blob cannot be read."""
        if self._peers is None:
            self._peers = PeerPool()
        reader = Reader(CommitteeTracker(self), self._peers, self._compute)
        try:
            found = await reader.read(sample.blob_id)
        except BlobInvalidError:
            return Cell(invalid_answer(sample.blob_id), b"")
        except ClientError:
            return None
        n, encoding = len(found.metadata.hashes), found.metadata.encoding_type
        return await self._compute.run(_cell, sample, found.data, CodeParams(n, encoding))

    async def close(self) -> None:
        """Hangs up."""
        if self._peers is not None:
            await self._peers.close()


def _cell(sample: Sample, content: bytes, params: CodeParams) -> Cell:
    encoded = redstuff.encode(content, params)
    pair = encoded.pairs[mapping.pair_of_shard(sample.shard, sample.blob_id, params.n_shards)]
    sliver = pair.primary if sample.axis is Axis.PRIMARY else pair.secondary
    (symbol,) = make_symbols(sliver, [sample.place], encoded.metadata, params)
    return Cell(bytes(symbol.data), symbol.proof)
