"""Module `walrus::storage_node`: the capability of a node's operator."""

from walrus_codec import bcs
from walrus_codec.types import SuiAddress
from walrus_sui.abi import layout
from walrus_sui.types import NodeCap

MODULE = "storage_node"
CAP = "StorageNodeCap"


@layout.decoder("a StorageNodeCap")
def decode_cap(contents: bytes, *, owner: SuiAddress | None = None) -> NodeCap:
    """Decode a StorageNodeCap object."""
    reader = bcs.Reader(contents)
    cap_id, node_id, epoch = layout.object_id(reader), layout.node_id(reader), layout.epoch(reader)
    checkpoint, attested_in = reader.option(lambda r: (r.u64(), layout.epoch(r))) or (None, None)
    root, sequence, size = reader.fixed(32), reader.u64(), reader.u64()
    reader.finish()
    return NodeCap(cap_id, node_id, epoch, owner, checkpoint, attested_in, root, sequence, size)
