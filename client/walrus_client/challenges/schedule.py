"""Which policy holds in which epoch, as a whole network is told it: the file that a node's `challenges.policy_file` names.

Life of a schedule: whoever runs the network writes it, all of its nodes read it at the first checkpoint of each epoch, and
keep what it says of that epoch. A change is written with the epoch from which it holds, far enough ahead that everybody
has the new file by then: members that ask different numbers of questions, or of whom some do not answer at all, would
take each other for laggards.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from walrus_client.challenges.policy import Mode, Policy, PolicyError
from walrus_codec.types import Epoch

MAX_SCHEDULE = 1 << 20
"""Characters of a file, at most."""


class ScheduleError(ValueError):
    """Text that is no schedule; the message says what is wrong with it."""


@dataclass(frozen=True)
class Schedule:
    """The file.

    Attributes:
        steps: policies by the epoch from which they hold, ascending; the first one holds from the beginning.
        epochs: what the network does in single epochs, whatever the policy says.
        nodes: what single nodes do at most, by their names.
    """

    steps: tuple[tuple[Epoch, Policy], ...]
    epochs: Mapping[Epoch, Mode] = field(default_factory=dict)
    nodes: Mapping[str, Mode] = field(default_factory=dict)

    def at(self, epoch: Epoch) -> Policy:
        """The policy of an epoch."""
        before = [policy for start, policy in self.steps if start <= epoch]
        found = before[-1] if before else self.steps[0][1]
        return replace(found, mode=self.epochs[epoch]) if epoch in self.epochs else found

    def planned(self, epoch: Epoch) -> tuple[Policy, ...]:
        """The policies of an epoch and of all after it, single epochs aside."""
        past = sum(start <= epoch for start, _policy in self.steps)
        return tuple(policy for _start, policy in self.steps[max(0, past - 1) :])

    def changed(self, policy: Policy, start: Epoch, *, now: Epoch) -> Schedule:
        """The schedule with another policy from `start` on; as it is when that is planned already.

        Steps that others have replaced by the epoch `now` are forgotten.
        """
        steps = self.steps
        if steps[-1][1] != policy:
            steps = tuple(step for step in steps if step[0] < start)
            if not steps or steps[-1][1] != policy:
                steps = (*steps, (start, policy))
        past = sum(start <= now for start, _policy in steps)
        return replace(self, steps=steps[max(0, past - 1) :])

    def to_json(self) -> str:
        """The file's text; equal schedules have equal texts."""
        document = {
            "steps": [{"from": start, "policy": _document(policy)} for start, policy in self.steps],
            "epochs": {str(epoch): self.epochs[epoch].value for epoch in sorted(self.epochs)},
            "nodes": {name: self.nodes[name].value for name in sorted(self.nodes)},
        }
        return json.dumps(document, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Schedule:
        """Reads a file.

        Raises:
            ScheduleError: it is none.
        """
        if len(text) > MAX_SCHEDULE:
            raise ScheduleError(f"a schedule of {len(text)} characters; it has at most {MAX_SCHEDULE}")
        try:
            document = json.loads(text)
            steps = [(_epoch(step["from"]), _policy(step["policy"])) for step in document["steps"]]
            epochs = {_epoch(int(number)): Mode(mode) for number, mode in document["epochs"].items()}
            nodes = {str(name): Mode(mode) for name, mode in document["nodes"].items()}
        except (KeyError, TypeError, AttributeError, PolicyError, ValueError, RecursionError) as error:
            raise ScheduleError(f"not a schedule of challenges: {error}") from error
        if not steps or any(one[0] >= other[0] for one, other in itertools.pairwise(steps)):
            raise ScheduleError("a schedule has steps, each from a later epoch on than the one before")
        return cls(tuple(steps), epochs, nodes)


def differ_widely(one: Policy, other: Policy) -> bool:
    """Whether members of whom some hold one policy and some the other would take each other for laggards."""
    off = Mode.OFF
    if one.mode is off and other.mode is off:
        return False
    return (one.mode is off) != (other.mode is off) or one.samples != other.samples


def _document(policy: Policy) -> dict[str, Any]:
    return {
        "mode": policy.mode.value,
        "kept": policy.kept,
        "target": policy.target,
        "latency_ms": policy.latency_ms,
        "bytes_per_s": policy.bytes_per_s,
        "grace_ms": policy.grace_ms,
        "keep_epochs": policy.keep_epochs,
    }


def _policy(document: Mapping[str, Any]) -> Policy:
    return Policy(
        mode=Mode(document["mode"]),
        kept=str(document["kept"]),
        target=str(document["target"]),
        latency_ms=int(document["latency_ms"]),
        bytes_per_s=int(document["bytes_per_s"]),
        grace_ms=int(document["grace_ms"]),
        keep_epochs=int(document["keep_epochs"]),
    )


def _epoch(number: Any) -> Epoch:
    if not isinstance(number, int) or not 0 <= number < 1 << 32:
        raise ValueError(f"{number!r} is no epoch")
    return Epoch(number)
