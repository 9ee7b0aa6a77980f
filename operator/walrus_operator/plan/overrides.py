"""What becomes of a StorageEpoch's wish to challenge otherwise in its epoch: it counts, or it came too late.

Life of a wish: `challenge_schedule` puts it into the file that nodes read, as long as there is time. What the file says of the
epoch is then compared with the wish, in each pass until the epoch is over; from then on the answer stays. A wish that came too
late for its epoch gets a warning, once, with the epoch for which there is still time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from walrus_client.challenges.policy import Mode
from walrus_client.challenges.schedule import Schedule
from walrus_codec.types import Epoch
from walrus_operator.api import names
from walrus_operator.api.chain_view import ChainView
from walrus_operator.api.conditions import Condition, ConditionType, Kind, Reason, Truth, condition, merge
from walrus_operator.api.decisions import EventNote, StatusUpdate
from walrus_operator.api.epoch import EpochStatus
from walrus_operator.api.world import EpochObject, ObjectKey, Snapshot
from walrus_operator.plan import challenge_schedule
from walrus_operator.plan.times import iso

KIND = "StorageEpoch"


@dataclass(frozen=True)
class _Wish:
    """What a user asks of an epoch."""

    epoch: EpochObject
    number: Epoch
    mode: Mode

    @property
    def stored(self) -> Mapping[str, Any]:
        """What was answered."""
        found = (entry for entry in self.epoch.live_status.get("conditions", []) if entry.get("type") == _TYPE)
        return next(found, {})

    @property
    def answered(self) -> bool:
        """Whether that answers this spec, and not the one before."""
        return bool(self.stored.get("observedGeneration") == self.epoch.generation)


@dataclass(frozen=True)
class Overrides:
    """The outcome.

    Attributes:
        conditions: what is said of each wish, by the name of its StorageEpoch.
        statuses: of epochs that have not begun, which say nothing else.
        events: wishes that were taken, or came too late, since the last pass.
    """

    conditions: Mapping[str, Condition] = field(default_factory=dict)
    statuses: tuple[StatusUpdate, ...] = ()
    events: tuple[EventNote, ...] = ()


def decide(snapshot: Snapshot, chain: ChainView, schedule: Schedule) -> Overrides:
    """Answers all wishes; none while the operator is to keep its hands off, since it tells the nodes nothing then.

    Args:
        snapshot: The world.
        chain: Where the network is.
        schedule: What the nodes are told.
    """
    conditions, statuses, events = {}, [], []
    for epoch in snapshot.epochs:
        number, mode = challenge_schedule.epoch_of(snapshot.network.name, epoch), challenge_schedule.wanted(epoch)
        if number is None:
            continue
        found = None
        if mode is not None:
            wish = _Wish(epoch, number, mode)
            found = _kept(wish) if snapshot.network.paused else _answer(snapshot, chain, schedule, wish)
            if found is not None and not (wish.answered and wish.stored.get("reason") == found.reason):
                events.append(_event(epoch, found))
        if found is not None:
            conditions[epoch.name] = found
        if number > chain.epoch and (found is not None or epoch.live_status):
            statuses.append(_only(snapshot, epoch, found))
    return Overrides(conditions, tuple(statuses), tuple(events))


def _answer(snapshot: Snapshot, chain: ChainView, schedule: Schedule, wish: _Wish) -> Condition:
    kept = _kept(wish)
    if wish.number < chain.epoch:
        # The file forgets epochs that are over, so their answer stands.
        if kept is not None:
            return kept
        counts = schedule.epochs.get(wish.number) is wish.mode
    else:
        counts = schedule.at(wish.number).mode is wish.mode
    if counts:
        sentence = f"challenges.mode is {wish.mode.value} in epoch {wish.number}"
        return _say("True", Reason.OVERRIDE_ACCEPTED, sentence)
    if wish.number <= chain.epoch and kept is not None and kept.reason is Reason.OVERRIDE_TOO_LATE:
        return kept  # the epochs that could still be named move on
    return _too_late(snapshot, chain, schedule, wish)


def _too_late(snapshot: Snapshot, chain: ChainView, schedule: Schedule, wish: _Wish) -> Condition:
    number, told = wish.number, schedule.at(wish.number).mode
    # Whether all must know of it at once depends on what it changes.
    widely = (told is Mode.OFF) != (wish.mode is Mode.OFF)
    following = challenge_schedule.first_epoch(chain, snapshot.now, widely=widely)
    if number > chain.epoch:
        why = (
            f"it came less than {challenge_schedule.LEAD:.0f} s before the epoch begins, and nodes must know such a change by "
            f"then: challenges.mode stays {told.value} in epoch {number}"
        )
    elif number == chain.epoch:
        why = f"epoch {number} had begun: challenges.mode stays {told.value} in it"
    else:
        why = f"epoch {number} is over"
    remedy = f"apply it to {names.epoch(snapshot.network.name, following)} or a later epoch"
    return _say("False", Reason.OVERRIDE_TOO_LATE, f"challenges.mode {wish.mode.value} is ignored, {why}; {remedy}")


def _only(snapshot: Snapshot, epoch: EpochObject, found: Condition | None) -> StatusUpdate:
    """A status without a state: the spec is the user's to change until the epoch begins."""
    conditions = merge(
        [found] if found is not None else [],
        epoch.live_status.get("conditions", []),
        now=iso(snapshot.now),
        generation=epoch.generation,
    )
    return StatusUpdate(ObjectKey(KIND, epoch.name), EpochStatus(conditions=conditions).to_live())


def _kept(wish: _Wish) -> Condition | None:
    """The answer that stands, if there is one."""
    if not wish.answered:
        return None
    message = str(wish.stored.get("message"))
    if wish.stored.get("reason") == Reason.OVERRIDE_ACCEPTED:
        return _say("True", Reason.OVERRIDE_ACCEPTED, message)
    return _say("False", Reason.OVERRIDE_TOO_LATE, message)


def _event(epoch: EpochObject, found: Condition) -> EventNote:
    about = ObjectKey(KIND, epoch.name)
    return EventNote(about, found.reason, found.message, "Normal" if found.status == "True" else "Warning")


_TYPE = ConditionType.CHALLENGES_OVERRIDDEN


def _say(status: Truth, reason: Reason, message: str) -> Condition:
    return condition(Kind.EPOCH, _TYPE, status, reason, message)
