"""Makes the node known to the chain, and keeps its record there in step with the configuration.

Life of a registration: at the first start the key's address gets gas from the faucet (if the network has one), then
`register_candidate` makes the pool and gives the address its StorageNodeCap. At every later start, and at every epoch
change, the cap is found again by the address, and what the pool says is compared with the configuration; differences
are corrected with the contract's set_* calls. Stake is not the node's business.

A crash at any point is harmless: a candidate that was made is found by its cap.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from walrus_codec.types import SuiAddress
from walrus_node.chain import Chain
from walrus_node.config import NodeConfig, NodeKeys
from walrus_node.errors import IdentityError
from walrus_node.store.records import Identity
from walrus_sui.types import GRPC_ADDRESS_FIELD, NodeCap, NodeMetadata, PoolView, VotingParams

_log = logging.getLogger(__name__)

LOW_BALANCE_MIST = 1_000_000_000
"""Below one SUI the node asks the faucet; an epoch costs it a few transactions of well below 0.1 SUI."""

Faucet = Callable[[SuiAddress], Awaitable[object]]
"""Asks for SUI; raises `FaucetError`."""


class Registrar:
    """Registers and keeps in step.

    Args:
        chain: where.
        config: what the record should say.
        keys: who acts, and the keys that are registered.
        faucet: where gas comes from; None when the network has no faucet.
    """

    def __init__(self, *, chain: Chain, config: NodeConfig, keys: NodeKeys, faucet: Faucet | None) -> None:
        self._chain = chain
        self._config = config
        self._keys = keys
        self._faucet = faucet

    async def run_once(self, known: Identity | None) -> Identity:
        """Brings the chain's record of this node in step; returns who the node is.

        Args:
            known: whose data the store holds, None when it is new.

        Raises:
            ChainError: the chain or the faucet did not do it; call again later.
            IdentityError: the store belongs to another chain, or to a node whose cap this key does not own.
        """
        chain_id = await self._chain.chain_id()
        if known is not None and known.chain_id != chain_id:
            raise IdentityError(
                f"the data directory belongs to chain {known.chain_id}, but this network is {chain_id}: "
                "wipe the data directory if the network was made anew, or correct chain.network_config"
            )
        await self._ensure_gas()
        caps = await self._chain.node_caps(self._keys.sui.address)
        cap, pool = await self._choose(caps, known)
        if cap is None:
            cap = await self._register()
        elif pool is not None:
            await self._update(cap, pool)
        return Identity(chain_id, cap.node_id, cap.object_id)

    async def _ensure_gas(self) -> None:
        address = self._keys.sui.address
        if self._faucet is None or await self._chain.balance(address) >= LOW_BALANCE_MIST:
            return
        _log.info("asking the faucet for gas", extra={"address": address})
        await self._faucet(address)

    async def _choose(
        self, caps: list[NodeCap], known: Identity | None
    ) -> tuple[NodeCap, PoolView] | tuple[None, None]:
        """The cap of this node among all that the key owns: the stored one, else the one with our protocol key."""
        for cap in caps:
            if known is not None and cap.object_id != known.cap_id:
                continue
            pool = await self._chain.pool(cap.node_id)
            own_keys = {pool.bls_public_key, pool.next_bls_public_key}
            if known is not None or self._keys.protocol.public_key in own_keys:
                return cap, pool
        if known is not None:
            raise IdentityError(
                f"the data directory belongs to node {known.node_id}, but {self._keys.sui.address} does not own its "
                f"cap {known.cap_id}: give back the key that registered the node, or wipe the data directory"
            )
        return None, None

    async def _register(self) -> NodeCap:
        config = self._config
        cap = await self._chain.register_candidate(
            self._keys.sui,
            name=config.name,
            network_address=config.public.rest_address,
            metadata=self._metadata(),
            bls_key=self._keys.protocol,
            network_public_key=self._keys.network.public_key,
            commission_rate=config.registration.commission_rate,
            votes=self._votes(),
        )
        _log.info("registered", extra={"node_id": cap.node_id, "cap_id": cap.object_id})
        return cap

    async def _update(self, cap: NodeCap, pool: PoolView) -> None:
        changed = await self._chain.update_node(
            self._keys.sui,
            cap,
            pool,
            name=self._config.name,
            network_address=self._config.public.rest_address,
            metadata=self._metadata(pool),
            network_public_key=self._keys.network.public_key,
            commission_rate=self._config.registration.commission_rate,
            votes=self._votes(),
        )
        if changed:
            _log.info("the registration was brought in step with the configuration", extra={"node_id": cap.node_id})

    def _metadata(self, pool: PoolView | None = None) -> NodeMetadata:
        """Wanted metadata; extra fields that others wrote stay."""
        foreign = pool.metadata.extra_fields if pool is not None else ()
        ours = (GRPC_ADDRESS_FIELD, self._config.public.grpc_address)
        kept = [ours if key == GRPC_ADDRESS_FIELD else (key, value) for key, value in foreign]
        registration = self._config.registration
        return NodeMetadata(
            image_url=registration.image_url,
            project_url=registration.project_url,
            description=registration.description,
            extra_fields=tuple(kept if ours in kept else [*kept, ours]),
        )

    def _votes(self) -> VotingParams:
        wanted = self._config.registration
        return VotingParams(wanted.storage_price, wanted.write_price, wanted.node_capacity)
