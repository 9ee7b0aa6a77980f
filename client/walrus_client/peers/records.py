"""What a node says about blob objects and storage pools, and the parser that lets only an ordered list of it in. Pure.

Records ascend by kind and id, so lists of several nodes can be compared side by side without holding any of them whole.
What a record says is not read here: its form is the node's own.
"""

from __future__ import annotations

from walrus_client.peers import wire
from walrus_client.records import RawRecord, RecordKey, RecordKind
from walrus_proto.node.v1 import node_pb2 as pb

MAX_VALUE = 512
"""Bytes of the largest record."""


class RecordParser:
    """Judges one ListRecords stream."""

    def __init__(self) -> None:
        self._last: RecordKey | None = None
        self._complete = False

    def feed(self, part: pb.ListRecordsResponse) -> list[RawRecord]:
        """Takes one message; returns its records.

        Raises:
            MalformedAnswer: unknown kinds, ids of a wrong length, too large values, or no ascending order.
        """
        if self._complete:
            raise wire.MalformedAnswer("a list of records goes on after its end")
        found = [self._record(record) for record in part.records]
        self._complete = part.complete
        return found

    def finish(self) -> None:
        """The stream has ended."""
        if not self._complete:
            raise wire.MalformedAnswer("a list of records broke off")

    def _record(self, record: pb.Record) -> RawRecord:
        if len(record.id) != 32 or not 0 < len(record.value) <= MAX_VALUE:
            raise wire.MalformedAnswer("a record's id or value is of a wrong length")
        try:
            key = RecordKey(RecordKind(record.kind), record.id)
        except ValueError:
            raise wire.MalformedAnswer(f"a record is of no known kind, but {record.kind}") from None
        if self._last is not None and key <= self._last:
            raise wire.MalformedAnswer("records are not in ascending order")
        self._last = key
        return RawRecord(key, record.value)
