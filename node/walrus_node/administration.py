"""The parts by which a node is steered, wired: the door of its public face, the fence, the loops by name, the admin port.

Door and fence are there without an admin port too: a node that was fenced stays so when its configuration loses the
section, until the file on its volume is removed.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from walrus_node import gauges
from walrus_node.config import NodeConfig
from walrus_node.passes import Passes
from walrus_node.rpc.admin.server import AdminServer
from walrus_node.rpc.admin.service import AdminService, OwnChallenges
from walrus_node.rpc.admin.tokens import TokenFile
from walrus_node.rpc.certificate import ServerIdentity
from walrus_node.rpc.door.door import Door
from walrus_node.rpc.door.fence import FenceFile
from walrus_node.rpc.http import Readiness
from walrus_node.rpc.info import InfoSource
from walrus_node.rpc.server import SERVICE_NAME
from walrus_node.store.storage import Storage

FENCE = "fence.json"


class Administration:
    """One per process; reads the fence.

    Args:
        config: the whole file.

    Attributes:
        door: of the public face.
        passes: is to be told all loops.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._config = config.admin
        self._fence = FenceFile(config.data_dir / FENCE)
        self.door = Door(SERVICE_NAME, fence=self._fence.read())
        self.passes = Passes()
        self._server: AdminServer | None = None
        gauges.observe_door(self.door)

    def prepare(
        self,
        *,
        info: InfoSource,
        not_ready: Readiness,
        challenges: OwnChallenges,
        storage: Storage,
        faults: Path | None,
        identity: ServerIdentity,
    ) -> None:
        """Makes the admin port, if the configuration has one.

        Args:
            info: what the node tells about itself.
            not_ready: why it is not ready.
            challenges: its attempts at others.
            storage: what is kept.
            faults: the file of faults, if there is one.
            identity: the certificate at first.
        """
        if self._config is None:
            return
        service = AdminService(
            info=info,
            not_ready=not_ready,
            door=self.door,
            fence=self._fence,
            challenges=challenges,
            passes=self.passes,
            storage=storage,
            faults=faults,
        )
        self._server = AdminServer(service, identity, TokenFile(self._config.tokens_file))

    async def start(self, stack: AsyncExitStack) -> int | None:
        """Listens until the stack ends; returns the port, None without one.

        Raises:
            WalrusNodeError: the port is taken.
        """
        if self._config is None or self._server is None:
            return None
        stack.push_async_callback(self._server.stop)
        return await self._server.start(self._config.host, self._config.port)

    def show(self, identity: ServerIdentity) -> None:
        """New connections get another certificate."""
        if self._server is not None:
            self._server.show(identity)
