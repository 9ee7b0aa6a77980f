"""Committees and views for the client's tests."""

import asyncio
import time
from collections.abc import Callable, Sequence

from walrus_codec.types import Epoch, NodeId, ShardIndex
from walrus_sui.types import Committee, CommitteeMember, EpochPhase, EpochState, StakingView


def node_id(number: int) -> NodeId:
    return NodeId(f"0x{number:064x}")


def member(number: int, shards: Sequence[int], *, name: str = "") -> CommitteeMember:
    return CommitteeMember(
        node_id=node_id(number),
        shards=tuple(ShardIndex(shard) for shard in shards),
        bls_public_key=bytes(48),
        name=name or f"node-{number}",
        network_address=f"127.0.0.1:{9000 + number}",
        grpc_address=f"127.0.0.1:{9100 + number}",
        network_public_key=bytes(33),
    )


def committee(weights: Sequence[int], *, epoch: int = 5, numbers: Sequence[int] | None = None) -> Committee:
    """Members with these numbers of shards, handed out consecutively, sorted by node id."""
    numbers = list(numbers or range(1, len(weights) + 1))
    members, first = [], 0
    for number, weight in sorted(zip(numbers, weights, strict=True)):
        members.append(member(number, range(first, first + weight)))
        first += weight
    return Committee(Epoch(epoch), first, tuple(members))


def view(now: Committee, *, before: Committee | None = None, phase: EpochPhase = EpochPhase.DONE) -> StakingView:
    empty = Committee(Epoch(now.epoch - 1), now.n_shards, ())
    return StakingView(
        epoch=now.epoch,
        epoch_state=EpochState(phase),
        epoch_duration_ms=600_000,
        first_epoch_start_ms=0,
        n_shards=now.n_shards,
        committee=now,
        previous_committee=before or empty,
        next_committee=None,
    )


async def until(condition: Callable[[], object], *, timeout_s: float = 20.0) -> None:
    """Waits until the condition is true; polling, because it lies in other processes or in fakes."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)
