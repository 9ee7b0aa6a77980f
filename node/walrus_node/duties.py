"""What the node does because of the chain: find it, register, follow it, keep step with its epochs.

Life of a start: the network's configuration is loaded and the registration brought in step, with growing pauses while
the chain is away (stored blobs are served meanwhile); the store is bound to chain and node; then the loops run until
the process ends. Events ring the loops that they concern; each of them also looks by itself now and then.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, NoReturn

from walrus_client.compute import Compute
from walrus_client.peers import PeerPool, RequestSigner
from walrus_codec.types import BlobId
from walrus_node import finding
from walrus_node.chain import REFRESH_INTERVAL_S, ChainView
from walrus_node.challenges.challenger import IDLE_S as CHALLENGE_IDLE_S
from walrus_node.challenges.parts import Challenges
from walrus_node.config import NodeConfig
from walrus_node.epochs.collector import Collector
from walrus_node.epochs.driver import EpochDriver
from walrus_node.epochs.keeper import EpochKeeper
from walrus_node.events.processor import EventProcessor, Heard
from walrus_node.fetching import Fetching
from walrus_node.following import Following
from walrus_node.keyring import KeyRing
from walrus_node.loops import Backoff, Wake, repeat, together, until_done
from walrus_node.passes import Passes
from walrus_node.recovery.task import IDLE_S, Progress, RecoveryTask
from walrus_node.registration import Registrar, Show
from walrus_node.scrub.scrubber import IDLE_S as SCRUB_IDLE_S
from walrus_node.scrub.scrubber import Scrubber, ScrubProgress
from walrus_node.store.records import Identity
from walrus_node.store.storage import Storage
from walrus_node.sync.task import IDLE_S as SYNC_IDLE_S
from walrus_node.sync.task import SyncProgress
from walrus_sui import faucet
from walrus_sui.client import ChainClient
from walrus_sui.network_config import NetworkConfig

_log = logging.getLogger(__name__)

Loop = Coroutine[Any, Any, NoReturn]

_KEEPER_INTERVAL_S = 30.0
_COLLECTOR_INTERVAL_S = 600.0
_REGISTRAR_INTERVAL_S = 3600.0
_KEYS_INTERVAL_S = 10.0
_LOOKS_PER_OVERLAP = 10


class Duties:
    """The chain side of one node.

    Args:
        config: the whole configuration.
        ring: the node's secrets.
        storage: the open store.
        processor: applies checkpoints.
        view: will be told the chain.
        compute: rebuilds slivers off the event loop.
        challenges: will be given its loop.
        on_registered: is told who the node is, once known.
        show: makes the TLS server carry a network key.
        passes: is told all loops.
        rng: source of jitter.
        public_networks: whether the node may work for one, if the configuration allows it.
    """

    def __init__(
        self,
        *,
        config: NodeConfig,
        ring: KeyRing,
        storage: Storage,
        processor: EventProcessor,
        view: ChainView,
        compute: Compute,
        challenges: Challenges,
        on_registered: Callable[[Identity], None],
        show: Show,
        passes: Passes,
        rng: random.Random,
        public_networks: bool = True,
    ) -> None:
        self._config = config
        self._ring = ring
        self._show = show
        self._passes = passes
        self._storage = storage
        self._processor = processor
        self._view = view
        self._public_networks = public_networks
        self._compute = compute
        self._challenges = challenges
        self._on_registered = on_registered
        self._rng = rng
        self._view_wake, self._keeper_wake, self._driver_wake = Wake(), Wake(), Wake()
        self._registrar_wake, self._collector_wake, self._invalid_wake = Wake(), Wake(), Wake()
        self._recovery_wake, self._sync_wake, self._challenge_wake = Wake(), Wake(), Wake()
        self._following = Following(processor=processor, on_rebuilt=self._rebuilt, rng=rng)
        self._fetching: Fetching | None = None
        self._scrubber: Scrubber | None = None
        processor.listen(self._heard)

    @property
    def caught_up(self) -> bool:
        """Whether the events have reached the chain's tip since the process began."""
        return self._following.caught_up

    def follower_age_s(self) -> float:
        """Seconds since the chain was last heard."""
        return self._following.age_s()

    @property
    def waits_for_history(self) -> str:
        """What the node waits for because the chain has pruned events that it needs; empty when it does not."""
        return self._following.waits_for_history

    def recovery_progress(self) -> Progress:
        """What was recovered from other nodes."""
        return self._fetching.recovery.progress if self._fetching is not None else Progress()

    def sync_progress(self) -> SyncProgress:
        """How far shards have come from their previous owners."""
        return self._fetching.sync.progress if self._fetching is not None else SyncProgress()

    def scrub_progress(self) -> ScrubProgress:
        """How far the verification of what is stored is."""
        return self._scrubber.progress if self._scrubber is not None else ScrubProgress()

    def _heard(self, heard: Heard) -> None:
        """Rings the loops that a checkpoint concerns."""
        concerned: list[Wake] = []
        if heard.epoch_events:
            concerned += (self._view_wake, self._keeper_wake, self._driver_wake)
        if heard.epoch_started:
            concerned += (self._registrar_wake, self._collector_wake)
        if heard.invalid_blobs:
            concerned.append(self._invalid_wake)
        self._challenges.look_at_clock()
        if self._fetching is not None:
            for blob_id in heard.certified:
                # Not before: most often everything is there by then, and who rests is not to be woken twice.
                self._recovery_wake.ring_within(self._fetching.recovery.certified(blob_id))
        for wake in concerned:
            wake.ring()

    def _rebuilt(self) -> None:
        """The records were made anew."""
        for wake in (self._view_wake, self._keeper_wake):
            wake.ring()

    async def run(self) -> NoReturn:
        """Runs for ever.

        Raises:
            WalrusNodeError: something that waiting does not heal.
        """
        network = await finding.find(
            self._config.chain.network_config, backoff=self._backoff, public_networks=self._public_networks
        )
        # The transport's libraries take seconds to import: meanwhile the event loop serves.
        await asyncio.to_thread(importlib.import_module, "walrus_sui.client.transport")
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                ChainClient(network, timeout=self._config.chain.call_timeout_s, rng=self._rng)
            )
            self._view.use(client)
            registrar = self._registrar(client, network)
            register = functools.partial(self._register, registrar)
            identity = await until_done("registration", register, backoff=self._backoff())
            peers = await stack.enter_async_context(PeerPool())
            signer = RequestSigner(identity.node_id, self._ring)
            self._challenges.on_lost = self._lost
            challenger = self._challenges.make_challenger(
                chain=client,
                peers=peers,
                signer=signer,
                sui_key=self._ring.keys.sui,
                rng=self._rng,
                ring=self._challenge_wake.ring,
            )
            stack.push_async_callback(challenger.close)
            fetching = self._fetching = Fetching.make(
                config=self._config,
                us=identity.node_id,
                ring=self._ring,
                signer=signer,
                client=client,
                peers=peers,
                storage=self._storage,
                processor=self._processor,
                view=self._view,
                compute=self._compute,
                rng=self._rng,
                on_whole=self._keeper_wake.ring,
                caught_up=lambda: self.caught_up,
            )
            await self._challenges.rounds.take_after_crash()
            await together(
                self._following.run(client, fetching.rebuilder),
                *self._epoch_loops(client, identity, fetching.recovery),
                self._repeat("recovery", fetching.recovery.run_once, IDLE_S, self._recovery_wake),
                self._repeat("shard sync", fetching.sync.run_once, SYNC_IDLE_S, self._sync_wake),
                self._repeat(
                    "registration",
                    functools.partial(self._keep_registered, registrar),
                    _REGISTRAR_INTERVAL_S,
                    self._registrar_wake,
                ),
                self._repeat("keys", self._look_at_keys, _KEYS_INTERVAL_S, Wake()),
                *self._collector_loops(network),
                *self._scrub_loops(),
                self._repeat("challenges", challenger.run_once, CHALLENGE_IDLE_S, self._challenge_wake),
            )

    def _registrar(self, client: ChainClient, network: NetworkConfig) -> Registrar:
        url = self._config.chain.faucet_url or network.faucet_url
        ask = functools.partial(faucet.request_sui, url) if url is not None else None
        return Registrar(chain=client, config=self._config, ring=self._ring, faucet=ask, show=self._show)

    async def _register(self, registrar: Registrar) -> Identity:
        identity = await registrar.run_once(await self._storage.identity())
        await self._storage.set_identity(identity)
        self._on_registered(identity)
        return identity

    async def _keep_registered(self, registrar: Registrar) -> float:
        await self._register(registrar)
        overlap_s = self._config.keys.overlap_s
        return overlap_s / _LOOKS_PER_OVERLAP if registrar.changing_keys else _REGISTRAR_INTERVAL_S

    async def _look_at_keys(self) -> None:
        if await self._ring.run_once():
            self._registrar_wake.ring()

    def _epoch_loops(self, client: ChainClient, identity: Identity, recovery: RecoveryTask) -> list[Loop]:
        key, view = self._ring.keys.sui, self._view
        keeper = EpochKeeper(
            storage=self._storage, chain=client, view=view, key=key, identity=identity, whole=recovery.whole
        )

        async def keep() -> None:
            await keeper.run_once()
            self._recovery_wake.ring()
            self._sync_wake.ring()

        async def look() -> None:
            await view.refresh()
            # Its round follows from what the chain shows.
            self._challenge_wake.ring()

        loops = [
            self._repeat("chain view", look, REFRESH_INTERVAL_S, self._view_wake),
            self._repeat("epoch keeper", keep, _KEEPER_INTERVAL_S, self._keeper_wake),
        ]
        if self._config.epoch_driver.enabled:
            driver = EpochDriver(
                chain=client,
                view=view,
                key=key,
                node_id=identity.node_id,
                chain_now_ms=self._processor.chain_now_ms,
                rng=self._rng,
            )
            loops.append(self._repeat("epoch driver", driver.run_once, 0, self._driver_wake))
        return loops

    def _collector_loops(self, network: NetworkConfig) -> list[Loop]:
        def epoch_duration_ms() -> int:
            staking = self._view.staking
            return staking.epoch_duration_ms if staking is not None else network.epoch_duration_ms

        collector = Collector(
            storage=self._storage,
            network_public_key=self._ring.keys.network.public_key,
            epoch_duration_ms=epoch_duration_ms,
            chain_now_ms=self._processor.chain_now_ms,
            kept=self._challenges.rounds.kept,
        )

        async def expired() -> float | None:
            return await collector.run_once(self._processor.epoch)

        async def invalid() -> None:
            await collector.collect(only_invalid=True)

        return [
            self._repeat("collector", expired, _COLLECTOR_INTERVAL_S, self._collector_wake),
            self._repeat("collector of invalid blobs", invalid, _COLLECTOR_INTERVAL_S, self._invalid_wake),
        ]

    def _lost(self, blob_id: BlobId) -> None:
        """A blob lacks something here: recovery looks at it now."""
        if self._fetching is not None:
            self._fetching.recovery.lost(blob_id)
            self._recovery_wake.ring()

    def _scrub_loops(self) -> list[Loop]:
        config = self._config.scrub
        if not config.enabled:
            return []

        scrubber = self._scrubber = Scrubber(
            storage=self._storage,
            compute=self._compute,
            bytes_per_s=config.bytes_per_s,
            pause_s=config.pause_s,
            on_lost=self._lost,
        )
        return [self._repeat("scrub", scrubber.run_once, SCRUB_IDLE_S, Wake(), make_due=scrubber.make_due)]

    def _repeat(
        self,
        name: str,
        run_once: Callable[[], Awaitable[object]],
        interval_s: float,
        wake: Wake,
        *,
        make_due: Callable[[], None] = lambda: None,
    ) -> Loop:
        known = self._passes.named(name, run_once, wake, make_due=make_due)
        return repeat(name, known, interval_s=interval_s, backoff=self._backoff(), wake=wake)

    def _backoff(self) -> Backoff:
        return Backoff(first_s=0.5, last_s=30.0, rng=self._rng)
