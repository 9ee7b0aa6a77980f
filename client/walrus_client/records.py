"""Records of blob objects and storage pools as nodes list them for one another: what they are about, and their order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class RecordKind(IntEnum):
    """What a record is about; in the order of the list."""

    POOL = 1
    OBJECT = 2
    POOLED = 3
    INVALID = 4


@dataclass(frozen=True, order=True)
class RecordKey:
    """One record's place in the list: its kind, and the object id or blob id."""

    kind: RecordKind
    id: bytes


@dataclass(frozen=True)
class RawRecord:
    """A record in its stored form."""

    key: RecordKey
    value: bytes
