import dataclasses
import typing

import pytest

from walrus_codec import bcs
from walrus_sui import events
from walrus_sui.errors import MalformedChainData

PACKAGE = "0x" + "a1" * 32
BLOB = bytes(range(32))
OBJECT = b"\x0b" * 32
OBJECT_TEXT = "0x" + "0b" * 32
POOL = b"\x0c" * 32
POOL_TEXT = "0x" + "0c" * 32
E7, E9 = bcs.u32(7), bcs.u32(9)

CASES: list[tuple[str, bytes, events.Event]] = [
    (
        "BlobRegistered",
        E7 + BLOB + bcs.u64(5) + b"\x80" + E9 + b"\1" + OBJECT,
        events.BlobRegistered(7, BLOB, 5, 128, 9, True, OBJECT_TEXT),
    ),
    (
        "BlobCertified",
        E7 + BLOB + E9 + b"\0" + OBJECT + b"\1",
        events.BlobCertified(7, BLOB, 9, False, OBJECT_TEXT, True),
    ),
    ("BlobDeleted", E7 + BLOB + E9 + OBJECT + b"\1", events.BlobDeleted(7, BLOB, 9, OBJECT_TEXT, True)),
    ("InvalidBlobID", E7 + BLOB, events.InvalidBlobId(7, BLOB)),
    ("EpochChangeStart", E7, events.EpochChangeStart(7)),
    ("EpochChangeDone", E7, events.EpochChangeDone(7)),
    ("EpochParametersSelected", E9, events.EpochParametersSelected(9)),
    ("ShardsReceived", E7 + b"\2\1\0\0\1", events.ShardsReceived(7, (1, 256))),
    ("ShardRecoveryStart", E7 + b"\0", events.ShardRecoveryStart(7, ())),
    ("PricesUpdated", E7 + bcs.u64(1) + bcs.u64(2), events.PricesUpdated(7, 1, 2)),
    ("ContractUpgraded", E7 + OBJECT + bcs.u64(5), events.ContractUpgraded(7, OBJECT_TEXT, 5)),
    ("ContractUpgradeProposed", E7 + b"\2ab", events.ContractUpgradeProposed(7, b"ab")),
    ("ContractUpgradeQuorumReached", E7 + b"\2ab", events.ContractUpgradeQuorumReached(7, b"ab")),
    ("ProtocolVersionUpdated", E7 + E9 + bcs.u64(3), events.ProtocolVersionUpdated(7, 9, 3)),
    (
        "RegisterDenyListUpdate",
        E7 + BLOB + bcs.u64(4) + OBJECT,
        events.RegisterDenyListUpdate(7, BLOB, 4, OBJECT_TEXT),
    ),
    ("DenyListUpdate", E7 + BLOB + bcs.u64(4) + OBJECT, events.DenyListUpdate(7, BLOB, 4, OBJECT_TEXT)),
    ("DenyListBlobDeleted", E7 + BLOB, events.DenyListBlobDeleted(7, BLOB)),
    (
        "StoragePoolCreated",
        E7 + POOL + bcs.u64(10) + E7 + E9,
        events.StoragePoolCreated(7, POOL_TEXT, 10, 7, 9),
    ),
    ("StoragePoolExtended", E7 + POOL + E9, events.StoragePoolExtended(7, POOL_TEXT, 9)),
    (
        "PooledBlobRegistered",
        E7 + BLOB + bcs.u64(5) + b"\1\0" + OBJECT + POOL,
        events.PooledBlobRegistered(7, BLOB, 5, 1, False, OBJECT_TEXT, POOL_TEXT),
    ),
    (
        "PooledBlobCertified",
        E7 + BLOB + b"\1" + OBJECT + POOL,
        events.PooledBlobCertified(7, BLOB, True, OBJECT_TEXT, POOL_TEXT),
    ),
    (
        "PooledBlobDeleted",
        E7 + BLOB + OBJECT + b"\0" + POOL,
        events.PooledBlobDeleted(7, BLOB, OBJECT_TEXT, False, POOL_TEXT),
    ),
]


@pytest.mark.parametrize(("name", "contents", "event"), CASES, ids=[case[0] for case in CASES])
def test_every_event_is_decoded_from_its_documented_fields(name: str, contents: bytes, event: events.Event) -> None:
    assert events.decode(f"{PACKAGE}::events::{name}", contents) == event
    assert events.event_name(event) == name
    with pytest.raises(MalformedChainData, match=name):
        events.decode(f"{PACKAGE}::events::{name}", contents[:-1])
    with pytest.raises(MalformedChainData, match=name):
        events.decode(f"{PACKAGE}::events::{name}", contents + b"\0")


def test_no_event_is_missing_here() -> None:
    assert {type(event) for _name, _contents, event in CASES} == set(typing.get_args(events.Event))
    assert all(dataclasses.is_dataclass(kind) for kind in typing.get_args(events.Event))


def test_only_events_of_the_named_packages_count() -> None:
    kind = f"{PACKAGE}::events::EpochChangeStart"
    assert events.decode(kind, E7, packages={PACKAGE}) == events.EpochChangeStart(7)
    assert events.decode(kind, E7, packages={"0x" + "a2" * 32}) is None


@pytest.mark.parametrize("kind", [f"{PACKAGE}::other::EpochChangeStart", f"{PACKAGE}::events::News", "u64", ""])
def test_other_types_are_no_events_of_ours(kind: str) -> None:
    assert events.decode(kind, b"anything") is None
