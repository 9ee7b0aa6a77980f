"""What goes wrong becomes a condition, and nothing that holds data is touched."""

from __future__ import annotations

import pytest
from tests.unit.operator.chain_world import START, network_manifest
from tests.unit.operator.support import World

from walrus_operator.api import names
from walrus_operator.api.chain_view import EpochPhase
from walrus_operator.api.conditions import TABLE, Reason
from walrus_operator.api.decisions import DeleteObject
from walrus_operator.api.world import ObjectKey, PodView, SecretView
from walrus_operator.observe import reading
from walrus_operator.plan import strays
from walrus_operator.plan.passes import plan


@pytest.fixture
def world() -> World:
    ready = World()
    ready.bring_up()
    return ready


def hibernate(world: World, *nodes: int) -> None:
    for number in nodes:
        world.edit_node(f"demo-{number}", desiredState="Hibernated")
    world.settle()


def budget(world: World) -> int:
    """Evictions that Kubernetes would allow, were all pods ready."""
    wanted = int(world.objects[ObjectKey("PodDisruptionBudget", "demo-nodes")]["spec"]["minAvailable"])
    return sum(1 for pod in world.pods.values() if pod.name.removesuffix("-0") in world.nodes()) - wanted


def test_three_of_ten_may_sleep(world: World) -> None:
    assert budget(world) == 3
    hibernate(world, 7, 8, 9)
    assert world.says("Available") == ("True", "QuorumAvailable")
    assert world.network["status"]["shards"]["display"] == "70/100"
    assert world.network["status"]["nodes"]["display"] == "7/7"
    assert world.says("Ready") == ("True", "Serving")
    assert world.says("Ready", "demo-9") == ("False", "Hibernated")
    assert world.objects[ObjectKey("StatefulSet", "demo-9")]["spec"]["replicas"] == 0
    assert "demo-9-keys" in world.secrets
    assert budget(world) == 0


def test_a_fourth_is_one_too_many_and_the_message_names_them(world: World) -> None:
    world.network["metadata"]["annotations"] = {"walrus-operator.dev/gates-off": "FaultBudgetExceeded"}
    hibernate(world, 6, 7, 8, 9)
    assert world.says("Available") == ("False", "QuorumLost")
    assert "demo-6, demo-7, demo-8, demo-9" in world.condition("Available")["message"]
    for number in (6, 7, 8, 9):
        world.edit_node(f"demo-{number}", desiredState="Active")
    world.settle()
    assert world.says("Available") == ("True", "QuorumAvailable")
    assert world.network["status"]["shards"]["display"] == "100/100"


def test_a_pod_that_is_down_is_named_and_degrades(world: World) -> None:
    pod = world.pods["demo-4-0"]
    world.pods["demo-4-0"] = PodView(
        name=pod.name, uid=pod.uid, ready=False, phase="Pending", revision="r1", waiting="ImagePullBackOff"
    )
    world.settle()
    assert world.says("Ready") == ("False", "NodesNotReady")
    assert "demo-4" in world.condition("Ready")["message"]
    assert world.says("Degraded") == ("True", "MembersDown")
    assert "ImagePullBackOff" in world.condition("Ready", "demo-4")["message"]
    assert world.network["status"]["shards"]["display"] == "90/100"


def test_a_silent_node_counts_for_a_moment_longer_and_then_not(world: World) -> None:
    world.silent_nodes.add("demo-2")
    world.settle()
    assert world.says("Ready", "demo-2") == ("Unknown", "NodeUnreachable")


def test_a_member_that_has_not_taken_over_its_shards_does_not_serve(world: World) -> None:
    world.statuses["demo-2"] = "RecoverMetadata"
    world.settle()
    assert world.says("Ready", "demo-2") == ("False", "CatchingUp")
    assert world.says("Ready") == ("False", "NodesNotReady")
    assert world.network["status"]["shards"]["display"] == "90/100"
    world.statuses["demo-2"] = "RecoveryInProgress"
    world.settle()
    assert world.says("Ready", "demo-2") == ("True", "Serving")
    assert world.says("Synced", "demo-2") == ("False", "Recovering")


def test_how_far_the_transfers_are_is_told_in_whole_per_cents(world: World) -> None:
    world.missing["demo-2"] = "ActiveSync"
    world.settle()
    assert world.says("Synced", "demo-2") == ("False", "ShardsNotReady")
    assert world.condition("Synced", "demo-2")["message"] == "10 of 10 shards are not ready"
    world.progress["demo-2"] = {"shards_pending": 7, "synced": 0.9999}
    world.settle()
    told = world.condition("Synced", "demo-2")["message"]
    assert told == (
        "10 of 10 shards are not ready: 7 still come from their previous owners, 99 % of this epoch's transfers are done"
    )
    world.missing.clear()
    world.progress.clear()
    world.settle()
    assert world.says("Synced", "demo-2") == ("True", "AllShardsReady")


def test_the_first_committee_must_have_its_shards_before_the_network_is_ready() -> None:
    world = World()
    world.settle()
    world.choose_committee()
    world.phase = EpochPhase.SYNC
    world.settle()
    assert world.says("Ready") == ("False", "WaitingForCommittee")
    world.phase = EpochPhase.DONE
    world.settle()
    assert world.says("Ready") == ("True", "Serving")


def test_a_walrusnode_deleted_by_mistake_comes_back_as_the_same_node(world: World) -> None:
    before = world.objects.pop(ObjectKey("WalrusNode", "demo-3"))["status"]
    workload = world.objects[ObjectKey("StatefulSet", "demo-3")]
    uid = workload["metadata"]["uid"]
    world.settle()
    after = world.objects[ObjectKey("WalrusNode", "demo-3")]["status"]
    assert after["publicKeys"] == before["publicKeys"]
    assert after["nodeId"] == before["nodeId"]
    assert world.objects[ObjectKey("StatefulSet", "demo-3")]["metadata"]["uid"] == uid
    assert world.says("Valid") == ("True", "Accepted")


def test_a_lost_key_secret_is_a_condition_and_never_made_again(world: World) -> None:
    secret = world.secrets.pop("demo-3-keys")
    world.settle()
    assert world.says("Valid", "demo-3") == ("False", "KeySecretLost")
    assert world.says("Degraded") == ("True", "KeySecretLost")
    assert "demo-3-keys" not in world.secrets
    assert str(secret.public[names.SUI_KEY]) in world.condition("Valid", "demo-3")["message"]
    world.secrets["demo-3-keys"] = secret
    world.settle()
    assert world.says("Valid", "demo-3") == ("True", "Accepted")
    assert world.says("Degraded") == ("False", "AsExpected")


def test_other_keys_in_the_secret_are_noticed(world: World) -> None:
    secret = world.secrets["demo-3-keys"]
    world.secrets["demo-3-keys"] = SecretView(
        name=secret.name, public={**secret.public, names.SUI_KEY: "0x" + "9" * 64}, uid="other", node="demo-3"
    )
    world.settle()
    assert world.says("Valid", "demo-3") == ("False", "KeySecretChanged")
    world.secrets["demo-3-keys"] = SecretView(
        name=secret.name, public={**secret.public, names.PROTOCOL_KEY: None}, uid="other", node="demo-3"
    )
    world.settle()
    assert world.says("Valid", "demo-3") == ("False", "KeySecretInvalid")


@pytest.mark.parametrize("secret", ["demo-treasury", "demo-gateway-keys"])
def test_lost_network_keys_are_never_made_again(world: World, secret: str) -> None:
    del world.secrets[secret]
    world.settle()
    assert world.says("Valid") == ("False", "KeySecretLost")
    assert secret not in world.secrets


def test_paused_means_status_only(world: World) -> None:
    world.network["metadata"]["annotations"] = {"walrus-operator.dev/reconcile": "paused"}
    world.edit(nodes={"template": {"stake": 5}})
    world.objects.pop(ObjectKey("Service", "demo-1"))
    del world.pods["demo-5-0"]
    decided, _ = world.pass_once()
    assert decided.workload is None
    assert decided.actions == ()
    assert world.says("Paused") == ("True", "ReconcilePaused")
    assert world.says("Ready") == ("False", "NodesNotReady")
    assert ObjectKey("Service", "demo-1") not in world.objects


def test_a_silent_chain_is_said_and_changes_nothing(world: World) -> None:
    world.chain_answers = False
    world.now += 5
    _, writes = world.pass_once()
    assert writes == 0, "one lost answer is no news"
    world.now += 60
    decided, _ = world.pass_once()
    assert decided.actions == ()
    assert world.says("CommitteeSynced") == ("False", "ChainUnreachable")
    assert world.says("Ready") == ("False", "ChainUnreachable")
    assert world.says("Available") == ("True", "QuorumAvailable")
    world.now += 60
    _, writes = world.pass_once()
    assert writes == 0, "messages name points in time, not ages"
    world.chain_answers = True
    world.settle()
    assert world.says("Ready") == ("True", "Serving")


def test_a_silent_chain_after_an_operator_restart_freezes_the_members(world: World) -> None:
    world.chain_answers, world.chain_seen_at = False, None
    world.edit(nodes={"count": 5})
    decided, _ = world.pass_once()
    assert not [action for action in decided.actions if isinstance(action, DeleteObject)]
    assert world.says("Available") == ("True", "QuorumAvailable")
    assert budget(world) == 3
    assert len(world.nodes()) == 10


def test_another_chain_under_the_same_url_stops_everything(world: World) -> None:
    world.chain_id, world.epoch, world.phase, world.committee = "chain-two", 0, EpochPhase.WAITING, ()
    world.registered, world.delegations, world.balances = {}, [], {}
    decided, _ = world.pass_once()
    assert decided.actions == ()
    assert world.says("Ready") == ("False", "ChainChanged")
    assert world.says("Degraded") == ("True", "ChainChanged")
    assert world.network["status"]["chainId"] == "chain-one"
    assert world.network["status"]["epoch"] == 1


def test_an_epoch_change_in_progress_is_shown(world: World) -> None:
    world.choose_committee()
    world.phase = EpochPhase.SYNC
    world.settle()
    assert world.says("CommitteeSynced") == ("False", "EpochChangeInProgress")
    epoch = world.objects[ObjectKey("StorageEpoch", "demo-2")]["status"]
    assert epoch["state"] == "Sync"
    assert "changeDoneAt" not in epoch


def test_an_unreadable_spec_is_reported_and_nothing_is_touched(world: World) -> None:
    world.network["spec"]["fromTheFuture"] = 1
    decided, _ = world.pass_once()
    assert decided.workload is None
    assert world.says("Valid") == ("False", "SpecInvalid")
    assert "fromTheFuture" in world.condition("Valid")["message"]


def test_the_chain_must_have_the_shards_that_the_spec_says() -> None:
    manifest = network_manifest(shards=10, nodes={"count": 4})
    world = World(network=manifest)
    world.settle()
    assert world.says("Valid") == ("True", "Accepted")
    snapshot = world.snapshot()
    manifest["spec"]["shards"] = 13
    world.chain_id = snapshot.chain.value.chain_id if snapshot.chain.value else ""
    mismatched = world.snapshot()
    object.__setattr__(mismatched, "chain", snapshot.chain)
    decided = plan(mismatched)
    valid = next(entry for entry in decided.network_conditions if entry.type == "Valid")
    assert valid.reason is Reason.CHAIN_MISMATCH
    assert not [action for action in decided.actions if "Delegate" in repr(action)]


def test_refusals_and_failures_of_the_previous_pass_are_conditions(world: World) -> None:
    snapshot = world.snapshot(
        refusals=((Reason.NAME_CONFLICT, "Service/demo-0 exists"),), last_error="KubeError: no answer"
    )
    decided = plan(snapshot)
    said = {(entry.type, entry.status, entry.reason): entry.message for entry in decided.network_conditions}
    assert said["Valid", "False", "NameConflict"] == "Service/demo-0 exists"
    assert said["Degraded", "True", "ReconcileFailed"] == "KubeError: no answer"


def test_a_network_that_is_being_deleted_is_left_alone(world: World) -> None:
    world.network["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    decided = plan(world.snapshot())
    assert decided.workload is None
    assert decided.actions == decided.statuses == ()


def test_transitions_become_events_once(world: World) -> None:
    del world.pods["demo-5-0"]
    decided, _ = world.pass_once()
    assert [(note.reason, note.type) for note in decided.events] == [("NodesNotReady", "Warning")]
    decided, _ = world.pass_once()
    assert decided.events == ()


def test_the_table_has_no_row_twice() -> None:
    rows = [(row.kind, row.type, row.status, row.reason) for row in TABLE]
    assert len(rows) == len(set(rows))
    assert all(row.meaning.endswith(".") and row.remedy.endswith(".") for row in TABLE)


EXTERNAL = {"chain": {"devnet": None, "external": {"networkConfig": "https://example.com/x"}}, "encoding": "rs2"}


def test_on_a_foreign_chain_nothing_starts_before_the_chain_is_known() -> None:
    world = World(network=network_manifest(**EXTERNAL), chain_answers=False)
    decided, _ = world.pass_once()
    assert decided.workload is None
    assert decided.actions == ()
    assert world.says("Ready") == ("False", "ChainStarting")
    world.chain_answers = True
    decided, _ = world.pass_once()
    assert decided.workload is not None
    assert not decided.workload.devnet
    assert not [action for action in decided.actions if "treasury" in repr(action)], "money comes from outside"


@pytest.mark.parametrize(
    ("system_object", "name"),
    [
        ("0x2134d52768ea07e8c43570ef975eb3e4c27a39fa6396bef985b5abc58d03ddd2", "Walrus mainnet"),
        ("0x6c2547cbbc38025cf3adac45f63cb0a8d12ecf777cdc75a4971612bf97fdf6af", "Walrus testnet"),
    ],
)
def test_the_public_networks_are_refused_before_any_node_starts(system_object: str, name: str) -> None:
    world = World(network=network_manifest(**EXTERNAL), system_object=system_object)
    decided, _ = world.pass_once()
    assert decided.workload is None
    assert decided.actions == ()
    assert world.says("Valid") == ("False", "PublicNetworkRefused")
    assert name in world.condition("Valid")["message"]
    assert world.says("Ready") == ("False", "NotValid")


def test_a_running_network_on_a_foreign_chain_is_kept_while_the_chain_is_silent() -> None:
    world = World(network=network_manifest(**EXTERNAL))
    world.settle()
    for node_id in world.registered.values():
        world.stake(node_id, 1000 * 10**9)
    world.choose_committee()
    world.settle()
    world.chain_answers, world.chain_seen_at = False, None
    decided, _ = world.pass_once()
    assert decided.workload is not None
    assert len(decided.workload.nodes) == 10


def test_a_node_without_a_network_is_told_so_once() -> None:
    live = {
        "metadata": {"name": "extra", "namespace": "walrus", "uid": "e", "generation": 3},
        "spec": {"networkRef": {"name": "nobody"}},
    }
    (update,) = strays.report([reading.node(live)], network="nobody", now=START)
    said = {entry["type"]: (entry["status"], entry["reason"]) for entry in update.status["conditions"]}
    assert said == {"Valid": ("False", "NetworkNotFound"), "Ready": ("False", "NotValid")}
    stored = {**live, "status": dict(update.status)}
    assert strays.report([reading.node(stored)], network="nobody", now=START + 60) == ()
