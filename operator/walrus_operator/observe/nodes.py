"""What the storage nodes say about themselves: GET /v1/info of each pod that has an address, all at once.

A node that does not answer costs its time-out once per pass and nothing else; the last answer is remembered with its age.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp

from walrus_operator.api import names
from walrus_operator.api.world import NodeInfo, Observed, PodView, UnixSeconds

TIMEOUT = 3.0
_MAX_ANSWER = 1 << 20


class NodeReader(Protocol):
    """Asks one node about itself."""

    async def info(self, address: str) -> NodeInfo:
        """The node's answer; raises `OSError`, `ValueError` or `TimeoutError`."""
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
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        host = f"[{address}]" if ":" in address else address
        try:
            async with self._session.get(f"http://{host}:{names.HTTP_PORT}/v1/info") as response:
                if response.status != 200:
                    raise OSError(f"HTTP {response.status}")
                if (response.content_length or 0) > _MAX_ANSWER:
                    raise ValueError("the answer is too large")
                return parse(await response.json())
        except aiohttp.ClientError as error:
            raise OSError(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Closes connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def parse(answer: Any) -> NodeInfo:
    """The JSON form of GetInfo.

    Raises:
        ValueError: a field is missing or of another type.
    """
    try:
        node_id = str(answer.get("node_id") or "")
        shards = {int(entry["shard"]): str(entry["status"]) for entry in answer.get("shards") or []}
        return NodeInfo(
            node_id=node_id or None,
            epoch=int(answer.get("epoch") or 0),
            status=str(answer["status"]),
            shards=shards,
            version=str(answer.get("version") or ""),
            slivers_stored=int(answer.get("slivers_stored") or 0),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an answer of a storage node: {error!r}") from error


class NodeObserver:
    """Asks all nodes of a network and remembers the last answer of each."""

    def __init__(self, reader: NodeReader) -> None:
        self._reader = reader
        self._known: dict[tuple[str, str], Observed[NodeInfo]] = {}

    async def look(self, network: str, pods: Mapping[str, PodView]) -> Mapping[str, Observed[NodeInfo]]:
        """Answers by node name.

        Args:
            network: namespace/name, to keep networks apart.
            pods: Pod of each node, by node name.
        """
        async with asyncio.TaskGroup() as group:
            tasks = {node: group.create_task(self._ask(network, node, pod)) for node, pod in pods.items()}
        answers = {node: task.result() for node, task in tasks.items()}
        self._known = {key: value for key, value in self._known.items() if key[0] != network}
        self._known |= {(network, node): answer for node, answer in answers.items()}
        return answers

    async def close(self) -> None:
        """Closes connections."""
        await self._reader.close()

    async def _ask(self, network: str, node: str, pod: PodView) -> Observed[NodeInfo]:
        before = self._known.get((network, node), Observed[NodeInfo]())
        now = UnixSeconds(time.time())
        try:
            if pod.ip is None:
                raise OSError("the pod has no address yet")
            value = await asyncio.wait_for(self._reader.info(pod.ip), TIMEOUT)
        except (OSError, ValueError) as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            return Observed(before.value, before.seen_at, reason, before.failing_since or now)
        return Observed(value, UnixSeconds(time.time()))
