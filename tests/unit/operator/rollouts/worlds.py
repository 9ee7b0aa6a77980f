"""A network that is up, the images of its pods, and passes that follow one rollout."""

from __future__ import annotations

from typing import Any

from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.rolling import Rolling
from tests.unit.operator.support import World


def running(count: int = 4, shards: int = 10, **spec: Any) -> World:
    world = World(network=network_manifest(shards=shards, nodes={"count": count}, **spec))
    world.bring_up()
    return world


ROLLING = Rolling(everything=False)
restarted, passes, roll = ROLLING.restarted, ROLLING.passes, ROLLING.batches
