from __future__ import annotations

import pytest
from tests.unit.operator.rollouts.worlds import running
from tests.unit.operator.support import World


@pytest.fixture
def world() -> World:
    """Ten nodes of ten shards, in epoch 1."""
    return running(10, 100)
