"""Which pieces of delegated stake to take back, and how: by the rules of the staking contract.

A piece (StakedWal) that counts in a committee must be asked for and comes back in a later epoch; one that does not count
yet, or whose node is in no committee, comes back at once. What was asked for and is due is always fetched, whoever asked.
Pieces and what is left of them stay at 1 WAL at least, which the contract demands.
"""

from __future__ import annotations

from collections.abc import Iterable

from walrus_codec.types import NodeId
from walrus_operator.api.chain_view import FROST_PER_WAL, ChainView
from walrus_operator.api.decisions import Part, WithdrawStake
from walrus_sui.types import StakedWal


def pieces(chain: ChainView, node_id: NodeId) -> tuple[StakedWal, ...]:
    """What stands in a pool and was not asked back, the latest first: it has earned the least."""
    found = [piece for piece in chain.delegations if piece.node_id == node_id and piece.withdraw_epoch is None]
    return tuple(sorted(found, key=lambda piece: (-piece.activation_epoch, -piece.principal, piece.object_id)))


def parts(found: Iterable[StakedWal], frost: int) -> tuple[tuple[StakedWal, int | None], ...]:
    """Pieces that together hold at most `frost`: whole ones first, then a part of one (None stands for all of a piece)."""
    found = tuple(found)
    chosen: list[tuple[StakedWal, int | None]] = []
    for piece in found:
        if piece.principal <= frost:
            chosen.append((piece, None))
            frost -= piece.principal
    if frost >= FROST_PER_WAL:
        whole = {piece.object_id for piece, _ in chosen}
        divisible = (piece for piece in found if piece.object_id not in whole)
        large = next((piece for piece in divisible if piece.principal - frost >= FROST_PER_WAL), None)
        if large is not None:
            chosen.append((large, frost))
    return tuple(chosen)


def at_once(piece: StakedWal, chain: ChainView) -> bool:
    """Whether the contract pays a piece out without being asked an epoch before."""
    if piece.withdraw_epoch is not None:
        return piece.withdraw_epoch <= chain.epoch
    in_next = any(seat.node_id == piece.node_id for seat in chain.next_committee)
    if piece.activation_epoch > chain.epoch:
        return piece.activation_epoch == chain.epoch + 2 or not in_next
    return not in_next and not any(seat.node_id == piece.node_id for seat in chain.committee)


def withdrawal(chain: ChainView, surplus: Iterable[tuple[NodeId, int]]) -> WithdrawStake | None:
    """One transaction for all that should come back; None when nothing should.

    Args:
        chain: A view that was read in this pass.
        surplus: FROST that each pool has too much.
    """
    take = [Part(piece.object_id) for piece in _asked(chain) if at_once(piece, chain)]
    ask: list[Part] = []
    for node_id, frost in surplus:
        for piece, part in parts(pieces(chain, node_id), frost):
            (take if at_once(piece, chain) else ask).append(Part(piece.object_id, part))
    return WithdrawStake(tuple(ask), tuple(take)) if ask or take else None


def _asked(chain: ChainView) -> Iterable[StakedWal]:
    return (piece for piece in chain.delegations if piece.withdraw_epoch is not None)


def leaves_with(chain: ChainView, node_id: NodeId) -> int | None:
    """The epoch in which all that was asked back has left the pool; None when nothing was asked back."""
    asked = [piece.withdraw_epoch for piece in _asked(chain) if piece.node_id == node_id]
    return max((epoch for epoch in asked if epoch is not None), default=None)
