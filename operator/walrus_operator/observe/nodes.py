"""What the storage nodes say about themselves: each pod that has an address is asked, all at once.

A pod with an admin port is asked there (`admin`); one that an older operator made, and every pod while there is no token, by
GET /v1/info in clear text. (`HttpNodeReader` also reads what they say of challenges, for `findings`.) A node that does not
answer costs its time-out once per pass and nothing else; the last answer is remembered with its age.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from walrus_client.challenges.results import Results
from walrus_client.errors import PeerError
from walrus_operator.api import names
from walrus_operator.api.world import Findings, NodeInfo, Observed, PodView, UnixSeconds
from walrus_operator.observe import answers
from walrus_operator.observe.admin import AdminParty

TIMEOUT = 3.0


class NodeReader(Protocol):
    """Asks one node about itself."""

    async def info(self, address: str) -> NodeInfo:
        """The node's answer; raises `OSError`, `ValueError` or `TimeoutError`."""
        ...

    async def findings(self, address: str, epoch: int) -> Findings:
        """What it says of an epoch's challenges in its own name; raises as `info`."""
        ...

    async def close(self) -> None:
        """Closes connections."""
        ...


class HttpNodeReader:
    """Reads GET /v1/info of the pod."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def info(self, address: str) -> NodeInfo:
        """The node's answer.

        Raises:
            OSError: no connection, or an answer other than 200.
            ValueError: not the documented JSON.
            TimeoutError: no answer in time.
        """
        return answers.parse(json.loads(await self._get(address, "/v1/info")))

    async def findings(self, address: str, epoch: int) -> Findings:
        """What the node says of an epoch's challenges in its own name; raises as `info`."""
        return answers.findings(Results.from_json(await self._get(address, f"/v1/challenges/{epoch}?own")))

    async def _get(self, address: str, path: str) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        host = f"[{address}]" if ":" in address else address
        try:
            async with self._session.get(f"http://{host}:{names.HTTP_PORT}{path}") as response:
                if response.status != 200:
                    raise OSError(f"HTTP {response.status}")
                return await _bounded(response)
        except aiohttp.ClientError as error:
            raise OSError(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Closes connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body; raises `ValueError` instead of reading more than an answer can have."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > answers.MAX_ANSWER:
            raise ValueError("the answer is too large")
    return bytes(body)


class AdminPort(Protocol):
    """Asks and tells nodes at their admin port."""

    async def keep(self, network: str, parties: Mapping[str, AdminParty]) -> None:
        """Closes connections to what is no longer there."""
        ...

    async def state(self, network: str, party: AdminParty, tokens: Sequence[str]) -> NodeInfo:
        """The node's answer; raises `PeerError`, `ValueError` or `TimeoutError`."""
        ...

    async def drain(self, network: str, party: AdminParty, tokens: Sequence[str], seconds: float) -> bool:
        """Has it end what is under way; raises as `state`."""
        ...

    async def resume(self, network: str, party: AdminParty, tokens: Sequence[str]) -> None:
        """Has it take everything again; raises as `state`."""
        ...

    async def close(self) -> None:
        """Closes connections."""
        ...


@dataclass(frozen=True)
class Tellable:
    """Nodes of a network that can be asked at their admin port, and with what."""

    parties: Mapping[str, AdminParty] = field(default_factory=dict)
    """By node name; those whose pod has the port."""
    tokens: tuple[str, ...] = field(default=(), repr=False)
    """The newest one last; without one nobody is asked there."""


class NodeObserver:
    """Asks all nodes of a network and remembers the last answer of each."""

    def __init__(self, reader: NodeReader, admin: AdminPort) -> None:
        self._reader = reader
        self._admin = admin
        self._known: dict[tuple[str, str], tuple[str, Observed[NodeInfo]]] = {}
        """Pod that answered, and its answer: what a pod said is nothing about the one that came after it."""
        self._tellable: dict[str, Tellable] = {}

    async def look(
        self, network: str, pods: Mapping[str, PodView], tellable: Tellable | None = None
    ) -> Mapping[str, Observed[NodeInfo]]:
        """Answers by node name.

        Args:
            network: namespace/name, to keep networks apart.
            pods: Pod of each node, by node name.
            tellable: Those of them that have an admin port.
        """
        tellable = tellable or Tellable()
        self._tellable[network] = tellable
        await self._admin.keep(network, tellable.parties if tellable.tokens else {})
        async with asyncio.TaskGroup() as group:
            tasks = {node: group.create_task(self._ask(network, node, pod, tellable)) for node, pod in pods.items()}
        answers = {node: task.result() for node, task in tasks.items()}
        self._known = {key: value for key, value in self._known.items() if key[0] != network}
        self._known |= {(network, node): (pods[node].uid, answer) for node, answer in answers.items()}
        return answers

    async def drain(self, network: str, node: str, uid: str, seconds: float) -> str | None:
        """Has a node end what is under way before its pod goes; None when it has, otherwise why it has not.

        Args:
            network: namespace/name.
            node: its name.
            uid: of its pod; the one after it is left alone.
            seconds: how long to wait.
        """
        party, tokens = self._party(network, node, uid)
        if party is None:
            return "its admin port is not known"
        try:
            quiet = await self._admin.drain(network, party, tokens, seconds)
        except (OSError, ValueError, PeerError) as error:
            return _reason(error)
        return None if quiet else f"something is still under way after {seconds:.0f} s"

    async def resume(self, network: str, node: str, uid: str) -> None:
        """Takes a drain back; the node does so by itself a little later."""
        party, tokens = self._party(network, node, uid)
        if party is not None:
            with contextlib.suppress(OSError, ValueError, PeerError):
                await self._admin.resume(network, party, tokens)

    async def forget(self, network: str) -> None:
        """The network is gone."""
        self._tellable.pop(network, None)
        self._known = {key: value for key, value in self._known.items() if key[0] != network}
        await self._admin.keep(network, {})

    async def close(self) -> None:
        """Closes connections."""
        await self._reader.close()
        await self._admin.close()

    def _party(self, network: str, node: str, uid: str) -> tuple[AdminParty | None, tuple[str, ...]]:
        tellable = self._tellable.get(network, Tellable())
        party = tellable.parties.get(node)
        return (party if party is not None and party.uid == uid and tellable.tokens else None), tellable.tokens

    async def _ask(self, network: str, node: str, pod: PodView, tellable: Tellable) -> Observed[NodeInfo]:
        uid, before = self._known.get((network, node), ("", Observed[NodeInfo]()))
        if uid != pod.uid:
            before = Observed()
        now = UnixSeconds(time.time())
        party = tellable.parties.get(node) if tellable.tokens else None
        try:
            if pod.ip is None:
                raise OSError("the pod has no address yet")
            if party is not None:
                asked = self._admin.state(network, party, tellable.tokens)
            else:
                asked = self._reader.info(pod.ip)
            value = await asyncio.wait_for(asked, TIMEOUT)
        except (OSError, ValueError, PeerError) as error:
            return Observed(before.value, before.seen_at, _reason(error), before.failing_since or now)
        return Observed(value, UnixSeconds(time.time()))


def _reason(error: Exception) -> str:
    if isinstance(error, PeerError):
        return error.message
    return "no answer in time" if isinstance(error, TimeoutError) else str(error)
