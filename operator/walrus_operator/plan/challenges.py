"""What the nodes have found out about each other by challenges: results of an epoch, of a node, and of the network.

Each node is believed what it says in its own name, which it could also sign; the rules count shards, so that f liars decide
nothing. Results grow during an epoch and are kept when nodes that gave them are gone: fewer never replace more. Until 60 % of
an epoch nodes tell only what they have proved: of that a failure counts that more than f shards report, and nothing else, or
one liar could make last epoch's passes forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from walrus_client.challenges.policy import Mode
from walrus_client.challenges.schedule import Schedule
from walrus_client.challenges.times import VOTES_UNTIL, EpochTimes
from walrus_client.challenges.verdicts import Verdict
from walrus_codec import quorum
from walrus_codec.types import Epoch, NodeId
from walrus_operator.api import names
from walrus_operator.api.chain_view import ChainView
from walrus_operator.api.challenges import ChallengeResults, MemberResults, NetworkResults, NodeResults
from walrus_operator.api.conditions import Condition, ConditionType, Kind, Reason, Truth, condition
from walrus_operator.api.decisions import ChallengeNumbers, EventNote, StatusUpdate
from walrus_operator.api.epoch import EpochMember
from walrus_operator.api.world import Findings, ObjectKey, Snapshot

RECENT = 4
"""Epochs after which a verdict says nothing about a node any more; so long an excuse counts too."""
_LISTED = 5
NOTHING_ASKED = "-"
"""In place of numbers, when there was no blob to ask for."""


def results(
    committee: Sequence[EpochMember],
    findings: Mapping[str, Findings],
    before: ChallengeResults | None,
    *,
    mode: Mode,
    late: bool,
) -> ChallengeResults | None:
    """What is known of an epoch; None when there is no verdict yet.

    Args:
        committee: Its members.
        findings: What each of them says, by name.
        before: What was known before.
        mode: What the network does in the epoch.
        late: Whether whoever has anything to tell must have told it.
    """
    ours = {member.node: findings[member.node] for member in committee if member.node in findings}
    if not ours:
        return before
    rows = [_row(member, committee, ours) for member in committee]
    said = Counter(
        verdict
        for found in ours.values()
        for node, (verdict, _reason) in found.verdicts.items()
        if any(member.node_id == node for member in committee)
    )
    asked = max(found.blobs for found in ours.values())
    made = ChallengeResults(
        mode=before.mode if before is not None else mode.value,
        blobs=asked,
        questions=max(found.questions for found in ours.values()),
        issued=said.total(),
        passed=said[Verdict.PASS],
        failed=said[Verdict.FAIL],
        excused=said[Verdict.EXCUSED],
        none=said[Verdict.NONE],
        silent=_silent(committee, ours) if late else [],
        votes=sum(row.votes for row in rows),
        executed=sum(row.slashed for row in rows),
        burned=sum(row.burned for row in rows),
        display=f"{said[Verdict.PASS]}/{said.total()}" if asked else NOTHING_ASKED,
        members=rows,
    )
    # An operator that has just started, or a node that is away, knows less than what stands there.
    return before if before is not None and _known(before) > _known(made) else made


def is_late(chain: ChainView, epoch: int, now: float) -> bool:
    """Whether reports of an epoch are collected no more."""
    if epoch != chain.epoch or chain.change_done_at_ms is None:
        return epoch < chain.epoch
    return now * 1000 > EpochTimes(chain.change_done_at_ms, chain.epoch_duration_ms).at(VOTES_UNTIL)


def _is_judged(chain: ChainView | None, epoch: int, now: float) -> bool:
    """Whether all verdicts of an epoch are there: an absent one says something then."""
    if chain is None or epoch != chain.epoch:
        return chain is None or epoch < chain.epoch
    if chain.change_done_at_ms is None:
        return False
    return EpochTimes(chain.change_done_at_ms, chain.epoch_duration_ms).is_final(round(now * 1000))


def _known(found: ChallengeResults) -> int:
    return found.issued + found.votes + found.executed + len(found.silent)


def _row(challenged: EpochMember, committee: Sequence[EpochMember], ours: Mapping[str, Findings]) -> MemberResults:
    node, counts, reasons = NodeId(challenged.node_id), Counter[Verdict](), Counter[str]()
    failed_shards, votes, slashed = 0, 0, False
    burned = Counter[int]()  # shards of those who say so: all voters read it from the chain, and some may lie
    for member in committee:
        found = ours.get(member.node)
        if found is None or member is challenged:
            continue
        if node in found.verdicts:
            verdict, reason = found.verdicts[node]
            counts[verdict] += 1
            if verdict is Verdict.FAIL:
                failed_shards += member.weight
            if reason is not None and verdict in {Verdict.FAIL, Verdict.EXCUSED}:
                reasons[reason.value] += 1
        for vote in found.votes:
            if vote.candidate == node:
                votes += vote.voted
                slashed = slashed or vote.slashed
                if vote.slashed and vote.burned:
                    burned[vote.burned] += member.weight
    return MemberResults(
        node=challenged.node,
        passed=counts[Verdict.PASS],
        failed=counts[Verdict.FAIL],
        excused=counts[Verdict.EXCUSED],
        none=counts[Verdict.NONE],
        failed_shards=failed_shards,
        reasons=[reason for reason, _count in sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))],
        votes=votes,
        slashed=slashed,
        burned=burned.most_common(1)[0][0] if burned else 0,
    )


def _silent(committee: Sequence[EpochMember], ours: Mapping[str, Findings]) -> list[str]:
    """Members whose verdicts cover less than half of the weight of all others."""
    total = sum(member.weight for member in committee)
    found = []
    for member in committee:
        said = ours[member.node].verdicts if member.node in ours else {}
        covered = sum(other.weight for other in committee if other is not member and NodeId(other.node_id) in said)
        if 2 * covered < total - member.weight:
            found.append(member.node)
    return found


class Standing:
    """Where the network and each of its nodes stand, by the epochs that are known.

    Args:
        snapshot: The world.
        chain: The last view of the chain.
        schedule: Which policy holds when.
        epochs: Statuses of the epochs, as they are to be stored.
    """

    def __init__(
        self, snapshot: Snapshot, chain: ChainView | None, schedule: Schedule, epochs: Iterable[StatusUpdate]
    ) -> None:
        network = snapshot.network.name
        self._stored: Mapping[str, Any] = {item.name: item.live_status.get("challenges") for item in snapshot.epochs}
        live = {**self._stored, **{update.key.name: update.status.get("challenges") for update in epochs}}
        numbered = {number: name for name in live if (number := names.ordinal(network, name)) is not None}
        self._epochs = [
            (number, numbered[number], found)
            for number in sorted(numbered, reverse=True)
            if (found := _read(live[numbered[number]])) is not None
        ]
        self._changed = {name for name, found in live.items() if found != self._stored.get(name)}
        self._n_shards = snapshot.network.spec.shards if snapshot.network.spec is not None else 0
        self._epoch = chain.epoch if chain is not None else 0
        self._mode = schedule.at(Epoch(self._epoch)).mode
        self._off = self._mode is Mode.OFF
        self._names = {node.name for node in snapshot.nodes}
        self._nodes: dict[str, NodeResults] = {}
        judged = {number: _is_judged(chain, number, snapshot.now) for number, _name, _found in self._epochs}
        self._judged = [(number, found) for number, _name, found in self._epochs if judged[number]]
        for number, _name, found in self._epochs:
            if number <= self._epoch - RECENT:
                break
            for row in found.members:
                told = row.passed + row.failed + row.excused if judged[number] else self._believed(row)
                if told and row.node not in self._nodes and row.node in self._names:
                    self._nodes[row.node] = NodeResults(epoch=number, **row.model_dump())

    def _believed(self, row: MemberResults) -> bool:
        return self._n_shards > 0 and quorum.is_one_honest(row.failed_shards, self._n_shards)

    @property
    def _failing(self) -> list[NodeResults]:
        failing = [row for row in self._nodes.values() if self._believed(row)]
        return sorted(failing, key=lambda row: (len(row.node), row.node))

    def node(self, name: str) -> NodeResults | None:
        """The newest verdicts over a node."""
        return self._nodes.get(name)

    def node_condition(self, name: str) -> Condition:
        """Whether the others find the node's data."""
        if self._off:
            return self._nothing(Kind.NODE)
        row = self.node(name)
        if row is None:
            return _say(
                Kind.NODE,
                "Unknown",
                Reason.NOT_CHALLENGED,
                f"no verdict over it in the last {RECENT} epochs; {self._when()}",
            )
        seen = f"in epoch {row.epoch} {row.passed} members saw it pass"
        excused = f", {row.excused} excuse it ({_first(row.reasons)})" if row.excused else ""
        if self._believed(row):
            members = f"{row.failed} members with {row.failed_shards} shards"
            failed = f"in epoch {row.epoch} {members} saw it fail: {_first(row.reasons)}"
            if row.slashed:
                burned = f"{row.burned} FROST of its commission were burned" if row.burned else "it was slashed"
                return _say(Kind.NODE, "False", Reason.SLASHED, f"{failed}; {burned}")
            return _say(Kind.NODE, "False", Reason.CHALLENGES_FAILED, failed)
        accused = f", {row.failed} with {row.failed_shards} shards saw it fail, too few to count" if row.failed else ""
        if not row.passed:
            return _say(Kind.NODE, "Unknown", Reason.NOT_CHALLENGED, f"{seen}{excused}{accused}")
        return _say(Kind.NODE, "True", Reason.CHALLENGES_PASSED, f"{seen}{excused}{accused}")

    def network_condition(self) -> Condition:
        """Whether all nodes pass."""
        if self._off:
            return self._nothing(Kind.NETWORK)
        found = self.network()
        silent = f"; silent: {_listed(found.silent)}" if found is not None and found.silent else ""
        if found is not None and found.failing:
            slashed = f"; slashed: {_listed(found.slashed)}" if found.slashed else ""
            message = f"failed in their newest epoch: {_listed(found.failing)}{slashed}{silent}"
            return _say(Kind.NETWORK, "False", Reason.CHALLENGES_FAILED, message)
        if found is None or found.epoch is None:
            return _say(Kind.NETWORK, "Unknown", Reason.NOT_CHALLENGED, f"no verdicts yet; {self._when()}")
        _number, newest = self._judged[0]
        if not newest.blobs:
            message = f"there was nothing to ask for in epoch {found.epoch}: {self._when()}"
            return _say(Kind.NETWORK, "Unknown", Reason.NOT_CHALLENGED, message)
        message = f"{found.display} verdicts of epoch {found.epoch} say that the data is there{silent}"
        if not newest.passed:
            why = f"{newest.excused} excuse, and {newest.none} could not judge"
            return _say(Kind.NETWORK, "Unknown", Reason.NOT_CHALLENGED, f"{message}; {why}")
        return _say(Kind.NETWORK, "True", Reason.CHALLENGES_PASSED, message)

    def network(self) -> NetworkResults | None:
        """The network's results; None while challenges are off and nothing is known."""
        if not self._epochs and self._off:
            return None
        failing = [row.node for row in self._failing]
        slashed = [row.node for row in self._failing if row.slashed]
        if not self._judged:
            return NetworkResults(mode=self._mode.value, failing=failing, slashed=slashed, silent=[])
        number, newest = self._judged[0]
        return NetworkResults(
            mode=self._mode.value,
            epoch=number,
            display=newest.display,
            failing=failing,
            slashed=slashed,
            silent=newest.silent,
        )

    def numbers(self) -> ChallengeNumbers:
        """What metrics tell: verdicts of the newest epoch that is judged, votes of the newest in which there are any."""
        failing = {row.node: row.failed_shards for row in self._failing}
        running = next((found for _number, _name, found in self._epochs[:1] if found.votes), None)
        newest = self._judged[0][1] if self._judged else None
        acted = running or newest
        return ChallengeNumbers(
            counts={
                "PASS": newest.passed,
                "FAIL": newest.failed,
                "EXCUSED": newest.excused,
                "NONE": newest.none,
            }
            if newest is not None
            else {},
            silent=len(newest.silent) if newest is not None else 0,
            votes=acted.votes if acted is not None else 0,
            slashed=acted.executed if acted is not None else 0,
            burned=acted.burned if acted is not None else 0,
            failing=failing,
        )

    def events(self) -> tuple[EventNote, ...]:
        """What is new since the last pass."""
        notes = []
        for number, name, found in self._epochs:
            if name not in self._changed:
                continue
            old = _read(self._stored.get(name))
            known = {row.node: row for row in old.members} if old is not None else {}
            for row in found.members:
                if row.node not in self._names:
                    continue
                before, about = known.get(row.node), ObjectKey("WalrusNode", row.node)
                if self._believed(row) and (before is None or not self._believed(before)):
                    sentence = (
                        f"{row.failed} members with {row.failed_shards} shards saw it fail its challenges of epoch {number}: "
                        f"{_first(row.reasons)}"
                    )
                    notes.append(EventNote(about, "ChallengesFailed", sentence, "Warning"))
                if row.slashed and (before is None or not before.slashed):
                    sentence = f"slashed in epoch {number} with {row.votes} votes"
                    notes.append(EventNote(about, "Slashed", sentence, "Warning"))
        return tuple(notes)

    def _nothing(self, kind: Kind) -> Condition:
        return _say(kind, "Unknown", Reason.CHALLENGES_OFF, "spec.challenges.mode is Off: nobody is asked")

    def _when(self) -> str:
        if self._epoch < 3:
            return "the first challenges are made in epoch 3"
        return (
            "an epoch's verdicts are final when 60 % of it are over, and blobs are asked for from their third epoch on"
        )


def _read(live: Any) -> ChallengeResults | None:
    """Stored results; those that cannot be read, written by another version, count as none."""
    try:
        return ChallengeResults.model_validate(live) if live else None
    except ValidationError:
        return None


def _first(reasons: Sequence[str]) -> str:
    return reasons[0] if reasons else "no reason given"


def _listed(items: Sequence[str]) -> str:
    rest = len(items) - _LISTED
    return ", ".join(items[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _say(kind: Kind, status: Truth, reason: Reason, message: str) -> Condition:
    return condition(kind, ConditionType.CHALLENGES_PASSING, status, reason, message)
