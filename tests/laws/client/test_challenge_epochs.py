"""Challenges in simulated networks: who cheats is found as often as predicted, and no honest member is ever slashed.

A hundred epochs with restarts, lag and load, all from seeds; `make soak` simulates ten thousand (tests/soak).
"""

from dataclasses import replace
from random import Random

import pytest
from tests.sim.cheaters import Conduct, Says
from tests.sim.epochs import Network, node
from tests.sim.fates import CALM, Weather
from tests.sim.statistics import (
    BLOBS,
    CHEATERS,
    EQUAL,
    HALF,
    Account,
    detection_chance,
    measure,
    slash_chance,
    soak,
    withheld,
    within,
)

from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_codec import quorum
from walrus_node.cheating.orders import Orders
from walrus_sui.keys import BlsKey

ROUGH = Weather()
SURE = ["drops 50 % of its slivers", "drops 10 %", "drops one of its ten shards", "keeps metadata only"]
SURE += ["keeps nothing, fetches within 40 ms", "answers 40 ms late", "replays old answers", "refuses as busy"]
RARE = ["drops 1 %", "drops 0.1 %", "answers 1 % with wrong symbols"]
FIRST_EXCUSED = ["refuses as lagging", "drops 10 %, hangs up rather than admit it"]
NEVER = ["keeps nothing, fetches within 10 ms", "accuses everybody", "forges reports of all others on everybody"]
NEVER += ["tells one half that everybody fails, the other that all pass"]
EVADES = ["drops 1 %, hangs up rather than admit it", "keeps only what three of the others compare with"]
EVADES += ["keeps nothing, refuses three others as lagging, in turns"]


SLOW = ["keeps nothing, fetches within 40 ms", "answers 40 ms late", "refuses as busy"]


@pytest.mark.parametrize("name", SURE)
def test_what_is_proven_burns_before_it_can_be_collected_and_what_is_slow_does_not(name):
    network = Network(EQUAL, {9: CHEATERS[name]}, BLOBS, seed=21)
    if CHEATERS[name].orders.replays:
        network.epoch()
    at = [network.epoch().slashed_at for _ in range(2)]
    assert [set(found) for found in at] == [{node(9)}] * 2
    early = all(found[node(9)] < HALF for found in at)
    assert early is (name not in SLOW), at
    assert early or {found[node(9)] for found in at} == {65}


@pytest.mark.parametrize("seed", range(3))
def test_in_bad_weather_too_no_early_vote_is_hasty(seed):
    """Whoever is voted on early would be voted on at 65 % too, by the same member."""
    weights, bad = coalitions(Random(40 + seed), 10)
    friends = frozenset(map(node, bad))
    early = 0
    for says in (Says.TRUTH, Says.ALL_FAIL, Says.TWO_FACED):
        liars = {number: Conduct(Orders(dropped=0.05), says, friends) for number in bad}
        network = Network(weights, liars, BLOBS, ROUGH, seed=seed)
        for _ in range(3):
            seen = network.epoch()
            assert seen.hasty == frozenset()
            assert seen.slashed <= friends
            early += sum(at < HALF for at in seen.slashed_at.values())
    assert early, "it is not only about nothing"


def test_every_cheater_is_expected_somewhere():
    assert sorted(SURE + RARE + FIRST_EXCUSED + NEVER + EVADES) == sorted(CHEATERS)


@pytest.mark.parametrize("name", SURE)
def test_who_withholds_a_tenth_or_cheats_always_is_slashed_in_the_same_epoch(name):
    count = measure(CHEATERS[name], networks=4, epochs=1, weather=CALM, seed=1)
    assert count.predicted > 0.999999
    assert (count.failures, count.slashed, count.wronged) == (count.challenges, 4, 0)


@pytest.mark.parametrize("name", RARE)
def test_who_withholds_less_is_found_as_often_as_predicted(name):
    count = measure(CHEATERS[name], networks=1, epochs=40, weather=CALM, seed=2)
    assert 0.15 < count.predicted < 0.9
    assert count.is_as_predicted(), count
    assert within(count.slashed, count.epochs, slash_chance(count.predicted), 4), count
    assert count.wronged == 0


@pytest.mark.parametrize("name", FIRST_EXCUSED)
def test_who_is_away_when_it_is_asked_is_excused_once_in_four_epochs(name):
    network = Network(EQUAL, {9: CHEATERS[name]}, BLOBS, seed=3)
    slashed = [node(9) in network.epoch().slashed for _ in range(9)]
    assert slashed == [False, True, True, True, False, True, True, True, False]


@pytest.mark.parametrize("name", NEVER)
def test_what_challenges_do_not_find(name):
    count = measure(CHEATERS[name], networks=1, epochs=4, weather=CALM, seed=4)
    assert (count.predicted, count.failures, count.slashed, count.wronged) == (0, 0, 0, 0)


def test_who_hangs_up_has_three_tries_at_a_small_lack():
    count = measure(CHEATERS[EVADES[0]], networks=10, epochs=4, weather=CALM, seed=5)
    once = detection_chance(withheld(CHEATERS[EVADES[0]], Network(EQUAL, {}, BLOBS), node(9)), 197)
    found = once**3
    assert 0.6 < found < 0.7, "not 0.86: `at most 3 (1 - q)^m over the attempts`"
    # Each challenger excuses it when it has not in the three epochs before, so about one find in four is an excuse.
    assert found / 2 < count.detection < found
    assert count.wronged == 0


def test_who_keeps_what_enough_of_the_others_compare_with_is_seen_by_the_rest_and_not_slashed():
    """A slashing needs 67 shards that saw it fail; 90 are others, and 30 of them see nothing."""
    name = EVADES[1]
    count = measure(CHEATERS[name], networks=1, epochs=4, weather=CALM, seed=6)
    assert (count.detection, count.slashed, count.wronged) == (pytest.approx(6 / 9), 0, 0)
    two = replace(CHEATERS[name], favoured=frozenset(map(node, range(2))))
    assert measure(two, networks=1, epochs=2, weather=CALM, seed=6).slashed == 2, (
        "those that two compare with are too few"
    )


def test_who_takes_the_excuse_of_three_others_at_a_time_is_slashed_in_every_fourth_epoch():
    """In the other three the rest, with 60 shards, finds it, and falls short of 67."""
    network = Network(EQUAL, {9: CHEATERS[EVADES[2]]}, BLOBS, seed=8)
    seen = [network.epoch() for _ in range(8)]
    failures = [
        sum(found.verdict is Verdict.FAIL for (_, p), found in one.judged.items() if p == node(9)) for one in seen
    ]
    assert failures == [6, 6, 6, 9] * 2
    assert [one.slashed for one in seen] == [frozenset()] * 3 + [{node(9)}] + [frozenset()] * 3 + [{node(9)}]
    assert all(quorum.is_one_honest(10 * count, 100) for count in failures), "so it is shown as failing in each"


def coalitions(rng, n_members):
    """Weights of members, and as many of them as f shards allow, in order of chance."""
    weights = [rng.randint(1, 12) for _ in range(n_members)]
    f, taken, bad = quorum.max_faulty(sum(weights)), 0, []
    for number in rng.sample(range(n_members), n_members):
        if taken + weights[number] <= f:
            bad.append(number)
            taken += weights[number]
    return weights, bad


@pytest.mark.parametrize("seed", range(6))
def test_a_coalition_of_f_that_accuses_everybody_slashes_nobody(seed):
    rng = Random(seed)
    weights, bad = coalitions(rng, 10)
    friends = frozenset(map(node, bad))
    liars = dict.fromkeys(bad, Conduct(says=Says.ALL_FAIL, friends=friends))
    account = soak([Network(weights, liars, BLOBS, ROUGH, seed=seed)], 8)
    assert account.wronged == 0
    assert account.unexplained == []
    assert account.votes, "theirs"


@pytest.mark.parametrize("says", [Says.TRUTH, Says.ALL_FAIL, Says.TWO_FACED])
def test_a_coalition_of_f_that_forges_reports_and_contradicts_itself_slashes_nobody(says):
    rng = Random(says.value)
    weights, bad = coalitions(rng, 10)
    friends = frozenset(map(node, bad))
    victims = frozenset(map(node, range(10))) - friends
    liars = dict.fromkeys(bad, Conduct(Orders(forged=victims), says, friends))
    network = Network(weights, liars, BLOBS, ROUGH, seed=11)
    account = Account()
    for _ in range(8):
        seen = network.epoch()
        account.add(network, seen)
        assert seen.refused >= len(bad) * len(victims) * 8, "each forged report of each liar"
    assert account.wronged == 0
    assert account.unexplained == []
    assert bool(account.votes) is (says is not Says.TRUTH)


@pytest.mark.parametrize("seed", range(4))
def test_a_coalition_of_f_that_covers_for_each_other_is_found_by_the_rest(seed):
    weights, bad = coalitions(Random(100 + seed), 10)
    friends = frozenset(map(node, bad))
    liars = dict.fromkeys(bad, Conduct(Orders(dropped=0.1), says=Says.FRIENDS_PASS, friends=friends))
    seen = Network(weights, liars, BLOBS, seed=seed).epoch()
    assert seen.slashed == friends


def test_beside_silent_friends_each_of_the_others_must_find_it_itself():
    silent = dict.fromkeys((7, 8), Conduct(says=Says.NOTHING))
    slashed = 0
    for seed in range(30):
        network = Network(EQUAL, silent | {9: CHEATERS["drops 1 %"]}, BLOBS, seed=seed)
        slashed += node(9) in network.epoch().slashed
    assert 0 < slashed < 30
    assert within(slashed, 30, slash_chance(0.862, 7, 7), 4), "0.35: the coalition has 30 of 100 shards, f is 33"


def test_in_a_hundred_epochs_with_restarts_lag_and_load_nobody_is_slashed_and_all_is_accounted_for():
    sizes = [EQUAL, [4, 9, 1, 7, 3, 6, 10], [25, 25, 25, 25], [1] * 13]
    account = soak([Network(weights, weather=ROUGH, seed=seed) for seed, weights in enumerate(sizes)], 25)
    assert account.epochs == 100
    assert (account.wronged, account.votes) == (0, 0)
    assert account.unexplained == []
    seen = {verdict for verdict, _reason in account.verdicts}
    assert seen >= {Verdict.PASS, Verdict.EXCUSED, Verdict.NONE}, "the weather was bad enough"
    reasons = {reason for _verdict, reason in account.verdicts}
    assert reasons >= {Outcome.UNREACHABLE, Outcome.LAGGING, Outcome.RECOVERING}


class SigningNetwork(Network):
    """Its members sign with BLS keys."""

    def sign(self, member, message):
        return BlsKey((self.members.index(member) + 1).to_bytes(32, "little")).sign(message)


def test_seeds_that_are_bls_signatures_lead_to_the_same_end():
    weights = [25, 25, 25, 25]
    seen = SigningNetwork(weights, {3: CHEATERS["drops 10 %"]}, BLOBS).epoch()
    assert seen.slashed == {node(3)}
    assert {found.verdict for (_, prover), found in seen.judged.items() if prover != node(3)} == {Verdict.PASS}


def test_the_same_seed_brings_the_same_epochs():
    def history():
        network = Network(EQUAL, {9: CHEATERS["drops 1 %"]}, BLOBS, ROUGH, seed=7)
        return [(dict(seen.judged), seen.slashed) for seen in (network.epoch() for _ in range(3))]

    assert history() == history()
