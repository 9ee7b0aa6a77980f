"""The chain as it was some checkpoints ago."""

import pytest

from walrus_sui.devnet.ledger.errors import LedgerError
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.testing import Chain


def shown(ledger: Ledger, chain: Chain) -> tuple[object, ...]:
    alice = chain.account("alice").address
    objects = {obj.object_id: obj.digest for obj in ledger.objects()}
    return ledger.head, objects, ledger.balances(alice), ledger.owned_objects(alice), ledger.pending()


def test_the_past_is_what_it_was() -> None:
    chain = Chain({"n_shards": 10})
    was = {}
    for _ in range(6):
        first, second = chain.coin("alice", 5), chain.coin("bob", 7)
        chain.call("coin::join", sender="bob", self=second, c=chain.coin("bob", 1))
        chain.call("transfer::public_transfer", sender="alice", obj=first, recipient=chain.account("bob"))
        chain.advance(ms=10)
        was[chain.ledger.head.sequence] = shown(chain.ledger, chain)
    chain.coin("alice", 3)  # not in a checkpoint yet
    assert {sequence: shown(chain.ledger.as_of(sequence), chain) for sequence in was} == was
    newest = chain.ledger.head.sequence
    past = chain.ledger.as_of(newest - 2)
    assert past.checkpoint(newest) is None
    assert past.checkpoint(newest - 2) is not None
    assert [past.transaction(item.digest) for item in chain.ledger.pending()] == [None]
    with pytest.raises(LedgerError, match="not in memory"):
        chain.ledger.as_of(newest + 1)


def test_only_what_is_in_memory_can_be_looked_back_at() -> None:
    ledger, _ = Ledger.genesis(Chain().ledger.config, now_ms=1, history_limit=3)
    for now_ms in range(2, 12):
        ledger.close_checkpoint(now_ms)
    assert ledger.as_of(8).head.sequence == 8
    with pytest.raises(LedgerError, match="checkpoint 5 is not in memory"):
        ledger.as_of(5)
    with pytest.raises(LedgerError, match="checkpoint 0 is not in memory"):
        ledger.as_of(0)
