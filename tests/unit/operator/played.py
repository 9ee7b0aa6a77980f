"""A chain and nodes that are as one would wish, for passes whose subject is Kubernetes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.unit.operator.chain_world import address

from walrus_codec.types import Epoch, NodeId, ObjectId, ShardIndex, SuiAddress
from walrus_operator.api.chain_view import ChainView, EpochPhase, RegisteredKeys, Seat
from walrus_operator.api.world import NodeInfo, Observed, PodView, UnixSeconds
from walrus_operator.observe.chain import ChainQuestions
from walrus_operator.observe.nodes import Tellable
from walrus_operator.observe.reading import fingerprint
from walrus_sui.types import StakedWal


class PlayedChain:
    """A chain on which every node that has keys is registered, staked and a member."""

    def __init__(self, n_shards: int = 10) -> None:
        self.n_shards = n_shards
        self.epoch = 1
        self.phase = EpochPhase.DONE
        self.keys: Callable[[SuiAddress], RegisteredKeys | None] = lambda _sui: None
        """What the chain says of the keys of nodes that change theirs."""
        self.left: set[NodeId] = set()
        """Pools that have neither stake nor seat any more."""

    async def look(self, network: str, questions: ChainQuestions) -> Observed[ChainView]:
        pools = {sui: NodeId(address(f"pool of {sui}")) for sui in questions.node_addresses}
        share: dict[NodeId, list[ShardIndex]] = {pool: [] for pool in pools.values() if pool not in self.left}
        for shard in range(self.n_shards if pools else 0):
            share[sorted(share)[shard % len(share)]].append(ShardIndex(shard))
        everybody = [*([questions.treasury] if questions.treasury else []), *questions.gateways]
        view = ChainView(
            chain_id="played",
            checkpoint=1,
            epoch=self.epoch if pools else 0,
            phase=self.phase if pools else EpochPhase.WAITING,
            change_done_at_ms=1_700_000_000_000 if pools else None,
            epoch_duration_ms=600_000,
            n_shards=self.n_shards,
            max_epochs_ahead=53,
            committee=tuple(Seat(pool, "", tuple(held)) for pool, held in sorted(share.items())),
            previous_committee=(),
            next_committee=(),
            storage_price=1,
            write_price=2,
            total_capacity=3,
            system_object="0x5",
            staking_object="0x6",
            registered=pools,
            keys={pools[sui]: keys for sui in questions.rotating if (keys := self.keys(sui)) is not None},
            delegations=tuple(
                StakedWal(ObjectId(address(f"stake in {pool}")), pool, 1000 * 10**9, Epoch(1), None)
                for pool in pools.values()
                if pool not in self.left
            ),
            balances={SuiAddress(entry): (10**12, 10**12) for entry in everybody},
        )
        return Observed(view, UnixSeconds(1_700_000_001.0))

    def client(self, network: str) -> None:
        return None

    def faucet_url(self, network: str) -> None:
        return None

    def money_moved(self, network: str) -> None:
        pass

    async def forget(self, network: str) -> None:
        pass

    async def close(self) -> None:
        pass


class PlayedNodes:
    """Nodes that answer as soon as their pods have an address, and have every shard."""

    def __init__(self) -> None:
        self.stale: set[str] = set()
        """Nodes that know the first of several tokens only."""
        self.told: list[str] = []
        """UIDs of pods whose nodes were drained, and those with a minus that were told to go on."""

    async def look(
        self, network: str, pods: Mapping[str, PodView], tellable: Tellable
    ) -> Mapping[str, Observed[NodeInfo]]:
        info = NodeInfo(node_id=None, epoch=1, status="Active", shards=dict.fromkeys(range(100), "Active"))
        known = [fingerprint(token) for token in tellable.tokens] or [""]
        found = {name: replace(info, token=known[0 if name in self.stale else -1]) for name in pods}
        return {name: Observed(said, UnixSeconds(time.time())) for name, said in found.items()}

    async def drain(self, network: str, node: str, uid: str, seconds: float) -> None:
        self.told.append(uid)

    async def resume(self, network: str, node: str, uid: str) -> None:
        self.told.append(f"-{uid}")

    async def forget(self, network: str) -> None:
        pass

    async def close(self) -> None:
        pass
