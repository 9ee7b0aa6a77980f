"""A devnet process, storage-node processes, and a raw client: no part of it is a stand-in."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import grpc
import grpc.aio
import yaml

from walrus_client import treasury
from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import wire
from walrus_client.reasons import Reason
from walrus_codec import mapping, redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType
from walrus_proto.admin.v1 import admin_pb2, admin_pb2_grpc
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_proto.node.v1 import node_pb2_grpc
from walrus_sui import bls, messages, network_config, tls
from walrus_sui.client import ChainClient
from walrus_sui.errors import ChainTimeout, MoveAbort
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey
from walrus_sui.messages import Deletable, Permanent
from walrus_sui.types import Certificate, EpochPhase, NewBlob, signers_bitmap

N_SHARDS = 10
WAL = 10**9
PATIENCE_S = 120


def http(url):
    """Status and text; status 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def until(what, look, *, patience=PATIENCE_S):
    """Waits until `look` returns something true, and returns that."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"it took too long until {what}")


class NodeProcess:
    """`walrus-node run` on fixed ports, so that it is found again after a restart."""

    def __init__(self, folder, name, network_config_url, *, ports, **changes):
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.log = self.folder / "log"
        self.keys = {"protocol": BlsKey.generate(), "network": NetworkKey.generate(), "sui": SuiKey.generate()}
        for kind, key in self.keys.items():
            key.save(self.folder / f"{kind}.key")
        self.grpc_port, self.http_port = ports
        self.document = {
            "name": name,
            "data_dir": str(self.folder / "data"),
            "keys": {kind: str(self.folder / f"{kind}.key") for kind in self.keys},
            "chain": {"network_config": network_config_url},
            "public": {"host": "127.0.0.1", "grpc_port": self.grpc_port, "rest_port": self.grpc_port},
            "listen": {"host": "127.0.0.1", "grpc_port": self.grpc_port, "http_port": self.http_port},
            "telemetry": {"log_format": "text"},
            "recovery": {"grace_s": 2},
            "challenges": {"network": "Off"},  # most tests count what nodes send and store
        } | changes
        self.faults = self.folder / "faults"
        self.arguments = []
        self.process = None
        self.known_id = ""

    def start(self):
        config = self.folder / "node.yaml"
        config.write_text(yaml.safe_dump(self.document))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "walrus_node.main", "run", "--config", str(config), *self.arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, "MALLOC_ARENA_MAX": "2"},
            )
        return self

    def open_admin_port(self, port, *tokens):
        """From its next start on it has one, for whoever has one of the tokens."""
        self.admin_port, self.tokens = port, self.folder / "tokens"
        self.tokens.write_text("\n".join(tokens))
        self.document["admin"] = {"listen": f"127.0.0.1:{port}", "tokens_file": str(self.tokens)}

    @asynccontextmanager
    async def admin(self, token):
        """Calls of the admin port: name and fields in, answer out."""
        certificate = await tls.fetch_certificate("127.0.0.1", self.admin_port, 10)
        assert tls.public_key_of(certificate) == self.keys["network"].public_key
        credentials = grpc.ssl_channel_credentials(certificate)
        async with grpc.aio.secure_channel(f"127.0.0.1:{self.admin_port}", credentials) as channel:
            stub = admin_pb2_grpc.NodeAdminStub(channel)

            async def call(method, **fields):
                request = getattr(admin_pb2, f"{method}Request")(**fields)
                metadata = (("authorization", f"Bearer {token}"),)
                return await getattr(stub, method)(request, timeout=60, metadata=metadata)

            yield call

    def deviate(self, text):
        """Makes a node with `--enable-faults` lie or stall from now on; an empty text makes it honest again."""
        self.faults.write_text(text)

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=10)

    def is_ready(self):
        self.check_alive()
        return self.get("/readyz")[0] == 200

    def check_alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")

    def get(self, path):
        return http(f"http://127.0.0.1:{self.http_port}{path}")

    @property
    def info(self):
        status, text = self.get("/v1/info")
        assert status == 200, f"{self.name}: {status}\n{self.log.read_text()[-4000:]}"
        return json.loads(text)

    @property
    def rss_mib(self):
        text = (f"/proc/{self.process.pid}/status",)
        with open(text[0], encoding="ascii") as file:  # noqa: PTH123 - not a file of ours
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024

    @asynccontextmanager
    async def stub(self):
        """The public face, pinned to the registered network key as every client does it."""
        certificate = await tls.fetch_certificate("127.0.0.1", self.grpc_port, 10)
        assert tls.public_key_of(certificate) == self.keys["network"].public_key
        credentials = grpc.ssl_channel_credentials(certificate)
        async with grpc.aio.secure_channel(f"127.0.0.1:{self.grpc_port}", credentials) as channel:
            yield node_pb2_grpc.StorageNodeStub(channel)


@dataclass
class StoredBlob:
    content: bytes
    encoded: redstuff.EncodedBlob
    object_id: str
    persistence: Permanent | Deletable = field(default_factory=Permanent)

    @property
    def blob_id(self):
        return self.encoded.blob_id


class Network:
    """All processes, and the steps of a client. With a manual clock (`manual_ms`: length of an epoch) epochs change on call.

    `spares` are nodes that were not started yet; `join` makes members of them.
    """

    def __init__(self, devnet, nodes, *, spares=(), manual_ms=0, n_shards=N_SHARDS):
        self.devnet = devnet
        self.nodes = nodes
        self.spares = list(spares)
        self.manual_ms = manual_ms
        self.n_shards = n_shards
        self.treasury = SuiKey.generate()

    @asynccontextmanager
    async def chain(self):
        config = await network_config.load(self.devnet.network_config)
        async with ChainClient(config) as client:
            yield client

    async def bring_up(self):
        """Stakes all nodes in one transaction, once they are registered; returns when the first epoch is done."""
        async with self.chain() as chain:
            faucet = chain.config.faucet_url
            await treasury.ensure_funds(chain, self.treasury, sui=10**9, wal=5000 * WAL, faucet_url=faucet)
            ids = await asyncio.to_thread(
                lambda: [until("it registers", lambda n=n: self.id_of(n)) for n in self.nodes]
            )
            await chain.stake_many(self.treasury, [(node_id, 100 * WAL) for node_id in ids])
            if self.manual_ms:
                await self.next_epoch(chain)
            view = await self.until_epoch(chain, 1)
        # The chain has enough with a quorum of them; stores of the tests ask all.
        for node in self.nodes:
            await asyncio.to_thread(until, f"{node.name} has its shards", lambda n=node: self.holds_its_shards(view, n))

    def holds_its_shards(self, view, node):
        """Whether a node has set up all shards that the chain gives to it."""
        active = {entry["shard"] for entry in node.info["shards"] if entry["status"] == "Active"}
        return self.shards_of(view, node) <= active

    async def next_epoch(self, chain, *, done=True):
        """Moves a manual clock to the end of the epoch and the chain to the next one; returns the chain's view.

        With `done` it waits until the members have attested.
        """
        before = await chain.staking()
        key = self.treasury
        for call in (chain.voting_end, chain.initiate_epoch_change):
            await asyncio.to_thread(self.devnet.advance, self.manual_ms)
            with suppress(MoveAbort):  # a node's driver was first
                await call(key)
        return await self.until_epoch(chain, before.epoch + 1, done=done)

    async def let_nodes_move(self, chain, epoch):
        """Lets a manual clock run until the nodes themselves have brought the chain to `epoch`; returns the chain's view."""
        async with asyncio.timeout(PATIENCE_S):
            while (await chain.staking()).epoch < epoch:
                await asyncio.to_thread(self.devnet.advance, self.manual_ms // 20)
                await asyncio.sleep(0.1)
        return await self.until_epoch(chain, epoch)

    async def join(self, chain, wal, *, nodes=None):
        """Starts spares, delegates to them, and counts them among the nodes; the next epoch makes members of them."""
        new = self.spares if nodes is None else nodes
        for node in new:
            node.start()
        ids = await asyncio.to_thread(lambda: [until("it registers", lambda n=n: self.id_of(n)) for n in new])
        await chain.stake_many(self.treasury, [(node_id, wal * WAL) for node_id in ids])
        self.nodes = [*self.nodes, *new]
        self.spares = [node for node in self.spares if node not in new]

    async def stake(self, chain, wal, *nodes):
        """Delegates to nodes that are registered; the next epoch counts it."""
        await chain.stake_many(self.treasury, [(node.known_id, wal * WAL) for node in nodes])

    async def withdraw(self, chain, *nodes):
        """Takes all stake from nodes; the next epoch is without them."""
        ids = {node.known_id for node in nodes}
        stakes = [
            stake.object_id
            for stake in await chain.stakes(self.treasury.address)
            if stake.node_id in ids and stake.withdraw_epoch is None
        ]
        await chain.request_withdrawal(self.treasury, stakes)

    def members(self, view):
        """The nodes of a view's committee."""
        return [node for node in self.nodes if view.committee.by_id(node.known_id) is not None]

    @staticmethod
    def shards_of(view, node):
        """What the chain gives to a node."""
        member = view.committee.by_id(node.known_id)
        return set(member.shards) if member is not None else set()

    @staticmethod
    def id_of(node):
        node.check_alive()
        status, text = node.get("/v1/info")
        node.known_id = json.loads(text)["node_id"] if status == 200 else ""
        return node.known_id

    @staticmethod
    async def until_epoch(chain, epoch, *, done=True):
        """Waits until the chain has finished (without `done`: begun) the change to `epoch` or later."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(ChainTimeout):  # a busy machine; the patience is bounded here
                    view = await chain.staking()
                    if view.epoch >= epoch and (not done or view.epoch_state.phase is not EpochPhase.SYNC):
                        return view
                await asyncio.sleep(0.2)

    async def register(self, chain, content, *, epochs=50, deletable=False, encoding=EncodingType.ISAL):
        params = CodeParams(self.n_shards, encoding)
        encoded = redstuff.encode(content, params)
        new = NewBlob(
            encoded.blob_id,
            encoded.metadata.root(),
            len(content),
            params.encoded_length(len(content)),
            int(encoding),
            deletable,
        )
        (made,) = await chain.reserve_and_register(self.treasury, [new], epochs_ahead=epochs)
        return StoredBlob(content, encoded, made.object_id, Deletable(made.object_id) if deletable else Permanent())

    async def upload(self, node, view, blob, *, persistence=Permanent(), epoch=None):  # noqa: B008 - frozen
        """StoreBlob with all slivers of this node's shards."""
        member = view.committee.by_id(node.info["node_id"])
        pairs = [blob.encoded.pairs[mapping.pair_of_shard(s, blob.blob_id, self.n_shards)] for s in member.shards]
        slivers = [(pair.index, sliver) for pair in pairs for sliver in (pair.primary, pair.secondary)]
        header = wire.store_header(
            blob.blob_id, blob.encoded.metadata.to_bcs(), persistence, view.epoch if epoch is None else epoch
        )

        def requests():
            yield pb.StoreBlobRequest(header=header)
            for part in wire.sliver_stream(slivers):
                is_head = isinstance(part, pb.SliverHead)
                yield pb.StoreBlobRequest(sliver=part) if is_head else pb.StoreBlobRequest(data=part)

        async with node.stub() as stub:
            return await stub.StoreBlob(requests(), timeout=60)

    async def store(self, chain, content, *, nodes=None, **options):
        """Registers, uploads, checks every confirmation, and certifies on chain; anew when the epoch changes meanwhile."""
        blob = await self.register(chain, content, **options)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            view = await chain.staking()
            try:
                await self._certify(chain, view, blob, nodes)
            except (grpc.aio.AioRpcError, MoveAbort) as error:
                refusal = refusal_of(error) if isinstance(error, grpc.aio.AioRpcError) else None
                # A node hears of a new epoch a little later than who asks the chain.
                behind = refusal is not None and refusal.reason is Reason.INVALID_EPOCH
                if time.monotonic() > deadline or (not behind and (await chain.staking()).epoch == view.epoch):
                    raise
            else:
                return blob

    async def _certify(self, chain, view, blob, nodes):
        answers = [await self.upload(node, view, blob, persistence=blob.persistence) for node in nodes or self.nodes]
        signatures, signers = [], []
        message = messages.confirmation(blob.blob_id, view.epoch, blob.persistence)
        for node, answer in zip(nodes or self.nodes, answers, strict=True):
            assert answer.WhichOneof("outcome") == "confirmation", answer.refusal
            assert answer.confirmation.message == message
            assert bls.verify(node.keys["protocol"].public_key, message, answer.confirmation.signature)
            signatures.append(answer.confirmation.signature)
            signers.append(view.committee.index_of(node.info["node_id"]))
        bitmap = signers_bitmap(signers, len(view.committee.members))
        await chain.certify(self.treasury, [Certificate(blob.object_id, bls.aggregate(signatures), bitmap, message)])

    async def read(self, blob, *, nodes=None):
        """Decodes the blob from the primary slivers that these nodes give."""
        slivers = []
        for node in nodes or self.nodes:
            slivers += await self.slivers(node, blob)
        params = CodeParams(self.n_shards, blob.encoded.metadata.encoding_type)
        return redstuff.decode(slivers[: params.k1], len(blob.content), params)

    async def slivers(self, node, blob, axis=Axis.PRIMARY, *, all_good=True):
        """What a node gives of a blob; what differs from the writer's own is a failure, or left out without `all_good`."""
        async with node.stub() as stub:
            return await self.slivers_of(stub, blob, axis, all_good=all_good)

    @staticmethod
    async def slivers_of(stub, blob, axis=Axis.PRIMARY, *, all_good=True):
        """The same over a channel that is open already."""
        found, data, head = [], b"", None
        request = pb.GetSliversRequest(blob_id=blob.blob_id, axis=wire.axis_to_pb(axis))
        async for part in stub.GetSlivers(request, timeout=60):
            match part.WhichOneof("part"):
                case "sliver":
                    head, data = part.sliver, b""
                case "data":
                    data += part.data
                    if len(data) == head.size:
                        pair = blob.encoded.pairs[head.pair_index]
                        sliver = getattr(pair, axis.value)
                        good = bytes(sliver.data) == data
                        assert good or not all_good
                        if good:
                            found.append(sliver)
        return found
