import pytest
from tests.unit.node.epochs.terms import KEY
from tests.unit.node.worlds import (
    CAP,
    US,
    ChainTwin,
    pool,
)

from walrus_codec.types import Epoch
from walrus_sui.types import NodeCap


@pytest.fixture
def chain():
    return ChainTwin(caps=[NodeCap(CAP, US, Epoch(0), KEY.address)], pools={US: pool(wal_balance=5)})
