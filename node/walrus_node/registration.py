"""Makes the node known to the chain, and keeps its record there in step with the configuration.

Life of a registration: at the first start the key's address gets gas from the faucet (if the network has one), then
`register_candidate` makes the pool and gives the address its StorageNodeCap. At every later start, and at every epoch
change, the cap is found again by the address, and what the pool says is compared with the configuration; differences
are corrected with the contract's set_* calls. Stake is not the node's business.

Keys that are to take over are announced from here too (`rotation`), each step by what the chain shows.

A crash at any point is harmless: a candidate that was made is found by its cap.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from walrus_codec.types import SuiAddress
from walrus_node.chain import Chain
from walrus_node.config import NodeConfig
from walrus_node.errors import IdentityError
from walrus_node.keyring import KeyRing
from walrus_node.rotation import NetworkKeys, is_unannounced, may_announce, network_step
from walrus_node.store.records import Identity
from walrus_sui.keys import NetworkKey
from walrus_sui.types import FURTHER_KEYS_FIELD, GRPC_ADDRESS_FIELD, NodeCap, NodeMetadata, PoolView, VotingParams

_log = logging.getLogger(__name__)

LOW_BALANCE_MIST = 1_000_000_000
"""Below one SUI the node asks the faucet; an epoch costs it a few transactions of well below 0.1 SUI."""

Show = Callable[[NetworkKey], Awaitable[None]]

Faucet = Callable[[SuiAddress], Awaitable[object]]
"""Asks for SUI; raises `FaucetError`."""


class Registrar:
    """Registers and keeps in step.

    Args:
        chain: where.
        config: what the record should say.
        ring: who acts, and the keys that are registered.
        faucet: where gas comes from; None when the network has no faucet.
        show: makes the TLS server carry a network key.
    """

    def __init__(
        self, *, chain: Chain, config: NodeConfig, ring: KeyRing, faucet: Faucet | None, show: Show | None = None
    ) -> None:
        self._chain = chain
        self._config = config
        self._ring = ring
        self._faucet = faucet
        self._show = show
        self._seen: tuple[bytes, tuple[bytes, ...]] | None = None
        self._seen_since = 0.0
        self.changing_keys = False
        """Whether the network key is changing, so that another look soon is worth it."""

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
        caps = await self._chain.node_caps(self._ring.keys.sui.address)
        cap, pool = await self._choose(caps, known)
        if cap is None:
            cap = await self._register()
        elif pool is not None:
            await self._update(cap, pool)
        return Identity(chain_id, cap.node_id, cap.object_id)

    async def _ensure_gas(self) -> None:
        address = self._ring.keys.sui.address
        if self._faucet is None or await self._chain.balance(address) >= LOW_BALANCE_MIST:
            return
        _log.info("asking the faucet for gas", extra={"address": address})
        await self._faucet(address)

    async def _choose(
        self, caps: list[NodeCap], known: Identity | None
    ) -> tuple[NodeCap, PoolView] | tuple[None, None]:
        """The cap of this node among all that the key owns: the stored one, else the one with a protocol key of ours."""
        for cap in caps:
            if known is not None and cap.object_id != known.cap_id:
                continue
            pool = await self._chain.pool(cap.node_id)
            own_keys = {pool.bls_public_key, pool.next_bls_public_key}
            if known is not None or self._ring.protocol_keys & own_keys:
                return cap, pool
        if known is not None:
            raise IdentityError(
                f"the data directory belongs to node {known.node_id}, but {self._ring.keys.sui.address} does not own its "
                f"cap {known.cap_id}: give back the key that registered the node, or wipe the data directory"
            )
        return None, None

    async def _register(self) -> NodeCap:
        config = self._config
        cap = await self._chain.register_candidate(
            self._ring.keys.sui,
            name=config.name,
            network_address=config.public.rest_address,
            metadata=self._metadata(),
            bls_key=self._ring.keys.protocol,
            network_public_key=self._ring.keys.network.public_key,
            commission_rate=config.registration.commission_rate,
            votes=self._votes(),
        )
        _log.info("registered", extra={"node_id": cap.node_id, "cap_id": cap.object_id})
        return cap

    async def _update(self, cap: NodeCap, pool: PoolView) -> None:
        network = self._network_keys(pool)
        if self._show is not None:
            await self._show(self._ring.network_key(network.shown))
        changed = await self._chain.update_node(
            self._ring.keys.sui,
            cap,
            pool,
            name=self._config.name,
            network_address=self._config.public.rest_address,
            metadata=self._metadata(pool, network.further),
            network_public_key=network.registered,
            commission_rate=self._config.registration.commission_rate,
            votes=self._votes(),
        )
        if changed:
            _log.info("the registration was brought in step with the configuration", extra={"node_id": cap.node_id})
        await self._announce(cap, pool)

    def _network_keys(self, pool: PoolView) -> NetworkKeys:
        """The next step of a change of the network key, or that there is none."""
        keys = self._ring.keys
        wanted = (keys.next_network or keys.network).public_key
        now, seen = asyncio.get_running_loop().time(), (pool.network_public_key, pool.further_network_keys)
        if seen != self._seen:
            self._seen, self._seen_since = seen, now
        settled = now - self._seen_since >= self._config.keys.overlap_s
        step = network_step(pool, wanted=wanted, held=self._ring.network_keys, settled=settled)
        self.changing_keys = not step.ends(pool)
        if step.registered != pool.network_public_key:
            facts = {"from": pool.network_public_key.hex(), "to": step.registered.hex()}
            _log.info("the network key changes", extra=facts)
        return step

    async def _announce(self, cap: NodeCap, pool: PoolView) -> None:
        """Announces the next protocol key, if it is the time of the epoch for it."""
        key = self._ring.keys.next_protocol
        if key is None or not is_unannounced(pool, key):
            return
        staking = await self._chain.staking()
        if not may_announce(staking.epoch_state.phase):
            _log.info("the next protocol key waits for the next epoch", extra={"epoch": staking.epoch})
            return
        await self._chain.set_next_public_key(self._ring.keys.sui, cap, key)
        _log.info("the next protocol key is announced", extra={"epoch": staking.epoch, "key": key.public_key.hex()})

    def _metadata(self, pool: PoolView | None = None, further: tuple[bytes, ...] = ()) -> NodeMetadata:
        """Wanted metadata; extra fields that others wrote stay."""
        foreign = pool.metadata.extra_fields if pool is not None else ()
        ours = {GRPC_ADDRESS_FIELD: self._config.public.grpc_address}
        if further:
            ours[FURTHER_KEYS_FIELD] = ",".join(key.hex() for key in further)
        kept = dict(foreign) | ours
        if not further:
            kept.pop(FURTHER_KEYS_FIELD, None)
        registration = self._config.registration
        return NodeMetadata(
            image_url=registration.image_url,
            project_url=registration.project_url,
            description=registration.description,
            extra_fields=tuple(kept.items()),
        )

    def _votes(self) -> VotingParams:
        wanted = self._config.registration
        return VotingParams(wanted.storage_price, wanted.write_price, wanted.node_capacity)
