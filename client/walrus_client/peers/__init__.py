"""Talking to storage nodes: pinned TLS channels, typed calls, one pool."""

from walrus_client.peers.node_client import ExpectedSlivers, NodeClient
from walrus_client.peers.pool import PeerPool
from walrus_client.peers.wire import MissingSliver, SignedMessage, StoredBlob

__all__ = ["ExpectedSlivers", "MissingSliver", "NodeClient", "PeerPool", "SignedMessage", "StoredBlob"]
