"""What one storage node itself holds: its public RPCs through a port-forward, past the gateway and all other nodes.

Life of a look: take the certificate that the pod shows, compare its key with the chain, ask for the metadata and all
slivers of the node's shards, verify each against the blob id. What comes back so was on this node's disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import grpc
import grpc.aio
from tests.e2e.support import port_forward

from walrus_client import rules
from walrus_client.peers import wire
from walrus_codec import blob_id as blob_ids
from walrus_codec.metadata import BlobMetadata, verify_metadata
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver, verify_sliver
from walrus_codec.types import Axis, BlobId, PairIndex
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_proto.node.v1 import node_pb2_grpc
from walrus_sui import tls
from walrus_sui.types import CommitteeMember

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class NodeFace:
    """One node's RPCs; `pod` is where the port-forward leads."""

    namespace: str
    pod: str
    member: CommitteeMember
    n_shards: int

    async def slivers_of(self, blob_ids: Iterable[BlobId]) -> int:
        """Verifies that the node serves every sliver of its shards for all of these blobs; how many they are."""
        with port_forward(self.namespace, f"pod/{self.pod}", 9187) as port:
            certificate = await tls.fetch_certificate("127.0.0.1", port, TIMEOUT_S)
            assert tls.public_key_of(certificate) == self.member.network_public_key
            host = self.member.grpc_address.rpartition(":")[0]
            credentials = grpc.ssl_channel_credentials(root_certificates=certificate)
            options = (("grpc.ssl_target_name_override", host), ("grpc.enable_http_proxy", 0))
            async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
                stub: node_pb2_grpc.StorageNodeAsyncStub = node_pb2_grpc.StorageNodeStub(channel)
                return sum([await self._verified(stub, blob_id) for blob_id in blob_ids])

    async def _verified(self, stub: node_pb2_grpc.StorageNodeAsyncStub, blob_id: BlobId) -> int:
        answer = await stub.GetMetadata(pb.GetMetadataRequest(blob_id=blob_id), timeout=TIMEOUT_S)
        metadata = BlobMetadata.from_bcs(answer.metadata)
        verify_metadata(blob_id, metadata, n_shards=self.n_shards)
        params = CodeParams(self.n_shards, metadata.encoding_type)
        pairs = rules.pairs_of(self.member, blob_id, self.n_shards)
        for axis in Axis:
            held = await _slivers(stub, blob_id, axis, pairs)
            assert sorted(held) == pairs, f"{self.pod} lacks {axis.value} slivers of {blob_ids.to_text(blob_id)}"
            for pair, sliver in held.items():
                verify_sliver(sliver, pair, metadata, params)
        return 2 * len(pairs)


async def _slivers(
    stub: node_pb2_grpc.StorageNodeAsyncStub, blob_id: BlobId, axis: Axis, pairs: list[PairIndex]
) -> dict[PairIndex, Sliver]:
    """The slivers that the node sends, assembled; those that it says it misses are left out."""
    heads: dict[PairIndex, wire.SliverHead] = {}
    data: dict[PairIndex, bytearray] = {}
    request = pb.GetSliversRequest(blob_id=blob_id, axis=wire.axis_to_pb(axis), pair_indices=pairs)
    last = PairIndex(0)
    async for part in stub.GetSlivers(request, timeout=TIMEOUT_S):
        if part.WhichOneof("part") == "sliver":
            head = wire.head_from_pb(part.sliver)
            last = head.pair
            heads[last], data[last] = head, bytearray()
        elif part.WhichOneof("part") == "data":
            data[last] += part.data
    return {pair: Sliver(axis, head.index, head.symbol_size, bytes(data[pair])) for pair, head in heads.items()}
