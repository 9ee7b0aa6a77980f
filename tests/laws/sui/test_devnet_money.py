"""Laws of the devnet's contract, over random programs of all its functions.

Nothing is made and nothing is lost: after every step each coin is added up over all objects. A transaction that fails
changes gas only. Every shard has one owner. No epoch is oversold, and pools count right what is in them. Whoever runs
the log again gets the same digests.
"""

from random import Random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.laws.sui.money import replay
from tests.laws.sui.world import (
    CALLED,
    CALLS,
    EPOCHS,
    FUNCTIONS,
    LIVES,
    MONEY,
    NEVER,
    STEPS,
    World,
    new_chain,
    settle,
    start,
)

from walrus_sui.devnet.ledger.objects import CLOCK_ID

STEP = st.one_of(
    st.sampled_from(EPOCHS).map(lambda name: [name]), *[st.lists(st.sampled_from(CALLS), min_size=1, max_size=3)] * 5
)
PROGRAM = st.lists(st.tuples(STEP, st.integers(0, 2**32)), min_size=4, max_size=24)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(program=PROGRAM)
def test_laws_hold_in_random_programs(program: list[tuple[list[str], int]]) -> None:
    world = World(start().fork())
    for names, seed in program:
        world.step(names, seed)
    world.chain.advance()
    replay(start().fork(), world.chain)


@settings(max_examples=2, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.binary(min_size=8, max_size=8))
def test_laws_hold_through_a_whole_life(seed: bytes) -> None:
    """Many epochs, in which whole transactions build on each other. A seed cannot be shrunk, so it is not tried."""
    world, dice = World(start().fork()), Random(seed)
    for _ in range(400):
        step = [dice.choice(STEPS)]
        if step[0] not in EPOCHS:
            step += dice.choices(CALLS, k=dice.choice((0, 0, 1, 2)))
        world.step(step, dice.getrandbits(32))
    world.chain.advance()
    replay(start().fork(), world.chain)


def _short(name: str) -> str:
    return name.split("::", 1)[1]


def test_every_function_takes_effect_in_long_lives() -> None:
    """Whoever adds a function must teach the random calls to make it, or say why nobody can.

    Each life is a chain of its own, since some steps end what others need: an upgrade, for one, leaves the subsidies
    behind.
    """
    wanted = {_short(name) for name in [*FUNCTIONS, *MONEY]}
    reached: set[str] = set()
    for life in range(LIVES):
        chain = new_chain()
        settle(chain)
        world, dice = World(chain), Random(life)
        for _ in range(600):
            # Half of the steps try what did not work yet, on what the other half has made.
            missing = [name for name in [*CALLED, *MONEY] if _short(name) not in reached | world.chain.reached]
            world.step([dice.choice(missing if missing and dice.random() < 0.5 else STEPS)], dice.getrandbits(32))
        reached |= world.chain.reached
        chain.advance()
        replay(new_chain(), chain)
        if wanted - reached == set(NEVER):
            break
    assert wanted - reached == set(NEVER)


def test_time_stands_in_the_clock() -> None:
    chain = start().fork()
    chain.advance(ms=77)
    assert chain.value(CLOCK_ID).timestamp_ms == chain.now_ms
