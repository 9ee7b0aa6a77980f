"""What the gateway remembers of its network across restarts, so that it can read while the chain is away.

Life of the memory: written whenever the committee changes, beside the old file and then in its place; read once, by a
gateway that starts and does not reach its chain. It holds nothing secret and nothing that the chain does not say better:
a gateway that reaches the chain never looks at it, and one that starts from it checks the chain as soon as it is back.
A file that is damaged, of another version or of another network is as good as none.
"""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from walrus_sui.network_config import NetworkConfig
from walrus_sui.types import StakingView

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remembered:
    """A network as it was last seen."""

    network: NetworkConfig
    staking: StakingView


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_bytes="hex", val_json_bytes="hex")

    version: Literal[1] = 1
    source: str
    network: NetworkConfig
    staking: StakingView


class Memory:
    """One file; every method may block.

    Args:
        path: Where it lies; None remembers nothing.
        source: Where the network's configuration comes from: what was remembered of another source does not count.
    """

    def __init__(self, path: Path | None, *, source: str) -> None:
        self._path = path
        self._source = source
        self._kept: Remembered | None = None
        self._complained = False

    def recall(self) -> Remembered | None:
        """What was kept; None when there is nothing of use."""
        if self._path is None:
            return None
        try:
            file = _File.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            _log.warning("the remembered network cannot be used", extra={"file": str(self._path), "cause": str(error)})
            return None
        return Remembered(file.network, file.staking) if file.source == self._source else None

    def keep(self, remembered: Remembered) -> None:
        """Writes it down unless it is there already; a disk that refuses is told to the log once."""
        if self._path is None or remembered == self._kept:
            return
        file = _File(source=self._source, network=remembered.network, staking=remembered.staking)
        try:
            _replace(self._path, file.model_dump_json(indent=1))
        except OSError as error:
            if not self._complained:
                _log.warning(
                    "the network cannot be remembered for a start without the chain",
                    extra={"file": str(self._path), "cause": str(error)},
                )
            self._complained = True
        else:
            self._kept, self._complained = remembered, False

    def forget(self) -> None:
        """Removes the file."""
        self._kept = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
