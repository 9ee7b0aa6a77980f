"""What the handlers of the admin port take and give, free of any wire format."""

from __future__ import annotations

from dataclasses import dataclass

from walrus_node.rpc.door.rules import Drain, Fence, OpenCalls
from walrus_node.rpc.model import NodeInfo


@dataclass(frozen=True)
class State:
    """All that a node knows about itself; fields as in the protocol's GetStateResponse."""

    info: NodeInfo
    not_ready: tuple[str, ...]
    open_calls: OpenCalls
    drain: Drain | None
    fence: Fence | None
    faults: tuple[str, ...] | None
    loops: tuple[str, ...]


@dataclass(frozen=True)
class Drained:
    """How a drain has come out."""

    open_calls: OpenCalls
    resumed: bool


@dataclass(frozen=True)
class Fenced:
    """What a fence has found: whether there was one, and who was inside."""

    was_fenced: bool
    open_calls: OpenCalls


@dataclass(frozen=True)
class Passed:
    """How far a pass of a loop has come, and what it has failed of (empty when of nothing)."""

    finished: bool
    failure: str = ""


@dataclass(frozen=True)
class Compacted:
    """Bytes of the database's files."""

    before: int
    after: int
