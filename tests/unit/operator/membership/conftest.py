from __future__ import annotations

import pytest
from tests.unit.operator.support import World


@pytest.fixture
def world() -> World:
    ready = World()
    ready.bring_up()
    return ready
