"""Availability challenges in the custom resources: what users ask for, and what the nodes have found.

One row of results stands for one challenged member; who said what of whom is known to the nodes (`walrusctl challenges`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from walrus_operator.api.base import SpecModel, StatusModel, cel, rules

ChallengeMode = Literal["Off", "Report", "Vote"]


class Challenges(SpecModel):
    """How hard the members of the committee challenge each other to prove that they hold their data.

    A change restarts nothing. It holds from a later epoch on, when all nodes know of it.
    """

    mode: ChallengeMode = "Vote"
    """Off: nobody is asked. Report: nodes challenge each other and sign what they find. Vote: they also vote to burn the
    commission of a node that more than f shards have seen fail."""
    kept: Annotated[
        str,
        Field(
            pattern=r"^0\.[0-9]{1,6}$",
            max_length=8,
            json_schema_extra=rules(
                cel(
                    "double(self) >= 0.5 && double(self) <= 0.995",
                    "challenges.kept must lie between 0.5 and 0.995: nearer to 1 more questions are needed than an epoch has "
                    "time for",
                )
            ),
        ),
    ] = "0.9"
    """Share of its data that a node must hold to count as honest, such as "0.9"."""
    target: Annotated[
        str,
        Field(
            pattern=r"^[0-9](\.[0-9]{1,6})?(e-[0-9]{1,2})?$",
            max_length=12,
            json_schema_extra=rules(
                cel(
                    "double(self) >= 1e-18 && double(self) <= 0.1",
                    "challenges.target must lie between 1e-18 and 0.1, such as 1e-9",
                )
            ),
        ),
    ] = "1e-9"
    """Probability with which a node that holds only `kept` may pass one challenge, such as "1e-9", which takes 197
    questions."""
    latency_milliseconds: Annotated[int, Field(ge=0, le=60_000)] = 20
    """Time for each answer."""
    bytes_per_second: Annotated[int, Field(ge=1)] = 4_000_000
    """Speed at which answers must come besides."""
    grace_milliseconds: Annotated[int, Field(ge=0, le=600_000)] = 2_000
    """Time once for each challenge."""
    keep_epochs: Annotated[int, Field(ge=4, le=1000)] = 8
    """For how many epochs nodes keep reports and transcripts."""


class NodeChallenges(SpecModel):
    """What one node does about challenges."""

    mode: ChallengeMode
    """What it does at most, also when the network does more. With Off it challenges nobody, and answers all the same."""


class EpochChallenges(SpecModel):
    """What a network does in one epoch, whatever its own spec says."""

    mode: ChallengeMode
    """As in the WalrusNetwork; all else stays as it is there."""


class MemberResults(StatusModel):
    """What the others have found out about one member in an epoch."""

    node: str
    """Name of the challenged node."""
    passed: int
    """Members that saw it pass."""
    failed: int
    """Members that saw it fail."""
    excused: int
    """Members that excuse it: it was away, behind or recovering."""
    none: int
    """Members that could not judge."""
    failed_shards: int
    """Shards of those that saw it fail; f + 1 of them are believed, at 2f + 1 it can be slashed."""
    reasons: list[str]
    """Why it failed or is excused, the most frequent reason in front."""
    votes: int
    """Members that have voted to slash it."""
    slashed: bool
    """Whether its commission was burned."""
    burned: int
    """FROST that were burned."""


class ChallengeResults(StatusModel):
    """What the nodes have found out in an epoch."""

    mode: str
    """What the network did in the epoch: Off, Report or Vote."""
    blobs: int
    """Blobs that were asked for."""
    questions: int
    """Questions of one challenge, when there were as many to ask."""
    issued: int
    """Verdicts of members over each other."""
    passed: int
    """Those of them that say PASS."""
    failed: int
    """Those that say FAIL."""
    excused: int
    """Those that excuse."""
    none: int
    """Those that say nothing."""
    silent: list[str]
    """Members that have not told what they must have seen; known late in the epoch."""
    votes: int
    """Votes to slash."""
    executed: int
    """Members that were slashed."""
    burned: int
    """FROST that were burned."""
    display: str
    """passed/issued, for `kubectl get`; "-" when there was no blob to ask for."""
    members: list[MemberResults]
    """By challenged member, in committee order."""


class NodeResults(MemberResults):
    """What the others have found out about the node, in the newest epoch with verdicts over it."""

    epoch: int
    """The epoch."""


class NetworkResults(StatusModel):
    """The newest epoch with verdicts."""

    mode: str
    """What the network does in the current epoch."""
    epoch: int | None = None
    """The epoch."""
    display: str | None = None
    """Verdicts that say PASS, of all."""
    failing: list[str]
    """Nodes that f + 1 shards saw fail."""
    slashed: list[str]
    """Nodes whose commission was burned."""
    silent: list[str]
    """Members that have not told what they must have seen."""
