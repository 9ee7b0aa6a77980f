"""Which certified blobs may lack something here: an index, so that nobody has to look through all blobs to find out.

    suspected   when the blob is certified (in the batch of its event), when something of it is taken out because it has
                rotted, when shards become Active or ActiveRecover (then every certified blob is, by one search through
                all; what a transferred shard lacks is found by the order of its index instead, without any search)
    cleared     by a look that finds nothing lacking, and with the blob's end

The law of it: whatever `incomplete`, which reads everything, finds in shards that are Active or ActiveRecover, is suspected;
so `blobs_lacking`, which looks at suspects only, finds the same. A look costs as many reads as there are suspects, none
when all is well. The search through all is noted on disk before shards change, goes in steps, and is done again from
the beginning when the process dies in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from walrus_codec.types import Axis, BlobId, Epoch, ShardIndex
from walrus_node.errors import DamagedError
from walrus_node.store import layout
from walrus_node.store.access import StoreAccess
from walrus_node.store.blob_records import ValidBlob
from walrus_node.store.forms import versioned
from walrus_node.store.kv import Batch
from walrus_node.store.transfers import is_certified_before

_STEP = 500
"""Blobs looked at in one go of a reading or of the writing thread: some milliseconds."""


class Suspects(StoreAccess):
    """The part of the store that recovery starts from."""

    async def incomplete(self, epoch: Epoch, shards: Iterable[ShardIndex]) -> list[BlobId]:
        """Blobs certified in `epoch` that lack their metadata or a sliver of the given shards; none without shards.

        Reads everything: for checks and tests. The running node asks `blobs_lacking`.
        """
        owned = tuple(shards)

        def look() -> list[BlobId]:
            certified = self._blobs.certified(epoch) if owned else ()
            return [blob_id for blob_id in certified if self._lacks(blob_id, owned)]

        return await self._read(look)

    async def blobs_lacking(self, epoch: Epoch, shards: Iterable[ShardIndex]) -> list[BlobId]:
        """What `incomplete` finds, from the suspects. Clears those that lack nothing.

        `shards` must be Active or ActiveRecover: what lacks in others is not searched for, a transfer brings it.
        """
        owned = tuple(shards)
        while (asked := await self._read(self._search_asked)) is not None:
            await self._search(asked, epoch)
        found: list[BlobId] = []
        after = b""
        while step := await self._read(self._suspects_after, after):
            after = step[-1]
            lacking, clear = await self._read(self._judge, step, epoch, owned)
            found += lacking
            if clear:
                await self._write(self._clear, clear)
        return found if owned else []

    async def suspect_gaps(self, shard: ShardIndex, epoch: Epoch) -> int:
        """Suspects what a shard lacks whose transfer has ended; returns how many blobs should have come with it.

        These are the ones that were certified before `epoch`. Blob ids and the shard's index are read side by side, in
        steps; nothing is looked up one by one.
        """
        gaps, after = 0, b""
        while step := await self._read(self._blobs.certified_after, epoch, after, _STEP):
            after = step[-1]
            lacking, due = await self._read(self._gaps, shard, step, epoch)
            if lacking:
                await self._write(self._suspect, lacking)
                gaps += due
        return gaps

    async def suspect(self, blob_ids: Iterable[BlobId]) -> None:
        """These blobs may lack something here: the next look will tell."""
        await self._write(self._suspect, tuple(blob_ids))

    async def clear(self, blob_id: BlobId) -> None:
        """Looks once more, and clears the blob if it lacks nothing in any shard that takes slivers, or is over."""
        await self._write(self._clear, [blob_id])

    async def _search(self, asked: bytes, epoch: Epoch) -> None:
        """Suspects every certified blob that lacks something; the note of the search goes last."""
        after = b""
        while step := await self._read(self._blobs.certified_after, epoch, after, _STEP):
            after = step[-1]
            await self._write(self._suspect, await self._read(self._judge_settled, step))
        await self._write(self._search_done, asked)

    def _search_asked(self) -> bytes | None:
        return self._kv.get(layout.NODE, layout.SEARCH_KEY)

    def _search_done(self, asked: bytes) -> None:
        # Shards that came while it ran have asked for another one.
        if self._search_asked() == asked:
            batch = Batch()
            batch.delete(layout.NODE, layout.SEARCH_KEY)
            self._kv.write(batch)

    def _suspects_after(self, after: bytes) -> list[BlobId]:
        found: list[BlobId] = []
        for key, _ in self._kv.scan(layout.SUSPECTS, start=after + b"\x00" if after else b""):
            found.append(BlobId(key))
            if len(found) == _STEP:
                break
        return found

    def _judge(
        self, blob_ids: list[BlobId], epoch: Epoch, owned: tuple[ShardIndex, ...]
    ) -> tuple[list[BlobId], list[BlobId]]:
        """Those that lack something of these shards, and those that look as if they lacked nothing at all."""
        alive = [blob_id for blob_id in blob_ids if self._is_certified(blob_id, epoch)]
        lacking = [blob_id for blob_id in alive if self._lacks(blob_id, owned)]
        innocent = set(blob_ids).difference(self._judge_all(alive))
        return lacking, sorted(innocent)

    def _judge_all(self, blob_ids: Iterable[BlobId]) -> tuple[BlobId, ...]:
        """Those that lack something in a shard that takes slivers."""
        writable = [shard for shard, status in self._shards.statuses.items() if status.writable]
        return tuple(blob_id for blob_id in blob_ids if self._lacks(blob_id, writable))

    def _judge_settled(self, blob_ids: Iterable[BlobId]) -> tuple[BlobId, ...]:
        """Those that lack something that no transfer is to bring."""
        settled = [shard for shard, status in self._shards.statuses.items() if status.settled]
        return tuple(blob_id for blob_id in blob_ids if self._lacks(blob_id, settled))

    def _gaps(self, shard: ShardIndex, blob_ids: list[BlobId], epoch: Epoch) -> tuple[tuple[BlobId, ...], int]:
        """Those of these blobs, which follow one another, that lack a sliver of the shard; how many were due with it."""
        lacking: set[BlobId] = set()
        for axis in Axis:
            here: set[BlobId] = set()
            for blob_id, _size in self._shards.blobs_from(shard, axis, blob_ids[0]):
                if blob_id > blob_ids[-1]:
                    break
                here.add(blob_id)
            lacking.update(blob_id for blob_id in blob_ids if blob_id not in here)
        due = sum(is_certified_before(self._blobs.info(blob_id), epoch) for blob_id in lacking)
        return tuple(sorted(lacking)), due

    def _suspect(self, blob_ids: tuple[BlobId, ...]) -> None:
        batch = Batch()
        for blob_id in blob_ids:
            batch.put(layout.SUSPECTS, blob_id, versioned(b""))
        self._kv.write(batch)

    def _clear(self, blob_ids: Iterable[BlobId]) -> None:
        """In the writer, where nothing changes between the look and the entry's end."""
        cursor = self._blobs.cursor()
        epoch = cursor.epoch if cursor else Epoch(0)
        batch = Batch()
        for blob_id in blob_ids:
            if not self._is_certified(blob_id, epoch) or not self._judge_all([blob_id]):
                batch.delete(layout.SUSPECTS, blob_id)
        self._kv.write(batch)

    def _is_certified(self, blob_id: BlobId, epoch: Epoch) -> bool:
        info = self._blobs.info(blob_id)
        return isinstance(info, ValidBlob) and info.is_certified(epoch)

    def _lacks(self, blob_id: BlobId, shards: Iterable[ShardIndex]) -> bool:
        if self._shards.missing(blob_id, shards):
            return True
        try:
            return not self._blobs.has_metadata(blob_id)
        except DamagedError:
            return True
