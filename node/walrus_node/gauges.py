"""Measurements that are read when somebody asks for them: epoch, shards, slivers, cursor, age of the chain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Observation

from walrus_node.challenges.progress import ChallengeProgress
from walrus_node.events.processor import EventProcessor
from walrus_node.recovery.task import Progress
from walrus_node.rpc.admission import Gate
from walrus_node.rpc.door.door import Door
from walrus_node.rpc.door.rules import Work
from walrus_node.rpc.rules import Lane
from walrus_node.scrub.scrubber import ScrubProgress
from walrus_node.store.room import RoomKeeper
from walrus_node.store.rules import Condition, Room
from walrus_node.store.storage import Storage
from walrus_node.sync.task import SyncProgress
from walrus_sui.telemetry import meter, names


def observe(
    storage: Storage,
    processor: EventProcessor,
    *,
    chain_age_s: Callable[[], float],
    recovery: Callable[[], Progress],
    scrub: Callable[[], ScrubProgress],
    sync: Callable[[], SyncProgress],
    challenges: Callable[[], ChallengeProgress],
    history_missing: Callable[[], bool],
) -> None:
    """Registers the gauges of one node with the process's meter."""

    def gauge(name: str, description: str, read: Callable[[], float], *, unit: str = "1") -> None:
        def callback(_options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(read())]

        meter().create_observable_gauge(name, [callback], unit=unit, description=description)

    def shards(_options: CallbackOptions) -> Iterable[Observation]:
        counts = Counter(status.value for status in storage.shards.values())
        return [Observation(count, {names.ATTR_SHARD_STATUS: status}) for status, count in counts.items()]

    def cursor() -> int:
        return processor.cursor.sequence if processor.cursor is not None else 0

    gauge(names.NODE_EPOCH, "Epoch that the events have reached.", lambda: processor.epoch)
    gauge(names.NODE_SLIVERS_STORED, "Slivers in all shards.", lambda: storage.slivers_stored)
    gauge(names.NODE_METADATA_STORED, "Blobs whose metadata is stored.", lambda: storage.blobs_stored)
    gauge(names.NODE_COLLECTED_BLOBS, "Blobs deleted by garbage collection.", lambda: storage.collected.blobs)
    gauge(
        names.NODE_COLLECTED_BYTES,
        "Bytes of slivers deleted by garbage collection.",
        lambda: storage.collected.sliver_bytes,
        unit="By",
    )
    gauge(names.NODE_EVENT_CURSOR, "Last applied checkpoint.", cursor)
    gauge(names.NODE_HISTORY_MISSING, "1 while it waits for other nodes' records of pruned events.", history_missing)
    gauge(names.NODE_RECOVERY_PENDING, "Blobs that may lack something.", lambda: recovery().blobs_pending)
    gauge(names.NODE_RECOVERY_BLOBS, "Blobs completed from others.", lambda: recovery().blobs_recovered)
    gauge(names.NODE_RECOVERY_SLIVERS, "Slivers rebuilt.", lambda: recovery().slivers_recovered)
    gauge(names.NODE_RECOVERY_BYTES, "Symbols and proofs fetched.", lambda: recovery().bytes_fetched, unit="By")
    gauge(names.NODE_SCRUB_SLIVERS, "Slivers verified again.", lambda: scrub().slivers_verified)
    gauge(names.NODE_SCRUB_BYTES, "Slivers and metadata verified again.", lambda: scrub().bytes_verified, unit="By")
    gauge(names.NODE_SCRUB_ROTTEN, "Rotten slivers and metadata taken out.", lambda: scrub().rotten_found)
    gauge(names.NODE_SCRUB_FRACTION, "Share of the verification's round that is done.", lambda: scrub().fraction)
    gauge(names.NODE_SYNC_PENDING, "Shards that are to come from their previous owners.", lambda: sync().shards_pending)
    gauge(names.NODE_SYNC_TRANSFERRED, "Shards that have come.", lambda: sync().shards_transferred)
    gauge(names.NODE_SYNC_GIVEN_UP, "Shards left to recovery.", lambda: sync().shards_given_up)
    gauge(names.NODE_SYNC_SLIVERS, "Slivers that have come with shards.", lambda: sync().slivers_received)
    gauge(names.NODE_SYNC_BYTES, "Slivers that have come with shards.", lambda: sync().bytes_received, unit="By")
    gauge(names.NODE_SYNC_REJECTED, "Slivers of shards that were wrong.", lambda: sync().slivers_rejected)
    gauge(names.NODE_SYNC_METADATA, "Metadata fetched as a new member.", lambda: sync().metadata_fetched)
    gauge(names.NODE_SYNC_FRACTION, "Share of this epoch's transfers that is done.", lambda: sync().fraction)
    gauge(names.NODE_CHALLENGE_PENDING, "Members still to be challenged in the window.", lambda: challenges().pending)
    gauge(names.CHAIN_CHECKPOINT_AGE, "Time since the chain was last heard.", chain_age_s, unit="s")
    meter().create_observable_gauge(names.NODE_SHARDS, [shards], description="Shards stored here, by status.")


def observe_gate(gate: Gate) -> None:
    """Registers what the node's calls hold and what waits."""

    def used(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(gate.used(lane), {names.ATTR_LANE: lane.value}) for lane in Lane]

    def waiting(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(gate.waiting(lane), {names.ATTR_LANE: lane.value}) for lane in Lane]

    meter().create_observable_gauge(
        names.NODE_BYTES_IN_FLIGHT, [used], unit="By", description="Memory that calls hold, by lane."
    )
    meter().create_observable_gauge(
        names.NODE_REQUESTS_WAITING, [waiting], description="Calls that wait for memory, by lane."
    )


def observe_door(door: Door) -> None:
    """Registers who is inside."""

    def inside(_options: CallbackOptions) -> Iterable[Observation]:
        calls = door.open_calls
        found = {
            Work.STORE: calls.stores,
            Work.TRANSFER: calls.transfers,
            Work.CHALLENGE: calls.challenges,
            Work.READ: calls.reads,
        }
        return [Observation(count, {names.ATTR_WORK: work.value}) for work, count in found.items()]

    meter().create_observable_gauge(
        names.NODE_OPEN_CALLS, [inside], description="Calls of other parties that are under way, by what they are for."
    )


def observe_room(room: RoomKeeper) -> None:
    """Registers what is stored, what the node offers, what the disk has left, and which condition holds."""

    def conditions(_options: CallbackOptions) -> Iterable[Observation]:
        held = room.condition
        return [Observation(int(each is held), {names.ATTR_CONDITION: each.value}) for each in Condition]

    def bytes_of(read: Callable[[Room], int]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _options: [Observation(read(room.room))]

    gauge = meter().create_observable_gauge
    gauge(names.NODE_BYTES_STORED, [bytes_of(lambda now: now.stored)], unit="By", description="Slivers stored.")
    gauge(
        names.NODE_CAPACITY,
        [bytes_of(lambda now: now.capacity)],
        unit="By",
        description="Slivers that the node offers to store.",
    )
    gauge(names.NODE_DISK_FREE, [bytes_of(lambda now: now.free)], unit="By", description="What the disk has left.")
    gauge(
        names.NODE_STORAGE_CONDITION, [conditions], description="1 for the condition of the store that holds, else 0."
    )
