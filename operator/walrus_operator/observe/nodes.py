"""What the storage nodes say about themselves: GET /v1/info of each pod that has an address, all at once.

(`HttpNodeReader` also reads what they say of challenges, for `findings`.)
A node that does not answer costs its time-out once per pass and nothing else; the last answer is remembered with its age.
An answer is as trustworthy as the node: it is bounded in size and in every number, because part of it is written into
statuses, and one that the API server would refuse must not end the pass over all the others.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp

from walrus_client.challenges.results import Results
from walrus_operator.api import names
from walrus_operator.api.world import ChallengeInfo, Findings, NodeInfo, Observed, PodView, UnixSeconds

TIMEOUT = 3.0
_MAX_ANSWER = 1 << 20
_MAX_TEXT = 128
_MAX_SENTENCE = 1024
_MAX_SHARD = 1 << 16
_MAX_COUNT = 1 << 63


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
        return parse(json.loads(await self._get(address, "/v1/info")))

    async def findings(self, address: str, epoch: int) -> Findings:
        """What the node says of an epoch's challenges in its own name; raises as `info`."""
        return findings(Results.from_json(await self._get(address, f"/v1/challenges/{epoch}?own")))

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


def parse(answer: Any) -> NodeInfo:
    """The JSON form of GetInfo.

    Raises:
        ValueError: a field is missing, of another type or out of bounds.
    """
    try:
        node_id = _text(answer.get("node_id"))
        entries = answer.get("shards") or []
        shards = {_count(entry["shard"], below=_MAX_SHARD): _text(entry["status"]) for entry in entries}
        recovery, sync = answer.get("recovery") or {}, answer.get("sync") or {}
        storage = answer.get("storage") or {}
        return NodeInfo(
            node_id=node_id or None,
            epoch=_count(answer.get("epoch")),
            status=_text(answer["status"]),
            shards=shards,
            version=_text(answer.get("version")),
            slivers_stored=_count(answer.get("slivers_stored")),
            bytes_stored=_count(storage.get("bytes_stored")),
            capacity=_count(storage.get("capacity")),
            blobs_pending=_count(recovery.get("blobs_pending")),
            recovered=_share(recovery.get("fraction", 1.0)),
            shards_pending=_count(sync.get("shards_pending")),
            synced=_share(sync.get("fraction", 1.0)),
            challenges=_challenges(answer.get("challenges") or {}),
            chain_reachable=answer.get("chain_reachable", True) is True,
            chain_age=_count(answer.get("checkpoint_age_ms")) / 1000,
            storage=_text(storage.get("condition")) or "OK",
            storage_message=_text(storage.get("message"), longest=_MAX_SENTENCE),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not an answer of a storage node: {error!r}") from error


def findings(results: Results) -> Findings:
    """The answer without signatures: the node was asked itself, and says what it could sign."""
    own = results.own()
    return Findings(
        blobs=max((report.blobs for report in own), default=0),
        questions=max((report.samples for report in own), default=0),
        verdicts={report.prover: (report.verdict, report.reason) for report in own},
        votes=results.votes,
    )


def _challenges(found: Any) -> ChallengeInfo:
    return ChallengeInfo(
        mode=_text(found.get("mode")) or "Off",
        verdicts=sum(_count(found.get(verdict)) for verdict in ("passed", "failed", "excused", "none")),
        epoch=_count(found.get("epoch")),
        window_open=found.get("window_open") is True,
        running=_count(found.get("running")),
        answering=_count(found.get("answering")),
        pending=_count(found.get("pending")),
        votes=_count(found.get("votes")),
        executed=_count(found.get("executed")),
    )


def _text(value: Any, *, longest: int = _MAX_TEXT) -> str:
    text = str(value or "")
    if len(text) > longest or not text.isprintable():
        raise ValueError(f"not an answer of a storage node: a text of {len(text)} characters")
    return text


def _count(value: Any, *, below: int = _MAX_COUNT) -> int:
    """A number; protobuf's JSON writes large ones as texts."""
    number = int(value or 0)
    if not 0 <= number < below:
        raise ValueError("not an answer of a storage node: a number out of bounds")
    return number


def _share(value: Any) -> float:
    """A number from 0 to 1."""
    number = float(value)
    if not 0.0 <= number <= 1.0:
        raise ValueError("not an answer of a storage node: a share out of bounds")
    return number


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body; raises `ValueError` instead of reading more than an answer can have."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_ANSWER:
            raise ValueError("the answer is too large")
    return bytes(body)


class NodeObserver:
    """Asks all nodes of a network and remembers the last answer of each."""

    def __init__(self, reader: NodeReader) -> None:
        self._reader = reader
        self._known: dict[tuple[str, str], tuple[str, Observed[NodeInfo]]] = {}
        """Pod that answered, and its answer: what a pod said is nothing about the one that came after it."""

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
        self._known |= {(network, node): (pods[node].uid, answer) for node, answer in answers.items()}
        return answers

    async def close(self) -> None:
        """Closes connections."""
        await self._reader.close()

    async def _ask(self, network: str, node: str, pod: PodView) -> Observed[NodeInfo]:
        uid, before = self._known.get((network, node), ("", Observed[NodeInfo]()))
        if uid != pod.uid:
            before = Observed()
        now = UnixSeconds(time.time())
        try:
            if pod.ip is None:
                raise OSError("the pod has no address yet")
            value = await asyncio.wait_for(self._reader.info(pod.ip), TIMEOUT)
        except (OSError, ValueError) as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            return Observed(before.value, before.seen_at, reason, before.failing_since or now)
        return Observed(value, UnixSeconds(time.time()))
