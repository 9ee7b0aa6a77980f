"""One storage node, wired: store, servers, and the duties towards the chain.

Life of a process: open the store, listen (stored blobs are served from here on), find the chain and run its loops; on
a signal say "not ready", take no new calls, let running ones end within the grace period, stop the loops, flush, close.
A loop that fails ends the process with the exit code of its error, so that its supervisor starts it anew.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import logging
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Self

from walrus_client.challenges.policy import Mode
from walrus_client.compute import Compute
from walrus_node import gauges
from walrus_node.administration import Administration
from walrus_node.chain import ChainView
from walrus_node.challenges.evidence import EvidenceSource
from walrus_node.challenges.parts import HONEST, Challenges
from walrus_node.challenges.policies import Policies
from walrus_node.cheating.dropping import LackingStorage
from walrus_node.cheating.parts import Cheating
from walrus_node.config import NodeConfig
from walrus_node.duties import Duties
from walrus_node.events.processor import EventProcessor
from walrus_node.key_files import NodeKeys
from walrus_node.keyring import KeyRing
from walrus_node.loops import DISK_PAUSE_S, Backoff, Wake, repeat
from walrus_node.memory import keep_trimmed
from walrus_node.rpc import certificate
from walrus_node.rpc.admission import Gate
from walrus_node.rpc.challenges import ChallengeService
from walrus_node.rpc.envelopes import EnvelopeChecker
from walrus_node.rpc.http import HttpServer
from walrus_node.rpc.info import InfoSource
from walrus_node.rpc.records import RecordService
from walrus_node.rpc.rules import Lane, Pace
from walrus_node.rpc.server import FaultKnob, GrpcServer
from walrus_node.rpc.service import NodeService
from walrus_node.rpc.servicer import StorageNodeServicer
from walrus_node.rpc.shards import ShardService
from walrus_node.rpc.streams import StreamLimits
from walrus_node.rpc.symbols import RecoveryService
from walrus_node.store.records import Identity
from walrus_node.store.reviving import free_bytes
from walrus_node.store.room import WATCH_INTERVAL_S, RoomKeeper
from walrus_node.store.rules import Condition
from walrus_node.store.storage import Storage
from walrus_sui.keys import NetworkKey

_log = logging.getLogger(__name__)

_WATCH_INTERVAL_S = 0.5
_VERIFY_IN_THREADS_S = 10.0
"""Slivers are verified in threads, whatever it costs. Measured: a batch of 4 MiB takes 15 ms of one core, for which the
event loop waits 2 ms at a time; a worker process costs 20 ms for copying alone, 60 MB, and seconds to start."""
_DATABASE = "db"
_CERTIFICATE = "tls/certificate.pem"


@dataclass(frozen=True)
class Knobs:
    """What tests may do to a running node; a node with any of them does not work for a public network.

    Attributes:
        slow_disk: a file with the milliseconds that each write to the database takes longer.
        faults: a file that says how answers deviate (`walrus_node.rpc.faults`, `walrus_node.cheating`).
    """

    slow_disk: Path | None = None
    faults: Path | None = None


NO_KNOBS: Final = Knobs()


class Node:
    """Make it with `open`, then `run` it once."""

    def __init__(
        self, config: NodeConfig, keys: NodeKeys, storage: Storage, processor: EventProcessor, knobs: Knobs
    ) -> None:
        """Wires the parts; nothing runs yet. Use `open`."""
        limits = config.limits
        self._config = config
        self._administration = Administration(config)
        self._storage = storage
        self._view = ChainView()
        self._ring = KeyRing(config.keys, keys, self._view)
        self._rng = random.Random()  # noqa: S311 - jitter, no secret
        gate = Gate(
            {
                Lane.WRITE: limits.upload_memory,
                Lane.READ: limits.read_memory,
                Lane.BACKGROUND: limits.background_memory,
                Lane.CHALLENGE: limits.challenge_memory,
            }
        )
        self._compute = Compute(
            workers=limits.compute_threads, memory_limit=limits.compute_memory, inline_limit_s=_VERIFY_IN_THREADS_S
        )
        self._cheating = (
            None if knobs.faults is None else Cheating(knobs.faults, config.name, storage, self._view, self._compute)
        )
        self._challenges = Challenges(
            storage=storage,
            processor=processor,
            view=self._view,
            compute=self._compute,
            admitted=functools.partial(gate.admitted, Lane.CHALLENGE),
            users_active=lambda: any(gate.used(lane) for lane in (Lane.READ, Lane.WRITE)),
            key=self._ring,
            policies=Policies(
                name=config.name,
                policy=config.challenges.policy(),
                node_mode=Mode(config.challenges.node),
                file=config.challenges.policy_file,
            ),
            roles=HONEST if self._cheating is None else self._cheating.roles,
        )
        self._duties = Duties(
            config=config,
            ring=self._ring,
            storage=storage,
            processor=processor,
            view=self._view,
            compute=self._compute,
            challenges=self._challenges,
            on_registered=self._registered,
            show=self._show,
            passes=self._administration.passes,
            rng=self._rng,
            public_networks=knobs == NO_KNOBS,
        )
        self._room = RoomKeeper(
            storage,
            free=functools.partial(free_bytes, config.data_dir),
            capacity=config.registration.node_capacity,
            reserve=limits.disk_reserve,
        )
        self._service = NodeService(
            storage=storage,
            processor=processor,
            view=self._view,
            compute=self._compute,
            key=self._ring,
            gate=gate,
            room=self._room,
            held=self._challenges.held,
            registration_wait_s=limits.registration_wait_s,
        )
        self._info = InfoSource(
            name=config.name,
            storage=storage,
            processor=processor,
            view=self._view,
            follower_age_s=self._duties.follower_age_s,
            room=self._room,
            recovery=self._duties.recovery_progress,
            scrub=self._duties.scrub_progress,
            sync=self._duties.sync_progress,
            challenges=lambda: self._challenges.progress,
        )
        shards = ShardService(storage=storage, processor=processor, gate=gate, feeding=self._challenges.feeding)
        recovery = RecoveryService(
            storage=storage,
            read_metadata=self._service.metadata,
            view=self._view,
            compute=self._compute,
            key=self._ring,
            gate=gate,
            feeding=self._challenges.feeding,
        )
        server_identity = certificate.obtain(
            config.data_dir / _CERTIFICATE,
            certificate.last_shown(config.data_dir / _CERTIFICATE, keys.network, keys.next_network),
            config.public.host,
            now=dt.datetime.now(dt.UTC),
        )
        stream_limits = StreamLimits(gate, Pace(limits.idle_stream_s, limits.slowest_bytes_per_s))
        envelopes = EnvelopeChecker(self._view)
        challenges = ChallengeService(
            prover=self._challenges.prover,
            declarations=self._challenges.declarations,
            reports=storage
            if self._cheating is None
            else self._cheating.reports(storage, self._challenges.rounds, keys.protocol),
            envelopes=envelopes,
        )
        records = RecordService(storage=storage, processor=processor, gate=gate)
        servicer = StorageNodeServicer(
            self._service,
            recovery,
            envelopes,
            self._info,
            stream_limits,
            shards=shards,
            challenges=challenges,
            records=records,
        )
        faults = None if knobs.faults is None else FaultKnob(knobs.faults, self._ring.sign)
        door = self._administration.door
        self._grpc = GrpcServer(servicer, server_identity, stream_limits, door=door, faults=faults)
        self._administration.prepare(
            info=self._info,
            not_ready=self.not_ready,
            challenges=self._challenges,
            storage=storage,
            faults=knobs.faults,
            identity=server_identity,
        )
        self._http = HttpServer(self._info, self.not_ready, EvidenceSource(storage=storage, view=self._view))
        self._stopping = False
        self.grpc_port = 0
        self.http_port = 0
        self.admin_port: int | None = None
        gauges.observe(
            storage,
            processor,
            chain_age_s=self._duties.follower_age_s,
            recovery=self._duties.recovery_progress,
            scrub=self._duties.scrub_progress,
            sync=self._duties.sync_progress,
            challenges=lambda: self._challenges.progress,
            history_missing=lambda: bool(self._duties.waits_for_history),
        )
        gauges.observe_gate(gate)
        gauges.observe_room(self._room)

    @classmethod
    async def open(cls, config: NodeConfig, keys: NodeKeys, *, knobs: Knobs = NO_KNOBS) -> Self:
        """Opens the store and wires everything.

        Args:
            config: the whole file.
            keys: loaded.
            knobs: for tests.

        Raises:
            StoreError: the store cannot be opened, or the certificate cannot be written.
        """
        floor = config.limits.disk_reserve // 2
        kind = Storage if knobs.faults is None else LackingStorage
        storage = await kind.open(config.data_dir / _DATABASE, floor=floor, slow=knobs.slow_disk)
        try:
            processor = EventProcessor(
                storage, cursor=await storage.cursor(), replay_until=await storage.replay_until()
            )
            node = cls(config, keys, storage, processor, knobs)
            identity = await storage.identity()
        except BaseException:
            await storage.close()
            raise
        if identity is not None:
            node._registered(identity)
        return node

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until `stop` is set; then ends in order.

        Raises:
            WalrusNodeError: a port is taken, or a loop failed for good.
        """
        listen = self._config.listen
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._storage.close)
            stack.push_async_callback(self._compute.close)
            if self._cheating is not None:
                stack.push_async_callback(self._cheating.close)
            stack.push_async_callback(self._http.stop)
            self.http_port = await self._http.start(listen.host, listen.http_port)
            stack.push_async_callback(self._grpc.stop, self._config.limits.grace_period_s)
            self.grpc_port = await self._grpc.start(listen.host, listen.grpc_port)
            self.admin_port = await self._administration.start(stack)
            ports = {"grpc_port": self.grpc_port, "http_port": self.http_port, "admin_port": self.admin_port}
            _log.info("listening", extra=ports)
            await self._until(stop)
            self._stopping = True
            _log.info("stopping")

    def not_ready(self) -> list[str]:
        """Why the node is not ready: it must be registered, have reached the chain's tip, and have a disk to write on.

        A node that is merely full stays ready: it serves what it has.
        """
        reasons = {
            "the node is stopping": self._stopping,
            "the node is not registered yet": self._info.identity is None,
            "the events have not reached the chain's tip yet": not self._duties.caught_up,
            self._duties.waits_for_history: bool(self._duties.waits_for_history),
            self._room.message: self._room.condition is Condition.DISK_FAILING,
        }
        return [*(reason for reason, holds in reasons.items() if holds), *self._administration.door.closed()]

    async def _until(self, stop: asyncio.Event) -> None:
        """Runs the loops until `stop`, or until one of them fails."""
        duties = asyncio.create_task(self._duties.run(), name="duties")
        watch = asyncio.create_task(self._watch(), name="watch")
        memory = asyncio.create_task(keep_trimmed(), name="memory")
        backoff = Backoff(first_s=1.0, last_s=DISK_PAUSE_S, rng=self._rng)
        wake = Wake()
        once = self._administration.passes.named("disk", self._room.run_once, wake)
        look = repeat("disk", once, interval_s=WATCH_INTERVAL_S, backoff=backoff, wake=wake)
        disk = asyncio.create_task(look, name="disk")
        stopper = asyncio.create_task(stop.wait(), name="stop")
        tasks = {duties, watch, memory, disk, stopper}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopper}:
                task.result()
        finally:
            self._stopping = True
            await self._grpc.set_serving(serving=False)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _watch(self) -> NoReturn:
        """Keeps the gRPC health service in step with /readyz; it is told changes only, because it wakes all who watch it."""
        told = False
        while True:
            if (serving := not self.not_ready()) is not told:
                await self._grpc.set_serving(serving=serving)
                told = serving
            await asyncio.sleep(_WATCH_INTERVAL_S)

    async def _show(self, key: NetworkKey) -> None:
        """New connections get a certificate with this key from now on."""
        identity = await asyncio.to_thread(
            certificate.obtain,
            self._config.data_dir / _CERTIFICATE,
            key,
            self._config.public.host,
            now=dt.datetime.now(dt.UTC),
        )
        self._grpc.show(identity)
        self._administration.show(identity)

    def _registered(self, identity: Identity) -> None:
        self._service.identity = identity
        self._info.identity = identity
        self._challenges.identity = identity
