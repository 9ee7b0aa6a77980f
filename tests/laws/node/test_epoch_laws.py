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
            "recovers": st.booleans(),
        }
    ),
    min_size=1,
    max_size=7,
)


def keeper(storage, chain, *, recovers=True):
    def whole(epoch, shards):
        assert epoch == chain.view.epoch
        assert shards == {shard for member in chain.view.committee.members for shard in member.shards}
        return recovers

    return EpochKeeper(storage=storage, chain=chain, view=ChainView(chain), key=KEY, identity=IDENTITY, whole=whole)


@settings(max_examples=60, deadline=None)
@given(EPOCHS)
def test_only_shards_held_since_the_first_committee_or_recovered_are_attested(history):
    async def run():
        kv = MemoryStore()
        storage = await Storage.over(kv)
        chain = ChainTwin(caps=[NodeCap(CAP, US, Epoch(0), KEY.address)])
        held, before, sequence, pending = None, None, 0, []
        for epoch, step in enumerate(history, start=1):
            owned = step["ours"]
            chain.view = staking(epoch, ours=sorted(owned), before=None if before is None else sorted(before))
            before = owned
            pending.append(EpochChangeStart(Epoch(epoch)))
            asleep = step["sleeps"] and epoch < len(history)
            # What the node may claim: shards that the first committee gave it and that it never saw lost, and all of
            # its shards once recovery says that they are whole, which also makes up for epochs that it slept through.
            if held is None:
                held = frozenset() if asleep else owned
            elif not asleep:
                held &= owned
            if asleep:
                continue
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
                held = owned
            state = await storage.node_state()
            attested = chain.caps[0].last_epoch_sync_done == epoch
            assert state.epoch == epoch
            assert (state.status is NodeStatus.STANDBY) is (not owned)
            if attested:
                assert owned
                assert owned <= held
                assert state.status is NodeStatus.ACTIVE
            assert attested or not owned or not step["recovers"], "nothing that recovers stays behind"
            for shard, status in storage.shards.items():
                assert (status is ShardStatus.LOCKED_TO_MOVE) is (shard not in owned)
                if status is ShardStatus.ACTIVE:
                    assert shard in held
            assert owned <= storage.shards.keys()

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
        assert chain.done("epoch_sync_done") == epochs

    asyncio.run(run())
