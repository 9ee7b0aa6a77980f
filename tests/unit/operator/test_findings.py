"""What nodes have found out is asked for when it is new, once more when its epoch is over, and never otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field

from walrus_client.challenges.results import Results, Vote
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_codec.types import Epoch, NodeId
from walrus_operator.api.world import ChallengeInfo, Findings, NodeInfo, Observed, PodView, UnixSeconds
from walrus_operator.observe.answers import findings
from walrus_operator.observe.findings import FindingsObserver

OTHER = NodeId("0x" + "22" * 32)
FOUND = Findings(3, 197, {OTHER: (Verdict.PASS, Outcome.PASS)}, ())
NOTHING = Findings(0, 0, {}, ())
PODS = {"demo-0": PodView("demo-0-0", "u", ready=True, phase="Running", revision="r", ip="10.0.0.1")}


@dataclass
class PlayedNode:
    """Answers from a table, and notes what it was asked for."""

    answers: dict[int, Findings | Exception] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    async def info(self, address: str) -> NodeInfo:
        raise NotImplementedError

    async def findings(self, address: str, epoch: int) -> Findings:
        assert address == "10.0.0.1"
        self.asked.append(epoch)
        answer = self.answers.get(epoch, NOTHING)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing is open."""


def infos(epoch: int, **said: int | str) -> dict[str, Observed[NodeInfo]]:
    said = {"mode": "Vote", "epoch": epoch, **said}
    info = NodeInfo(None, epoch, "Active", {}, challenges=ChallengeInfo(**said))  # type: ignore[arg-type]
    return {"demo-0": Observed(info, UnixSeconds(0.0))}


async def test_only_what_is_new_is_asked_for() -> None:
    node = PlayedNode({5: FOUND})
    observer = FindingsObserver(node)
    assert await observer.look("ns/demo", PODS, infos(5)) == {}
    assert node.asked == [4], "perhaps the operator has just started"
    for _ in range(3):
        assert await observer.look("ns/demo", PODS, infos(5, verdicts=1)) == {5: {"demo-0": FOUND}}
    assert node.asked == [4, 5]
    await observer.look("ns/demo", PODS, infos(5, verdicts=1, votes=1))
    assert node.asked == [4, 5, 5]
    # In the next epoch, a last time; then what is older is forgotten.
    voted = Findings(3, 197, FOUND.verdicts, (Vote(OTHER, voted=True, ended="EXECUTED", burned=1),))
    node.answers[5] = voted
    for _ in range(2):
        assert await observer.look("ns/demo", PODS, infos(6)) == {5: {"demo-0": voted}}
    assert node.asked == [4, 5, 5, 5]
    assert await observer.look("ns/demo", PODS, infos(7)) == {}
    observer.forget("ns/demo")


async def test_what_a_node_said_is_known_while_it_is_away_or_says_nonsense() -> None:
    node = PlayedNode({5: FOUND})
    observer = FindingsObserver(node)
    await observer.look("ns/demo", PODS, infos(5, verdicts=1))
    for error in (OSError("HTTP 503"), ValueError("no answer about challenges"), TimeoutError()):
        node.answers[5] = error
        assert await observer.look("ns/demo", PODS, infos(5, verdicts=2)) == {5: {"demo-0": FOUND}}
    assert await observer.look("ns/demo", {}, {}) == {5: {"demo-0": FOUND}}
    away = {"demo-0": Observed[NodeInfo](None, None, "no answer", UnixSeconds(0.0))}
    assert await observer.look("ns/demo", PODS, away) == {5: {"demo-0": FOUND}}
    assert await observer.look("ns/other", {}, {}) == {}


async def test_nobody_is_asked_while_challenges_are_off() -> None:
    node = PlayedNode()
    assert await FindingsObserver(node).look("ns/demo", PODS, infos(5, mode="Off", verdicts=1)) == {}
    assert node.asked == []


def test_an_answer_without_reports_finds_nothing() -> None:
    vote = Vote(OTHER, voted=False, ended="", burned=0)
    assert findings(Results(Epoch(5), OTHER, (), (vote,))) == Findings(0, 0, {}, (vote,))
