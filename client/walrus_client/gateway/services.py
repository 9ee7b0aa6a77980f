"""What the gateway needs of the network: chain, committee, peers, reader, store; made when the chain can be reached.

Life of the services: `Services.connect` loads the network configuration and builds everything; `Connector` tries until
that succeeds, so that a gateway may start before its chain, and says meanwhile why requests cannot be served. Afterwards
it keeps the committee young, so that reads go on when the chain goes away, and looks after the key's money.

A gateway that starts while the chain is away reads from what it remembers of the network (`memory`) and stores nothing,
until the chain is back and turns out to be the same one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, replace
from typing import Self

from walrus_client.committee import CommitteeTracker
from walrus_client.compute import Compute
from walrus_client.gateway.config import GatewayConfig
from walrus_client.gateway.envelope import GatewayError, GatewayReason
from walrus_client.gateway.memory import Memory, Remembered
from walrus_client.peers import PeerPool
from walrus_client.read import Reader
from walrus_client.store import Store
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType
from walrus_sui import network_config
from walrus_sui.client import ChainClient
from walrus_sui.errors import ChainError, NetworkConfigError, WalrusSuiError
from walrus_sui.keys import SuiKey
from walrus_sui.network_config import NetworkConfig

_log = logging.getLogger(__name__)

RETRY_S = 2.0
COMMITTEE_MAX_AGE_S = 3.0
FUNDS_EVERY_S = 15.0
LOW_WAL = 100_000_000
"""FROST below which the key counts as empty; a small blob costs less than this on devnets."""

LOW_SUI = 50_000_000
"""MIST below which the key cannot pay for gas."""


@dataclass(frozen=True)
class Funds:
    """Money of the gateway's key, FROST and MIST."""

    wal: int
    sui: int

    @property
    def low(self) -> bool:
        """True when stores are likely to fail for want of money."""
        return self.wal < LOW_WAL or self.sui < LOW_SUI


@dataclass(frozen=True)
class Services:
    """Everything that a request may need; `checked` tells that the chain was seen to be the configured one."""

    network: NetworkConfig
    chain: ChainClient
    committees: CommitteeTracker
    peers: PeerPool
    reader: Reader
    store: Store
    compute: Compute
    checked: bool = True

    @classmethod
    async def connect(cls, config: GatewayConfig, key: SuiKey, compute: Compute) -> Self:
        """Builds all of it.

        Raises:
            NetworkConfigError: The configuration cannot be loaded, or names another chain.
            ChainError: The chain cannot be reached.
        """
        network = await network_config.load(config.chain.network_config)
        async with contextlib.AsyncExitStack() as stack:
            chain = await stack.enter_async_context(ChainClient(network, timeout=config.chain.call_timeout_s))
            await chain.check()
            committees = CommitteeTracker(chain, max_age_s=COMMITTEE_MAX_AGE_S)
            await committees.refresh()
            stack.pop_all()
        return cls._on(network, chain, committees, key, compute)

    @classmethod
    async def recalled(cls, remembered: Remembered, config: GatewayConfig, key: SuiKey, compute: Compute) -> Self:
        """Builds all of it from what is remembered, without the chain."""
        chain = ChainClient(remembered.network, timeout=config.chain.call_timeout_s)
        committees = CommitteeTracker(chain, max_age_s=COMMITTEE_MAX_AGE_S, remembered=remembered.staking)
        with contextlib.suppress(ChainError):
            await committees.refresh()  # so that it knows why it cannot
        return replace(cls._on(remembered.network, chain, committees, key, compute), checked=False)

    @classmethod
    def _on(
        cls, network: NetworkConfig, chain: ChainClient, committees: CommitteeTracker, key: SuiKey, compute: Compute
    ) -> Self:
        peers = PeerPool()
        reader = Reader(committees, peers, compute, chain=chain)
        store = Store(chain, key, committees, peers, compute, default_encoding=network.encoding_type)
        return cls(network, chain, committees, peers, reader, store, compute)

    def for_storing(self) -> Self:
        """The same, once the chain was checked.

        Raises:
            GatewayError: CHAIN_UNREACHABLE: it was not yet.
        """
        if not self.checked:
            problem = self.committees.failure or "it is being checked"
            message = f"the chain cannot be reached yet: {problem}; certified blobs can be read, nothing can be stored"
            raise GatewayError(GatewayReason.CHAIN_UNREACHABLE, message)
        return self

    async def close(self) -> None:
        """Waits for transactions under way, then closes the connections."""
        await self.store.close()
        await self.peers.close()
        await self.chain.close()

    @property
    def params(self) -> CodeParams:
        """The code of the network's default encoding."""
        return self.params_of(self.network.encoding_type)

    def params_of(self, encoding: EncodingType) -> CodeParams:
        """The code of an encoding on this network."""
        view = self.committees.last
        return CodeParams(view.n_shards if view is not None else self.network.n_shards, encoding)


class Connector:
    """Gets the services and keeps them fresh; one background task."""

    def __init__(self, config: GatewayConfig, key: SuiKey, compute: Compute) -> None:
        self._config = config
        self._key = key
        self._compute = compute
        self._memory = Memory(config.state_file, source=config.chain.network_config)
        self._services: Services | None = None
        self._problem = "the gateway is starting"
        self._task: asyncio.Task[None] | None = None
        self._funds_at = float("-inf")
        self.funds: Funds | None = None

    def start(self) -> None:
        """Begins to connect."""
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Ends the background task and the services."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._services is not None:
            await self._services.close()

    @property
    def services(self) -> Services:
        """The services.

        Raises:
            GatewayError: CHAIN_UNREACHABLE: there are none yet, and why.
        """
        if self._services is None:
            raise GatewayError(GatewayReason.CHAIN_UNREACHABLE, self._problem)
        return self._services

    @property
    def ready(self) -> bool:
        """True when requests can be served: a committee is known. The chain may be away meanwhile."""
        view = self._services.committees.last if self._services is not None else None
        return view is not None and bool(view.committee.members)

    async def _run(self) -> None:
        while True:
            try:
                if self._services is None:
                    await self._connect()
                elif not self._services.checked:
                    await self._check(self._services)
                else:
                    await self._services.committees.view()
                    await self._remember(self._services)
                    await self._look_after_funds(self._services)
            except Exception:
                _log.exception("the gateway's background work failed; it goes on")
            await asyncio.sleep(RETRY_S)

    async def _connect(self) -> None:
        try:
            self._services = await Services.connect(self._config, self._key, self._compute)
        except (ChainError, NetworkConfigError) as error:
            problem = f"the chain cannot be reached yet: {error}"
            if problem != self._problem:
                _log.warning("waiting for the chain", extra={"cause": str(error)})
            self._problem = problem
            await self._recall()
        else:
            await self._connected(self._services)

    async def _connected(self, services: Services) -> None:
        _log.info("connected", extra={"chain": services.network.rpc_url, "address": self._key.address})
        await self._remember(services)
        await self._look_after_funds(services)

    async def _recall(self) -> None:
        remembered = await asyncio.to_thread(self._memory.recall)
        if remembered is None:
            return
        self._services = await Services.recalled(remembered, self._config, self._key, self._compute)
        _log.warning(
            "reading from the committee of an earlier run until the chain is back",
            extra={"epoch": remembered.staking.epoch, "chain": remembered.network.rpc_url},
        )

    async def _check(self, services: Services) -> None:
        """Looks whether the chain is back, and whether it is the one that the memory is of."""
        try:
            network = await network_config.load(self._config.chain.network_config)
        except NetworkConfigError:
            return
        if network != services.network:
            await self._forget(services, "the network's configuration is another one now")
            return
        try:
            await services.chain.check()
            await services.committees.refresh()
        except ChainError:
            return
        except NetworkConfigError as error:
            await self._forget(services, str(error))
            return
        self._services = replace(services, checked=True)
        await self._connected(self._services)

    async def _forget(self, services: Services, cause: str) -> None:
        _log.warning("what was remembered is not this network; it is forgotten", extra={"cause": cause})
        await asyncio.to_thread(self._memory.forget)
        self._services = None
        await services.close()

    async def _remember(self, services: Services) -> None:
        view = services.committees.last
        if view is not None and view.committee.members:
            await asyncio.to_thread(self._memory.keep, Remembered(services.network, view))

    async def _look_after_funds(self, services: Services) -> None:
        if time.monotonic() - self._funds_at < FUNDS_EVERY_S and not (self.funds is None or self.funds.low):
            return
        try:
            wal = await services.chain.balance(self._key.address, "WAL")
            sui = await services.chain.balance(self._key.address, "SUI")
        except WalrusSuiError:
            return  # the committee tracker has said already that the chain is away
        before, self.funds = self.funds, Funds(wal, sui)
        self._funds_at = time.monotonic()
        if self.funds.low and (before is None or not before.low):
            _log.warning(
                "the gateway's key has too little money; send it WAL and SUI, stores wait for it",
                extra={"address": self._key.address, "wal_frost": wal, "sui_mist": sui},
            )
        elif before is not None and before.low and not self.funds.low:
            _log.info("the gateway's key has money", extra={"address": self._key.address, "wal_frost": wal})
