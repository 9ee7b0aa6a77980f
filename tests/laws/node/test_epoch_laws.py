"""Laws of epoch changes: whatever the chain does with the shards, a node attests only what it has held or recovered."""

import asyncio
import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.node.worlds import CAP, IDENTITY, US, ChainTwin, event_id, staking

from walrus_codec.types import Epoch
from walrus_node.chain import ChainView
from walrus_node.epochs.keeper import EpochKeeper
from walrus_node.events import rules
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import NodeStatus, ShardStatus
from walrus_node.store.storage import Storage
from walrus_sui.errors import ChainUnreachable
from walrus_sui.events import EpochChangeStart
from walrus_sui.keys import SuiKey
from walrus_sui.types import NodeCap

KEY = SuiKey.generate()
SHARDS = st.frozensets(st.integers(0, 4))
EPOCHS = st.lists(
    st.fixed_dictionaries(
        {
            "ours": SHARDS,
            "sleeps": st.booleans(),
            "fails_at": st.sampled_from([None, "staking", "node_caps", "epoch_sync_done"]),
            "killed": st.booleans(),
            "metadata": st.booleans(),
            "come": SHARDS,
            "given_up": SHARDS,
            "recovers": st.booleans(),
        }
    ),
    min_size=1,
    max_size=8,
)


def keeper(storage, chain, *, recovers=True):
    def whole(epoch, shards):
        assert epoch == chain.view.epoch
        owned = {shard for member in chain.view.committee.members for shard in member.shards}
        assert shards == {shard for shard in owned if storage.shards[shard] is not ShardStatus.ACTIVE_SYNC}
        return recovers

    return EpochKeeper(storage=storage, chain=chain, view=ChainView(chain), key=KEY, identity=IDENTITY, whole=whole)


async def sync(storage, step):
    """What shard sync does: metadata first, then some shards come whole, others are left to recovery."""
    state = await storage.node_state()
    if state.status is NodeStatus.RECOVER_METADATA and step["metadata"]:
        assert await storage.advance_node(state, NodeStatus.ACTIVE)
        state = await storage.node_state()
    if state.status not in {NodeStatus.ACTIVE, NodeStatus.RECOVERY_IN_PROGRESS}:
        return
    for shard, status in storage.shards.items():
        if status is ShardStatus.ACTIVE_SYNC and shard in step["come"] | step["given_up"]:
            after = ShardStatus.ACTIVE if shard in step["come"] else ShardStatus.ACTIVE_RECOVER
            assert await storage.advance_shards([shard], status, after, epoch=state.epoch)


@settings(max_examples=100, deadline=None)
@given(EPOCHS)
def test_only_whole_shards_are_attested_whatever_the_chain_does_and_wherever_the_node_dies(history):
    async def run():
        kv = MemoryStore()
        storage = await Storage.over(kv)
        chain = ChainTwin(caps=[NodeCap(CAP, US, Epoch(0), KEY.address)])
        # The model: shards that lack nothing.
        whole, before, sequence, pending = frozenset(), None, 0, []
        for epoch, step in enumerate(history, start=1):
            owned = step["ours"]
            ours_before = before or frozenset()
            chain.view = staking(epoch, ours=sorted(owned), before=None if before is None else sorted(before))
            before = owned
            pending.append(EpochChangeStart(Epoch(epoch)))
            if epoch == 1:
                whole = owned
            if step["sleeps"] and epoch < len(history):
                # It misses writes, also to the shards that it keeps; recovery looks at all of them when it wakes.
                whole = frozenset()
                continue
            whole &= owned
            for event in pending:
                numbered = [(event_id(sequence), event)]
                await storage.apply(sequence, 0, lambda working, n=numbered: rules.apply_all(working, n))
                sequence += 1
                if step["fails_at"] is not None:
                    chain.aborts[step["fails_at"]] = ChainUnreachable("away")
                    with contextlib.suppress(ChainUnreachable):
                        await keeper(storage, chain, recovers=step["recovers"]).run_once()
                    chain.aborts.clear()
                if step["killed"]:
                    kv = kv.killed()
                    storage = await Storage.over(kv)
                await keeper(storage, chain, recovers=step["recovers"]).run_once()
            pending = []
            if step["recovers"]:
                whole |= {shard for shard in owned if storage.shards[shard] is ShardStatus.ACTIVE}
            before_sync = dict(storage.shards)
            await sync(storage, step)
            come = {
                s for s in owned if before_sync[s] is not storage.shards[s] and storage.shards[s] is ShardStatus.ACTIVE
            }
            whole |= come
            await keeper(storage, chain, recovers=step["recovers"]).run_once()
            if step["recovers"]:
                recovered = {s for s in owned if storage.shards[s] is ShardStatus.ACTIVE} - whole
                assert all(before_sync[s] is not ShardStatus.ACTIVE for s in recovered)
                whole |= recovered
            state = await storage.node_state()
            assert state.epoch == epoch
            assert (state.status is NodeStatus.STANDBY) is (not owned)
            for shard in owned:
                assert storage.shards[shard].writable, "writes of the new epoch are taken from its beginning"
            for shard in storage.shards.keys() - owned:
                assert storage.shards[shard] is ShardStatus.LOCKED_TO_MOVE
                assert shard in ours_before, "a source for one epoch, and then gone"
            attested = chain.caps[0].last_epoch_sync_done == epoch
            if attested:
                assert owned
                assert owned <= whole
                assert state.status is NodeStatus.ACTIVE
                assert all(storage.shards[shard] is ShardStatus.ACTIVE for shard in owned)
            active = all(storage.shards[shard] is ShardStatus.ACTIVE for shard in owned)
            assert attested or not owned or not active or state.status is not NodeStatus.ACTIVE

    asyncio.run(run())


@settings(max_examples=20, deadline=None)
@given(SHARDS.filter(bool), st.integers(1, 6))
def test_an_unchanged_committee_attests_every_epoch_once(owned, epochs):
    async def run():
        storage = await Storage.over(MemoryStore())
        chain = ChainTwin(caps=[NodeCap(CAP, US, Epoch(0), KEY.address)])
        for epoch in range(1, epochs + 1):
            chain.view = staking(epoch, ours=sorted(owned), before=None if epoch == 1 else sorted(owned))
            numbered = [(event_id(epoch), EpochChangeStart(Epoch(epoch)))]
            await storage.apply(epoch, 0, lambda working, n=numbered: rules.apply_all(working, n))
            for _ in range(3):
                await keeper(storage, chain).run_once()
                await sync(storage, {"metadata": True, "come": set(), "given_up": set()})
        assert chain.done("epoch_sync_done") == epochs

    asyncio.run(run())
