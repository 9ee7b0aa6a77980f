"""Which policy this node follows in an epoch: that of its configuration, or of the file that its network is told it by.

The file is read at the first checkpoint of each epoch and when a process starts, and never in between. A file that is not
there, or is none, changes nothing: what the node knew last goes on.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from walrus_client.challenges.policy import Mode, Policy, milder
from walrus_client.challenges.schedule import MAX_SCHEDULE, Schedule, ScheduleError
from walrus_codec.types import Epoch

_log = logging.getLogger(__name__)


class Policies:
    """One per node.

    Args:
        name: of the node, which the file may name.
        policy: of the configuration; holds as long as there is no file.
        node_mode: of the configuration: what this node does at most.
        file: a `walrus_client.challenges.schedule.Schedule`; None for none.
    """

    def __init__(self, *, name: str, policy: Policy, node_mode: Mode, file: Path | None = None) -> None:
        self._name = name
        self._policy = policy
        self._node_mode = node_mode
        self._file = file
        self._schedule: Schedule | None = None

    @property
    def enabled(self) -> bool:
        """Whether there can be challenges at all."""
        return self._file is not None or self._policy.mode is not Mode.OFF

    async def at(self, epoch: Epoch) -> tuple[Policy, Mode]:
        """The network's policy in an epoch, and what this node does at most."""
        if self._file is not None:
            await asyncio.to_thread(self._read, self._file)
        if self._schedule is None:
            return self._policy, self._node_mode
        own = self._schedule.nodes.get(self._name, self._node_mode)
        return self._schedule.at(epoch), milder(own, self._node_mode)

    def _read(self, file: Path) -> None:
        try:
            with file.open(encoding="utf-8") as stream:
                self._schedule = Schedule.from_json(stream.read(MAX_SCHEDULE + 1))
        except (OSError, UnicodeDecodeError, ScheduleError) as error:
            _log.warning("the policy of challenges cannot be read", extra={"file": str(file), "error": str(error)})
