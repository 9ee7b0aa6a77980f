"""Stored forms: what is written is read, bytes are pinned, foreign bytes are refused."""

from dataclasses import replace

import pytest
from tests.unit.node.worlds import CAP, US, blob_id, event_id

from walrus_codec.types import Epoch
from walrus_node.errors import StoreError
from walrus_node.store import blob_records, records
from walrus_node.store.blob_records import InvalidBlob, ObjectInfo, PermanentInfo, PooledInfo, ValidBlob
from walrus_node.store.records import Cursor, Identity, NodeState, NodeStatus, ShardStatus

EVENT = event_id(7)
FULL = ValidBlob(
    3, 2, PermanentInfo(2, Epoch(9), EVENT), PermanentInfo(1, Epoch(8), EVENT), Epoch(4), Epoch(6), Epoch(5), 5, 4
)
FULL_HEX = (
    "00"
    "03000000"
    "02000000"
    "01"
    "02000000"
    "09000000"
    "03747837"
    "0000000000000000"
    "01"
    "01000000"
    "08000000"
    "03747837"
    "0000000000000000"
    "0104000000"
    "0106000000"
    "0105000000"
)
POOLED = PooledInfo(blob_id(1), Epoch(2), Epoch(3), CAP, deletable=True, event=EVENT)
OBJECT = ObjectInfo(blob_id(1), Epoch(2), Epoch(3), Epoch(9), deletable=True, event=EVENT, deleted=True)


@pytest.mark.parametrize("info", [ValidBlob(), FULL, InvalidBlob(Epoch(3), EVENT)])
def test_blob_records_come_back(info):
    assert blob_records.blob_info_from_bytes(blob_records.blob_info_to_bytes(info)) == info


@pytest.mark.parametrize(
    "record",
    [
        OBJECT,
        POOLED,
        ObjectInfo(blob_id(2), Epoch(1), None, Epoch(5), deletable=False, event=EVENT),
        Cursor(2**40, 1_700_000_000_000, Epoch(7)),
        Identity("4btiuiMPvEENsttpZC7CZ53DruC3MAgfznDbASZ7DR6S", US, CAP),
        *(NodeState(status, Epoch(3)) for status in NodeStatus),
    ],
)
def test_other_records_come_back(record):
    assert type(record).from_bytes(record.to_bytes()) == record


@pytest.mark.parametrize("status", ShardStatus)
def test_shard_statuses_come_back(status):
    assert records.shard_status_from_bytes(records.shard_status_to_bytes(status)) is status


def test_the_bytes_of_version_1_stay_readable():
    """Golden: a release that cannot read these cannot read the disks of its predecessors."""
    assert blob_records.blob_info_from_bytes(bytes.fromhex("01" + FULL_HEX)) == replace(
        FULL, pooled_total=0, pooled_certified=0
    )
    invalid = "0103000000037478370000000000000000"
    assert blob_records.blob_info_from_bytes(bytes.fromhex("01" + invalid)) == InvalidBlob(Epoch(3), EVENT)
    assert OBJECT.to_bytes().hex() == ("01" + "00" * 31 + "01020000000103000000090000000103747837000000000000000001")
    assert Cursor(5, 6, Epoch(7)).to_bytes().hex() == "010500000000000000060000000000000007000000"
    assert NodeState(NodeStatus.ACTIVE, Epoch(2)).to_bytes().hex() == "010641637469766502000000"
    assert records.shard_status_to_bytes(ShardStatus.LOCKED_TO_MOVE) == b"\x01\x0cLockedToMove"


def test_the_bytes_of_version_2_of_blob_records_stay_readable():
    assert blob_records.blob_info_to_bytes(FULL).hex() == "02" + FULL_HEX + "0500000004000000"
    assert blob_records.blob_info_to_bytes(InvalidBlob(Epoch(3), EVENT)).hex() == "020103000000037478370000000000000000"
    assert POOLED.to_bytes().hex() == (
        "01" + "00" * 31 + "01" + "02000000" + "0103000000" + "cc" * 32 + "01" + "03747837" + "0000000000000000"
    )


@pytest.mark.parametrize(
    "read",
    [
        blob_records.blob_info_from_bytes,
        ObjectInfo.from_bytes,
        PooledInfo.from_bytes,
        Cursor.from_bytes,
        Identity.from_bytes,
        NodeState.from_bytes,
        records.shard_status_from_bytes,
    ],
)
@pytest.mark.parametrize("value", [b"", b"\x02", b"\x01", b"\x01\x00", b"\x01" + b"\xff" * 200])
def test_bytes_of_no_known_form_are_refused(read, value):
    with pytest.raises(StoreError):
        read(value)


def test_a_blob_record_of_a_newer_kind_is_refused():
    with pytest.raises(StoreError, match="newer release"):
        blob_records.blob_info_from_bytes(b"\x01\x05")


def test_a_status_of_a_newer_release_is_refused():
    with pytest.raises(StoreError, match="newer release"):
        records.shard_status_from_bytes(b"\x01\x03Zzz")


def test_statuses_have_the_official_names():
    assert [status.value for status in NodeStatus] == [
        "Standby",
        "Active",
        "RecoverMetadata",
        "RecoveryCatchUp",
        "RecoveryInProgress",
        "RecoveryCatchUpWithIncompleteHistory",
    ]
    assert [status.value for status in ShardStatus] == ["None", "Active", "ActiveSync", "ActiveRecover", "LockedToMove"]
