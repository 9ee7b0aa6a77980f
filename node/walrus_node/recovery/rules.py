"""What recovery decides; pure.

Which blobs lack something follows from the events and the store alone; the store keeps an index of those that may
(`store.suspects`). Two sources name them: a *look* through the index (at the start, at each change of epoch or shards, and
now and then) and the certifications that the events bring. A blob that was just certified gets a grace period first, because
its writer may still be uploading; large blobs get a longer one (protocol page 2.8).

The node is whole for an epoch when all that its look found is there; blobs that were certified since do not count, they
are repaired one by one (protocol page 4.4).

Order within a blob: metadata, then secondary slivers, which few symbols give back, then primary ones. When f honest nodes
got nothing, the others' slivers suffice for the secondary ones, and these then for the primary ones (walrus paper, 4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from walrus_client import rules as client_rules
from walrus_codec import mapping
from walrus_codec.types import Axis, BlobId, Epoch, NodeId, PairIndex, ShardIndex
from walrus_node.store.shards import SliverKey
from walrus_sui.types import Committee

AXES = (Axis.SECONDARY, Axis.PRIMARY)
"""In the order of recovery."""

MEDIUM_BLOB = 100 << 20
LARGE_BLOB = 4 << 30
"""Bytes of blobs up to which a grace period holds."""

FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 3600.0


@dataclass(frozen=True)
class Scope:
    """What a look is for: an epoch, and the shards that are to be whole in it."""

    epoch: Epoch
    shards: frozenset[ShardIndex]


@dataclass(frozen=True)
class Pending:
    """One blob that may lack something.

    Attributes:
        due: when to try, by the loop's clock, in seconds.
        attempts: how often it was tried in vain.
        looked: whether a look found it; False when only its certification named it.
        fresh: whether it waits for the grace period that every blob has; its size may give it more.
    """

    due: float
    attempts: int = 0
    looked: bool = False
    fresh: bool = False


@dataclass
class Agenda:
    """All blobs that may lack something, and how far the look is.

    Attributes:
        scope: of the newest look; None before the first.
        found: blobs that it found.
    """

    scope: Scope | None = None
    found: int = 0
    _pending: dict[BlobId, Pending] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._pending)

    def looked(self, scope: Scope, lacking: Iterable[BlobId], *, now: float) -> None:
        """A look has ended: its blobs are due now, unless they wait for something already."""
        self._pending = {blob: replace(entry, looked=False) for blob, entry in self._pending.items()}
        for blob_id in lacking:
            known = self._pending.get(blob_id, Pending(now))
            self._pending[blob_id] = replace(known, looked=True)
        self.scope = scope
        self.found = sum(entry.looked for entry in self._pending.values())

    def certified(self, blob_id: BlobId, *, due: float) -> float:
        """A blob was certified; returns when it is looked at: once its writer has had the time to finish."""
        return self._pending.setdefault(blob_id, Pending(due, fresh=True)).due

    def is_fresh(self, blob_id: BlobId) -> bool:
        """Whether the blob was certified a grace period ago, and nobody has looked at its size yet."""
        entry = self._pending.get(blob_id)
        return entry is not None and entry.fresh

    def measured(self, blob_id: BlobId, *, more_s: float) -> None:
        """The blob's size is known, and its grace period is longer by so much; 0 leaves it due."""
        if (entry := self._pending.get(blob_id)) is not None:
            self._pending[blob_id] = replace(entry, due=entry.due + more_s, fresh=False)

    def lost(self, blob_id: BlobId, *, now: float) -> None:
        """Something of the blob was lost here; it is due now, unless attempts to complete it wait for others."""
        known = self._pending.get(blob_id, Pending(now))
        self._pending[blob_id] = known if known.attempts else replace(known, due=min(known.due, now), fresh=False)

    def due(self, now: float) -> list[BlobId]:
        """Blobs to try now, those that wait longest first."""
        ready = [(entry.due, blob_id) for blob_id, entry in self._pending.items() if entry.due <= now]
        return [blob_id for _due, blob_id in sorted(ready)]

    def done(self, blob_id: BlobId) -> None:
        """The blob lacks nothing any more, or it is dead."""
        self._pending.pop(blob_id, None)

    def failed(self, blob_id: BlobId, *, now: float, draw: float) -> float:
        """The blob could not be completed; returns the seconds until the next attempt."""
        entry = self._pending.get(blob_id, Pending(now))
        pause = backoff_s(entry.attempts, draw=draw)
        self._pending[blob_id] = replace(entry, due=now + pause, attempts=entry.attempts + 1)
        return pause

    def retry_now(self, now: float) -> None:
        """Something has changed that may help, a new committee for instance: what failed is tried again at once."""
        self._pending = {
            blob: replace(entry, due=min(entry.due, now), attempts=0) if entry.attempts else entry
            for blob, entry in self._pending.items()
        }

    def next_due_in(self, now: float) -> float | None:
        """Seconds until the next blob is due; None when none waits."""
        return max(0.0, min(entry.due for entry in self._pending.values()) - now) if self._pending else None

    def whole(self, scope: Scope) -> bool:
        """Whether all that a look for this scope found is there."""
        return self.scope == scope and not any(entry.looked for entry in self._pending.values())

    @property
    def fraction(self) -> float:
        """Share of the look's blobs that are done, from 0 to 1."""
        left = sum(entry.looked for entry in self._pending.values())
        return 1.0 if not left else 1 - left / max(self.found, left)


def backoff_s(attempts: int, *, draw: float) -> float:
    """The pause after this many failures before: 1 s, 2 s, ... up to an hour, shortened by up to a half.

    Args:
        attempts: failures before this one.
        draw: uniform in [0, 1).
    """
    return min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(attempts, 12)) * (0.5 + draw / 2)


def grace_s(base_s: float, length: int | None) -> float:
    """How long a blob's writer may still be uploading after its certification: by default 15 s, 30 s or 2 minutes.

    Args:
        base_s: for blobs up to 100 MiB; blobs up to 4 GiB have twice as long, larger ones eight times.
        length: bytes of the blob, None when its metadata have not come: as they come first, nobody is sending it.
    """
    if length is None or length <= MEDIUM_BLOB:
        return base_s
    return base_s * (2 if length <= LARGE_BLOB else 8)


def targets(missing: Iterable[SliverKey], n_shards: int) -> dict[Axis, list[PairIndex]]:
    """The pairs whose slivers are to be recovered, by axis, in the order of recovery."""
    pairs: dict[Axis, list[PairIndex]] = {axis: [] for axis in AXES}
    for key in missing:
        pairs[key.axis].append(mapping.pair_of_shard(key.shard, key.blob_id, n_shards))
    return {axis: sorted(found) for axis, found in pairs.items() if found}


def source_order(
    committee: Committee, us: NodeId, blob_id: BlobId, uniform: Callable[[], float]
) -> list[tuple[NodeId, PairIndex]]:
    """Pairs of the other members, who come in random order weighted by their shards.

    So the load follows the shards, and few nodes are asked for many symbols each instead of many for few.
    """
    others = [member for member in committee.members if member.node_id != us]
    return [
        (member.node_id, pair)
        for member in client_rules.weighted_order(others, uniform)
        for pair in client_rules.pairs_of(member, blob_id, committee.n_shards)
    ]


def batches(pairs: Sequence[PairIndex], sliver_size: int, memory: int) -> list[Sequence[PairIndex]]:
    """Cuts targets into groups whose symbols and slivers fit into the memory; one sliver at least in each.

    Args:
        pairs: the targets.
        sliver_size: bytes of one target; its symbols together have as many.
        memory: bytes.
    """
    size = max(1, memory // cost(1, sliver_size))
    return [pairs[at : at + size] for at in range(0, len(pairs), size)]


def cost(count: int, sliver_size: int) -> int:
    """Bytes that the recovery of so many slivers holds: their symbols as they came, in order, and the slivers."""
    return 3 * count * sliver_size
