"""Committees: which node has which shards, and how shards move between two of them (contract module committee).

A committee is a dictionary from node id to shard indices, sorted by node id (which is the order of ids as numbers); the
shards inside a node keep the order in which they came.
"""

from typing import Annotated

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import as_u16, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, type_of, u16
from walrus_sui.devnet.move.framework.collections import map_get

MODULE = Module(WALRUS, "committee")

E_INVALID_SHARD_ASSIGNMENT = MODULE.error(0, "EInvalidShardAssignment")

Committee = dict[ObjectId, list[int]]
COMMITTEE = MODULE.wrapper("Committee", "copy, drop, store", type_of(dict[ID, list[u16]]))
CommitteeField = Annotated[Committee, COMMITTEE]


def initialize(assigned_number: dict[ObjectId, int]) -> Committee:
    """The first committee: nodes sorted by id, shards 0, 1, 2... in one go. Nodes without shards stay, empty."""
    committee: Committee = {}
    first = 0
    for node_id in sorted(assigned_number):
        end = as_u16(first + assigned_number[node_id])
        committee[node_id] = list(range(first, end))
        first = end
    return committee


def transition(cmt: Committee, new_assignments: dict[ObjectId, int]) -> Committee:
    """The committee with new numbers of shards, moving as few shards as possible.

    Args:
        cmt: the current one.
        new_assignments: number of shards by node; its order decides who takes which of the moving shards. It is used up.

    Returns:
        The new committee. Shards leave a shrinking node from the end of its list and reach a growing one from the end
        of the list of moving shards.
    """
    new_total = sum(new_assignments.values())
    current_total = sum(len(shards) for shards in cmt.values())
    kept: Committee = {}
    to_move: list[int] = []
    for node_id, previous in cmt.items():
        assigned = new_assignments.pop(node_id, 0)
        if assigned == 0:
            to_move.extend(previous)
        elif assigned <= len(previous):
            kept[node_id] = previous[:assigned]
            to_move.extend(reversed(previous[assigned:]))
        else:
            new_assignments[node_id] = assigned  # back in at the end: growing nodes come after new ones
    require(new_total == current_total, E_INVALID_SHARD_ASSIGNMENT)
    for node_id, assigned in new_assignments.items():
        if assigned > 0:
            shards = list(cmt.get(node_id, []))
            shards.extend(to_move.pop() for _ in range(assigned - len(shards)))
            kept[node_id] = shards
    return {node_id: kept[node_id] for node_id in sorted(kept)}


def diff(cmt_1: Committee, cmt_2: Committee) -> tuple[list[ObjectId], list[ObjectId]]:
    """Nodes only in the first and nodes only in the second, both sorted."""
    return [node for node in cmt_1 if node not in cmt_2], [node for node in cmt_2 if node not in cmt_1]


@MODULE.public("(cmt: &Committee, node_id: &ID): &vector<u16>")
def shards(_rt: Runtime, cmt: Committee, node_id: ObjectId) -> list[int]:
    """Shards of a member."""
    return map_get(cmt, node_id)


@MODULE.public("(cmt: &Committee): u64")
def size(_rt: Runtime, cmt: Committee) -> int:
    """Number of members."""
    return len(cmt)


@MODULE.public("(cmt: &Committee): &VecMap<ID, vector<u16>>")
def inner(_rt: Runtime, cmt: Committee) -> Committee:
    """The map from member to shards."""
    return cmt


@MODULE.public("(cmt: &Committee): VecMap<ID, vector<u16>>")
def to_inner(_rt: Runtime, cmt: Committee) -> Committee:
    """A copy of the map from member to shards."""
    return {node_id: list(held) for node_id, held in cmt.items()}
