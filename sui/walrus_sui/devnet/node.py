"""The devnet process put together: one engine, its gRPC and its HTTP face.

Life of a run: open the data directory, listen, close checkpoints until told to stop (or the disk fails), then in this
order: not ready any more, streams end, calls get a grace period, the last checkpoint is written, the directory is free.
While it runs, ``endpoints.json`` in the data directory tells the ports in use, for those who let it choose them.
"""

import asyncio
import contextlib
import datetime as dt
import gc
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from walrus_sui.devnet.clock import ManualClock, unix_ms
from walrus_sui.devnet.config import MIST_PER_SUI, DevnetConfig
from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.faucet import Faucet
from walrus_sui.devnet.server import certificates
from walrus_sui.devnet.server.admin import Admin
from walrus_sui.devnet.server.certificates import ServerCertificate
from walrus_sui.devnet.server.grpc_server import GrpcServer, Ports
from walrus_sui.devnet.server.http_server import HttpServer
from walrus_sui.devnet.server.metrics_server import MetricsServer
from walrus_sui.devnet.storage.pruning import Retention
from walrus_sui.devnet.timelapse import Timelapse
from walrus_sui.network_config import NetworkConfig

_log = logging.getLogger(__name__)
ENDPOINTS_FILE: Final = "endpoints.json"
GRACE_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Listen:
    """Where to listen and under which name to be found; port 0 means any free one.

    Attributes:
        host: address to listen on.
        rpc_port: plaintext gRPC.
        tls_port: gRPC over TLS.
        faucet_port: HTTP.
        advertise_host: name for the network configuration; None takes the one that the asker used.
        metrics_port: HTTP for metrics alone; None for none.
    """

    host: str = "0.0.0.0"  # noqa: S104  (a pod listens to its network; `--listen-host` narrows it)
    rpc_port: int = 9000
    tls_port: int = 9443
    faucet_port: int = 9123
    advertise_host: str | None = None
    metrics_port: int | None = None


class Devnet:
    """A running devnet; make it with `running`.

    Attributes:
        engine: the chain.
        endpoints: ports in use and the chain id, as in ``endpoints.json``.
    """

    def __init__(
        self,
        config: DevnetConfig,
        engine: Engine,
        certificate: ServerCertificate,
        listen: Listen,
        *,
        token: str | None,
        clock: ManualClock | None,
    ) -> None:
        self._config = config
        self._certificate = certificate
        self._listen = listen
        self._ready = False
        self.engine = engine
        self._grpc = GrpcServer(engine)
        faucet = Faucet(engine, amount=config.run.faucet_amount_sui * MIST_PER_SUI)
        admin = Admin(token, self._grpc.faults, None if clock is None else Timelapse(engine, clock))
        self._http = HttpServer(
            engine, faucet, admin, network_config=self.network_config, ready=lambda: self._ready and not engine.failed
        )
        self._metrics = MetricsServer()

    @property
    def endpoints(self) -> dict[str, Any]:
        """Ports in use and the chain id."""
        ports = self._grpc.ports
        return {
            "rpc_port": ports.plain,
            "tls_port": ports.tls,
            "faucet_port": self._http.port,
            **({} if self._listen.metrics_port is None else {"metrics_port": self._metrics.port}),
            "chain_id": self.engine.ledger.chain_id,
            "pid": os.getpid(),
        }

    async def start(self) -> None:
        """Listens on all ports.

        Raises:
            PortError: a port is taken.
        """
        wanted = Ports(self._listen.rpc_port, self._listen.tls_port)
        await self._grpc.start(self._listen.host, wanted, self._certificate)
        await self._http.start(self._listen.host, self._listen.faucet_port)
        if self._listen.metrics_port is not None:
            await self._metrics.start(self._listen.host, self._listen.metrics_port)
        self._ready = True
        _log.info("serving", extra=self.endpoints)

    async def stop(self) -> None:
        """Ends streams and calls; the engine goes on until its owner stops it."""
        self._ready = False
        self.engine.hub.close()
        await self._grpc.stop(GRACE_SECONDS)
        await self._http.stop()
        await self._metrics.stop()

    def network_config(self, asked_host: str) -> dict[str, Any]:
        """The answer of ``GET /v1/network-config``: the official names, then ours, then what only a devnet has."""
        host = self._listen.advertise_host or asked_host
        ports = self._grpc.ports
        known = self.engine.ledger.well_known
        genesis = self._config.genesis
        network = NetworkConfig(
            rpc_url=f"http://{host}:{ports.plain}",
            faucet_url=f"http://{host}:{self._http.port}",
            system_object=known.system,
            staking_object=known.staking,
            exchange_objects=(known.exchange,),
            wal_type=known.wal_type,
            treasury_object=known.treasury,
            slashing_manager=known.slashing_manager,
            upgrade_manager=known.upgrade_manager,
            walrus_subsidies_object=known.subsidies,
            encoding=genesis.encoding_types[0].label.lower(),
            n_shards=genesis.n_shards,
            max_epochs_ahead=genesis.max_epochs_ahead,
            epoch_duration_ms=genesis.epoch_duration_ms,
            chain_id=self.engine.ledger.chain_id,
        )
        return network.to_json() | {
            "rpc_tls_url": f"https://{host}:{ports.tls}",
            "rpc_tls_ca": self._certificate.authority.decode(),
            "walrus_package": known.walrus_package,
            "wal_package": known.wal_package,
            "exchange_package": known.exchange_package,
            "walrus_subsidies_package": known.subsidies_package,
            "encodings": [encoding.label.lower() for encoding in genesis.encoding_types],
            "epoch_zero_duration_ms": genesis.epoch_zero_duration_ms,
            "checkpoint_interval_ms": genesis.checkpoint_interval_ms,
        }


@asynccontextmanager
async def running(config: DevnetConfig, folder: Path, listen: Listen) -> AsyncIterator[Devnet]:
    """A devnet that serves inside the ``async with`` and is stopped in good order after it.

    Raises:
        ConfigError: the admin token cannot be read.
        StoreError: the data directory cannot be used.
        PortError: a port is taken.
    """
    token = config.run.admin_token()
    manual = ManualClock(unix_ms()) if config.run.clock == "manual" else None
    clock = unix_ms if manual is None else manual.read
    kept = config.run.retention
    engine = await Engine.open(
        config.genesis,
        folder,
        clock=clock,
        interval_ms=config.genesis.checkpoint_interval_ms,
        retention=Retention(kept.checkpoints, kept.object_versions),
    )
    if manual is not None:
        manual.now_ms = engine.ledger.head.timestamp_ms
    endpoints = folder / ENDPOINTS_FILE
    try:
        hosts = _tls_hosts(config.run.tls_hosts, listen)
        certificate = await asyncio.to_thread(
            certificates.load_or_make, folder / "tls", hosts, now=dt.datetime.now(dt.UTC)
        )
        devnet = Devnet(config, engine, certificate, listen, token=token, clock=manual)
        try:
            await devnet.start()
            await asyncio.to_thread(_write_json, endpoints, devnet.endpoints)
            yield devnet
        finally:
            await devnet.stop()
    finally:
        await engine.stop()
        await asyncio.to_thread(endpoints.unlink, missing_ok=True)


async def run(config: DevnetConfig, folder: Path, listen: Listen, *, stop: asyncio.Event) -> None:
    """Runs a devnet until `stop` is set.

    Raises:
        StoreError: the data directory cannot be used.
        PortError: a port is taken.
        EngineStopped: the disk failed.
    """
    async with running(config, folder, listen) as devnet:
        gc.freeze()  # what the chain began with stays for good: no need to look at it again and again
        chain = asyncio.create_task(devnet.engine.run(), name="checkpoints")
        waiting = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({chain, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if chain.done():
                await chain
        finally:
            for task in (chain, waiting):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task


def _tls_hosts(further: Sequence[str], listen: Listen) -> list[str]:
    names = ["localhost", "127.0.0.1", socket.gethostname(), *further]
    if listen.advertise_host:
        host = listen.advertise_host.strip("[]")
        names.append(host)
        # A Service of Kubernetes is reached by shorter names too: name, name.namespace, name.namespace.svc.
        labels = host.split(".")
        if "svc" in labels:
            names += [".".join(labels[:count]) for count in range(1, labels.index("svc") + 2)]
    return list(dict.fromkeys(names))


def _write_json(file: Path, document: dict[str, Any]) -> None:
    draft = file.with_name(file.name + ".new")
    draft.write_text(json.dumps(document) + "\n", encoding="utf-8")
    draft.replace(file)
