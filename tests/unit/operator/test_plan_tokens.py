"""The admin token: made once, exchanged without a moment in which a node is asked with one that it does not know."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_operator.api import names
from walrus_operator.api.decisions import AddToken, CreateKeys, DropToken
from walrus_operator.api.world import ObjectKey
from walrus_operator.plan.passes import plan

SECRET = "demo-admin"


@pytest.fixture
def world() -> World:
    found = World(network=network_manifest(shards=10, nodes={"count": 3}))
    found.bring_up()
    return found


def ask(world: World, text: str) -> None:
    world.edit(rotateAdminToken=text)


def status(world: World) -> dict[str, str]:
    return dict(world.network["status"]["adminToken"])


def lost(world: World) -> None:
    del world.secrets[SECRET]


def strange(world: World, text: str = "0123456789abcdef") -> None:
    world.secrets[SECRET] = replace(world.secrets[SECRET], public={names.ADMIN_TOKENS: text})


def test_a_token_is_made_once_and_every_node_has_it(world: World) -> None:
    (token,) = world.admin_tokens
    assert status(world) == {"present": token}
    assert world.tokens == {f"demo-{number}": (token,) for number in range(3)}
    assert world.says("Valid") == ("True", "Accepted")


def test_a_new_token_takes_over_when_all_nodes_have_it_and_no_pod_restarts(world: World) -> None:
    pods, (old,) = {name: pod.uid for name, pod in world.pods.items()}, world.admin_tokens
    world.stale = {"demo-1", "demo-2"}
    ask(world, "1")
    told = []
    for _ in range(6):
        decided, _ = world.pass_once()
        told += [note.reason for note in decided.events]
        world.kubelet()
    assert world.admin_tokens[0] == old
    new = world.admin_tokens[1]
    waits = "a second token is there, and demo-1 has not taken it yet, and 1 more"
    assert status(world) == {"present": old, "next": new, "nextFor": "1", "waitsFor": waits}
    assert {info.fresh.token for info in world.infos().values() if info.fresh} == {old, new}
    world.stale = set()
    for _ in range(6):
        decided, writes = world.pass_once()
        told += [note.reason for note in decided.events]
        world.kubelet()
    assert writes == 0
    assert world.admin_tokens == (new,)
    assert status(world) == {"present": new, "madeFor": "1"}
    assert told == ["AdminTokenRotationStarted", "AdminTokenRotated"]
    assert {name: pod.uid for name, pod in world.pods.items()} == pods
    # The same text asks for nothing; another one does.
    world.settle()
    assert world.admin_tokens == (new,)
    ask(world, "2")
    world.settle()
    assert world.admin_tokens not in {(new,), (old,)}
    assert status(world)["madeFor"] == "2"


def test_a_network_that_begins_with_a_text_has_the_token_that_it_asks_for() -> None:
    world = World(network=network_manifest(shards=10, nodes={"count": 1}, rotateAdminToken="first"))
    world.bring_up()
    assert sum("AddToken" in entry for entry in world.log) == 0
    assert status(world)["madeFor"] == "first"


@pytest.mark.parametrize("what", ["silent", "not ready", "silent and not ready", "going", "without the port"])
def test_who_must_have_taken_the_new_token(world: World, what: str) -> None:
    world.stale = {"demo-1"}
    ask(world, "1")
    pod = world.pods["demo-1-0"]
    if "silent" in what:
        world.silent_nodes.add("demo-1")
    if "not ready" in what:
        world.pods["demo-1-0"] = replace(pod, ready=False)
    if what == "going":
        world.graceful = 1000
        world.pods["demo-1-0"] = replace(pod, terminating=True)
    if what == "without the port":
        world.pods["demo-1-0"] = replace(pod, admin=False)
    for _ in range(6):
        world.pass_once()
        world.kubelet()
    waits = what in {"silent", "not ready"}
    assert ("demo-1 has not taken it yet" in status(world).get("waitsFor", "")) is waits
    assert len(world.admin_tokens) == (2 if waits else 1)


def test_an_answer_of_before_proves_nothing(world: World) -> None:
    """What a node said before it fell silent is not what it takes now."""
    ask(world, "1")
    world.pass_once()
    world.pass_once()
    world.kubelet()
    assert len(world.admin_tokens) == 2
    snapshot = world.snapshot()
    infos = {name: replace(info, error="no answer in time") for name, info in snapshot.infos.items()}
    decided = plan(replace(snapshot, infos=infos))
    assert not any(isinstance(action, DropToken) for action in decided.actions)
    assert any(isinstance(action, DropToken) for action in plan(snapshot).actions)


def test_a_second_request_waits_for_the_first(world: World) -> None:
    world.stale = {"demo-0"}
    ask(world, "1")
    world.settle()
    ask(world, "2")
    world.settle()
    assert len(world.admin_tokens) == 2
    first = world.admin_tokens[1]
    assert status(world)["nextFor"] == "1"
    world.stale = set()
    world.kubelet()
    world.settle()
    assert status(world)["madeFor"] == "2"
    assert first not in world.admin_tokens


def test_a_request_that_is_taken_back_ends_as_it_was_begun(world: World) -> None:
    ask(world, "1")
    world.pass_once()
    world.edit(rotateAdminToken=None)
    world.settle()
    assert status(world) == {"present": world.admin_tokens[0], "madeFor": "1"}
    assert len(world.admin_tokens) == 1


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lost, "KeySecretLost"),
        (strange, "KeySecretChanged"),
        (lambda world: strange(world, f"{world.admin_tokens[0]} aaaa bbbb"), "KeySecretInvalid"),
        (lambda world: strange(world, ""), "KeySecretInvalid"),
    ],
)
def test_what_is_lost_or_strange_is_told_and_left_alone(world: World, harm: object, reason: str) -> None:
    secret = world.secrets[SECRET]
    harm(world)  # type: ignore[operator]
    found = world.secrets.get(SECRET)
    for _ in range(3):
        world.settle()
    assert world.says("Valid") == ("False", reason)
    assert "spec.rotateAdminToken" in world.condition("Valid")["message"]
    assert world.says("Ready") == ("True", "Serving")
    assert world.secrets.get(SECRET) == found
    world.secrets[SECRET] = secret
    world.settle()
    assert world.says("Valid") == ("True", "Accepted")
    assert status(world) == {"present": str(secret.public[names.ADMIN_TOKENS])}


def test_a_lost_token_is_replaced_when_that_is_asked_for(world: World) -> None:
    (old,) = world.admin_tokens
    lost(world)
    world.settle()
    ask(world, "again")
    decided, _ = world.pass_once()
    # What was asked for is remembered before anything is made, so that the Secret is known for what it is.
    assert not any(isinstance(action, CreateKeys) for action in decided.actions)
    world.settle()
    (new,) = world.admin_tokens
    assert new != old
    assert status(world) == {"present": new, "madeFor": "again"}
    assert world.says("Valid") == ("True", "Accepted")
    lost(world)
    world.settle()
    assert world.says("Valid") == ("False", "KeySecretLost"), "the same text asks for nothing more"


def test_a_lost_status_brings_no_new_token(world: World) -> None:
    del world.network["status"]["adminToken"]
    lost(world)
    world.settle()
    assert SECRET not in world.secrets
    assert world.says("Valid") == ("False", "KeySecretLost")


def test_a_status_that_was_lost_is_written_again(world: World) -> None:
    world.stale = {"demo-0"}
    ask(world, "1")
    world.settle()
    before = world.admin_tokens
    del world.network["status"]["adminToken"]
    world.settle()
    assert world.admin_tokens == before
    assert (status(world)["present"], status(world)["next"]) == before
    world.stale = set()
    world.kubelet()
    world.settle()
    assert status(world) == {"present": before[1], "madeFor": "1"}


def test_a_second_token_that_vanishes_is_made_anew(world: World) -> None:
    world.stale = {"demo-0"}
    ask(world, "1")
    world.settle()
    old, new = world.admin_tokens
    strange(world, old)
    decided = plan(world.snapshot())
    assert [type(action) for action in decided.actions] == [AddToken]
    world.settle()
    assert world.admin_tokens[0] == old
    assert world.admin_tokens[1] != new


def test_a_paused_network_exchanges_nothing(world: World) -> None:
    world.network["metadata"]["annotations"] = {"walrus-operator.dev/reconcile": "paused"}
    ask(world, "1")
    world.settle()
    assert len(world.admin_tokens) == 1
    world.network["metadata"]["annotations"] = {}
    world.settle()
    assert status(world)["madeFor"] == "1"


def test_pods_of_an_older_operator_go_on_without(world: World) -> None:
    """They have no admin port; the first token is made beside them, and their StatefulSets are left alone."""
    for name in [name for name in world.pods if name.startswith("demo-") and name[5].isdigit()]:
        world.pods[name] = replace(world.pods[name], admin=False)
    del world.network["status"]["adminToken"]
    del world.secrets[SECRET]
    for key, live in world.objects.items():
        if key.kind == "StatefulSet":
            template = live["spec"]["template"]["spec"]
            template["volumes"] = [volume for volume in template["volumes"] if volume["name"] != "admin"]
    world.pass_once()
    assert len(world.admin_tokens) == 1
    ask(world, "1")
    world.settle()
    assert status(world)["madeFor"] == "1"
    assert ObjectKey("Pod", "demo-0-0") not in world.objects
