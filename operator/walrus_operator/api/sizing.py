"""How a pod's memory limit and a node's volume are shared out; pure arithmetic.

A process takes its base (measured, docs/operations.md) and what its budgets let requests and background work hold. The
budgets of a node follow from the limit of its container: each gets what the largest blob of the network needs of it, and
the rest is divided in the proportions of the node's own defaults. The gateway's budget likewise, with a quarter of it
left for copies on their way to the nodes; without an explicit
largest body it accepts what fits. A limit that does not even bear one largest blob is refused with the arithmetic.

What a node offers on chain follows from its volume unless the spec says otherwise: the reserve stays free, and a quarter
of the rest, because files are rewritten when much of them is dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType
from walrus_operator.api.base import quantity
from walrus_operator.api.pods import Resources

MIB = 1 << 20
NODE_BASE = 256 * MIB
"""A node at rest with its caches, and 1024 open calls."""
GATEWAY_BASE = 160 * MIB
WORKER = 96 * MIB
"""A process that encodes and decodes, without the blob."""
WORKERS = 8
"""More of them would wait for the nodes, not for processors."""
DISK_RESERVE = 256 * MIB
"""The node's default, written down so that both mean the same."""
_BATCH = 4 * MIB
_CHUNK = MIB
_SYNC_SHARDS = 4
_SHARES = {"upload": 4, "read": 4, "background": 2, "compute": 16, "recovery": 4}


class TooSmallError(ValueError):
    """A limit does not bear what has to fit; the message has the arithmetic."""


@dataclass(frozen=True)
class NodeBudgets:
    """Bytes for each kind of work of a node."""

    upload: int
    read: int
    background: int
    compute: int
    recovery: int
    sync: int = _SYNC_SHARDS * _BATCH

    @property
    def total(self) -> int:
        """All of them together."""
        return self.upload + self.read + self.background + self.compute + self.recovery + self.sync


@dataclass(frozen=True)
class GatewayBudget:
    """What a gateway's configuration says.

    Attributes:
        memory: bytes for blobs.
        workers: processes that encode and decode.
        max_body_size: bytes of the largest blob that fits, None when every blob of the network does.
    """

    memory: int
    workers: int
    max_body_size: int | None


def params(shards: int, encoding: str) -> CodeParams:
    """The code of a network, from the words of its spec."""
    return CodeParams(shards, EncodingType.ISAL if encoding == "isal" else EncodingType.RS2)


def memory_limit(resources: Resources | None) -> int | None:
    """Bytes that the container may take; None for as many as it likes."""
    limit = (resources.limits or {}).get("memory") if resources is not None else None
    value = None if limit is None else quantity(limit)
    return None if value is None else int(value)


def least(code: CodeParams) -> NodeBudgets:
    """What the largest blob needs of each budget."""
    largest = code.sliver_size(Axis.PRIMARY, code.max_blob_size)
    symbol = code.symbol_size(code.max_blob_size)
    return NodeBudgets(
        upload=2 * (_BATCH + largest) + largest,
        read=largest + 3 * _CHUNK,
        background=(code.n_shards + 1) * symbol,
        compute=_BATCH + largest,
        recovery=2 * largest,
    )


def node_budgets(limit: int | None, code: CodeParams) -> NodeBudgets | None:
    """Budgets that, with the base, take no more than the limit; None when there is none, so that the defaults hold.

    Raises:
        TooSmallError: the limit does not bear the largest blob.
    """
    if limit is None:
        return None
    need = least(code)
    rest = limit - NODE_BASE - need.total
    if rest < 0:
        raise TooSmallError(
            f"the memory limit of {mib(limit)} is too small for a network of {code.n_shards} shards: "
            f"{mib(NODE_BASE)} for the process + {mib(need.upload)} for an upload of the largest blob + "
            f"{mib(need.read)} to send a sliver + {mib(need.background)} for symbols that others recover from + "
            f"{mib(need.compute)} to verify + {mib(need.recovery)} to recover + {mib(need.sync)} for shards that come "
            f"= {mib(NODE_BASE + need.total)}; raise resources.limits.memory to that or more"
        )
    whole = sum(_SHARES.values())
    more = {name: rest * share // whole for name, share in _SHARES.items()}
    return NodeBudgets(
        upload=need.upload + more["upload"],
        read=need.read + more["read"],
        background=need.background + more["background"],
        compute=need.compute + more["compute"],
        recovery=need.recovery + more["recovery"],
    )


def gateway_budget(limit: int | None, code: CodeParams, max_body_size: int | None) -> GatewayBudget | None:
    """What fits into a gateway; None when it has no limit, so that the defaults hold.

    Args:
        limit: bytes of the container.
        code: of the network.
        max_body_size: what the spec says.

    Raises:
        TooSmallError: not even one worker and a blob of a mebibyte fit, or not the largest body that the spec names.
    """
    if limit is None:
        return None
    workers = max(1, min(WORKERS, limit // (8 * WORKER)))
    memory = (limit - GATEWAY_BASE - workers * WORKER) * 3 // 4
    wanted = min(max_body_size or MIB, code.max_blob_size)
    need = max(MIB, code.writing_memory(wanted))
    if memory < need:
        raise TooSmallError(
            f"the gateway's memory limit of {mib(limit)} is too small: {mib(GATEWAY_BASE)} for the process + "
            f"{mib(workers * WORKER)} for {workers} that encode + {mib(need)} for a blob of {wanted} bytes and its "
            f"encoded form + {mib(need // 3)} for copies on their way = "
            f"{mib(GATEWAY_BASE + workers * WORKER + -(-need * 4 // 3))}; "
            "raise gateway.resources.limits.memory to that or more"
            + (", or lower gateway.maxBodySize" if max_body_size is not None else "")
        )
    return GatewayBudget(memory, workers, max_body_size or _fitting(memory, code))


def _fitting(memory: int, code: CodeParams) -> int | None:
    """The largest blob that fits with its encoded form; None when every one does."""
    low, high = 0, code.max_blob_size
    if code.writing_memory(high) <= memory:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if code.writing_memory(middle) <= memory else (low, middle - 1)
    return low


def capacity(size: str, wanted: int | None) -> int:
    """Bytes that a node offers: what the spec says, or what its volume holds."""
    return wanted if wanted is not None else max(1, (_volume(size) - DISK_RESERVE) * 3 // 4)


def volume_problem(size: str, wanted: int | None) -> str | None:
    """Why the volume does not hold what the node offers; None when it does."""
    offered, held = capacity(size, wanted), _volume(size)
    if held >= offered + DISK_RESERVE:
        return None
    return (
        f"the volume of {size} has {held} bytes; {offered} that the node offers + {DISK_RESERVE} that stay free = "
        f"{offered + DISK_RESERVE}: give it a larger volume" + (", or lower votes.nodeCapacity" if wanted else "")
    )


def _volume(size: str) -> int:
    return int(quantity(size) or Decimal(0))


def mib(size: int) -> str:
    """Bytes as mebibytes, rounded up."""
    return f"{-(-size // MIB)} MiB"
