"""The fence on the volume: a file that is there while the node is shut off, so that no restart opens it.

    {"since_ms": 1790000000000, "why": "the disk is being copied"}

It is written whole and synced before anybody is told. A file that cannot be read shuts the node off too: whoever made it
wanted that. Removing it by hand, with the node stopped, opens the node as Unfence does.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict
from pathlib import Path

from walrus_node.errors import DiskError
from walrus_node.rpc.door.rules import Fence

_log = logging.getLogger(__name__)

_MOST_BYTES = 4096


class FenceFile:
    """Blocking.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Fence | None:
        """The fence; None when there is none."""
        try:
            with self._path.open("rb") as file:
                document = json.loads(file.read(_MOST_BYTES))
            fence = Fence(int(document["since_ms"]), str(document["why"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            fence = Fence(0, f"the file {self._path.name} on its volume cannot be read")
            _log.error("the fence cannot be read", extra={"path": str(self._path), "error": str(error)})
        _log.warning("this node is fenced and serves nobody", extra={"path": str(self._path), "why": fence.why})
        return fence

    def write(self, fence: Fence) -> None:
        """Returns when it survives a crash of the machine.

        Raises:
            DiskError: it could not be written; whether it is there is not known.
        """
        scratch = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with scratch.open("w", encoding="utf-8") as file:
                json.dump(asdict(fence), file)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(self._path)
            self._sync_folder()
        except OSError as error:
            raise DiskError(f"cannot write the fence {self._path}: {error}") from error

    def remove(self) -> None:
        """Returns when its absence survives a crash of the machine; one that is not there is no error.

        Raises:
            DiskError: it could not be removed.
        """
        try:
            self._path.unlink(missing_ok=True)
            self._sync_folder()
        except OSError as error:
            raise DiskError(f"cannot remove the fence {self._path}: {error}") from error

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
