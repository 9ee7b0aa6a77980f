"""What a node is told to do at challenges: lines of its file of faults, read again each time that it matters.

    drop 0.1             lacks this share of its slivers, for every reader; which ones follows from the node's name
    drop-shard           lacks the lowest of its shards
    metadata-only        lacks all slivers
    fetch 50             lacks all slivers, reads the blob from the others when asked, 50 ms later
    late 40              each answer comes 40 ms later
    wrong 0.05           this share of the answers has other bytes, under a good close
    replay               answers as it answered the same challenger's first run
    refuse BUSY          refuses all challenges, signed, with this reason (`messages.Refusal`)
    hang-up              ends the stream where it should admit that a cell is missing
    accuse NODE          reports that NODE (an id, or `*` for all) has failed, well signed, and votes to slash it
    cover NODE           reports that NODE (an id, or `*`) has passed, well signed, and does not vote against it
    forge-reports NODE   hands on reports in which all others say so, signed by itself

Any other line is none of these; those of `walrus_node.rpc.faults` stand in the same file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Final

from walrus_client.challenges.messages import Refusal
from walrus_codec import bcs
from walrus_codec.types import NodeId
from walrus_node.store.shards import SliverKey

_log = logging.getLogger(__name__)

EVERYBODY: Final = "*"
_LONGEST_MS: Final = 600_000


@dataclass(frozen=True)
class Orders:
    """All that a node is told at a moment.

    Attributes:
        dropped: share of its slivers that it lacks.
        drops_shard: it lacks one shard.
        metadata_only: it lacks all slivers.
        fetch_ms: it reads from others what it is asked for, so much later; None when it does not.
        late_ms: what each answer takes longer.
        wrong: share of the answers that are wrong.
        replays: it repeats its first answers.
        refuses: its reason to refuse; None when it does not.
        hangs_up: it does not admit what it lacks.
        accused: node ids, or `EVERYBODY`, that it says have failed.
        covered: the same, that it says have passed.
        forged: the same, of whom it says that all others say so.
    """

    dropped: float = 0.0
    drops_shard: bool = False
    metadata_only: bool = False
    fetch_ms: int | None = None
    late_ms: int = 0
    wrong: float = 0.0
    replays: bool = False
    refuses: Refusal | None = None
    hangs_up: bool = False
    accused: frozenset[str] = frozenset()
    covered: frozenset[str] = frozenset()
    forged: frozenset[str] = frozenset()

    @property
    def lacks_all(self) -> bool:
        """Whether it has no sliver."""
        return self.metadata_only or self.fetch_ms is not None

    def lacks(self, node: str, key: SliverKey, lowest: int) -> bool:
        """Whether this sliver is not there; `lowest` is the lowest shard that the node has."""
        if self.lacks_all or (self.drops_shard and key.shard == lowest):
            return True
        return bool(self.dropped) and _is_drawn(
            self.dropped, b"drop", node.encode(), key.blob_id, bcs.u16(key.shard), key.axis.value.encode()
        )

    def is_wrong(self, node: str, *asked: bytes) -> bool:
        """Whether the answer to this question is to be wrong."""
        return bool(self.wrong) and _is_drawn(self.wrong, b"wrong", node.encode(), *asked)


HONEST: Final = Orders()


def is_named(node: NodeId, named: frozenset[str]) -> bool:
    """Whether a node is among those that an order names."""
    return EVERYBODY in named or node in named


def orders_of(text: str) -> Orders:
    """Reads a file of faults."""
    found = HONEST
    for line in text.splitlines():
        word, *values = line.split() or [""]
        order = _ORDERS.get((word, len(values)))
        if order is not None:
            try:
                found = order(found, *values)
            except (ValueError, KeyError):
                continue
    return found


class OrderFile:
    """The file, read again for each look.

    Args:
        path: where a test writes.
        node: name of the node.
    """

    def __init__(self, path: Path, node: str) -> None:
        self._path = path
        self.node = node
        self._told = HONEST
        _log.warning(
            "this node may be told to cheat at challenges; never do that outside of tests", extra={"file": path}
        )

    def read(self) -> Orders:
        """The orders of this moment."""
        try:
            found = orders_of(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            found = HONEST
        if found != self._told:
            self._told = found
            _log.warning("this node cheats as a test has told it", extra={"orders": str(found)})
        return found


def _share(text: str) -> float:
    if not 0 <= (found := float(text)) <= 1:
        raise ValueError(text)
    return found


def _ms(text: str) -> int:
    if not 0 <= (found := int(text)) <= _LONGEST_MS:
        raise ValueError(text)
    return found


def _is_drawn(share: float, *about: bytes) -> bool:
    state = blake2b(digest_size=8)
    for part in about:
        state.update(bcs.bytes_(part))
    return int.from_bytes(state.digest(), "little") < share * 2**64


_ORDERS: Final[dict[tuple[str, int], Callable[..., Orders]]] = {
    ("drop", 1): lambda told, value: replace(told, dropped=_share(value)),
    ("drop-shard", 0): lambda told: replace(told, drops_shard=True),
    ("metadata-only", 0): lambda told: replace(told, metadata_only=True),
    ("fetch", 1): lambda told, value: replace(told, fetch_ms=_ms(value)),
    ("late", 1): lambda told, value: replace(told, late_ms=_ms(value)),
    ("wrong", 1): lambda told, value: replace(told, wrong=_share(value)),
    ("replay", 0): lambda told: replace(told, replays=True),
    ("refuse", 1): lambda told, value: replace(told, refuses=Refusal[value]),
    ("hang-up", 0): lambda told: replace(told, hangs_up=True),
    ("accuse", 1): lambda told, value: replace(told, accused=told.accused | {value}),
    ("cover", 1): lambda told, value: replace(told, covered=told.covered | {value}),
    ("forge-reports", 1): lambda told, value: replace(told, forged=told.forged | {value}),
}
