"""A rollout pass by pass: the world is played, and each pass tells which pods it restarts."""

from __future__ import annotations

from typing import Any

from tests.unit.operator.support import World

from walrus_operator.api.decisions import DeleteObject, Plan


class Rolling:
    """Follows the pods of nodes only, or those of gateway and devnet too.

    Args:
        everything: Whether all pods are told by their names; otherwise nodes by theirs.
    """

    def __init__(self, *, everything: bool) -> None:
        self._everything = everything

    def restarted(self, decided: Plan) -> list[str]:
        """Whose pods a plan deletes."""
        pods = [action.key.name for action in decided.actions if isinstance(action, DeleteObject)]
        if self._everything:
            return pods
        names = [pod.removesuffix("-0") for pod in pods]
        return [name for name in names if name.removeprefix("demo-").isdigit()]

    def passes(self, world: World, count: int) -> list[list[str]]:
        """What each pass restarts; the cluster does its part after each."""
        found = []
        for _ in range(count):
            decided, _ = world.pass_once()
            found.append(self.restarted(decided))
            world.kubelet()
        return found

    def batches(self, world: World, *, at_most: int = 60) -> list[list[str]]:
        """The batches of a rollout until it is complete."""
        found: list[list[str]] = []
        for _ in range(at_most):
            if (batch := self.passes(world, 1)[0]) != []:
                found.append(batch)
            if status(world)["state"] == "Complete":
                return found
        raise AssertionError(f"not complete after {at_most} passes: {status(world)}")


def status(world: World) -> dict[str, Any]:
    """What the network's status tells of its rollout."""
    found: dict[str, Any] = world.network["status"]["rollout"]
    return found
