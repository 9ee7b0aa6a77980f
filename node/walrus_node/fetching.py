"""What a node fetches from the other nodes: slivers that it lost, shards that it gained, history that the chain forgot.

Life: made when the node is registered, because whom it asks and in whose name follow from that. All of them share the
connections, the signer and one gatherer; each has its own loop (see `duties`), which asks and stores until nothing is missing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from walrus_client.compute import Compute
from walrus_client.peers import PeerPool, RequestSigner
from walrus_codec.types import NodeId
from walrus_node.chain import ChainView
from walrus_node.config import NodeConfig
from walrus_node.events.processor import EventProcessor
from walrus_node.keyring import KeyRing
from walrus_node.recovery.blobs import BlobRecoverer
from walrus_node.recovery.denouncing import ChainDenouncer
from walrus_node.recovery.gathering import Gatherer
from walrus_node.recovery.history import HistoryRebuilder
from walrus_node.recovery.task import RecoveryTask
from walrus_node.store.storage import Storage
from walrus_node.sync.task import SyncTask
from walrus_node.sync.transfer import Counters, MetadataFetcher, ShardMover
from walrus_sui.client import ChainClient


@dataclass(frozen=True)
class Fetching:
    """The parts that do it.

    Attributes:
        recovery: rebuilds what is lost.
        sync: takes over gained shards.
        rebuilder: makes the records anew when the chain has pruned events.
    """

    recovery: RecoveryTask
    sync: SyncTask
    rebuilder: HistoryRebuilder

    @classmethod
    def make(
        cls,
        *,
        config: NodeConfig,
        us: NodeId,
        ring: KeyRing,
        signer: RequestSigner,
        client: ChainClient,
        peers: PeerPool,
        storage: Storage,
        processor: EventProcessor,
        view: ChainView,
        compute: Compute,
        rng: random.Random,
        on_whole: Callable[[], None],
        caught_up: Callable[[], bool],
    ) -> Self:
        """Makes them.

        Args:
            config: the whole configuration.
            us: this node.
            ring: its secrets.
            signer: signs what is asked of other nodes.
            client: the chain.
            peers: connections to the other nodes.
            storage: the open store.
            processor: applies checkpoints.
            view: what is known of the chain.
            compute: rebuilds slivers off the event loop.
            rng: source of jitter.
            on_whole: is called when shards may have become whole.
            caught_up: whether the events have reached the chain's tip.
        """
        gatherer = Gatherer(storage=storage, peers=peers, compute=compute, signer=signer, us=us, rng=rng)
        denouncer = ChainDenouncer(
            chain=client, view=view, peers=peers, compute=compute, key=ring.keys.sui, protocol_key=ring, us=us
        )
        recoverer = BlobRecoverer(
            storage=storage, gatherer=gatherer, compute=compute, denouncer=denouncer, memory=config.recovery.memory
        )
        recovery = RecoveryTask(
            storage=storage,
            view=view,
            peers=peers,
            recoverer=recoverer,
            gatherer=gatherer,
            us=us,
            rng=rng,
            concurrent_blobs=config.recovery.concurrent_blobs,
            grace_s=config.recovery.grace_s,
            on_whole=on_whole,
            caught_up=caught_up,
        )
        counters = Counters()
        metadata = MetadataFetcher(storage=storage, gatherer=gatherer, counters=counters)
        mover = ShardMover(
            storage=storage, peers=peers, compute=compute, signer=signer, metadata=metadata, counters=counters
        )
        sync = SyncTask(
            storage=storage,
            view=view,
            mover=mover,
            metadata=metadata,
            us=us,
            rng=rng,
            concurrent_shards=config.sync.concurrent_shards,
            stall_s=config.sync.stall_s,
            on_change=on_whole,
            caught_up=caught_up,
        )
        rebuilder = HistoryRebuilder(chain=client, view=view, peers=peers, storage=storage, processor=processor, us=us)
        return cls(recovery, sync, rebuilder)
