"""What availability challenges leave behind: the epoch's blobs, cases, reports, votes, declarations, transcripts.

    kind       key behind kind and epoch        value
    00 round   (none)                           ChallengeRound: policy, number of blobs, root
    01 blobs   number u32                       up to 4,096 blob ids, in order
    02 case    prover                           CaseRecord: attempts that this node has begun and how they ended
    03 report  challenger, prover, 0 | 1        signed report; 1 is a second, different one, which voids both
    04 vote    candidate                        VoteRecord: what became of this node's vote against it
    05 recover node                             its signature that it recovers in this epoch
    06 script  prover                           transcript of the attempt that failed

The blobs of an epoch are read from the records when its first checkpoint has been applied and before the next one is, so
all honest nodes find the same; a process that dies in between does it at its next start (`at_epoch_start`). Everything
else is written before it is acted on. Old epochs are dropped as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass

from walrus_client.challenges.blobs import FIRST_EPOCH, BlobSet, is_old_enough
from walrus_client.challenges.policy import Policy
from walrus_client.challenges.reports import SignedReport
from walrus_client.challenges.verdicts import Case
from walrus_codec import bcs
from walrus_codec.types import BlobId, Epoch, NodeId
from walrus_node.store import layout
from walrus_node.store.access import StoreAccess
from walrus_node.store.blob_records import InvalidBlob
from walrus_node.store.challenge_forms import CaseRecord, ChallengeRound, VoteRecord
from walrus_node.store.forms import decoded, unversioned, versioned
from walrus_node.store.kv import Batch

_ROUND, _BLOBS, _CASE, _REPORT, _VOTE, _RECOVERING, _TRANSCRIPT = range(7)
_IDS = 4096


@dataclass(frozen=True)
class CellSource:
    """A blob of which a cell is asked for.

    Attributes:
        invalid: the blob was proved badly encoded.
        metadata: BCS BlobMetadata; None when they are not here.
    """

    invalid: bool
    metadata: bytes | None


class ChallengeRecords(StoreAccess):
    """The part of the store that challenges use."""

    async def take_round(self, epoch: Epoch, policy: Policy) -> ChallengeRound:
        """Finds and stores the blobs that are asked for in `epoch`; to be called before anything of it is applied.

        Reads all blobs' records: a million take about four seconds of a reading thread, for which events wait.
        """
        found = await self._read(self._blobs_of, epoch)
        made = ChallengeRound(policy, len(found), found.root)

        def store() -> None:
            batch = Batch()
            for start in range(0, len(found), _IDS):
                key = layout.challenge_key(_BLOBS, epoch, (start // _IDS).to_bytes(4, "big"))
                batch.put(layout.CHALLENGES, key, versioned(found.ids[32 * start : 32 * (start + _IDS)]))
            batch.put(layout.CHALLENGES, layout.challenge_key(_ROUND, epoch), made.to_bytes())
            self._kv.write(batch)

        await self._write(store)
        return made

    async def challenge_round(self, epoch: Epoch) -> ChallengeRound | None:
        """What the epoch's challenges rest on; None when it was not found out at the epoch's start."""
        value = await self._read(self._kv.get, layout.CHALLENGES, layout.challenge_key(_ROUND, epoch))
        return None if value is None else ChallengeRound.from_bytes(value)

    async def challenged_blobs(self, epoch: Epoch, root: bytes) -> BlobSet:
        """The blobs that are asked for in the epoch, in order; `root` is the one that was stored with them."""
        parts = await self._read(lambda: [unversioned(value, "blob ids") for _key, value in self._scan(_BLOBS, epoch)])
        return BlobSet(b"".join(parts), root)

    async def at_epoch_start(self) -> bool:
        """Whether nothing was applied yet behind the checkpoint that began the current epoch."""

        def look() -> bool:
            cursor = self._blobs.cursor()
            return cursor is not None and cursor.timestamp_ms == self._blobs.epoch_start_ms()

        return await self._read(look)

    async def case(self, epoch: Epoch, prover: NodeId) -> CaseRecord:
        """What this node has done with a prover; nothing yet when there is no record."""
        key = layout.challenge_key(_CASE, epoch, _node(prover))
        value = await self._read(self._kv.get, layout.CHALLENGES, key)
        return CaseRecord(Case(epoch)) if value is None else CaseRecord.from_bytes(value, epoch)

    async def set_case(self, epoch: Epoch, prover: NodeId, record: CaseRecord) -> None:
        """Stores it durably: a seed may be used only behind this."""
        await self._put_challenge(layout.challenge_key(_CASE, epoch, _node(prover)), record.to_bytes(), sync=True)

    async def add_report(
        self, epoch: Epoch, challenger: NodeId, prover: NodeId, signed: SignedReport, *, second: bool
    ) -> None:
        """Stores a verified report durably."""
        rest = _node(challenger) + _node(prover) + bytes([second])
        value = versioned(bcs.bytes_(signed.body) + bcs.bytes_(signed.signature))
        await self._put_challenge(layout.challenge_key(_REPORT, epoch, rest), value, sync=True)

    async def reports(self, epoch: Epoch, challengers: Sequence[NodeId] = ()) -> list[SignedReport]:
        """Stored reports of an epoch, of these challengers or of all."""
        return [signed async for page in self.report_pages(epoch, challengers, count=1024) for signed in page]

    async def report_pages(
        self, epoch: Epoch, challengers: Sequence[NodeId] = (), *, count: int
    ) -> AsyncGenerator[list[SignedReport]]:
        """The same, `count` at a time: each page is read when it is asked for, so no more of them are held."""
        prefixes = [_node(node) for node in challengers] or [b""]

        def read(place: int, after: bytes) -> tuple[list[SignedReport], int, bytes]:
            found: list[SignedReport] = []
            while place < len(prefixes):
                for key, value in self._scan(_REPORT, epoch, prefixes[place], after=after):
                    found.append(decoded(value, "report", lambda r: SignedReport(r.bytes_(), r.bytes_())))
                    after = key
                    if len(found) == count:
                        return found, place, after
                place, after = place + 1, b""
            return found, place, after

        place, after = 0, b""
        while place < len(prefixes):
            page, place, after = await self._read(read, place, after)
            if page:
                yield page

    async def vote(self, epoch: Epoch, candidate: NodeId) -> VoteRecord | None:
        """What became of this node's vote; None when there was no reason for one."""
        key = layout.challenge_key(_VOTE, epoch, _node(candidate))
        value = await self._read(self._kv.get, layout.CHALLENGES, key)
        return None if value is None else VoteRecord.from_bytes(value)

    async def votes(self, epoch: Epoch) -> dict[NodeId, VoteRecord]:
        """What became of all votes of this node in an epoch, by candidate."""

        def read() -> dict[NodeId, VoteRecord]:
            found = self._scan(_VOTE, epoch)
            return {_node_of(key[5:]): VoteRecord.from_bytes(value) for key, value in found}

        return await self._read(read)

    async def set_vote(self, epoch: Epoch, candidate: NodeId, record: VoteRecord) -> None:
        """Notes it."""
        await self._put_challenge(layout.challenge_key(_VOTE, epoch, _node(candidate)), record.to_bytes())

    async def declarations(self, epoch: Epoch) -> list[NodeId]:
        """Nodes that recover in this epoch, as they have signed."""
        return await self._read(lambda: [_node_of(key[5:]) for key, _value in self._scan(_RECOVERING, epoch)])

    async def declared(self, epoch: Epoch, node: NodeId, signature: bytes) -> None:
        """Notes a verified declaration."""
        await self._put_challenge(layout.challenge_key(_RECOVERING, epoch, _node(node)), versioned(signature))

    async def transcript(self, epoch: Epoch, prover: NodeId) -> bytes | None:
        """The transcript of the attempt that failed, None when none did."""
        key = layout.challenge_key(_TRANSCRIPT, epoch, _node(prover))
        value = await self._read(self._kv.get, layout.CHALLENGES, key)
        return None if value is None else bytes(unversioned(value, "transcript"))

    async def set_transcript(self, epoch: Epoch, prover: NodeId, transcript: bytes) -> None:
        """Keeps a transcript."""
        await self._put_challenge(layout.challenge_key(_TRANSCRIPT, epoch, _node(prover)), versioned(transcript))

    async def drop_challenges(self, *, before: Epoch) -> None:
        """Forgets everything of epochs before `before`."""

        def drop() -> None:
            batch = Batch()
            for kind in range(_TRANSCRIPT + 1):
                start, end = layout.challenge_key(kind, Epoch(0)), layout.challenge_key(kind, before)
                for key, _value in self._kv.scan(layout.CHALLENGES, start=start, end=end):
                    batch.delete(layout.CHALLENGES, key)
            if batch:
                self._kv.write(batch)

        await self._write(drop)

    async def drop_challenged_blobs(self, *, before: Epoch) -> None:
        """Forgets which blobs were asked for in epochs before `before`: nobody asks any more."""

        def drop() -> None:
            batch = Batch()
            start, end = layout.challenge_key(_BLOBS, Epoch(0)), layout.challenge_key(_BLOBS, before)
            for key, _value in self._kv.scan(layout.CHALLENGES, start=start, end=end):
                batch.delete(layout.CHALLENGES, key)
            if batch:
                self._kv.write(batch)

        await self._write(drop)

    async def cell_source(self, blob_id: BlobId) -> CellSource:
        """What is known of a blob of which a cell is asked for, in one go of a reading thread."""

        def read() -> CellSource:
            if isinstance(self._blobs.info(blob_id), InvalidBlob):
                return CellSource(invalid=True, metadata=None)
            return CellSource(invalid=False, metadata=self._blobs.metadata(blob_id))

        return await self._read(read)

    def _blobs_of(self, epoch: Epoch) -> BlobSet:
        if epoch < FIRST_EPOCH:
            return BlobSet.of(())
        return BlobSet.in_order(
            blob_id for blob_id, since in self._blobs.certified_since(epoch) if is_old_enough(since, epoch)
        )

    def _scan(
        self, kind: int, epoch: Epoch, prefix: bytes = b"", *, after: bytes = b""
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries in the order of their keys, from the one behind `after` on."""
        start = layout.challenge_key(kind, epoch, prefix)
        first = after + b"\x00" if after else start
        return self._kv.scan(layout.CHALLENGES, start=first, end=layout.end_of_prefix(start))

    async def _put_challenge(self, key: bytes, value: bytes, *, sync: bool = False) -> None:
        def put() -> None:
            batch = Batch()
            batch.put(layout.CHALLENGES, key, value)
            self._kv.write(batch)

        await self._write(put)
        if sync:
            await self.sync()


def _node(node: NodeId) -> bytes:
    return bytes.fromhex(node[2:])


def _node_of(raw: bytes) -> NodeId:
    return NodeId("0x" + raw.hex())
