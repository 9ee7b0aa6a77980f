"""Each gate alone: when it holds, when it opens, and what it says. Then the order in which actions ask them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_codec.types import NodeId, ShardIndex
from walrus_operator.api.chain_view import EpochPhase, Seat
from walrus_operator.api.conditions import Reason
from walrus_operator.api.world import NodeInfo
from walrus_operator.plan import gates


def seat(name: str, *shards: int) -> Seat:
    return Seat(NodeId(name), name, tuple(ShardIndex(shard) for shard in shards))


def info(*shards: int, status: str = "Active", epoch: int = 2, missing: str = "") -> NodeInfo:
    """A node whose last shard has status `missing`, if that is given."""
    found = dict.fromkeys(shards, "Active")
    if missing:
        found[shards[-1]] = missing
    return NodeInfo(node_id=None, epoch=epoch, status=status, shards=found)


@pytest.fixture
def facts() -> gates.Facts:
    """Four nodes of ten shards in epoch 2; `d` has left, and its two shards went to `a` and `b`."""
    world = World(network=network_manifest(shards=10), epoch=2, phase=EpochPhase.DONE)
    chain = world.chain().value
    assert chain is not None
    seats = {"a": seat("a", 0, 1, 8), "b": seat("b", 2, 3, 4, 9), "c": seat("c", 5, 6, 7)}
    return gates.Facts(
        chain=chain,
        fresh=True,
        seats=seats,
        previous={"a": seat("a", 0, 1), "b": seat("b", 2, 3, 4), "c": seats["c"], "d": seat("d", 8, 9)},
        following={},
        infos={"a": info(0, 1, 8), "b": info(2, 3, 4, 9), "c": info(5, 6, 7), "d": info()},
        serving=frozenset("abcd"),
    )


def test_chain_mirror_stale(facts: gates.Facts) -> None:
    assert gates.chain_mirror_stale(facts, "a", ()) is None
    assert gates.chain_mirror_stale(replace(facts, fresh=False), "a", ()) is not None
    assert gates.chain_mirror_stale(replace(facts, chain=None), "a", ()) is not None


def test_nodes_that_are_ahead_of_the_chain_are_believed_when_they_are_too_many_to_lie(facts: gates.Facts) -> None:
    """An RPC that lags behind tells of a committee that is no more; f shards may belong to liars."""

    def ahead(*names: str) -> gates.Facts:
        return replace(facts, infos={**facts.infos, **{name: replace(facts.infos[name], epoch=3) for name in names}})

    assert gates.chain_mirror_stale(ahead("a"), "b", ()) is None, "3 of 10"
    assert gates.chain_mirror_stale(ahead("a", "d"), "b", ()) is None, "who has no shards counts for none"
    held = gates.chain_mirror_stale(ahead("b"), "a", ())
    assert held is not None, "4 of 10"
    assert "the chain's RPC is behind: it says epoch 2, and 1 nodes have seen a later one" in held.message


@pytest.mark.parametrize("phase", list(EpochPhase))
def test_epoch_change_in_progress(facts: gates.Facts, phase: EpochPhase) -> None:
    assert facts.chain is not None
    held = gates.epoch_change_in_progress(replace(facts, chain=replace(facts.chain, phase=phase)), "a", ())
    assert (held is not None) == (phase is EpochPhase.SYNC)


def test_shard_transfer_source(facts: gates.Facts) -> None:
    assert gates.shard_transfer_source(facts, "d", ()) is None
    late = replace(facts, infos={**facts.infos, "b": info(2, 3, 4, 9, missing="ActiveSync")})
    held = gates.shard_transfer_source(late, "d", ())
    assert held is not None
    assert held.message.startswith("1 of its former shards have not arrived at b:")
    assert gates.shard_transfer_source(late, "c", ()) is None, "it gave nothing away"
    behind = replace(facts, infos={**facts.infos, "b": info(2, 3, 4, 9, epoch=1)})
    assert gates.shard_transfer_source(behind, "d", ()) is not None, "Active in another epoch says nothing"
    silent = replace(facts, infos={"a": facts.infos["a"]})
    assert gates.shard_transfer_source(silent, "d", ()) is not None
    strangers = replace(facts, seats={"a": facts.seats["a"]})
    assert gates.shard_transfer_source(strangers, "d", ()) is not None, "nobody knows what a foreign owner has"
    assert gates.shard_transfer_source(replace(facts, previous=facts.seats), "d", ()) is None, "an epoch later"


@pytest.mark.parametrize(("missing", "holds"), [("ActiveSync", True), ("None", True), ("ActiveRecover", False)])
def test_shard_transfer_target(facts: gates.Facts, missing: str, holds: bool) -> None:
    assert gates.shard_transfer_target(facts, "b", ()) is None
    taking = replace(facts, infos={"b": info(2, 3, 4, 9, missing=missing)})
    assert (gates.shard_transfer_target(taking, "b", ()) is not None) == holds
    assert gates.shard_transfer_target(replace(facts, infos={}), "b", ()) is None
    assert gates.shard_transfer_target(facts, "d", ()) is None


@pytest.mark.parametrize("status", sorted(gates.RECOVERING))
def test_node_recovering(facts: gates.Facts, status: str) -> None:
    assert gates.node_recovering(facts, "c", ()) is None
    assert gates.node_recovering(replace(facts, infos={"c": info(5, 6, 7, status=status)}), "c", ()) is not None
    lost = replace(facts, infos={"c": info(5, 6, 7, missing="ActiveRecover")})
    assert gates.node_recovering(lost, "c", ()) is not None
    assert gates.node_recovering(lost, "d", ()) is None


def test_fault_budget_exceeded_at_the_limit_and_one_beyond(facts: gates.Facts) -> None:
    assert facts.budget == 3
    assert gates.fault_budget_exceeded(facts, "c", ()) is None
    assert gates.fault_budget_exceeded(replace(facts, reserve=1), "c", ()) is not None
    four = gates.fault_budget_exceeded(facts, "b", ())
    assert four is not None
    assert four.message == "taking b away takes 4 shards, 0 of 3 are unavailable already"
    assert gates.fault_budget_exceeded(facts, "c", ("a",)) is not None
    one_missing = replace(facts, infos={**facts.infos, "a": info(0, 1, 8, missing="ActiveSync")})
    assert gates.fault_budget_exceeded(one_missing, "c", ()) is not None
    assert gates.fault_budget_exceeded(one_missing, "a", ()) is None, "what is missing on the node itself is not twice"
    assert gates.fault_budget_exceeded(replace(facts, serving=frozenset("abc")), "d", ("a", "b")) is None, "no shards"


def test_the_budget_is_kept_in_the_next_committee_too(facts: gates.Facts) -> None:
    grown = replace(facts, following={**facts.seats, "c": seat("c", 4, 5, 6, 7)})
    held = gates.fault_budget_exceeded(grown, "c", ())
    assert held is not None
    assert "takes 4 shards in epoch 3" in held.message


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({}, 0),
        ({"infos": {"b": info(2, 3, 4, 9, missing="ActiveSync")}}, 1),
        ({"infos": {"b": info(2, 3, 4, 9, status="RecoveryInProgress")}}, 4),
        ({"infos": {"b": info(2, 3, 4, 9, epoch=1)}}, 4),
        ({"infos": {}}, 4),
        ({"serving": frozenset("acd")}, 4),
    ],
)
def test_what_counts_as_unavailable(facts: gates.Facts, change: dict[str, object], lost: int) -> None:
    assert gates.unavailable(replace(facts, **change), "b") == lost  # type: ignore[arg-type]  # fields by name


def test_the_first_gate_speaks_and_each_can_be_switched_off_but_one(facts: gates.Facts) -> None:
    assert facts.chain is not None
    busy = replace(facts, chain=replace(facts.chain, phase=EpochPhase.SYNC))
    first = gates.first(gates.BEFORE_RESTART, busy, "b")
    assert first is not None
    assert first.reason is Reason.EPOCH_CHANGE_IN_PROGRESS
    off = gates.switched_off({gates.GATES_OFF_ANNOTATION: "EpochChangeInProgress, ChainMirrorStale"})
    second = gates.first(gates.BEFORE_RESTART, replace(busy, off=off), "b")
    assert second is not None
    assert second.reason is Reason.FAULT_BUDGET_EXCEEDED
    assert gates.first(gates.BEFORE_RESTART, replace(busy, fresh=False, off=off), "c") is not None
