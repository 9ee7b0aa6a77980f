import pytest
from tests.unit.sui import fake_chain as fake
from tests.unit.sui.executor.executing import KEY, RICH


@pytest.fixture
def chain():
    made = fake.FakeChain()
    made.give(10, KEY.address, RICH)
    return made
