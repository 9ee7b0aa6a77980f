"""What can be said of the chain in this pass: answering, silent, never seen, exchanged, or not the one the spec means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from walrus_operator.api.base import seconds
from walrus_operator.api.chain_view import ChainView
from walrus_operator.api.conditions import Reason
from walrus_operator.api.world import Snapshot
from walrus_operator.plan.times import iso
from walrus_sui.public_networks import PUBLIC_SYSTEM_OBJECTS

SILENT_AFTER = 15.0
"""Seconds without an answer after which the chain counts as unreachable; a single lost request is no news."""


class ChainState(Enum):
    """How the chain stands."""

    ANSWERING = auto()
    SILENT = auto()
    NEVER_SEEN = auto()
    EXCHANGED = auto()


@dataclass(frozen=True)
class ChainVerdict:
    """State, the sentence for conditions, and why the spec does not fit the chain (if it does not)."""

    state: ChainState
    message: str
    mismatch: tuple[Reason, str] | None = None

    @property
    def may_act(self) -> bool:
        """Whether transactions may be sent on the strength of this view."""
        return self.state is ChainState.ANSWERING and self.mismatch is None


def judge(snapshot: Snapshot) -> ChainVerdict:
    """Looks at the newest chain view and at what the status remembers."""
    observed, remembered = snapshot.chain, snapshot.network.status.chain_id
    chain = observed.value
    why = observed.error or "no answer yet"
    if chain is None:
        if remembered is None:
            return ChainVerdict(
                ChainState.NEVER_SEEN, f"the chain has not answered yet: {why}{_is_it_the_one(snapshot)}"
            )
        return ChainVerdict(ChainState.SILENT, f"the chain does not answer: {why}")
    if remembered is not None and chain.chain_id != remembered:
        return ChainVerdict(
            ChainState.EXCHANGED,
            f"the chain is {chain.chain_id}, but this network lives on {remembered}: restore the chain's data, or create "
            "a new network",
        )
    silent_for = snapshot.now - (observed.seen_at or 0.0)
    if observed.error is not None and silent_for > SILENT_AFTER:
        since = iso(observed.failing_since or snapshot.now)
        return ChainVerdict(
            ChainState.SILENT, f"the chain does not answer since {since}: {why}", _mismatch(snapshot, chain)
        )
    return ChainVerdict(ChainState.ANSWERING, "the chain answers", _mismatch(snapshot, chain))


def _is_it_the_one(snapshot: Snapshot) -> str:
    """What to do about somebody else's chain that has never answered."""
    spec = snapshot.network.spec
    if spec is None or spec.chain.external is None:
        return ""
    return (
        ". If chain.external.networkConfig is right, let the operator reach what it names; if not, delete the network and "
        "create it anew, because it cannot change"
    )


def _mismatch(snapshot: Snapshot, chain: ChainView) -> tuple[Reason, str] | None:
    spec = snapshot.network.spec
    if spec is None:
        return None
    public = PUBLIC_SYSTEM_OBJECTS.get(chain.system_object)
    if public is not None:
        return (
            Reason.PUBLIC_NETWORK_REFUSED,
            f"the chain is {public}, whose clients need the official REST face: use a Walrus deployment of your own",
        )
    if chain.n_shards != spec.shards:
        return Reason.CHAIN_MISMATCH, f"the chain has {chain.n_shards} shards, spec.shards says {spec.shards}"
    if spec.chain.devnet is None and chain.epoch_duration_ms != seconds(spec.epoch_duration) * 1000:
        return (
            Reason.CHAIN_MISMATCH,
            f"an epoch of the chain lasts {chain.epoch_duration_ms // 1000}s, spec.epochDuration says {spec.epoch_duration}",
        )
    return None
