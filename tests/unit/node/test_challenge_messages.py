"""Bad messages of challenges over real gRPC: refused with a reason, counted, and not logged at whatever rate they come."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import grpc
import grpc.aio
import pytest
from tests.unit.node.challenge_worlds import DONE_MS, EPOCH, NOW_MS, Four
from tests.unit.node.worlds import EPOCH_MS

from walrus_client.challenges import messages
from walrus_client.challenges.messages import Pair
from walrus_client.challenges.reports import ReportError, SignedReport
from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import RequestSigner
from walrus_client.peers.challenges import METHOD, Hello
from walrus_client.reasons import Reason
from walrus_codec.types import Epoch, NodeId
from walrus_node.challenges.seldom import PAUSE_S, Seldom
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.keys import BlsKey


@dataclass
class Desk:
    """A node that is asked, one that asks, and the reasons that were counted."""

    four: Four
    reasons: list[str] = field(default_factory=list)

    @property
    def asked(self):
        return self.four.nodes[1]

    @property
    def asker(self):
        return self.four.nodes[0]

    async def round(self):
        return await self.asked.challenges.rounds.current()

    async def hello(self, **changes):
        now = await self.round()
        return replace(Hello(EPOCH, 0, now.n_blobs, now.root, now.policy.samples), **changes)

    def opening(self, body, *, sender=None, key=None, receiver=None, epoch=EPOCH, now_ms=NOW_MS):
        signer = RequestSigner(sender or self.asker.node_id, key or self.asker.key, now_ms=lambda: now_ms)
        envelope = signer.sign(METHOD, receiver or self.asked.node_id, epoch, body)
        return pb.ChallengeRequest(opening=pb.ChallengeOpening(envelope=envelope, body=body))

    async def seed(self, **changes):
        now = await self.round()
        facts = {"chain_id": now.chain_id, "blobs": now.n_blobs, "root": now.root}
        pair = Pair(EPOCH, self.asker.node_id, self.asked.node_id, 0)
        about = {name: changes.pop(name) for name in list(changes) if name in facts}
        key = changes.pop("key", self.asker.key)
        return key.sign(messages.seed(replace(pair, **changes), **(facts | about)))

    async def send(self, *requests):
        return [part async for part in self.asked.stub.Challenge(iter(requests), timeout=30)]

    async def refuses(self, *requests):
        """The reason of a refusal, which was counted once."""
        counted = len(self.reasons)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await self.send(*requests)
        refusal = refusal_of(raised.value)
        assert refusal is not None, raised.value
        assert self.reasons[counted:] == [refusal.reason.value]
        return refusal.reason


@pytest.fixture
async def desk(tmp_path):
    four = await Four(tmp_path, blobs=1).start()
    four.now = DONE_MS + EPOCH_MS // 5
    made = Desk(four)

    def count(_one, labels):
        made.reasons.extend(labels.values())

    made.asked.servicer._refusals = SimpleNamespace(add=count)
    yield made
    await four.close()


async def test_malformed_messages(desk):
    good = (await desk.hello()).to_body()
    hello = pb.ChallengeHello.FromString(good)
    odd = [
        b"\xff",
        b"",
        pb.ChallengeHello(epoch=3, root=hello.root[1:], samples=197).SerializeToString(),
        pb.ChallengeHello(epoch=3, root=hello.root, samples=0).SerializeToString(),
        pb.ChallengeHello(epoch=3, root=hello.root, samples=10_001).SerializeToString(),
        pb.ChallengeHello(epoch=3, root=hello.root, samples=197, attempt=3).SerializeToString(),
        bytes(3 << 20),
    ]
    for body in odd:
        assert await desk.refuses(desk.opening(body)) is Reason.MALFORMED_REQUEST
    for first in (pb.ChallengeRequest(seed=bytes(96)), pb.ChallengeRequest()):
        assert await desk.refuses(first) is Reason.MALFORMED_REQUEST
    assert await desk.refuses() is Reason.MALFORMED_REQUEST
    for attempt, second in enumerate((pb.ChallengeRequest(seed=bytes(95)), desk.opening(good))):
        body = (await desk.hello(attempt=attempt)).to_body()
        assert await desk.refuses(desk.opening(body), second) is Reason.MALFORMED_REQUEST
    assert desk.asked.challenges.prover.answering == 0


async def test_a_message_that_is_larger_than_any_may_be_is_not_even_read(desk):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await desk.send(desk.opening(bytes(5 << 20)))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert desk.asked.challenges.prover.answering == 0


async def test_openings_that_their_sender_has_not_signed_for_this_node_and_moment(desk):
    body = (await desk.hello()).to_body()
    unsigned = desk.opening(body)
    unsigned.opening.envelope.signature = b""
    changed = desk.opening(body)
    changed.opening.body = (await desk.hello(attempt=1)).to_body()
    stranger = NodeId("0x" + "ee" * 32)
    cases = [
        (unsigned, Reason.MESSAGE_VERIFICATION_FAILED),
        (changed, Reason.MESSAGE_VERIFICATION_FAILED),
        (desk.opening(body, key=desk.four.nodes[2].key), Reason.MESSAGE_VERIFICATION_FAILED),
        (desk.opening(body, receiver=desk.four.nodes[2].node_id), Reason.MESSAGE_VERIFICATION_FAILED),
        (desk.opening(body, now_ms=NOW_MS - 121_000), Reason.MESSAGE_VERIFICATION_FAILED),
        (desk.opening(body, sender=stranger, key=BlsKey.generate()), Reason.REQUEST_UNAUTHORIZED),
        (desk.opening(body, epoch=Epoch(2)), Reason.INVALID_EPOCH),
        (desk.opening(body, epoch=Epoch(4)), Reason.INVALID_EPOCH),
    ]
    for request, reason in cases:
        assert await desk.refuses(request) is reason
    once = desk.opening(body)
    assert (await desk.send(once, pb.ChallengeRequest(seed=await desk.seed())))[-1].HasField("close")
    assert await desk.refuses(once) is Reason.MESSAGE_VERIFICATION_FAILED, "the same message again"


async def test_refusals_of_the_prover_are_signed_and_wait_for_no_seed(desk):
    used = (await desk.hello()).to_body()
    await desk.send(desk.opening(used), pb.ChallengeRequest(seed=await desk.seed()))
    cases = [
        (used, "ATTEMPT_USED", 20),
        ((await desk.hello(epoch=Epoch(2), attempt=1)).to_body(), "WRONG_EPOCH", 20),
        ((await desk.hello(attempt=1)).to_body(), "OUT_OF_WINDOW", 60),
        ((await desk.hello(attempt=1, blobs=9)).to_body(), "LAGGING", 20),
    ]
    for body, reason, percent in cases:
        desk.four.now = DONE_MS + EPOCH_MS * percent // 100
        (only,) = await desk.send(desk.opening(body))
        assert pb.ChallengeRefusalReason.Name(only.refusal.reason).endswith(reason)
        assert len(only.refusal.signature) == 96


@pytest.mark.parametrize(
    "changed",
    ["epoch", "challenger", "prover", "attempt", "chain_id", "blobs", "root", "key"],
)
async def test_a_seed_with_any_other_input_is_refused_so_that_the_challenger_cannot_choose(desk, changed):
    other = {
        "epoch": Epoch(2),
        "challenger": desk.asked.node_id,
        "prover": desk.four.nodes[2].node_id,
        "attempt": 1,
        "chain_id": bytes(32),
        "blobs": 2,
        "root": bytes(32),
        "key": desk.four.nodes[2].key,
    }
    opening = desk.opening((await desk.hello()).to_body())
    seed = await desk.seed(**{changed: other[changed]})
    reason = await desk.refuses(opening, pb.ChallengeRequest(seed=seed))
    assert reason is Reason.MESSAGE_VERIFICATION_FAILED
    # The attempt is gone: there is no second try at another seed.
    again = desk.opening((await desk.hello()).to_body())
    (only,) = await desk.send(again, pb.ChallengeRequest(seed=await desk.seed()))
    assert only.HasField("refusal")


async def test_a_flood_of_bad_messages_leaves_no_line_in_the_log(desk, caplog):
    body = (await desk.hello()).to_body()
    caplog.set_level("INFO")
    caplog.clear()
    for _ in range(50):
        assert await desk.refuses(desk.opening(b"\xff")) is Reason.MALFORMED_REQUEST
        assert await desk.refuses(desk.opening(body, key=desk.four.nodes[2].key)) is Reason.MESSAGE_VERIFICATION_FAILED
    assert [record for record in caplog.records if record.name.startswith("walrus_node")] == []
    assert len(desk.reasons) == 100


async def test_bad_reports_are_counted_each_time_and_logged_once_a_minute(desk, caplog, monkeypatch):
    four = desk.four
    await four.attempts()
    await four.at(60)
    honest, liar = four.nodes[0], four.nodes[3]
    book, now = honest.challenger._book, await honest.challenges.rounds.current()
    counted = []
    book._taken = SimpleNamespace(add=lambda _one, labels: counted.extend(labels.values()))
    liar.cheat(f"forge-reports {four.nodes[1].node_id}")
    monkeypatch.setattr(book._rng, "choice", lambda _others: liar.member())
    caplog.clear()
    for _ in range(5):
        await book.pull(now, honest.peers)
    lines = [record for record in caplog.records if record.message == "a member hands on a bad report"]
    assert (len(lines), counted.count("REFUSED") >= 5) == (1, True)
    for body in (b"", b"\xc3", bytes(600)):
        with pytest.raises(ReportError):
            await book.offer(now, SignedReport(body, bytes(96)))


async def test_members_without_a_port_are_not_asked_for_reports(desk):
    four = desk.four
    await four.attempts()
    await four.at(60)
    honest = four.nodes[0]
    now = await honest.challenges.rounds.current()
    members = tuple(replace(member, grpc_address="") for member in now.committee.members)
    asked = []
    peers = SimpleNamespace(get=asked.append)
    await honest.challenger._book.pull(replace(now, committee=replace(now.committee, members=members)), peers)
    assert asked == []


def test_the_same_is_said_once_a_minute_and_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("walrus_node.challenges.seldom._KEPT", 3)
    now = [0.0]
    seldom = Seldom(lambda: now[0])
    assert [seldom.may_say("a", 1), seldom.may_say("a", 1), seldom.may_say("a", 2)] == [True, False, True]
    assert [seldom.may_say("b"), seldom.may_say("c")] == [True, False], "too many different things"
    now[0] = PAUSE_S
    assert [seldom.may_say("a", 1), seldom.may_say("c")] == [True, True]
    assert len(seldom._said) <= 3
