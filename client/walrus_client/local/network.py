"""Brings a whole network up as processes of one machine, and takes it down.

    keys, configurations, ports ─► devnet ─► nodes and gateway ─► all nodes registered
        ─► treasury funded, gateway paid, stake of all nodes delegated in one transaction
        ─► first committee has all nodes ─► nodes and gateway ready

Every arrow is a condition that is waited for with a deadline, never a pause; a process that dies meanwhile ends the
wait with the last lines of its log. All steps look at what is there first, so that a network that was taken down comes
up again with its data, and one that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from walrus_client import treasury
from walrus_client.errors import LocalNetworkError
from walrus_client.local import configs, files, ports, processes
from walrus_client.local import state as states
from walrus_client.local.state import HOST, Layout, LocalState, Parameters
from walrus_codec.types import NodeId
from walrus_sui import network_config
from walrus_sui.client import ChainClient
from walrus_sui.errors import ChainError, FaucetError, NetworkConfigError
from walrus_sui.keys import SuiKey
from walrus_sui.types import EpochPhase, Payment

FROST_PER_WAL = 1_000_000_000
MIST_PER_SUI = 1_000_000_000
GATEWAY_WAL = 500
GATEWAY_SUI = 50
_POLL_S = 0.2


@dataclass
class Progress:
    """What is going on, for a live view; written by `bring_up`, read by whoever draws."""

    step: str = "preparing"
    waiting_for: str = ""
    components: dict[str, str] = field(default_factory=dict)
    epoch: int | None = None


class LocalNetwork:
    """One network in one directory.

    Args:
        folder: Where everything lies.
        timeout_s: How long bringing up may take in all.
    """

    def __init__(self, folder: Path, *, timeout_s: float = 180.0) -> None:
        self.layout = Layout(folder.expanduser().resolve())
        self.progress = Progress()
        self._started: set[str] = set()
        self._timeout_s = timeout_s
        self._deadline = 0.0

    def state(self) -> LocalState | None:
        """What local.json says; None when there is no network."""
        return states.load(self.layout)

    async def bring_up(self, parameters: Parameters) -> LocalState:
        """Starts what does not run yet and waits until blobs can be stored.

        Raises:
            LocalNetworkError: It did not come up; the message has the reason and the end of a log.
        """
        self._deadline = time.monotonic() + self._timeout_s
        try:
            state = self._prepare(parameters)
        except OSError as error:
            raise LocalNetworkError(f"cannot write to {error.filename}: {error.strerror}; use another --dir") from error
        for name in self._names(state):
            self.progress.components[name] = "stopped"
        state = self._start(state, "devnet")
        await self._until("the devnet to serve", state, lambda: self._http_ok(state.ports.faucet, "/readyz"))
        for name in [*parameters.node_names, "gateway"]:
            state = self._start(state, name)
        config = await self._network_config(state)
        async with ChainClient(config) as chain:
            await self._fund_and_stake(state, chain)
            await self._first_committee(state, chain)
        for name, node in zip(parameters.node_names, state.ports.nodes, strict=True):
            # Also one that was started again: a network that is up takes stores, whichever nodes these need.
            await self._until(f"{name} to serve", state, functools.partial(self._http_ok, node.http, "/readyz"))
        await self._until("the gateway to serve", state, lambda: self._gateway_ready(state))
        self.progress.step, self.progress.waiting_for = "ready", ""
        return state

    def take_back(self) -> None:
        """Stops what this object has started, after a failure; what ran before goes on."""
        state = self.state()
        if state is not None:
            processes.stop_all({name: state.processes[name] for name in self._started if name in state.processes})

    def take_down(self, *, purge: bool = False) -> list[str]:
        """Stops everything; with `purge` the data goes too. Returns names of processes that had to be killed.

        Raises:
            LocalNetworkError: The folder to be purged is that of something else, or cannot be removed.
        """
        state = self.state()
        killed: list[str] = []
        if state is not None:
            # The gateway first, the chain last: so nobody complains about what has gone before it.
            for group in ({"gateway"}, set(state.parameters.node_names), {"devnet"}):
                batch = {name: running for name, running in state.processes.items() if name in group}
                killed += processes.stop_all(batch)
            states.save(self.layout, state.without_processes())
        if purge and self.layout.root.exists():
            if state is None:
                raise LocalNetworkError(f"{self.layout.root} holds no local network, nothing was removed; check --dir")
            files.remove(self.layout)
        return killed

    def alive(self, state: LocalState) -> dict[str, bool]:
        """Which processes run."""
        return {
            name: name in state.processes and processes.is_alive(state.processes[name]) for name in self._names(state)
        }

    async def epoch(self, state: LocalState) -> int | None:
        """The epoch that the gateway knows; None when it does not answer."""
        info = await self._json(state.ports.metrics, "/v1/info")
        return None if info is None else info.get("epoch")

    def _prepare(self, parameters: Parameters) -> LocalState:
        self.progress.step = "preparing keys and configurations"
        state = self.state()
        if state is None:
            state = LocalState(parameters, ports.choose(parameters.nodes), {})
        elif replace(state.parameters, challenges=parameters.challenges) != parameters:
            raise LocalNetworkError(
                f"{self.layout.root} holds a network with other parameters ({state.parameters}); give the same ones, "
                f"use another --dir, or remove it with `walrusctl local down --purge --dir {self.layout.root}`"
            )
        state = replace(state, parameters=parameters)
        # What ended since, such as at a reboot, is started again and must not count as a failure of this start.
        state = state.with_only({name for name, running in state.processes.items() if processes.is_alive(running)})
        states.save(self.layout, state)  # first, so that a start that is interrupted leaves what `down --purge` knows
        files.make(self.layout, state)
        return state

    def _start(self, state: LocalState, name: str) -> LocalState:
        if name in state.processes and processes.is_alive(state.processes[name]):
            self.progress.components[name] = "running"
            return state
        self.progress.step, self.progress.waiting_for = "starting", name
        program, arguments = self._command(state, name)
        running = processes.start(program, arguments, log=self.layout.log(name))
        self.progress.components[name] = "starting"
        self._started.add(name)
        state = state.with_process(name, running)
        states.save(self.layout, state)
        return state

    def _command(self, state: LocalState, name: str) -> tuple[str, list[str]]:
        if name == "devnet":
            folder = self.layout.devnet
            network = ["--listen-host", HOST, "--rpc-port", str(state.ports.rpc), "--tls-port", str(state.ports.tls)]
            files = ["--config", str(folder / "genesis.yaml"), "--data", str(folder / "data")]
            return "walrus-devnet", ["run", *files, *network, "--faucet-port", str(state.ports.faucet)]
        if name == "gateway":
            return "walrus-gateway", ["run", "--config", str(self.layout.gateway / "gateway.yaml")]
        return "walrus-node", ["run", "--config", str(self.layout.node(name) / "node.yaml")]

    async def _network_config(self, state: LocalState) -> network_config.NetworkConfig:
        try:
            return await network_config.load(state.network_config_url)
        except NetworkConfigError as error:
            raise LocalNetworkError(f"the devnet does not give its configuration: {error}") from error

    async def _fund_and_stake(self, state: LocalState, chain: ChainClient) -> None:
        parameters = state.parameters
        node_ids = await self._registered(state, chain)
        key = SuiKey.load(self.layout.treasury_key)
        gateway = SuiKey.load(configs.gateway_key(self.layout)).address
        self.progress.step, self.progress.waiting_for = "moving money:", "stake and the gateway's purse"
        try:
            staked = {stake.node_id for stake in await chain.stakes(key.address)}
            stakes = [(node_id, parameters.stake_wal * FROST_PER_WAL) for node_id in node_ids if node_id not in staked]
            purse_wal = max(0, GATEWAY_WAL * FROST_PER_WAL - await chain.balance(gateway, "WAL"))
            purse_sui = max(0, GATEWAY_SUI * MIST_PER_SUI - await chain.balance(gateway, "SUI"))
            wal = sum(amount for _node_id, amount in stakes) + purse_wal
            faucet_url = chain.config.faucet_url
            await treasury.ensure_funds(
                chain, key, sui=purse_sui + treasury.GAS_RESERVE, wal=wal, faucet_url=faucet_url
            )
            if purse_wal or purse_sui:
                await chain.pay(key, [Payment(gateway, sui=purse_sui, wal=purse_wal)])
            if stakes:
                await treasury.delegate_all(chain, key, stakes)
        except (ChainError, FaucetError) as error:
            raise LocalNetworkError(f"money could not be moved: {error}") from error

    async def _registered(self, state: LocalState, chain: ChainClient) -> list[NodeId]:
        """Waits until every node has its capability; returns the node ids in the order of the names."""
        found: dict[str, NodeId] = {}
        owners = {
            name: SuiKey.load(configs.node_keys(self.layout.node(name))["sui"]).address
            for name in state.parameters.node_names
        }

        async def all_registered() -> bool:
            for name, owner in owners.items():
                if name not in found and (caps := await chain.node_caps(owner)):
                    found[name] = caps[0].node_id
                    self.progress.components[name] = "registered"
            return len(found) == len(owners)

        await self._until("the nodes to register", state, _patiently(all_registered))
        return [found[name] for name in state.parameters.node_names]

    async def _first_committee(self, state: LocalState, chain: ChainClient) -> None:
        wanted = state.parameters.nodes

        async def complete() -> bool:
            view = await chain.staking()
            self.progress.epoch = view.epoch
            for member in view.committee.members:
                self.progress.components[member.name] = f"{member.weight} shards"
            done = view.epoch_state.phase is not EpochPhase.SYNC
            return len(view.committee.members) == wanted and done

        await self._until("the first committee", state, _patiently(complete))

    async def _gateway_ready(self, state: LocalState) -> bool:
        info = await self._json(state.ports.metrics, "/v1/info")
        funds = (info or {}).get("funds") or {}
        ready = bool(info and info.get("ready") and funds and not funds.get("low"))
        if ready and await self._http_ok(state.ports.api, "/status"):
            self.progress.components["gateway"] = "ready"
            return True
        return False

    async def _until(self, what: str, state: LocalState, condition: Callable[[], Awaitable[bool]]) -> None:
        """Waits for a condition; a dead process or the deadline ends the wait with an error."""
        self.progress.step, self.progress.waiting_for = "waiting for", what
        while not await condition():
            current = self.state() or state
            for name, running in current.processes.items():
                if not processes.is_alive(running):
                    self.progress.components[name] = "failed"
                    raise LocalNetworkError(
                        f"{name} ended while waiting for {what}; the end of {self.layout.log(name)}:\n"
                        f"{processes.last_lines(self.layout.log(name))}"
                    )
                if self.progress.components.get(name) == "starting":
                    self.progress.components[name] = "running"
            if time.monotonic() > self._deadline:
                raise LocalNetworkError(
                    f"gave up after {self._timeout_s:.0f} s waiting for {what}; see the logs in {self.layout.logs}"
                )
            await asyncio.sleep(_POLL_S)

    async def _http_ok(self, port: int, path: str) -> bool:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"http://{HOST}:{port}{path}") as response,
            ):
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _json(self, port: int, path: str) -> dict[str, Any] | None:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"http://{HOST}:{port}{path}") as response,
            ):
                document = await response.json()
                return document if response.status == 200 and isinstance(document, dict) else None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None

    def _names(self, state: LocalState) -> list[str]:
        return ["devnet", *state.parameters.node_names, "gateway"]


def _patiently(condition: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
    """A condition that counts as "not yet" while the chain cannot answer."""

    async def checked() -> bool:
        try:
            return await condition()
        except ChainError:
            return False

    return checked
