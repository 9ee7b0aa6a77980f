"""Twins of other nodes that hold slivers and fail in every way that nodes can, and a node that lacks them all."""

import asyncio
from dataclasses import dataclass, field, replace

from tests.unit.node.feeding import feed
from tests.unit.node.worlds import US, ChainTwin, certified, committee, member, object_id, registered, staking

from walrus_client.compute import Compute
from walrus_client.errors import PeerRefusedError, PeerTimeoutError, PeerUnreachableError
from walrus_client.peers import MissingSource, PeerPool, SignedMessage
from walrus_client.reasons import Reason
from walrus_codec import mapping, recovery, redstuff
from walrus_codec.errors import ProofError
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.recovery import InconsistencyProof
from walrus_codec.types import Axis, EncodingType, Epoch, NodeId, ShardIndex
from walrus_node.chain import ChainView
from walrus_node.recovery.blobs import BlobRecoverer
from walrus_node.recovery.denouncing import ChainDenouncer
from walrus_node.recovery.gathering import Gatherer
from walrus_node.recovery.rules import Scope
from walrus_node.recovery.task import RecoveryTask
from walrus_node.store.storage import SliverKey
from walrus_sui import messages
from walrus_sui.keys import BlsKey, SuiKey

N = 10
OURS = [ShardIndex(0), ShardIndex(1)]
EPOCH = Epoch(1)
KEY = BlsKey.generate()


def node_id(number):
    return NodeId(f"0x{number:064x}")


@dataclass
class Peer:
    """A node that holds all slivers of its shards, unless told otherwise."""

    member: object
    key: BlsKey
    blobs: dict = field(default_factory=dict)
    lacking: set = field(default_factory=set)
    down: bool = False
    lying: bool = False
    stalling: bool = False
    asked: int = 0
    busy_s: list = field(default_factory=list)  # after how long it wants to be asked again, once each
    symbols_asked_at: list = field(default_factory=list)

    @property
    def name(self):
        return self.member.name

    def _reach(self):
        self.asked += 1
        if self.down:
            raise PeerUnreachableError(self.name, "it is down")

    async def get_metadata(self, blob_id):
        self._reach()
        if self.stalling:
            await asyncio.Event().wait()
        if blob_id not in self.blobs:
            raise PeerRefusedError(self.name, Reason.METADATA_NOT_FOUND, "no", {})
        return (BlobMetadata.to_bcs(self.blobs[blob_id].metadata))[: -1 if self.lying else None]

    async def get_recovery_symbols(self, expected, signer, epoch, *, timeout_s):
        self._reach()
        assert signer is not None
        self.symbols_asked_at.append(asyncio.get_running_loop().time())
        if self.busy_s:
            raise PeerRefusedError(self.name, Reason.CACHE_SATURATED, "busy", {}, retry_after_s=self.busy_s.pop(0))
        if self.stalling:
            await asyncio.sleep(timeout_s)
            raise PeerTimeoutError(self.name, "it did not answer in time")
        blob, axis = self.blobs[expected.blob_id], expected.axis
        targets = [mapping.sliver_of_pair(pair, axis, N) for pair in expected.targets]
        for pair in expected.sources:
            assert mapping.shard_of_pair(pair, expected.blob_id, N) in self.member.shards
            if pair in self.lacking:
                yield MissingSource(pair, Reason.SLIVER_NOT_FOUND)
                continue
            sliver = blob.pairs[pair].secondary if axis is Axis.PRIMARY else blob.pairs[pair].primary
            symbols = recovery.make_symbols(sliver, targets, blob.honest, blob.params)
            if self.lying:
                symbols[-1] = replace(symbols[-1], data=b"\xff" * expected.symbol_size)
            yield symbols

    async def submit_inconsistency_proof(self, blob_id, axis, proof):
        self._reach()
        blob = self.blobs[blob_id]
        try:
            recovery.verify_inconsistency(InconsistencyProof.from_bcs(axis, proof), blob.metadata, blob.params)
        except ProofError as error:
            raise PeerRefusedError(self.name, Reason.INVALID_PROOF, str(error), {}) from None
        message = messages.invalid_blob(blob_id, EPOCH)
        return SignedMessage(message, self.key.sign(b"something else" if self.lying else message))


@dataclass
class Blob:
    blob_id: bytes
    metadata: BlobMetadata
    honest: BlobMetadata
    pairs: object
    params: CodeParams
    content: bytes


def make_blob(content=b"walrus" * 50, encoding=EncodingType.ISAL, *, lie=None):
    """A blob; `lie` names an axis of whose sliver at our first pair the writer commits to a wrong hash."""
    params = CodeParams(N, encoding)
    encoded = redstuff.encode(content, params)
    metadata = encoded.metadata
    if lie is not None:
        # The blob id depends on the hashes and says which pair is ours: look for the pair that is ours with its lie.
        for pair in range(N):
            hashes = list(encoded.metadata.hashes)
            hashes[pair] = replace(hashes[pair], **{lie.value: b"\x01" * 32})
            metadata = replace(encoded.metadata, hashes=tuple(hashes))
            if mapping.shard_of_pair(pair, metadata.blob_id(), N) in OURS:
                break
        else:
            raise AssertionError("choose other content")
    return Blob(metadata.blob_id(), metadata, encoded.metadata, encoded.pairs, params, content)


class World(PeerPool):
    """We hold two of ten shards and nothing in them; four others hold two each."""

    def __init__(self, storage, rng):
        super().__init__()
        self.storage = storage
        self.objects = 0
        self.peers = {}
        members = [replace(member(US, OURS), bls_public_key=KEY.public_key)]
        for number in range(1, 5):
            key = BlsKey.generate()
            made = replace(
                member(node_id(number), [2 * number, 2 * number + 1]),
                name=f"peer-{number}",
                bls_public_key=key.public_key,
            )
            members.append(made)
            self.peers[made.node_id] = Peer(made, key)
        self.chain = ChainTwin(replace(staking(EPOCH), committee=committee(EPOCH, *members)))
        self.view = ChainView(self.chain)
        self.compute = Compute(workers=1, inline_limit_s=1e9)
        self.scope = Scope(EPOCH, frozenset(OURS))
        self.gatherer = Gatherer(storage=storage, peers=self, compute=self.compute, signer=object(), us=US, rng=rng)
        denouncer = ChainDenouncer(
            chain=self.chain,
            view=self.view,
            peers=self,
            compute=self.compute,
            key=SuiKey.generate(),
            protocol_key=KEY,
            us=US,
        )
        self.recoverer = BlobRecoverer(
            storage=storage, gatherer=self.gatherer, compute=self.compute, denouncer=denouncer, memory=1 << 20
        )
        self.rung = []
        self.task = RecoveryTask(
            storage=storage,
            view=self.view,
            peers=self,
            recoverer=self.recoverer,
            gatherer=self.gatherer,
            us=US,
            rng=rng,
            concurrent_blobs=2,
            grace_s=0,
            on_whole=lambda: self.rung.append(self.task.whole(EPOCH, frozenset(OURS))),
            caught_up=lambda: self.at_tip,
        )
        self.at_tip = True

    def get(self, found):
        return self.peers[found.node_id]

    def keep_only(self, *committees):
        self.kept = committees

    def each(self):
        return list(self.peers.values())

    async def add(self, *blobs):
        """These blobs were certified, and the others have them."""
        for blob in blobs:
            self.objects += 1
            obj = object_id(self.objects)
            await feed(self.storage, registered(blob.blob_id, obj, 9), certified(blob.blob_id, obj, 9))
            for peer in self.each():
                peer.blobs[blob.blob_id] = blob

    async def complete(self, blob):
        return await self.recoverer.complete(blob.blob_id, self.scope, await self.view.refresh())

    async def holds(self, blob):
        for shard in OURS:
            pair = blob.pairs[mapping.pair_of_shard(shard, blob.blob_id, N)]
            for axis in Axis:
                stored = await self.storage.sliver(SliverKey(shard, axis, blob.blob_id))
                if stored is None or bytes(stored) != getattr(pair, axis.value).to_bcs():
                    return False
        return True
