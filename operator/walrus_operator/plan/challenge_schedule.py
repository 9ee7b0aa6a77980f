"""Which policy of challenges holds in which epoch: from the spec, and from StorageEpochs that users applied ahead of time.

Life of a change: it is written into the ConfigMap that all nodes have mounted, with the epoch from which it holds. Kubelets
bring a changed ConfigMap into running pods within a minute and a half; so a change by which nodes would take each other for
laggards, if some knew of it and others did not, holds from the first epoch that begins two minutes later or more. What a node
has read of an epoch that has begun is never changed. No node restarts for any of it.
"""

from __future__ import annotations

import math

from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.schedule import Schedule, ScheduleError, differ_widely
from walrus_codec.types import Epoch
from walrus_operator.api import names
from walrus_operator.api.chain_view import ChainView
from walrus_operator.api.network import NetworkSpec
from walrus_operator.api.world import EpochObject, ObjectKey, Snapshot

LEAD = 120.0
"""Seconds until every kubelet has brought a changed ConfigMap into its pods."""


def decide(snapshot: Snapshot, spec: NetworkSpec, chain: ChainView | None) -> Schedule:
    """The schedule that should stand in the ConfigMap.

    Args:
        snapshot: The world.
        spec: The network's spec.
        chain: Where the network is; None when nobody knows, and nothing is planned anew then.
    """
    wanted, live = policy(spec), _live(snapshot)
    own = {
        node.name: Mode(node.spec.challenges.mode)
        for node in snapshot.nodes
        if node.spec is not None and node.spec.challenges is not None
    }
    if live is None:
        live = Schedule(((Epoch(0), wanted),))
    if chain is None:
        return Schedule(live.steps, live.epochs, own)
    now = Epoch(chain.epoch)
    widely = any(_sets_at_odds(planned, wanted) for planned in live.planned(Epoch(now + 1)))
    start = first_epoch(chain, snapshot.now, widely=widely)
    changed = live.changed(wanted, start, now=now)
    return Schedule(changed.steps, _overrides(snapshot, changed, chain), own)


def _sets_at_odds(one: Policy, other: Policy) -> bool:
    """As `differ_widely`, also when both are off: a StorageEpoch may turn an epoch on."""
    return one.samples != other.samples or differ_widely(one, other)


def policy(spec: NetworkSpec) -> Policy:
    """The spec as the nodes know it."""
    asked = spec.challenges
    return Policy(
        mode=Mode(asked.mode),
        kept=asked.kept,
        target=asked.target,
        latency_ms=asked.latency_milliseconds,
        bytes_per_s=asked.bytes_per_second,
        grace_ms=asked.grace_milliseconds,
        keep_epochs=asked.keep_epochs,
    )


def first_epoch(chain: ChainView, now: float, *, widely: bool) -> Epoch:
    """The first epoch for which something can still be said.

    Args:
        chain: Where the network is.
        now: Unix seconds.
        widely: Whether all nodes must know of it by then.
    """
    if not widely:
        return Epoch(chain.epoch + 1)
    length = chain.epoch_duration_ms / 1000
    # While shards are taken over the epoch's clock has not begun; it is as if it began now.
    begun = chain.change_done_at_ms / 1000 if chain.change_done_at_ms is not None else now
    left = max(0.0, begun + length - now)
    return Epoch(chain.epoch + 1 + max(0, math.ceil((LEAD - left) / length)))


def epoch_of(network: str, item: EpochObject) -> Epoch | None:
    """The epoch that a StorageEpoch stands for; None for one that no chain can reach."""
    number = names.ordinal(network, item.name)
    return Epoch(number) if number is not None and number < 1 << 32 else None


def wanted(item: EpochObject) -> Mode | None:
    """What a StorageEpoch asks for."""
    mode = ((item.live.get("spec") or {}).get("challenges") or {}).get("mode")
    return Mode(mode) if mode in {each.value for each in Mode} else None


def _live(snapshot: Snapshot) -> Schedule | None:
    """What the nodes were told last; None when that was nothing, or nothing that can be read."""
    stored = snapshot.live.get(ObjectKey("ConfigMap", names.challenges(snapshot.network.name)))
    try:
        return Schedule.from_json(stored["data"][names.CHALLENGES_FILE]) if stored is not None else None
    except (ScheduleError, KeyError, TypeError):
        return None


def _overrides(snapshot: Snapshot, schedule: Schedule, chain: ChainView) -> dict[Epoch, Mode]:
    """Single epochs: those that have begun stay as they are; others follow their StorageEpochs while there is time."""
    found = {epoch: mode for epoch, mode in schedule.epochs.items() if chain.epoch - 1 <= epoch <= chain.epoch}
    asked = {}
    for item in snapshot.epochs:
        number, mode = epoch_of(snapshot.network.name, item), wanted(item)
        if number is not None and number > chain.epoch and mode is not None:
            asked[number] = mode
    told = {epoch: mode for epoch, mode in schedule.epochs.items() if epoch > chain.epoch}
    for epoch in asked.keys() | told.keys():
        wish, before = asked.get(epoch), told.get(epoch)
        plain = Schedule(schedule.steps)
        policies = [
            plain.at(epoch) if mode is None else Schedule(schedule.steps, {epoch: mode}).at(epoch)
            for mode in (wish, before)
        ]
        in_time = epoch >= first_epoch(chain, snapshot.now, widely=differ_widely(*policies))
        counts = wish if in_time else before
        if counts is not None:
            found[epoch] = counts
    return found
