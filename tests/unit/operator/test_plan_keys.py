"""Keys are exchanged one beside the other, and what is lost on the way is never made again."""

from dataclasses import replace

import pytest
from tests.unit.operator.support import World

from walrus_operator.api import names
from walrus_operator.api.chain_view import EpochPhase
from walrus_operator.api.world import ObjectKey
from walrus_operator.plan.passes import plan

NODE = "demo-3"
SECRET = "demo-3-keys"
FILES = {
    "protocol": (names.PROTOCOL_KEY, names.NEXT_PROTOCOL_KEY),
    "network": (names.NETWORK_KEY, names.NEXT_NETWORK_KEY),
}


@pytest.fixture
def world() -> World:
    found = World()
    found.bring_up()
    return found


def ask(world: World, text: str = "1", *kinds: str) -> None:
    world.edit_node(NODE, rotateKeys=dict.fromkeys(kinds or FILES, text))


def go_on(world: World, rounds: int = 4) -> None:
    for _ in range(rounds):
        world.settle()
        world.nodes_change_keys()
    world.settle()


def status(world: World) -> dict:
    return world.objects[ObjectKey("WalrusNode", NODE)]["status"]


@pytest.mark.parametrize("kind", FILES)
def test_a_key_is_made_taken_over_and_promoted_and_no_pod_restarts(world: World, kind: str) -> None:
    pods, first = dict(world.pods), dict(world.secrets[SECRET].public)
    file, next_file = FILES[kind]
    ask(world, "1", kind)
    world.settle()
    following = world.secrets[SECRET].public[next_file]
    assert {**world.secrets[SECRET].public} == {**first, next_file: following}
    assert world.says("KeysCurrent", NODE) == ("False", "KeysChanging")
    assert "not announced it yet" in world.condition("KeysCurrent", NODE)["message"]
    assert world.says("Valid", NODE) == world.says("Valid", "demo-2") == ("True", "Accepted")

    go_on(world)
    if kind == "protocol":
        assert "it signs from epoch 2 on" in world.condition("KeysCurrent", NODE)["message"]
        assert world.secrets[SECRET].public[file] == first[file]
        world.choose_committee()
        go_on(world)
    assert dict(world.secrets[SECRET].public) == {**first, file: following}
    assert world.says("KeysCurrent", NODE) == ("True", "KeysInUse")
    assert status(world)["publicKeys"][kind] == following
    assert status(world)["keysFor"] == {kind: "1"}
    assert {name: pod.uid for name, pod in world.pods.items()} == {name: pod.uid for name, pod in pods.items()}
    # The same text asks for nothing; another one does.
    go_on(world)
    assert dict(world.secrets[SECRET].public) == {**first, file: following}
    ask(world, "2", kind)
    world.settle()
    assert world.secrets[SECRET].public[next_file] not in {None, following}


def test_the_old_network_key_stays_as_long_as_anybody_may_know_it_only(world: World) -> None:
    ask(world, "1", "network")
    said = []
    for _ in range(5):
        world.settle()
        said.append(world.condition("KeysCurrent", NODE)["message"])
        world.nodes_change_keys()
    for words, message in zip(
        ("not announced", "announced beside", "the old one stays valid", "those that"), said, strict=False
    ):
        assert words in message


def test_the_template_asks_all_nodes_and_those_that_come_later_need_no_other_keys(world: World) -> None:
    world.edit(nodes={"template": {"rotateKeys": {"protocol": "all"}}})
    world.settle()
    assert all(names.NEXT_PROTOCOL_KEY in world.secrets[names.node_keys(node)].public for node in world.nodes())
    go_on(world)
    world.choose_committee()
    go_on(world)
    before = len(world.nodes())
    world.edit(nodes={"count": before + 1})
    go_on(world)
    assert len(world.nodes()) == before + 1
    for node in world.nodes():
        assert not any("-next" in file for file in world.secrets[names.node_keys(node)].public)
        assert world.objects[ObjectKey("WalrusNode", node)]["status"]["keysFor"] == {"protocol": "all"}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("lost", [True, False], ids=["lost", "exchanged"])
def test_a_next_key_that_is_lost_or_exchanged_is_a_condition_and_never_made_again(
    world: World, kind: str, lost: bool
) -> None:
    ask(world)
    world.settle()
    good = world.secrets[SECRET]
    files = dict(good.public)
    next_file = FILES[kind][1]
    if lost:
        del files[next_file]
    else:
        files[next_file] = "another"
    world.secrets[SECRET] = replace(good, public=files)
    world.settle()
    assert world.says("Valid", NODE) == ("False", "KeySecretLost" if lost else "KeySecretChanged")
    assert world.says("KeysCurrent", NODE) == ("Unknown", "NotValid")
    assert dict(world.secrets[SECRET].public) == files
    world.secrets[SECRET] = good
    go_on(world)
    world.choose_committee()
    go_on(world)
    assert world.says("KeysCurrent", NODE) == ("True", "KeysInUse")


def test_a_next_key_that_cannot_be_read_is_said(world: World) -> None:
    files = {**world.secrets[SECRET].public, names.NEXT_NETWORK_KEY: None}
    world.secrets[SECRET] = replace(world.secrets[SECRET], public=files)
    world.settle()
    assert world.says("Valid", NODE) == ("False", "KeySecretInvalid")
    assert names.NEXT_NETWORK_KEY in world.condition("Valid", NODE)["message"]


def test_keys_that_nobody_announced_never_take_the_place_of_the_present_ones(world: World) -> None:
    ask(world)
    world.settle()
    files = dict(world.secrets[SECRET].public)
    files[names.PROTOCOL_KEY] = "stranger"
    world.secrets[SECRET] = replace(world.secrets[SECRET], public=files)
    world.settle()
    assert world.says("Valid", NODE) == ("False", "KeySecretChanged")


def test_a_key_that_the_user_brings_is_used(world: World) -> None:
    files = {**world.secrets[SECRET].public, names.NEXT_PROTOCOL_KEY: "mine"}
    world.secrets[SECRET] = replace(world.secrets[SECRET], public=files)
    ask(world, "mine", "protocol")
    go_on(world)
    world.choose_committee()
    go_on(world)
    assert world.secrets[SECRET].public[names.PROTOCOL_KEY] == "mine"
    assert status(world)["keysFor"] == {"protocol": "mine"}


def test_a_text_that_changes_on_the_way_asks_for_another_key_afterwards(world: World) -> None:
    ask(world, "1", "protocol")
    world.settle()
    first = world.secrets[SECRET].public[names.NEXT_PROTOCOL_KEY]
    ask(world, "2", "protocol")
    go_on(world)
    assert world.secrets[SECRET].public[names.NEXT_PROTOCOL_KEY] == first
    world.choose_committee()
    go_on(world)
    assert world.secrets[SECRET].public[names.PROTOCOL_KEY] == first
    assert world.secrets[SECRET].public[names.NEXT_PROTOCOL_KEY] != first
    world.choose_committee()
    go_on(world)
    assert status(world)["keysFor"] == {"protocol": "2"}


def test_an_operator_that_dies_before_it_writes_the_status_goes_on(world: World) -> None:
    """Keys are made and promoted, and what was known of it is lost each time."""
    ask(world)
    for turn in range(12):
        snapshot = world.snapshot()
        world.carry_out(snapshot, replace(plan(snapshot), statuses=()))
        made = dict(world.secrets[SECRET].public)
        world.pass_once()
        assert made.items() <= {**world.secrets[SECRET].public, **made}.items()
        assert world.says("Valid", NODE) == ("True", "Accepted")
        world.nodes_change_keys()
        if turn == 5:
            world.choose_committee()
    go_on(world)
    assert world.says("KeysCurrent", NODE) == ("True", "KeysInUse")
    assert status(world)["keysFor"] == {"protocol": "1", "network": "1"}


def test_nothing_is_promoted_while_the_chain_is_away_or_the_committee_names_the_old_key(world: World) -> None:
    ask(world, "1", "protocol")
    go_on(world)
    old = world.secrets[SECRET].public[names.PROTOCOL_KEY]
    known = world.chain_keys[NODE]
    world.chain_keys[NODE] = replace(known, protocol=str(known.next_protocol), next_protocol=None)
    world.settle()
    assert "the committee of epoch 1 still names the old one" in world.condition("KeysCurrent", NODE)["message"]
    assert world.secrets[SECRET].public[names.PROTOCOL_KEY] == old


def test_a_node_announces_nothing_while_the_next_committee_is_chosen(world: World) -> None:
    world.phase = EpochPhase.PARAMS_SELECTED
    ask(world, "1", "protocol")
    go_on(world)
    assert "which it does not do while" in world.condition("KeysCurrent", NODE)["message"]
    world.choose_committee()
    go_on(world)
    assert "it signs from epoch 3 on" in world.condition("KeysCurrent", NODE)["message"]


def test_rotations_are_told_once(world: World) -> None:
    ask(world, "1", "network")
    told = []
    for _ in range(10):
        decided, _ = world.pass_once()
        told += [note.reason for note in decided.events if note.about.name == NODE]
        world.nodes_change_keys()
    assert told == ["KeyRotationStarted", "KeyRotated"]
