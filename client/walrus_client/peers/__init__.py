"""Talking to storage nodes: pinned TLS channels, typed calls, one pool."""

from walrus_client.peers.node_client import NodeClient
from walrus_client.peers.pool import PeerPool
from walrus_client.peers.rules import Fault
from walrus_client.peers.shards import ExpectedShard, SyncedSlivers
from walrus_client.peers.signing import RequestSigner
from walrus_client.peers.slivers import ExpectedSlivers
from walrus_client.peers.symbols import ExpectedSymbols
from walrus_client.peers.wire import MissingSliver, MissingSource, SignedMessage, StoredBlob

__all__ = [
    "ExpectedShard",
    "ExpectedSlivers",
    "ExpectedSymbols",
    "Fault",
    "MissingSliver",
    "MissingSource",
    "NodeClient",
    "PeerPool",
    "RequestSigner",
    "SignedMessage",
    "StoredBlob",
    "SyncedSlivers",
]
