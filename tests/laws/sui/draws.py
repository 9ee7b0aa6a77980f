"""Values of random calls by the names of parameters, or by types: near the limits that the contract sets."""

from collections.abc import Callable
from random import Random
from typing import Any

from tests.laws.sui.random_calls import DIGESTS, KEYS, MIB, RS2, WAL, RandomCall


def _whole(low: int, high: int) -> Callable[[RandomCall], int]:
    return lambda call: call.dice.randint(low, high)


def _one_of(*values: Any) -> Callable[[RandomCall], Any]:
    return lambda call: call.dice.choice(values)


def _around_epoch(before: int, after: int) -> Callable[[RandomCall], int]:
    return lambda call: max(0, call.epoch + call.dice.randint(-before, after))


def _part(parameter: str, field: str) -> Callable[[RandomCall], int]:
    """Less, as much as, or more than an object has."""

    def draw(call: RandomCall) -> int:
        has = getattr(call.value(call.given[parameter]), field)
        has = getattr(has, "value", has)
        return int(call.dice.choice((0, has // 2, has // 2, max(has - WAL, 0), has, has + 1)))

    return draw


def _inside_period(storage: Any, dice: Random) -> int:
    return dice.randint(storage.start_epoch, storage.end_epoch)


_PRICE = _one_of(0, 5, 777, 10**5, 10**6)
_BYTES = _one_of(0, 1, MIB, 5 * MIB, 10**8, 10**8, 10**15)
DRAWS: dict[str, Callable[[RandomCall], Any]] = {
    "balance::split.value": _one_of(0, 1, WAL // 2, 2 * WAL),
    "coin::take.value": _one_of(0, 1, WAL // 2, 2 * WAL),
    "n": _whole(0, 4),
    "recipient": lambda call: call.dice.choice(call.people).address,
    "split_amount": RandomCall.amount,
    "split_amounts": lambda call: [call.dice.randrange(WAL) for _ in range(call.dice.randrange(4))],
    "additional_encoded_capacity_bytes": _BYTES,
    "activation_epoch": _around_epoch(3, 1),
    "addr": lambda call: call.dice.choice(call.people),
    "amount": RandomCall.amount,
    "amount_sui": RandomCall.amount,
    "amount_wal": RandomCall.amount,
    "base_subsidy": _one_of(0, 1, WAL),
    "blob_id": lambda call: call.shape()[2],
    "candidate_node_id": RandomCall.node_id,
    "commission_rate": _one_of(0, 500, 600, 6_000, 10_000, 10_001),
    "deletable": _one_of(True, False),
    "deny_list_root": _whole(0, 9),
    "deny_list_sequence": lambda call: call.value(call.given["cap"]).deny_list_sequence + call.dice.randrange(3),
    "description": _one_of("", "text"),
    "digest": _one_of(*DIGESTS),
    "encoding_type": _one_of(RS2, RS2, RS2, 0),
    "end_epoch": _around_epoch(0, 6),
    "epoch": lambda call: call.epoch + (not call.often()),
    "epochs_ahead": _whole(0, 6),
    "extended_epochs": _one_of(0, 1, 1, 2, 3),
    "extra_fields": _one_of({}, {"a": "b"}),
    "id": lambda call: call.dice.choice(call.people).address,
    "image_url": _one_of("", "https://a.example/i.png"),
    "key": _one_of(*KEYS),
    "staking::register_candidate.name": _one_of("node", "other"),
    "name": _one_of("node", "x" * 100, "x" * 101),
    "n_shards": _one_of(10, 1000),
    "network_address": _one_of("a.example:9185", "b.example:9185", "b" * 260),
    "network_public_key": lambda call: b"\x02" + call.dice.randbytes(32),
    "new_rate": _one_of(0, 500, 20_000, 1_000_001),
    "node_capacity": _one_of(10**9, 10**10, 10**11),
    "node_id": RandomCall.node_id,
    "node_ids": lambda call: [call.node_id() for _ in range(call.dice.randrange(3))],
    "percent": _one_of(0, 1, 50, 100, 101),
    "project_url": _one_of("", "https://a.example"),
    "proposals": lambda call: call.dice.sample(list(DIGESTS), call.dice.randrange(3)),
    "receiver": lambda call: call.dice.choice((call.program.sender, call.program.sender, *call.people)),
    "authorized": lambda call: call.dice.choice((call.program.sender, call.program.sender, *call.people)),
    "reserved_encoded_capacity_bytes": _BYTES,
    "root_hash": _whole(0, 9),
    "size": _one_of(0, 1, 1_000, MIB),
    "split_epoch": lambda call: _inside_period(call.value(call.given["storage"]), call.dice),
    "split_size": _part("storage", "storage_size"),
    "staked_principal": RandomCall.amount,
    "staked_wal::split.amount": _part("sw", "principal"),
    "start_epoch": _around_epoch(1, 2),
    "storage_amount": _BYTES,
    "storage_price": _PRICE,
    "subsidies": lambda call: call.balances(call.dice.choice((0, 1, 5, 6))),
    "subsidy_per_shard": _one_of(0, 1, 10**6),
    "sui": _whole(0, 3),
    "system_subsidy_rate": _one_of(0, 500, 10_000),
    "to_stake": lambda call: call.dice.choice((WAL - 1, WAL, call.dice.randrange(WAL, 40 * WAL))),
    "unencoded_length": _one_of(0, 1, MIB, 1 << 40),
    "value": _one_of("one", "two"),
    "extended_field::new.value": _whole(0, 9),
    "extended_field::swap.value": _whole(0, 9),
    "wal": _whole(0, 3),
    "wal_exchange::add_all_sui.sui": RandomCall.amount,
    "wal_exchange::add_all_wal.wal": RandomCall.amount,
    "wal_exchange::add_sui.sui": _one_of(3 * WAL),
    "wal_exchange::add_wal.wal": _one_of(3 * WAL),
    "wal_exchange::new_funded.wal": _one_of(3 * WAL),
    "wal_exchange::exchange_all_for_sui.wal": RandomCall.amount,
    "wal_exchange::exchange_all_for_wal.sui": RandomCall.amount,
    "wal_exchange::exchange_for_sui.wal": _one_of(3 * WAL),
    "wal_exchange::exchange_for_wal.sui": _one_of(3 * WAL),
    "withdraw_epoch": _around_epoch(3, 2),
    "write_price": _PRICE,
    "Balance": RandomCall.balance,
    "Coin": RandomCall.amount,
    "Committee": lambda call: call.program.call("staking::compute_next_committee")[0],
    "Metadata": RandomCall.metadata,
}
