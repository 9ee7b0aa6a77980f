"""Laws of storage: cutting and joining neither makes nor loses a byte in any epoch."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from walrus_codec.types import SuiAddress
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.core.packages import Packages
from walrus_sui.devnet.move.core.runtime import ChainRules, Runtime
from walrus_sui.devnet.move.walrus import storage_resource
from walrus_sui.devnet.move.walrus.storage_resource import Storage

STEP = st.tuples(st.sampled_from(["epoch", "size", "periods", "amount", "fuse"]), *[st.integers(0, 12)] * 3)


def runtime() -> Runtime:
    nobody = SuiAddress("0x" + "0" * 64)
    return Runtime(nobody, bytes(32), ChainRules(Packages(()), frozenset()), lambda _: None, registry.resolve)


def bytes_by_epoch(pieces: list[Storage]) -> Counter[int]:
    total: Counter[int] = Counter()
    for piece in pieces:
        for epoch in range(piece.start_epoch, piece.end_epoch):
            total[epoch] += piece.storage_size
    return total


@given(steps=st.lists(STEP, max_size=40), size=st.integers(1, 12), epochs=st.integers(1, 12))
def test_bytes_are_kept_in_every_epoch(steps: list[tuple[str, int, int, int]], size: int, epochs: int) -> None:
    rt = runtime()
    pieces = [storage_resource.create_storage(rt, start_epoch=0, end_epoch=epochs, storage_size=size)]
    start = bytes_by_epoch(pieces)
    for action, pick, other, value in steps:
        chosen = pieces[pick % len(pieces)], pieces[other % len(pieces)]
        before = [(item.start_epoch, item.end_epoch, item.storage_size) for item in pieces]
        try:
            _act(rt, pieces, action, chosen, value)
        except MoveAbort:
            assert before == [(item.start_epoch, item.end_epoch, item.storage_size) for item in pieces]
        assert bytes_by_epoch(pieces) == start
        assert all(item.start_epoch < item.end_epoch for item in pieces)
    assert rt.created == dict.fromkeys(item.id for item in pieces)


def _act(rt: Runtime, pieces: list[Storage], action: str, chosen: tuple[Storage, Storage], value: int) -> None:
    piece, second = chosen
    if action == "epoch":
        pieces.append(storage_resource.split_by_epoch(rt, piece, value))
    elif action == "size":
        pieces.append(storage_resource.split_by_size(rt, piece, value))
    elif piece is not second:
        fuse: Any = {
            "periods": storage_resource.fuse_periods,
            "amount": storage_resource.fuse_amount,
            "fuse": storage_resource.fuse,
        }[action]
        deleted = dict(rt.created)
        try:
            fuse(rt, piece, second)
        except MoveAbort:
            rt.created = deleted  # an abort undoes the transaction
            raise
        pieces.remove(second)
