"""StorageEpochs: which should exist and what they say.

The chain tells the current committee and the one before, so a pass mirrors the current epoch, closes those that are over,
fills in the previous one when the operator slept through it, and drops the oldest beyond `epochsToKeep`. What is written
of an epoch once (when it was first seen, its committee, its prices) is kept: a closed epoch is a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from walrus_client.challenges.policy import Mode
from walrus_client.challenges.schedule import Schedule
from walrus_codec.types import Epoch
from walrus_operator.api import names
from walrus_operator.api.chain_view import ChainView, EpochPhase, Seat
from walrus_operator.api.conditions import Condition, ConditionType, Kind, Reason, condition, merge
from walrus_operator.api.decisions import DeleteObject, EpochRecord, StatusUpdate
from walrus_operator.api.epoch import EpochChain, EpochMember, EpochPrices, EpochStatus
from walrus_operator.api.world import EpochObject, ObjectKey, Snapshot
from walrus_operator.plan import challenges
from walrus_operator.plan.times import iso

KIND = "StorageEpoch"
PAST = "Past"


@dataclass(frozen=True)
class Epochs:
    """The outcome."""

    records: tuple[EpochRecord, ...]
    statuses: tuple[StatusUpdate, ...]
    deletions: tuple[DeleteObject, ...]


def decide(
    snapshot: Snapshot, *, node_names: Mapping[str, str], schedule: Schedule, answers: Mapping[str, Condition]
) -> Epochs:
    """Mirrors the chain.

    Args:
        snapshot: The world; its chain view and network spec must be there, otherwise nothing changes.
        node_names: WalrusNode name of each node id.
        schedule: Which policy of challenges holds when.
        answers: What becomes of users' wishes for single epochs, by StorageEpoch.
    """
    chain, spec = snapshot.chain.value, snapshot.network.spec
    if chain is None or spec is None or chain.epoch == 0:
        return Epochs((), (), ())
    existing = {epoch.name: epoch for epoch in snapshot.epochs}
    network = snapshot.network.name
    numbers = {number for name in existing if (number := names.ordinal(network, name)) is not None}
    oldest = chain.epoch - spec.epochs_to_keep + 1
    mirrored = {number for number in numbers if oldest <= number <= chain.epoch} | {chain.epoch}
    if chain.previous_committee and chain.epoch - 1 >= max(oldest, 1):
        mirrored.add(chain.epoch - 1)
    statuses = []
    for number in sorted(mirrored):
        name = names.epoch(network, number)
        mode = schedule.at(Epoch(number)).mode
        epoch, answer = existing.get(name), answers.get(name)
        statuses.append(
            _status(snapshot, chain, number, existing=epoch, node_names=node_names, mode=mode, answer=answer)
        )
    deletions = [
        DeleteObject(ObjectKey(KIND, epoch.name), epoch.uid)
        for name, epoch in existing.items()
        if (number := names.ordinal(network, name)) is not None and number < oldest
    ]
    return Epochs(
        tuple(EpochRecord(names.epoch(network, number), number) for number in sorted(mirrored)),
        tuple(statuses),
        tuple(deletions),
    )


def _members(seats: Iterable[Seat], node_names: Mapping[str, str]) -> list[EpochMember]:
    return [
        EpochMember(
            node=node_names.get(seat.node_id, seat.name),
            node_id=seat.node_id,
            weight=seat.weight,
            shards=[int(shard) for shard in seat.shards],
            protocol_key=seat.key or None,
        )
        for seat in seats
    ]


def _status(
    snapshot: Snapshot,
    chain: ChainView,
    number: int,
    *,
    existing: EpochObject | None,
    node_names: Mapping[str, str],
    mode: Mode,
    answer: Condition | None,
) -> StatusUpdate:
    live: Mapping[str, Any] = existing.live_status if existing else {}
    before = EpochStatus.read(live)
    now = iso(snapshot.now)
    current = number == chain.epoch
    if current:
        committee = _members(chain.committee, node_names)
        state = chain.phase.value
        done_at = iso(chain.change_done_at_ms / 1000) if chain.change_done_at_ms else None
        prices: EpochPrices | None = EpochPrices(storage=chain.storage_price, write=chain.write_price)
        capacity: int | None = chain.total_capacity
        ended_at = None
        started_at: str | None = before.started_at or now
    else:
        committee = before.committee or (
            _members(chain.previous_committee, node_names) if number == chain.epoch - 1 else []
        )
        state = PAST
        done_at = before.change_done_at
        prices, capacity = before.prices, before.total_capacity
        started_at = before.started_at
        ended_at = before.ended_at or now
    conditions = _conditions(chain, number, changed=not current or chain.phase is not EpochPhase.SYNC)
    conditions += (answer,) if answer is not None else ()
    status = EpochStatus(
        epoch=number,
        state=state,
        members=len(committee),
        committee=committee,
        started_at=started_at,
        change_done_at=done_at,
        ended_at=ended_at,
        chain=before.chain or EpochChain(id=chain.chain_id, checkpoint=chain.checkpoint),
        prices=prices,
        total_capacity=capacity,
        challenges=challenges.results(
            committee,
            snapshot.findings.get(number, {}),
            before.challenges,
            mode=mode,
            late=challenges.is_late(chain, number, snapshot.now),
        ),
        conditions=merge(
            conditions, live.get("conditions", []), now=now, generation=existing.generation if existing else 1
        ),
    )
    name = names.epoch(snapshot.network.name, number)
    return StatusUpdate(ObjectKey(KIND, name), status.to_live())


def _conditions(chain: ChainView, number: int, *, changed: bool) -> tuple[Condition, ...]:
    kind = Kind.EPOCH
    if number == chain.epoch:
        is_current = condition(kind, ConditionType.CURRENT, "True", Reason.CURRENT_EPOCH, "the chain is in this epoch")
    else:
        is_current = condition(kind, ConditionType.CURRENT, "False", Reason.PAST_EPOCH, "the chain has left this epoch")
    if changed:
        done = condition(
            kind,
            ConditionType.CHANGE_DONE,
            "True",
            Reason.SHARDS_TAKEN_OVER,
            "a quorum of the committee holds its shards",
        )
    else:
        done = condition(
            kind,
            ConditionType.CHANGE_DONE,
            "False",
            Reason.EPOCH_CHANGE_IN_PROGRESS,
            "members take over their shards",
        )
    return is_current, done
