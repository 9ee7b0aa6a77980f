"""Every kind of cheater as real processes: up to f of ten shards cheat at once, beside honest nodes that judge them.

One network lives through all of it, from epoch to epoch, because nodes read their orders again each time. In every epoch:
each honest node finds each cheater, for the right reason, and no honest one; who is to be slashed is slashed in that epoch,
and whose failure is proven before the contract lets it collect what it has earned; the supply of WAL falls by exactly the
commissions of the slashed. CHEATING_ROUNDS repeats all of it on the same network.
"""

import asyncio
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import pytest
from tests.integration.node.challenge_clock import EPOCH_MS, HALF, PASSED, Clock, counted, supply
from tests.integration.node.world import until

from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.results import Results
from walrus_client.challenges.schedule import Schedule
from walrus_client.challenges.verdicts import PROVED, Outcome, Verdict
from walrus_codec import quorum, redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType, Epoch
from walrus_node.cheating.orders import Orders
from walrus_node.store.shards import SliverKey
from walrus_sui.errors import ChainError

ROUNDS = int(os.environ.get("CHEATING_ROUNDS", "1"))
pytestmark = pytest.mark.timeout(300 + 200 * ROUNDS)
N_NODES, N_SHARDS = 7, 10
PATIENT = Policy(mode=Mode.VOTE, grace_ms=30_000)
STRICT = Policy(mode=Mode.VOTE, grace_ms=0, latency_ms=2_000)
TWICE_MS = 2 * STRICT.latency_ms
FAIL, EXCUSED = Verdict.FAIL, Verdict.EXCUSED
SLOW = (FAIL, Outcome.LATE)


class Told:
    """What an operator tells all nodes about challenges, from an epoch on."""

    def __init__(self, file):
        self.file = file
        self.steps = ((Epoch(0), PATIENT),)

    def policy(self, epoch, policy):
        """This one from the epoch on."""
        self.steps = (*self.steps, (epoch, policy))
        self.file.write_text(Schedule(self.steps).to_json())


@dataclass(frozen=True)
class Cast:
    """Who plays what: `heavy` holds two shards, the others one each; so do three honest ones, and two hold two."""

    network: object
    heavy: object
    a: object
    b: object
    c: object
    d: object

    def honest(self, *cheaters):
        return [node for node in self.network.nodes if node not in cheaters]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    told = Told(tmp_path_factory.mktemp("policy") / "challenges.json")
    told.file.write_text(Schedule(told.steps).to_json())
    return told


@pytest.fixture(scope="module")
def network(make_network, told):
    # Scrub would find what is missing before anybody asks for it.
    changes = {"challenges": {"policy_file": str(told.file)}, "scrub": {"enabled": False}}
    return make_network(N_NODES, manual_ms=EPOCH_MS, changes=changes, faults=True, seed="cheaters")


@pytest.fixture(scope="module")
def cast(network):
    """The parts; and blobs that are asked for from epoch 3 on, some of which those who drop a little will lack."""

    async def store():
        async with network.chain() as chain:
            view = await chain.staking()
            light = [node for node in network.nodes if len(network.shards_of(view, node)) == 1]
            heavy = [node for node in network.nodes if len(network.shards_of(view, node)) == 2]
            assert (len(heavy), len(light)) == (3, 4)
            found = Cast(network, heavy[0], *light)
            for node, share in ((found.a, 0.5), (found.b, 0.1), (found.c, 0.01)):
                content, lacked = lacking(network, view, node, share)
                await network.store(chain, content)
                assert 0 < lacked <= 2
            for size in (700, 20_000, 60_000):
                await network.store(chain, os.urandom(size))
            await network.next_epoch(chain)
            return found

    return asyncio.run(store())


def lacking(network, view, node, share):
    """The first of many contents of which a node that drops this share will lack a sliver; and how many of two."""
    orders, (shard,) = Orders(dropped=share), network.shards_of(view, node)
    params = CodeParams(N_SHARDS, EncodingType.ISAL)
    while True:
        content = os.urandom(40)
        blob = redstuff.encode(content, params).blob_id
        if lacked := sum(orders.lacks(node.name, SliverKey(shard, axis, blob), -1) for axis in Axis):
            return content, lacked


def first_of_all(network):
    """Content whose blob id comes before those of almost all others."""
    while True:
        content = os.urandom(30)
        if redstuff.encode(content, CodeParams(N_SHARDS, EncodingType.ISAL)).blob_id[0] < 3:
            return content


class Epochs:
    """One epoch after the other, each with its cheaters."""

    def __init__(self, cast, chain):
        self.cast = cast
        self.chain = chain
        self.seen = Counter()
        self.collected = self.behind = 0

    async def epoch(self, cheats, *, slow=0, slashed=(), expected_early=True):
        """Cheats as told, and what is expected of it: by cheater its orders, and the verdict of all honest nodes.

        `slashed` may be a function of all verdicts; with `expected_early` whose failure is proven collects as soon as it can.
        """
        network = self.cast.network
        view = await network.next_epoch(self.chain)
        for node in network.nodes:
            node.deviate(cheats[node][0] if node in cheats else "")
        assert sum(len(network.shards_of(view, node)) for node in cheats) <= quorum.max_faulty(N_SHARDS)
        honest = self.cast.honest(*cheats)
        clock = Clock(network, view)
        commission = {node: (await self.chain.pool(node.known_id)).commission for node in network.nodes}
        before = await supply(network, self.chain)
        proved = [node for node, (_orders, expected) in cheats.items() if expected and expected[1] in PROVED]

        async def collect():
            if proved and expected_early:
                await self.collect_too_late(clock, honest, proved)

        await clock.verdicts(honest, slow=slow, before_half=collect)
        matrix = await clock.matrix()
        assert {(a, b) for a, b in matrix} == {(a.name, b.name) for a in network.nodes for b in network.nodes if a != b}
        if callable(slashed):
            slashed = slashed(view, matrix)
        await self.votes_end(clock, honest, slashed)
        burned = before - await supply(network, self.chain)
        assert burned == sum(commission[node] for node in slashed)
        for node in network.nodes:
            left = (await self.chain.pool(node.known_id)).commission
            assert left == (0 if node in slashed else commission[node]), node.name
            assert commission[node] > 0, "somebody has bought storage"
        for node in honest:
            told = self.told(clock, node)
            assert {vote.candidate for vote in told} == {each.known_id for each in slashed}, node.name
            by_id = {each.known_id: commission[each] for each in slashed}
            assert all(vote.burned == by_id[vote.candidate] for vote in told if vote.slashed), told
            self.behind += sum(vote.slashed and not vote.voted for vote in told)
        for node, (orders, expected) in cheats.items():
            lines = (line.partition(" 0x")[0] for line in orders.splitlines())
            what = ", ".join(dict.fromkeys(lines))
            self.seen.update((what, matrix[judge.name, node.name]) for judge in honest)
            if expected is not None:
                assert {matrix[judge.name, node.name] for judge in honest} == {expected}, (clock.epoch, orders)
        self.seen.update(("honest", matrix[a.name, b.name]) for a in honest for b in honest if a != b)
        print(f"epoch {clock.epoch}: {burned} burned of {[node.name for node in slashed]}")
        return clock, matrix, slashed

    async def collect_too_late(self, clock, honest, proved):
        """The cheaters collect their commission the moment that the contract lets them: nothing is left of it."""

        def have_proved():
            return all(clock.of(node)["failed"] >= len(proved) for node in honest)

        async def left():
            return sum([(await self.chain.pool(node.known_id)).commission for node in proved])

        for percent in (43, 45, 47, 48, 49):
            if percent > clock.percent:
                await clock.at(percent, "sees the window", lambda said: said["window_open"] is True)
            with suppress(AssertionError):
                await asyncio.to_thread(
                    until, "all have decided", lambda: self.all_decided(clock, honest, proved), patience=5
                )
                if not await left():
                    break
        assert not await left() or not have_proved(), "proofs were there in time"
        if await left():
            return  # a busy machine: some attempt was made again
        await clock.at(HALF, "sees the window", lambda said: said["window_open"] is True)
        with suppress(ChainError):  # a node's driver was first
            await self.chain.voting_end(self.cast.network.treasury)
        for node in proved:
            cap = (await self.chain.pool(node.known_id)).commission_receiver.id
            assert await self.chain.collect_commission(node.keys["sui"], node.known_id, holder=cap) == 0
            self.collected += 1

    def told(self, clock, node):
        """What became of those whom the node was to vote against: some are slashed when it is about to."""
        status, text = node.get(f"/v1/challenges/{clock.epoch}?own")
        return Results.from_json(text).votes if status == 200 else ()

    def all_decided(self, clock, honest, slashed):
        ids = {each.known_id for each in slashed}
        return all({vote.candidate for vote in self.told(clock, node)} >= ids for node in honest)

    async def votes_end(self, clock, honest, slashed):
        """Until all honest nodes have voted, and what they voted for is done; a vote behind the quorum may come too late for it."""

        def have_voted():
            return self.all_decided(clock, honest, slashed)

        for percent in (66, 70, 74, 78, 82, 86, 89, 92, 95, 97):
            await clock.at(percent, "goes on", lambda said: said["window_open"] is False)
            with suppress(AssertionError):
                await asyncio.to_thread(until, "all have voted", have_voted, patience=10)
                if sum([(await self.chain.pool(node.known_id)).commission for node in slashed]) == 0:
                    return

    async def all_honest_pass(self, cheats, **options):
        """The same with a patient policy: nobody honest is anything but passed by the honest."""
        clock, matrix, _slashed = await self.epoch(cheats, **options)
        honest = self.cast.honest(*cheats)
        assert {matrix[a.name, b.name] for a in honest for b in honest if a != b} == {PASSED}
        return clock, matrix


async def test_every_kind_of_cheater_is_found_and_slashed_to_the_last_unit_and_nobody_else_is(network, cast, told):
    heavy, a, b, c, d = cast.heavy, cast.a, cast.b, cast.c, cast.d
    async with network.chain() as chain:
        epochs = Epochs(cast, chain)
        for _ in range(ROUNDS):
            # Blobs of two epochs ago are asked for: the replayed answers come when there is one more in front.
            await network.store(chain, first_of_all(network), epochs=10)
            await epochs.all_honest_pass(
                {
                    a: ("wrong 0.9", (FAIL, Outcome.WRONG)),
                    b: ("refuse BUSY", (FAIL, Outcome.BUSY)),
                    c: ("refuse LAGGING", (EXCUSED, Outcome.LAGGING)),
                },
                slow=2,
                slashed=[a, b],
            )
            friends = "".join(f"\ncover {node.known_id}" for node in (a, b, c))
            cheats = {
                node: (f"drop {share}{friends}", (FAIL, Outcome.MISSING))
                for node, share in ((a, 0.5), (b, 0.1), (c, 0.01))
            }
            _clock, matrix = await epochs.all_honest_pass(cheats, slashed=[a, b, c])
            assert {matrix[x.name, y.name] for x in cheats for y in cheats if x != y} == {PASSED}, (
                "they cover each other"
            )
            away = "metadata-only\nhang-up"
            await epochs.all_honest_pass(
                {
                    b: (away, (EXCUSED, Outcome.UNREACHABLE)),
                    c: ("refuse LAGGING", (FAIL, Outcome.LAGGING)),
                    d: ("replay", (FAIL, Outcome.WRONG)),
                },
                slow=2,
                slashed=[c, d],
            )
            await epochs.all_honest_pass(
                {b: (away, (FAIL, Outcome.UNREACHABLE)), heavy: ("drop-shard", (FAIL, Outcome.MISSING))},
                slow=1,
                slashed=[b, heavy],
            )
            await accuse(epochs, [a, b, c])
            await be_late(epochs, told, b, c, a)
    assert epochs.collected > 0, "in most epochs all proofs are there in time"
    print(f"{epochs.collected} collected too late, {epochs.behind} votes were behind the slashing")
    for (what, (verdict, reason)), count in sorted(epochs.seen.items(), key=str):
        print(f"{what}: {verdict.name} {reason.name if reason else '-'} {count}")


async def accuse(epochs, liars):
    """A coalition of f accuses each honest node, by its own and by forged reports, and votes so."""
    victims = epochs.cast.honest(*liars)
    orders = "".join(f"accuse {node.known_id}\nforge-reports {node.known_id}\n" for node in victims)
    clock, matrix = await epochs.all_honest_pass(dict.fromkeys(liars, (orders, PASSED)))
    assert {matrix[liar.name, victim.name] for liar in liars for victim in victims} == {(FAIL, Outcome.WRONG)}
    ids = {liar.known_id for liar in liars}

    def knows_all(node):
        found = Results.from_json(node.get(f"/v1/challenges/{clock.epoch}")[1])
        return len(found.reports) == N_NODES * (N_NODES - 1)

    # The honest do not vote as long as there is time, with all of it before their eyes.
    for percent in (70, 75, 80, 85, 89):
        await clock.at(percent, "goes on", lambda said: said["votes"] in {0, 4})
    for node in victims:
        await asyncio.to_thread(until, f"{node.name} has all reports", lambda n=node: knows_all(n))
        assert counted(node, "walrus_node_challenge_reports_total", "REFUSED") > 0, "forged ones"
    for liar in liars:
        await asyncio.to_thread(until, f"{liar.name} votes", lambda n=liar: clock.of(n)["votes"] == len(victims))
    await clock.at(99, "goes on", lambda said: said["votes"] in {0, 4})
    open_ = {each.node_id: each for each in await epochs.chain.slashing_proposals() if each.epoch == clock.epoch}
    assert set(open_) == {node.known_id for node in victims}
    for proposal in open_.values():
        assert (set(proposal.voters), proposal.weight) == (ids, quorum.max_faulty(N_SHARDS))
    assert [clock.of(node)["votes"] for node in victims] == [0] * len(victims)
    for node in victims:
        assert (await epochs.chain.pool(node.known_id)).commission > 0


async def be_late(epochs, told, late, fetches, keeps_nothing):
    """Answers that take twice their time; a challenger that was late itself says nothing, and then it is tried again."""
    network, shards_of = epochs.cast.network, epochs.cast.network.shards_of
    cheats = {
        late: (f"late {TWICE_MS}", None),
        fetches: (f"fetch {TWICE_MS}", None),
        keeps_nothing: ("metadata-only", (FAIL, Outcome.MISSING)),
    }

    def failed(view, matrix):
        seen = {
            node: [judge for judge in network.nodes if matrix.get((judge.name, node.name)) == SLOW] for node in cheats
        }
        weight = {node: sum(len(shards_of(view, judge)) for judge in judges) for node, judges in seen.items()}
        return [keeps_nothing, *(node for node in (late, fetches) if quorum.is_quorum(weight[node], N_SHARDS))]

    told.policy(Epoch((await epochs.chain.staking()).epoch + 1), STRICT)
    caught = set()
    for _ in range(3):
        _clock, matrix, slashed = await epochs.epoch(cheats, slow=2, slashed=failed, expected_early=False)
        caught.update(slashed)
        for judge in epochs.cast.honest(*cheats):
            for node in (late, fetches):
                assert matrix[judge.name, node.name] in {SLOW, (Verdict.NONE, Outcome.LATE), (Verdict.NONE, None)}
        if caught == set(cheats):
            break
    assert caught == set(cheats)
    told.policy(Epoch((await epochs.chain.staking()).epoch + 1), PATIENT)
