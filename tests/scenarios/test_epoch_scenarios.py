"""Runs the stories in ``epochs/*.txt``: one node's shards over epochs, through the real keeper and a store in memory.

Each line is an event; behind the colon stand the node's status, the shards of each status, what happened to the epoch
(`attests`, or whose work the attestation waits for), and the shards that were removed.

    epoch 3 gives 0 1: Active, Active 0, ActiveSync 1, waits for sync
    shard 1 comes: Active, Active 0 1, attests 3

Events: `epoch E gives SHARDS` (an epoch begins, seen at once), `epochs A to B pass, B gives SHARDS` (the node was away, and
of the chain's epochs only the last is current when it reads their events), `metadata come`, `shard S comes` (`with gaps`),
`shard S is given up`, `recovery is done`, `it restarts` (all that is not on disk is gone), `the disk is lost`,
`history is gone` (the chain has pruned the events).
"""

from pathlib import Path

import pytest
from tests.unit.node.feeding import feed
from tests.unit.node.worlds import CAP, IDENTITY, US, ChainTwin, pool, staking

from walrus_codec.types import Epoch, ShardIndex
from walrus_node.chain import ChainView
from walrus_node.epochs import plan as plans
from walrus_node.epochs.keeper import EpochKeeper
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import NodeState, NodeStatus, ShardStatus
from walrus_node.store.storage import Storage
from walrus_sui.events import EpochChangeStart
from walrus_sui.keys import SuiKey
from walrus_sui.types import NodeCap

STORIES = sorted((Path(__file__).parent / "epochs").glob("*.txt"))
KEY = SuiKey.generate()
SHOWN = [ShardStatus.ACTIVE, ShardStatus.ACTIVE_SYNC, ShardStatus.ACTIVE_RECOVER, ShardStatus.LOCKED_TO_MOVE]
SYNC, RECOVER = ShardStatus.ACTIVE_SYNC, ShardStatus.ACTIVE_RECOVER


class Story:
    def __init__(self):
        self.chain = ChainTwin(caps=[NodeCap(CAP, US, Epoch(0), KEY.address)], pools={US: pool(wal_balance=5)})
        self.kv = MemoryStore()
        self.storage = None
        self.keeper = None
        self.sequence = 0
        self.gives = None
        self.recovered = False

    async def begin(self):
        self.storage = await Storage.over(self.kv)
        self.restart()

    def restart(self):
        self.keeper = EpochKeeper(
            storage=self.storage,
            chain=self.chain,
            view=ChainView(self.chain),
            key=KEY,
            identity=IDENTITY,
            whole=lambda _epoch, _shards: self.recovered,
        )

    async def act(self, event):
        """Does what the line tells; returns what must stand behind its colon."""
        stored, attested = set(self.storage.shards), self.chain.caps[0].last_epoch_sync_done
        match event.split():
            case ["epoch", number, "gives", *shards]:
                self.turn(int(number), shards)
                await self.see(int(number))
            case ["epochs", first, "to", last, "pass,", *between] if between[1] == "gives":
                self.turn(int(last), between[2:])
                for number in range(int(first), int(last) + 1):
                    await self.see(number)
                    await self.keeper.run_once()
            case ["metadata", "come"]:
                state = await self.storage.node_state()
                assert state.status is NodeStatus.RECOVER_METADATA
                assert await self.storage.advance_node(state, NodeStatus.ACTIVE)
            case ["shard", shard, "comes"]:
                await self.leave_sync(shard, ShardStatus.ACTIVE)
            case ["shard", shard, "comes", "with", "gaps"] | ["shard", shard, "is", "given", "up"]:
                await self.leave_sync(shard, RECOVER)
            case ["recovery", "is", "done"]:
                self.recovered = True
            case ["it", "restarts"]:
                await self.storage.close()
                self.kv = self.kv.crashed()
                self.storage = await Storage.over(self.kv)
                self.restart()
            case ["the", "disk", "is", "lost"]:
                await self.storage.close()
                self.kv = MemoryStore()
                self.storage, self.sequence, stored = await Storage.over(self.kv), 0, set()
                self.restart()
            case ["history", "is", "gone"]:
                state = await self.storage.node_state()
                lost = NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY
                await self.storage.change_epoch(NodeState(lost, Epoch(max(0, state.epoch - 1))), {})
            case _:
                raise AssertionError(f"no such event: {event}")
        await self.keeper.run_once()
        await self.keeper.run_once()  # a second pass has nothing to do
        self.recovered = False
        return await self.told(stored, attested)

    def turn(self, epoch, shards):
        owned = sorted(int(shard) for shard in shards if shard != "nothing")
        self.chain.view = staking(epoch, ours=owned, before=self.gives)
        self.gives = owned

    async def see(self, epoch):
        if self.sequence == 0 and epoch > 1:  # a store that begins anew reads all events again
            for number in range(1, epoch):
                await self.see(number)
        await feed(self.storage, EpochChangeStart(Epoch(epoch)))
        self.sequence += 1

    async def leave_sync(self, shard, after):
        state = await self.storage.node_state()
        assert await self.storage.advance_shards([ShardIndex(int(shard))], SYNC, after, epoch=state.epoch)

    async def told(self, stored, attested):
        state, shards = await self.storage.node_state(), self.storage.shards
        held = {status: sorted(shard for shard, each in shards.items() if each is status) for status in SHOWN}
        words = [state.status.value]
        words += [f"{status.value} {' '.join(map(str, those))}" for status, those in held.items() if those]
        now = self.chain.caps[0].last_epoch_sync_done
        owned = plans.shards_of(self.chain.view.committee, US)
        waits_for = plans.attester(state.status, owned, shards)
        if now != attested:
            words.append(f"attests {now}")
        elif waits_for in {plans.Attester.SYNC, plans.Attester.RECOVERY}:
            words.append(f"waits for {waits_for.value}")
        if removed := sorted(stored - set(shards)):
            words.append(f"removed {' '.join(map(str, removed))}")
        return ", ".join(words)


@pytest.mark.parametrize("path", STORIES, ids=[path.stem for path in STORIES])
async def test_the_story_happens(path):
    lines = [line for raw in path.read_text().splitlines() if (line := raw.partition("#")[0].strip())]
    story = Story()
    await story.begin()
    try:
        for line in lines:
            event, _, expected = line.partition(": ")
            assert f"{event}: {await story.act(event)}" == f"{event}: {expected}"
    finally:
        await story.storage.close()
