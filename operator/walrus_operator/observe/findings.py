"""What nodes have found out about each other by challenges, asked for only when there is something new.

Life of findings: `GET /v1/info` of a node counts its verdicts and votes; when a count has changed, the node is asked for
them. Once the node is in the next epoch it is asked a last time for the one before, since slashings are executed late. What a
node has said of the last two epochs is remembered, also while it is away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from walrus_operator.api.world import ChallengeInfo, Findings, NodeInfo, Observed, PodView
from walrus_operator.observe.nodes import TIMEOUT, NodeReader

log = logging.getLogger(__name__)

_LAST = ChallengeInfo()
"""What stands for the counts of an epoch that is over."""


@dataclass
class _Known:
    """One node's findings by epoch, and the counts that it gave before it was asked."""

    findings: dict[int, Findings] = field(default_factory=dict)
    asked: dict[int, tuple[object, ...]] = field(default_factory=dict)


class FindingsObserver:
    """Remembers the findings of all nodes of all networks."""

    def __init__(self, reader: NodeReader) -> None:
        self._reader = reader
        self._known: dict[str, dict[str, _Known]] = {}

    async def look(
        self, network: str, pods: Mapping[str, PodView], infos: Mapping[str, Observed[NodeInfo]]
    ) -> Mapping[int, Mapping[str, Findings]]:
        """Findings by epoch and node.

        Args:
            network: namespace/name.
            pods: Pod of each node that runs.
            infos: What the nodes have just said.
        """
        known = self._known.setdefault(network, {})
        async with asyncio.TaskGroup() as group:
            for node, pod in pods.items():
                info = infos[node].fresh if node in infos else None
                if info is not None and pod.ip is not None and info.challenges.mode != "Off":
                    group.create_task(self._ask(known.setdefault(node, _Known()), pod.ip, info))
        found: dict[int, dict[str, Findings]] = {}
        for node, entry in known.items():
            for epoch, findings in entry.findings.items():
                found.setdefault(epoch, {})[node] = findings
        return found

    def forget(self, network: str) -> None:
        """The network is gone."""
        self._known.pop(network, None)

    async def _ask(self, known: _Known, address: str, info: NodeInfo) -> None:
        now = info.challenges
        wanted: dict[int, tuple[object, ...]] = {now.epoch - 1: (_LAST,)}
        if now.verdicts:
            wanted[now.epoch] = (now.verdicts, now.votes, now.executed)
        for epoch, counts in wanted.items():
            if known.asked.get(epoch) == counts:
                continue
            try:
                found = await asyncio.wait_for(self._reader.findings(address, epoch), TIMEOUT)
            except (OSError, ValueError) as error:
                log.info("no findings of epoch %s from %s: %s", epoch, address, error)
                return
            known.asked[epoch] = counts
            if found.verdicts:
                known.findings[epoch] = found
        known.findings = {epoch: found for epoch, found in known.findings.items() if epoch >= now.epoch - 1}
        known.asked = {epoch: counts for epoch, counts in known.asked.items() if epoch >= now.epoch - 1}
