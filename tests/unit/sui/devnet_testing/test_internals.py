"""The contract's internals as plain functions."""

import pytest

from walrus_sui import bls
from walrus_sui.devnet.move.framework.bls12381 import g1_to_uncompressed as uncompressed
from walrus_sui.devnet.testing import ArithmeticFailure, MoveAbort, bls_secret, internals
from walrus_sui.devnet.testing.internals import (
    active_set,
    bls_aggregate,
    committee,
    pending_values,
    pool_exchange_rate,
    redstuff,
    staked_wal,
    staking_inner,
    staking_pool,
    storage_accounting,
    wctx,
)

WAL = 10**9


def test_functions_have_the_contracts_names() -> None:
    assert staking_inner.dhondt(10, [5, 3, 1]) == staking_inner.pub_dhondt(10, [5, 3, 1]) == [6, 3, 1]
    assert staking_inner.max_shards_per_node(20, 1000) == 100
    assert committee.size(committee.initialize({"0x1": 2})) == 1
    assert pool_exchange_rate.convert_to_wal_amount(pool_exchange_rate.new(10, 5), 7) == 14
    assert pool_exchange_rate.convert_to_share_amount(pool_exchange_rate.flat(), 7) == 7
    values = pending_values.empty()
    pending_values.insert_or_add(values, 2, 5)
    assert (pending_values.value_at(values, 1), pending_values.flush(values, 2)) == (0, 5)
    nodes = active_set.new(2, 0)
    assert active_set.insert_or_update(nodes, "0x1", 5)
    assert active_set.active_ids_and_stake(nodes) == (["0x1"], [5])
    with pytest.raises(LookupError, match="committee has no function nonsense"):
        committee.nonsense({})


def test_arguments_may_be_named() -> None:
    pool = internals.new_pool(0)
    stake = staking_pool.stake(pool=pool, to_stake=WAL, wctx=wctx(0))
    assert (
        staking_pool.withdraw_stake(
            pool=pool, staked_wal=stake, in_current_committee=True, in_next_committee=False, wctx=0
        ).value
        == WAL
    )
    nodes = active_set.new(max_size=1, threshold_stake=5)
    assert active_set.insert_or_update(set=nodes, node_id="0x1", staked_amount=5)
    assert staking_inner.dhondt(n_shards=4, stake=[1, 1]) == [2, 2]


def test_an_active_set_of_limited_size() -> None:
    nodes = active_set.new(3, 100)
    seen = []
    for node_id, stake in ((1, 99), (1, 200), (2, 300), (3, 400), (4, 500), (5, 250), (6, 900), (7, 900), (8, 900)):
        active_set.insert_or_update(nodes, f"0x{node_id}", stake)
        seen.append((active_set.active_ids(nodes), active_set.cur_min_stake(nodes)))
    assert [len(ids) for ids, _ in seen] == [0, 1, 2, 3, 3, 3, 3, 3, 3]
    assert [least for _, least in seen] == [100, 100, 100, 200, 300, 300, 400, 500, 900]
    assert active_set.active_ids(nodes) == ["0x8", "0x6", "0x7"]  # each takes the smallest one's place
    assert (active_set.size(nodes), active_set.total_stake(nodes)) == (3, 2700)
    active_set.insert_or_update(nodes, "0x8", 0)
    assert active_set.active_ids(nodes) == ["0x7", "0x6"]


@pytest.mark.parametrize(
    ("n_shards", "primary", "secondary"),
    [
        (4, 2, 3),
        (7, 3, 5),
        (10, 4, 7),
        (13, 5, 9),
        (16, 6, 11),
        (31, 11, 21),
        (100, 34, 67),
        (301, 101, 201),
        (1000, 334, 667),
    ],
)
def test_redstuff_sizes(n_shards: int, primary: int, secondary: int) -> None:
    assert redstuff.source_symbols_primary(n_shards) == primary
    assert redstuff.source_symbols_secondary(n_shards) == secondary
    assert redstuff.n_source_symbols(n_shards) == primary * secondary
    largest = primary * secondary * 65_534
    assert redstuff.symbol_size(largest, n_shards) == 65_534
    with pytest.raises(ArithmeticFailure):
        redstuff.symbol_size(largest + 1, n_shards)
    assert [redstuff.symbol_size(length, n_shards) for length in (0, 1, 2 * primary * secondary)] == [2, 2, 2]
    assert redstuff.symbol_size(2 * primary * secondary + 1, n_shards) == 4
    each = (primary + secondary) * 2 + 64 * n_shards + 32
    assert redstuff.encoded_blob_length(0, n_shards) == n_shards * each


def test_a_certificate_needs_a_quorum_of_its_committee() -> None:
    secrets = [bls_secret(f"m{number}") for number in range(10)]
    members = [
        bls_aggregate.new_bls_committee_member(uncompressed(bls.public_key(secret)), weight, f"0x{number:064x}")
        for number, (secret, weight) in enumerate(zip(secrets, [1] * 9 + [2], strict=True))
    ]
    even = bls_aggregate.new_bls_committee(5, members[:9])
    heavy = bls_aggregate.new_bls_committee(5, members)
    message = b"whatever was agreed on"
    signature = bls.aggregate([bls.sign(secret, message) for secret in secrets[:7]])
    bitmap = bytes([0b0111_1111])
    # Seven of nine are a quorum, seven of eleven are none; each fits 3w >= 2n + 1 or fails it.
    assert bls_aggregate.verify_certificate(even, signature, bitmap, message) == 7
    for committee_, signed, bits, code in (
        (heavy, signature, bitmap, 2),
        (even, signature, bytes([0b1111_1110]), 1),
        (even, signature, bytes([0xFF, 0b10]), 0),
        (even, signature, bytes([0xFF, 0, 0]), 0),
        (even, bls.sign(secrets[0], message), bitmap, 1),
    ):
        with pytest.raises(MoveAbort) as refused:
            bls_aggregate.verify_certificate(committee_, signed, bits, message)
        assert refused.value == MoveAbort("bls_aggregate", code)
    assert [bls_aggregate.is_quorum(even, weight) for weight in (6, 7)] == [False, True]
    assert [bls_aggregate.includes_one_correct_node(even, weight) for weight in (3, 4)] == [False, True]
    assert bls_aggregate.n_members(even) == bls_aggregate.n_shards(even) == 9
    assert bls_aggregate.to_vec_map(heavy)[members[9].node_id] == bls_aggregate.get_member_weight(heavy, f"0x{9:064x}")
    with pytest.raises(MoveAbort) as refused:
        bls_aggregate.new_bls_committee(5, [bls_aggregate.new_bls_committee_member(members[0].public_key, 0, "0x1")])
    assert refused.value == MoveAbort("bls_aggregate", 3)


def test_quorums_over_votes_by_value() -> None:
    votes = dict(zip(range(1, 11), (5, 5, 4, 6, 3, 7, 2, 8, 1, 9), strict=True))
    assert internals.quorum_above(votes, 50) == 4
    votes = dict(zip(range(1, 11), (5, 5, 4, 6, 3, 7, 4, 6, 1, 9), strict=True))
    assert internals.quorum_below(votes, 50) == 7


def test_ids_are_compared_as_numbers_however_they_are_written() -> None:
    first = committee.initialize({"0x10": 1, "0x2": 2, "0x0a": 1})
    assert first == {"0x2": [0, 1], "0x0a": [2], "0x10": [3]}
    assert list(first) == ["0x2", "0x0a", "0x10"]
    assert committee.is_sorted(first)
    after = committee.transition(first, {"0x10": 3, "0x3": 1})
    assert list(after.items()) == [("0x3", [2]), ("0x10", [3, 1, 0])]
    assert committee.initialize({10: 1, 9: 1}) == {9: [0], 10: [1]}
    assert committee.initialize({"b": 1, "a": 1}) == {"a": [0], "b": [1]}


def test_an_argument_that_is_used_up_is_the_callers_still() -> None:
    first, wanted = {"0xa": [0, 1, 2]}, {"0xa": 1, "0xb": 2}
    assert committee.transition(first, wanted) == {"0xa": [0], "0xb": [1, 2]}
    assert (first, wanted) == ({"0xa": [0, 1, 2]}, {"0xa": 1, "0xb": 2})


def test_the_accounting_ring() -> None:
    ring = storage_accounting.ring_new(3)
    assert storage_accounting.max_epochs_ahead(ring) == 3
    assert [storage_accounting.epoch(storage_accounting.ring_lookup(ring, ahead)) for ahead in range(3)] == [0, 1, 2]
    storage_accounting.increase_used_capacity(storage_accounting.ring_lookup_mut(ring, 1), 9)
    storage_accounting.rewards_balance(storage_accounting.ring_lookup_mut(ring, 1)).value = 100
    assert storage_accounting.per_epoch_rewards(ring) == [0, 100, 0]
    assert storage_accounting.epoch(storage_accounting.ring_pop_expand(ring)) == 0
    assert storage_accounting.extract_burn_balance(ring).value == 3
    entry = storage_accounting.ring_pop_expand(ring)
    assert (storage_accounting.used_capacity(entry), storage_accounting.rewards(entry)) == (9, 97)
    with pytest.raises(MoveAbort) as refused:
        storage_accounting.ring_lookup(ring, 3)
    assert (refused.value.module, refused.value.code) == ("storage_accounting", 0)


def test_a_pool_advances_with_given_rewards() -> None:
    pool = internals.new_pool(wctx(1), commission_rate=1_000)
    stake = staking_pool.stake(pool, 1_000 * WAL, wctx(1))
    assert staked_wal.value(stake) == 1_000 * WAL
    staking_pool.advance_epoch(pool, 0, wctx(2))
    staking_pool.advance_epoch(pool, 500 * WAL, 3)
    assert staking_pool.commission_amount(pool) == staking_pool.blocked_commission_amount(pool) == 50 * WAL
    assert staking_pool.wal_balance_at_epoch(pool, 3) == staking_pool.wal_balance(pool) == 1_450 * WAL
    assert staking_pool.rewards_amount(pool) == 450 * WAL
    staking_pool.clear_blocked_commission(pool)
    assert staking_pool.blocked_commission_amount(pool) == 0
    assert staking_pool.is_active(pool)
    staking_pool.request_withdraw_stake(pool, stake, True, False, wctx(3))
    staking_pool.advance_epoch(pool, 0, wctx(4))
    assert staking_pool.withdraw_stake(pool, stake, True, False, wctx(4)).value == 1_450 * WAL
    with pytest.raises(MoveAbort) as refused:
        staking_pool.advance_epoch(pool, 0, wctx(4))
    assert (refused.value.module, refused.value.code) == ("staking_pool", 0)
