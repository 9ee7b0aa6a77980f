"""What the node asks of the chain, and its latest look at the committees.

`Chain` is the part of `walrus_sui.client.ChainClient` that the node uses; tests bring a twin. `ChainView` keeps the
newest `StakingView`: it is read again after each event that changes epochs, when a request names an epoch that we do
not know yet, and every half minute. Confirmations are given for what this view says, also when the processing of
events lags behind.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Literal, Protocol

from walrus_codec.types import Epoch, NodeId, ObjectId
from walrus_sui.errors import ChainError, ChainTimeout, ChainUnreachable
from walrus_sui.keys import BlsKey, SuiKey
from walrus_sui.types import NodeCap, NodeMetadata, PoolView, SignedMessage, StakingView, VotingParams

_LAG_LIMIT_S = 60.0
_LAG_POLL_S = 0.5

_log = logging.getLogger(__name__)

REFRESH_INTERVAL_S = 30.0
_EARLIEST_REFRESH_S = 0.5
"""Requests that name unknown epochs cannot make us ask the chain more often than this."""


class Chain(Protocol):
    """The calls that a node makes; every one raises `walrus_sui.errors.ChainError`."""

    async def chain_id(self) -> str:
        """Base58 digest of the genesis checkpoint."""
        ...

    async def staking(self) -> StakingView:
        """Epoch, its state, and the committees."""
        ...

    async def node_caps(self, address: str) -> list[NodeCap]:
        """The caps that an address owns."""
        ...

    async def pool(self, node_id: NodeId) -> PoolView:
        """A node's record."""
        ...

    async def balance(self, address: str, coin_type: Literal["SUI", "WAL"] = "SUI") -> int:
        """MIST or FROST that an address owns."""
        ...

    async def register_candidate(
        self,
        key: SuiKey,
        *,
        name: str,
        network_address: str,
        metadata: NodeMetadata,
        bls_key: BlsKey,
        network_public_key: bytes,
        commission_rate: int,
        votes: VotingParams,
    ) -> NodeCap:
        """Makes the node's record."""
        ...

    async def update_node(
        self,
        key: SuiKey,
        cap: NodeCap,
        pool: PoolView,
        *,
        name: str | None = None,
        network_address: str | None = None,
        metadata: NodeMetadata | None = None,
        network_public_key: bytes | None = None,
        commission_rate: int | None = None,
        votes: VotingParams | None = None,
    ) -> bool:
        """Corrects what differs in the node's record; True when something did."""
        ...

    async def set_next_public_key(self, key: SuiKey, cap: NodeCap, bls_key: BlsKey) -> None:
        """Announces the BLS key of the next epochs."""
        ...

    async def voting_end(self, key: SuiKey) -> None:
        """Ends voting."""
        ...

    async def initiate_epoch_change(self, key: SuiKey) -> None:
        """Begins the next epoch."""
        ...

    async def epoch_sync_done(self, key: SuiKey, cap_id: ObjectId, epoch: Epoch) -> None:
        """Attests that the node has its shards."""
        ...

    async def invalidate_blob_id(self, key: SuiKey, signed: SignedMessage) -> None:
        """Declares a blob invalid."""
        ...


class ChainView:
    """The newest `StakingView`, and whether the last attempt to read one succeeded."""

    def __init__(self, chain: Chain | None = None) -> None:
        """Looks at `chain`, which may come later by `use`: the node serves what it has before it finds the chain."""
        self._chain = chain
        self._staking: StakingView | None = None
        self._reading: asyncio.Task[StakingView] | None = None
        self._read_at = float("-inf")
        self.reachable = False

    def use(self, chain: Chain) -> None:
        """Begins to look at a chain."""
        self._chain = chain

    @property
    def staking(self) -> StakingView | None:
        """The newest view; None before the first answer of the chain."""
        return self._staking

    @property
    def epoch(self) -> Epoch:
        """Epoch of the newest view; 0 before the first answer."""
        return self._staking.epoch if self._staking is not None else Epoch(0)

    async def refresh(self) -> StakingView:
        """Reads the chain now; concurrent callers share one answer that was asked for after their call or just before.

        Raises:
            ChainError: the chain cannot be read; the old view stays.
        """
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(self._reading)

    async def at_least(self, epoch: Epoch) -> StakingView:
        """Reads the chain until its objects show `epoch`, which its events have announced.

        Raises:
            ChainError: the chain cannot be read, or still shows an older epoch after a minute.
        """
        try:
            async with asyncio.timeout(_LAG_LIMIT_S):
                # Nobody rings when an object becomes visible, so this asks.
                while (view := await self.refresh()).epoch < epoch:  # noqa: ASYNC110
                    await asyncio.sleep(_LAG_POLL_S)
        except TimeoutError:
            raise ChainTimeout(f"the chain announced epoch {epoch}, but its objects still show {self.epoch}") from None
        return view

    async def knows(self, epoch: Epoch) -> bool:
        """Looks whether the chain is at `epoch` already, when the view is behind it; True when the view is there."""
        loop = asyncio.get_running_loop()
        unknown = self._staking is None or self.epoch < epoch
        if unknown and loop.time() - self._read_at >= _EARLIEST_REFRESH_S:
            try:
                await self.refresh()
            except ChainError as error:
                _log.info("cannot look for a new epoch", extra={"error": str(error)})
        return self.epoch >= epoch

    async def _read(self) -> StakingView:
        try:
            if self._chain is None:
                raise ChainUnreachable("the chain was not found yet")
            view = await self._chain.staking()
        except ChainError:
            self.reachable = False
            raise
        finally:
            self._read_at = asyncio.get_running_loop().time()
        self.reachable = True
        # Answers of different replicas may come out of order; an epoch never goes back.
        if self._staking is None or view.epoch >= self._staking.epoch:
            self._staking = view
        return self._staking
