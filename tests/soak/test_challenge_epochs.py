"""Ten thousand simulated epochs of honest networks with restarts, lag and load: nobody is slashed, all is accounted for.

`CHALLENGE_EPOCHS` and `CHALLENGE_SEED` repeat a run.
"""

import os

from tests.sim.cheaters import Conduct, Says
from tests.sim.epochs import Network, node
from tests.sim.fates import Weather
from tests.sim.results import SIZES, honest
from tests.sim.statistics import soak

from walrus_codec import quorum

EPOCHS = int(os.environ.get("CHALLENGE_EPOCHS", "10000"))
SEED = int(os.environ.get("CHALLENGE_SEED", "20261126"))


def test_nobody_is_slashed_in_honest_networks():
    account = honest(EPOCHS, SEED)
    for (verdict, reason), count in sorted(account.verdicts.items(), key=lambda entry: -entry[1]):
        print(f"{verdict.value} {reason.value if reason else '-'}: {count}")
    print(f"seed {SEED}: {account.epochs} epochs, {account.votes} candidates with votes, {account.wronged} slashed")
    assert account.wronged == 0
    assert account.unexplained == []


def test_nobody_honest_is_slashed_beside_a_coalition_of_f_that_accuses_everybody():
    networks = []
    for number, weights in enumerate(SIZES):
        f, bad = quorum.max_faulty(sum(weights)), []
        for member in sorted(range(len(weights)), key=lambda member: -weights[member]):
            if sum(weights[each] for each in (*bad, member)) <= f:
                bad.append(member)
        liars = Conduct(says=Says.ALL_FAIL, friends=frozenset(map(node, bad)))
        networks.append(Network(weights, dict.fromkeys(bad, liars), weather=Weather(), seed=SEED + 100 + number))
    account = soak(networks, EPOCHS // 10)
    print(f"{account.epochs} epochs, {account.wronged} honest members slashed")
    assert account.votes
    assert account.wronged == 0
    assert account.unexplained == []
