"""The typed store on both databases: what goes in comes back, once, and to those who may have it."""

import pytest
from tests.unit.node.feeding import O1, O2, S0, S1, B, C, feed, fill, start_epochs
from tests.unit.node.worlds import (
    CAP,
    IDENTITY,
    US,
    blob_id,
    certified,
    object_id,
    put_state,
    registered,
)

from walrus_client.challenges.reports import SignedReport
from walrus_codec.types import Axis, Epoch, NodeId
from walrus_node.errors import IdentityError, MetadataMissingError, ShardNotHereError, StoreError
from walrus_node.store.records import Cursor, Identity, NodeState, NodeStatus, ShardStatus
from walrus_node.store.shards import SliverKey
from walrus_sui.events import EpochChangeStart


class TestTheNodeItself:
    async def test_a_new_store_belongs_to_nobody_and_stands_by(self, storage):
        assert await storage.identity() is None
        assert await storage.node_state() == NodeState(NodeStatus.STANDBY, Epoch(0))
        assert await storage.cursor() is None

    async def test_the_identity_is_bound_once(self, storage):
        await storage.set_identity(IDENTITY)
        await storage.set_identity(IDENTITY)
        assert await storage.identity() == IDENTITY
        with pytest.raises(IdentityError, match="wipe it when the network is made anew"):
            await storage.set_identity(Identity("other chain", US, CAP))

    async def test_the_state_is_kept(self, storage):
        state = NodeState(NodeStatus.ACTIVE, Epoch(3))
        await put_state(storage, state)
        assert await storage.node_state() == state


class TestEvents:
    async def test_effects_and_cursor_come_together(self, storage):
        await feed(storage, registered(B, O1, 5), certified(B, O1, 5))
        assert (await storage.blob_info(B)).is_certified(Epoch(1))
        assert (await storage.object_info(O1)).certified_epoch == 1
        assert await storage.cursor() == Cursor(0, 0, Epoch(0))

    async def test_a_rule_that_fails_leaves_nothing_behind(self, storage):
        await feed(storage)
        with pytest.raises(Exception, match="registered twice"):
            await feed(storage, registered(B, O1, 5), registered(B, O1, 5))
        assert await storage.blob_info(B) is None
        assert (await storage.cursor()).sequence == 0

    async def test_gaps_are_refused(self, storage):
        await feed(storage)
        with pytest.raises(StoreError, match="cannot follow 0"):
            await storage.apply(2, 0, lambda _: None)

    async def test_objects_expire_by_the_index_of_ends_also_after_an_extension(self, storage):
        await feed(storage, registered(B, O1, 2), certified(B, O1, 2), registered(B, O2, 3))
        await feed(storage, certified(B, O1, 4, extension=True))
        await start_epochs(storage, 3)
        assert await storage.object_info(O1) is not None
        assert await storage.object_info(O2) is None
        await start_epochs(storage, 4)
        assert await storage.object_info(O1) is None
        assert await storage.garbage() == [B]

    async def test_an_object_that_is_extended_in_the_checkpoint_of_the_epoch_change_lives(self, storage):
        await feed(storage, registered(B, O1, 1), certified(B, O1, 1))
        await feed(storage, certified(B, O1, 9, extension=True), EpochChangeStart(Epoch(1)))
        assert await storage.object_info(O1) is not None


class TestSlivers:
    async def test_metadata_are_stored_once(self, storage):
        assert await storage.put_metadata(B, b"metadata")
        assert not await storage.put_metadata(B, b"other")
        assert await storage.metadata(B) == b"metadata"
        assert storage.blobs_stored == 1

    async def test_slivers_are_stored_once_and_come_back(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await storage.put_metadata(B, b"metadata")
        key = SliverKey(S0, Axis.SECONDARY, B)
        large = bytes(100_000)
        assert await storage.put_sliver(key, large)
        assert not await storage.put_sliver(key, b"other")
        assert await storage.sliver(key) == large
        assert await storage.sliver(SliverKey(S0, Axis.PRIMARY, B)) is None
        assert await storage.sliver(SliverKey(S1, Axis.PRIMARY, B)) is None
        assert storage.slivers_stored == 1

    async def test_a_batch_keeps_what_is_good_and_answers_for_each(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await storage.put_metadata(B, b"metadata")
        good = SliverKey(S0, Axis.PRIMARY, B)
        batch = [good, SliverKey(S1, Axis.PRIMARY, B), SliverKey(S0, Axis.PRIMARY, C), good]
        stored, no_shard, no_metadata, again = await storage.put_slivers((key, b"sliver") for key in batch)
        assert (stored, again) == (True, False)
        assert isinstance(no_shard, ShardNotHereError)
        assert isinstance(no_metadata, MetadataMissingError)
        assert await storage.sliver(good) == b"sliver"
        assert await storage.stored(C) == []
        assert storage.slivers_stored == 1

    async def test_what_is_missing_is_told(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await storage.put_metadata(B, b"metadata")
        await storage.put_sliver(SliverKey(S0, Axis.PRIMARY, B), b"x")
        missing = await storage.missing(B, [S0, S1])
        assert missing == [
            SliverKey(S0, Axis.SECONDARY, B),
            SliverKey(S1, Axis.PRIMARY, B),
            SliverKey(S1, Axis.SECONDARY, B),
        ]
        assert await storage.has_slivers([SliverKey(S0, Axis.PRIMARY, B), missing[0]]) == [True, False]

    async def test_a_sliver_needs_its_blobs_metadata(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        with pytest.raises(MetadataMissingError):
            await storage.put_sliver(SliverKey(S0, Axis.PRIMARY, B), b"x")

    @pytest.mark.parametrize("status", [ShardStatus.LOCKED_TO_MOVE, ShardStatus.NONE])
    async def test_shards_that_are_locked_or_absent_take_nothing(self, storage, status):
        await storage.create_shards([S0], status)
        await storage.put_metadata(B, b"metadata")
        for shard in (S0, S1):
            with pytest.raises(ShardNotHereError):
                await storage.put_sliver(SliverKey(shard, Axis.PRIMARY, B), b"x")
        assert storage.slivers_stored == 0

    async def test_a_locked_shard_is_still_read(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await fill(storage, shards=[S0])
        await storage.create_shards([S0], ShardStatus.LOCKED_TO_MOVE)
        assert storage.shards == {S0: ShardStatus.LOCKED_TO_MOVE}
        assert await storage.sliver(SliverKey(S0, Axis.PRIMARY, B)) == b"sliver"

    async def test_incomplete_certified_blobs_are_found(self, storage):
        await storage.create_shards([S0, S1], ShardStatus.ACTIVE)
        whole, partial, bare, uncertified = (blob_id(number) for number in range(4))
        events = []
        for number, blob in enumerate((whole, partial, bare, uncertified)):
            events.append(registered(blob, object_id(number), 9))
            if blob != uncertified:
                events.append(certified(blob, object_id(number), 9))
        await feed(storage, *events)
        await fill(storage, whole)
        await fill(storage, partial, shards=[S0])
        assert await storage.incomplete(Epoch(1), [S0, S1]) == [partial, bare]
        assert await storage.incomplete(Epoch(1), []) == []
        assert await storage.incomplete(Epoch(1), [S0]) == [bare]
        assert await storage.incomplete(Epoch(9), [S0, S1]) == []


class TestReports:
    """Of challenges; a large committee leaves ten thousand in an epoch, which nobody is to hold at once."""

    NODES = tuple(NodeId("0x" + f"{number:02x}" * 32) for number in (0, 1, 7, 255))

    @pytest.fixture
    async def full(self, storage):
        """Everybody's about everybody else, in epoch 3; a few around it."""
        for epoch, challengers in ((2, self.NODES[-1:]), (3, self.NODES), (4, self.NODES[:1])):
            for challenger in challengers:
                for prover in self.NODES:
                    for second in (False, True):
                        signed = SignedReport(f"{epoch} {challenger} {prover} {second}".encode(), bytes(96))
                        await storage.add_report(Epoch(epoch), challenger, prover, signed, second=second)
        return storage

    @pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 31, 32, 33])
    async def test_pages_are_all_of_an_epoch_in_order_whatever_their_size(self, full, count):
        pages = [page async for page in full.report_pages(Epoch(3), count=count)]
        assert [len(page) for page in pages[:-1]] == [count] * (len(pages) - 1)
        assert 0 < len(pages[-1]) <= count
        together = [signed.body.decode() for page in pages for signed in page]
        assert together == [f"3 {a} {b} {second}" for a in self.NODES for b in self.NODES for second in (False, True)]
        chosen = self.NODES[1::2]
        some = [signed async for page in full.report_pages(Epoch(3), chosen, count=count) for signed in page]
        assert some == await full.reports(Epoch(3), chosen)
        assert [signed.body.decode() for signed in some] == [text for text in together if text[2:68] in chosen]

    async def test_of_strangers_and_other_epochs_there_are_none(self, full):
        assert [page async for page in full.report_pages(Epoch(3), [US], count=4)] == []
        assert [page async for page in full.report_pages(Epoch(9), count=4)] == []
