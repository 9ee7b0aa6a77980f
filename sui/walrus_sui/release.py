"""Which release of the project this is: the version of the installed package, for logs, telemetry and `--version`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

DISTRIBUTION: Final = "walrus-on-kubernetes"


def release(*, unknown: str = "unknown") -> str:
    """Version of the project; `unknown` when it runs without having been installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return unknown
