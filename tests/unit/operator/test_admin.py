"""The operator at the nodes' admin port, over real gRPC and TLS: whom it trusts with a token, and what it believes."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_client.errors import PeerError, PeerIdentityError, PeerRefusedError
from walrus_node.challenges.progress import ChallengeProgress
from walrus_node.recovery.task import Progress
from walrus_node.rpc import certificate
from walrus_node.rpc.admin.tokens import TokenCheck, TokenFile
from walrus_node.rpc.listening import TlsPort
from walrus_node.rpc.model import NodeInfo as OwnAccount
from walrus_node.rpc.model import ShardState, StorageState
from walrus_node.rpc.translating import info_to_pb
from walrus_node.scrub.scrubber import ScrubProgress
from walrus_node.sync.task import SyncProgress
from walrus_operator.api import names
from walrus_operator.api.world import NodeInfo, PodView
from walrus_operator.observe import admin, answers
from walrus_operator.observe.admin import AdminClient, AdminParty
from walrus_operator.observe.nodes import NodeObserver, Tellable
from walrus_operator.observe.reading import fingerprint
from walrus_proto.admin.v1 import admin_pb2 as pb
from walrus_proto.admin.v1 import admin_pb2_grpc
from walrus_proto.node.v1 import node_pb2
from walrus_sui.keys import NetworkKey

OLD, NEW = "o" * 43, "n" * 43
HOST = "demo-0.walrus.svc.cluster.local"
NETWORK = "walrus/demo"


class Servicer(admin_pb2_grpc.NodeAdminServicer):
    """Answers, and remembers who asked what."""

    def __init__(self) -> None:
        self.answer: Any = pb.GetStateResponse(info=node_pb2.GetInfoResponse(status="Active", epoch=3))
        self.peers: list[str] = []
        self.drains: list[pb.DrainRequest] = []
        self.resumed = 0
        self.quiet, self.hangs = True, False

    async def GetState(self, request: Any, context: Any) -> Any:
        self.peers.append(context.peer())
        return self.answer

    async def Drain(self, request: pb.DrainRequest, context: Any) -> pb.DrainResponse:
        if self.hangs:
            await asyncio.Event().wait()
        self.drains.append(request)
        return pb.DrainResponse(quiet=self.quiet)

    async def Resume(self, request: Any, context: Any) -> pb.ResumeResponse:
        self.resumed += 1
        return pb.ResumeResponse()


class Refusals(grpc.aio.ServerInterceptor):
    """Counts calls that came, with whatever token."""

    def __init__(self) -> None:
        self.calls = 0

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        self.calls += 1
        return await continuation(details)


class Node:
    """A node's admin port, with the node's own check of tokens."""

    def __init__(self, folder: Path) -> None:
        self.key = NetworkKey.generate()
        self.file = folder / "tokens"
        self.file.write_text(f"{OLD}\n")
        self.servicer, self.seen = Servicer(), Refusals()
        self.port = 0

    async def start(self, folder: Path, key: NetworkKey | None = None) -> Node:
        shown = key or self.key
        identity = certificate.obtain(
            folder / f"{shown.public_key.hex()}.pem", shown, HOST, now=dt.datetime.now(dt.UTC)
        )
        self.server = grpc.aio.server(interceptors=[self.seen, TokenCheck(TokenFile(self.file))])
        admin_pb2_grpc.add_NodeAdminServicer_to_server(self.servicer, self.server)
        self.port = TlsPort(identity).add_to(self.server, "127.0.0.1", self.port)
        await self.server.start()
        return self

    def party(self, *keys: NetworkKey, **changes: Any) -> AdminParty:
        trusted = frozenset(key.public_key for key in keys or (self.key,))
        return replace(AdminParty("demo-0", "uid-1", "127.0.0.1", HOST, trusted), **changes)


@pytest.fixture
async def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    made = await Node(tmp_path).start(tmp_path)
    monkeypatch.setattr(names, "ADMIN_PORT", made.port)
    yield made
    await made.server.stop(None)


@pytest.fixture
async def client() -> AsyncIterator[AdminClient]:
    made = AdminClient()
    yield made
    await made.close()


async def test_a_node_is_asked_on_one_connection_and_by_the_name_in_its_certificate(
    node: Node, client: AdminClient
) -> None:
    for _ in range(5):
        said = await client.state(NETWORK, node.party(), [OLD])
        await client.keep(NETWORK, {"demo-0": node.party()})
    assert (said.status, said.epoch, said.token) == ("Active", 3, fingerprint(OLD))
    assert len(set(node.servicer.peers)) == 1


async def test_a_hundred_nodes_keep_a_connection_each_from_pass_to_pass(node: Node, client: AdminClient) -> None:
    observer = NodeObserver(Reader(), client)  # type: ignore[arg-type]  # findings are not asked for
    parties = {f"demo-{number}": node.party(name=f"demo-{number}", uid=f"uid-{number}") for number in range(100)}
    pods = {
        name: PodView(f"{name}-0", party.uid, ready=True, phase="Running", revision="r", ip=party.ip, admin=True)
        for name, party in parties.items()
    }
    answered: set[str] = set()
    while len(answered) < 100:  # a busy machine opens them in more than one pass
        found = await observer.look(NETWORK, pods, Tellable(parties, (OLD,)))
        answered |= {name for name, said in found.items() if said.fresh is not None}
    before = set(node.servicer.peers)
    for _ in range(3):
        await observer.look(NETWORK, pods, Tellable(parties, (OLD,)))
    assert len(before) == 100
    assert set(node.servicer.peers) == before


async def test_the_newest_token_goes_first_and_the_one_before_when_it_is_refused(
    node: Node, client: AdminClient
) -> None:
    said = await client.state(NETWORK, node.party(), [OLD, NEW])
    assert (said.token, node.seen.calls) == (fingerprint(OLD), 2)
    node.file.write_text(f"{OLD}\n{NEW}\n")
    said = await client.state(NETWORK, node.party(), [OLD, NEW])
    assert (said.token, node.seen.calls) == (fingerprint(NEW), 3)
    node.file.write_text(f"{NEW}\n")
    with pytest.raises(PeerRefusedError, match="TOKEN_REFUSED"):
        await client.state(NETWORK, node.party(), [OLD])
    assert (await client.state(NETWORK, node.party(), [NEW])).token == fingerprint(NEW)


async def test_no_token_goes_to_somebody_else(node: Node, client: AdminClient) -> None:
    stranger = NetworkKey.generate()
    with pytest.raises(PeerIdentityError, match="nothing was sent to it"):
        await client.state(NETWORK, node.party(stranger), [OLD])
    assert node.seen.calls == 0
    # A key that is void now ends the connection that stands.
    await client.state(NETWORK, node.party(), [OLD])
    with pytest.raises(PeerIdentityError):
        await client.state(NETWORK, node.party(stranger), [OLD])
    assert node.seen.calls == 1


async def test_a_node_that_changes_its_key_is_asked_all_the_time(
    node: Node, client: AdminClient, tmp_path: Path
) -> None:
    following = NetworkKey.generate()
    await client.state(NETWORK, node.party(), [OLD])
    await client.state(NETWORK, node.party(node.key, following), [OLD])
    assert len(set(node.servicer.peers)) == 1, "a further key closes nothing"
    await node.server.stop(None)
    await node.start(tmp_path, following)
    said = await client.state(NETWORK, node.party(node.key, following), [OLD])
    assert said.status == "Active"
    assert (await client.state(NETWORK, node.party(following), [OLD])).status == "Active"


async def test_the_pod_after_it_is_somebody_else(node: Node, client: AdminClient) -> None:
    await client.state(NETWORK, node.party(), [OLD])
    await client.state(NETWORK, node.party(uid="uid-2"), [OLD])
    assert len(set(node.servicer.peers)) == 2
    await client.keep("walrus/other", {})
    await client.state(NETWORK, node.party(uid="uid-2"), [OLD])
    assert len(set(node.servicer.peers)) == 2
    await client.keep(NETWORK, {})
    await client.state(NETWORK, node.party(uid="uid-2"), [OLD])
    assert len(set(node.servicer.peers)) == 3


@pytest.mark.parametrize(
    "lie",
    [
        pb.GetStateResponse(),
        pb.GetStateResponse(info=node_pb2.GetInfoResponse(status="A" * 129)),
        pb.GetStateResponse(info=node_pb2.GetInfoResponse(status="A\x1b[2J")),
        pb.GetStateResponse(info=node_pb2.GetInfoResponse(status="Active", checkpoint_age_ms=1 << 63)),
        pb.GetStateResponse(info=node_pb2.GetInfoResponse(status="Active", node_id=b"x" * 64)),
        pb.GetStateResponse(info=node_pb2.GetInfoResponse(status="Active", sync={"fraction": float("nan")})),
        pb.GetStateResponse(info=node_pb2.GetInfoResponse(status="Active", sync={"fraction": 1.5})),
        pb.GetStateResponse(info=node_pb2.GetInfoResponse(status="Active", shards=[{"shard": 1 << 16}])),
        pb.GetStateResponse(info=node_pb2.GetInfoResponse(status="Active", shards=[{}] * 4097)),
        pb.GetStateResponse(info=node_pb2.GetInfoResponse(status="Active"), not_ready=["x" * (1 << 20)]),
    ],
)
def test_what_a_node_cannot_be_is_no_answer(lie: pb.GetStateResponse) -> None:
    with pytest.raises(ValueError, match=r"not an answer of a storage node|the answer is too large"):
        admin.info(lie)


async def test_bytes_that_are_no_message_are_the_nodes_fault(node: Node, client: AdminClient) -> None:
    node.servicer.answer = pb.GetStateResponse(not_ready=["x" * (5 << 20)])
    with pytest.raises(PeerError):
        await client.state(NETWORK, node.party(), [OLD])


COUNTS = st.integers(0, (1 << 32) - 1)
SHARES = st.floats(0, 1)
ACCOUNTS = st.builds(
    OwnAccount,
    node_id=st.sampled_from(["", "0x" + "ab" * 32]),
    name=st.just("demo-0"),
    epoch=COUNTS,
    status=st.sampled_from(["Active", "Standby"]),
    shards=st.lists(st.builds(ShardState, st.integers(0, 999), st.just("Active")), max_size=3).map(tuple),
    version=st.sampled_from(["", "0.1.0"]),
    event_cursor=COUNTS,
    n_shards=COUNTS,
    chain_id=st.just("abc"),
    chain_reachable=st.booleans(),
    checkpoint_age_ms=COUNTS,
    uptime_seconds=COUNTS,
    blobs_stored=COUNTS,
    slivers_stored=COUNTS,
    storage=st.builds(StorageState, st.sampled_from(["OK", "DISK_FAILING"]), st.just("why"), COUNTS, COUNTS, COUNTS, COUNTS),
    recovery=st.builds(Progress, blobs_pending=COUNTS, fraction=SHARES),
    scrub=st.just(ScrubProgress()),
    sync=st.builds(SyncProgress, shards_pending=COUNTS, fraction=SHARES),
    challenges=st.builds(
        ChallengeProgress, mode=st.sampled_from(["Off", "Vote"]), epoch=COUNTS, window_open=st.booleans(), pending=COUNTS
    ),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(account=ACCOUNTS)
def test_both_ways_to_ask_give_the_same(account: OwnAccount) -> None:
    told = pb.GetStateResponse(info=info_to_pb(account))
    assert admin.info(told) == answers.parse(account.to_json())


class Reader:
    """GET /v1/info."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def info(self, address: str) -> NodeInfo:
        self.asked.append(address)
        return NodeInfo(node_id=None, epoch=1, status="Standby", shards={})

    async def close(self) -> None:
        pass


async def test_who_is_asked_where(node: Node, client: AdminClient) -> None:
    reader = Reader()
    observer = NodeObserver(reader, client)  # type: ignore[arg-type]  # findings are not asked for
    pod = PodView("demo-0-0", "uid-1", ready=True, phase="Running", revision="r", ip="127.0.0.1", admin=True)
    older = replace(pod, name="demo-1-0", uid="uid-9", ip="10.0.0.9", admin=False)
    pods = {"demo-0": pod, "demo-1": older}
    found = await observer.look(NETWORK, pods, Tellable({"demo-0": node.party()}, (OLD,)))
    assert {name: info.value.status for name, info in found.items() if info.value} == {
        "demo-0": "Active",
        "demo-1": "Standby",
    }
    assert reader.asked == ["10.0.0.9"]
    # Without a token the operator goes on in clear text, and its condition says so.
    await observer.look(NETWORK, pods, Tellable({"demo-0": node.party()}))
    assert sorted(reader.asked) == ["10.0.0.9", "10.0.0.9", "127.0.0.1"]
    # A node that does not know the token is not believed otherwise.
    found = await observer.look(NETWORK, pods, Tellable({"demo-0": node.party()}, (NEW,)))
    assert found["demo-0"].fresh is None
    assert found["demo-0"].error is not None
    assert "TOKEN_REFUSED" in found["demo-0"].error
    assert NEW not in found["demo-0"].error


async def test_a_node_is_drained_for_a_time_and_only_the_pod_that_was_seen(node: Node, client: AdminClient) -> None:
    observer = NodeObserver(Reader(), client)  # type: ignore[arg-type]  # findings are not asked for
    assert await observer.drain(NETWORK, "demo-0", "uid-1", 20) == "its admin port is not known"
    await observer.look(NETWORK, {}, Tellable({"demo-0": node.party()}, (OLD, NEW)))
    assert await observer.drain(NETWORK, "demo-0", "uid-2", 20) == "its admin port is not known"
    assert node.servicer.drains == []
    assert await observer.drain(NETWORK, "demo-0", "uid-1", 20) is None
    (asked,) = node.servicer.drains
    assert (asked.timeout.seconds, asked.hold.seconds) == (20, admin.DRAIN_HOLD)
    assert admin.DRAIN_HOLD > 20 + admin.DRAIN_SPARE, "it must not take stores again before its pod goes"
    node.servicer.quiet = False
    assert await observer.drain(NETWORK, "demo-0", "uid-1", 20) == "something is still under way after 20 s"
    await observer.resume(NETWORK, "demo-0", "uid-1")
    assert node.servicer.resumed == 1


async def test_a_node_that_hangs_or_is_away_holds_nobody(
    node: Node, client: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "DRAIN_SPARE", 0.2)
    observer = NodeObserver(Reader(), client)  # type: ignore[arg-type]  # findings are not asked for
    await observer.look(NETWORK, {}, Tellable({"demo-0": node.party()}, (OLD,)))
    node.servicer.hangs = True
    assert "in time" in str(await observer.drain(NETWORK, "demo-0", "uid-1", 0.1))
    await node.server.stop(None)
    assert await observer.drain(NETWORK, "demo-0", "uid-1", 0.1) is not None
    await observer.resume(NETWORK, "demo-0", "uid-1")
