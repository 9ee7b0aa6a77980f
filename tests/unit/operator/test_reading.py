"""From raw objects to records."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from tests.unit.operator.chain_world import START, network_manifest

from walrus_node.rpc.admin import rules
from walrus_operator.api import names
from walrus_operator.api.decisions import KeyKind
from walrus_operator.api.world import ChallengeInfo, NodeInfo, PodView, Revision
from walrus_operator.observe import reading
from walrus_operator.observe.admin import AdminClient
from walrus_operator.observe.answers import parse
from walrus_operator.observe.nodes import HttpNodeReader, NodeObserver
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey


def pod(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "demo-0-0", "uid": "u", "labels": {"controller-revision-hash": "r1"}},
        "status": {"phase": "Running", "podIP": "10.0.0.1", **status},
    }


def test_a_ready_pod() -> None:
    view = reading.pod(pod(conditions=[{"type": "Ready", "status": "True"}]))
    assert view.ready
    assert (view.revision, view.ip, view.waiting) == ("r1", "10.0.0.1", None)


def test_why_a_pod_does_not_run() -> None:
    pulling = pod(containerStatuses=[{"state": {"waiting": {"reason": "ImagePullBackOff"}}}])
    assert reading.pod(pulling).waiting == "ImagePullBackOff"
    ended = pod(containerStatuses=[{"state": {"terminated": {"reason": "Error", "exitCode": 2}}}])
    assert reading.pod(ended).waiting == "Error, exit code 2"
    unplaced = pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}])
    assert reading.pod(unplaced).waiting == "Unschedulable"


def test_a_claim_that_waits_for_its_volume() -> None:
    network = reading.network(network_manifest())

    def claim(phase: str, **spec: str) -> bool:
        live = {"metadata": {"name": "x", "uid": "u"}, "spec": spec, "status": {"phase": phase}}
        return reading.claim(live, network).bound

    assert not claim("Pending")
    assert claim("Bound")
    assert claim("Lost"), "it had one, and what was on it may come back"
    assert claim("Pending", volumeName="of-old"), "somebody wants what is on this one"


def test_a_secret_is_reduced_to_its_public_halves() -> None:
    keys = {"protocol.key": BlsKey.generate(), "network.key": NetworkKey.generate(), "sui.key": SuiKey.generate()}
    live = {
        "metadata": {"name": "demo-0-keys", "uid": "u", "labels": {"walrus-operator.dev/node": "demo-0"}},
        "data": {file: base64.b64encode(key.to_text().encode()).decode() for file, key in keys.items()},
    }
    view = reading.secret(live)
    assert view.public["sui.key"] == keys["sui.key"].address  # type: ignore[union-attr]
    assert view.public["protocol.key"] == keys["protocol.key"].public_key.hex()
    assert view.public["network.key"] == keys["network.key"].public_key.hex()
    assert view.node == "demo-0"
    assert all(key.to_text() not in repr(view) for key in keys.values())


def test_damaged_and_mixed_up_keys_are_unusable() -> None:
    sui = base64.b64encode(SuiKey.generate().to_text().encode()).decode()
    live = {"metadata": {"name": "x", "uid": "u"}, "data": {"protocol.key": sui, "network.key": "%%%", "sui.key": sui}}
    public = reading.secret(live).public
    assert public["protocol.key"] is None
    assert public["network.key"] is None
    assert public["sui.key"]


def test_key_files_by_name() -> None:
    assert reading.key_kind("protocol.key") is KeyKind.PROTOCOL
    assert reading.key_kind("network.key") is KeyKind.NETWORK
    assert reading.key_kind("demo-gateway-0.key") is KeyKind.SUI


def test_a_spec_from_the_future_is_an_error_in_the_record_and_not_an_exception() -> None:
    view = reading.network(network_manifest(newField=1))
    assert view.spec is None
    assert view.spec_error is not None
    assert "newField" in view.spec_error


def test_a_status_that_cannot_be_read_counts_as_never_written() -> None:
    manifest = network_manifest()
    manifest["status"] = {"epoch": "not a number"}
    view = reading.network(manifest)
    assert view.status.epoch is None
    assert view.live_status == {"epoch": "not a number"}


def test_what_a_node_says() -> None:
    info = parse(
        {
            "node_id": "0xab",
            "name": "demo-0",
            "epoch": 3,
            "status": "Active",
            "shards": [{"shard": 7, "status": "Active"}],
            "version": "0.1.0",
            "slivers_stored": "12",
            "recovery": {"blobs_pending": "3", "fraction": 0.25},
            "sync": {"shards_pending": 2, "fraction": 0.5},
            "chain_reachable": True,
            "checkpoint_age_ms": "1500",
            "challenges": {
                "mode": "Vote",
                "epoch": 3,
                "window_open": True,
                "running": 1,
                "pending": 4,
                "passed": "5",
                "failed": 2,
                "votes": 2,
            },
        }
    )
    assert (info.chain_reachable, info.chain_age) == (True, 1.5)
    expected = ChallengeInfo(mode="Vote", epoch=3, window_open=True, running=1, pending=4, votes=2, verdicts=7)
    assert info.challenges == expected
    assert (info.shards_pending, info.synced) == (2, 0.5)
    assert (info.blobs_pending, info.recovered) == (3, 0.25)
    assert (info.epoch, info.status, dict(info.shards), info.slivers_stored) == (3, "Active", {7: "Active"}, 12)


@pytest.mark.parametrize(
    "lie",
    [
        [],
        {"status": None, "shards": [{}]},
        {"status": "A" * 129},
        {"status": "A\x1b[2J"},
        {"status": "Active", "epoch": -1},
        {"status": "Active", "sync": {"fraction": 1.5}},
        {"status": "Active", "sync": {"shards_pending": -1}},
        {"status": "Active", "epoch": 1 << 63},
        {"status": "Active", "slivers_stored": float("inf")},
        {"status": "Active", "shards": [{"shard": 1 << 16, "status": "Active"}]},
        {"status": "Active", "version": ["x"] * 100},
        {"status": "Active", "recovery": {"fraction": 1.1}},
    ],
)
def test_what_a_node_cannot_be_is_no_answer(lie: Any) -> None:
    with pytest.raises(ValueError, match="not an answer of a storage node"):
        parse(lie)


@pytest.mark.parametrize(("size", "complaint"), [(1 << 20, "not an answer of a storage node"), (1 << 21, "too large")])
async def test_an_answer_without_an_end_is_not_read_to_it(
    size: int, complaint: str, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"[" + b" " * (size - 2) + b"]")
        return response

    app = web.Application()
    app.router.add_get("/v1/info", endless)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    monkeypatch.setattr(names, "HTTP_PORT", unused_tcp_port)
    reader = HttpNodeReader()
    with pytest.raises(ValueError, match=complaint):
        await reader.info("127.0.0.1")
    await reader.close()
    await runner.cleanup()


def test_what_a_pod_is_made_from() -> None:
    live = {
        "metadata": {
            "name": "demo-0-0",
            "uid": "u",
            "creationTimestamp": "2023-11-14T22:13:20Z",
            "labels": {"topology.kubernetes.io/zone": "z1"},
            "annotations": {"walrus-operator.dev/spec-digest": "s", "walrus-operator.dev/template-digest": "t"},
        },
        "spec": {"containers": [{"image": "walrus:2"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2023-11-14T22:13:40Z"}],
        },
    }
    pod = reading.pod(live)
    assert pod.ready_since == START + 20
    assert (pod.created_at, pod.image, pod.zone, pod.made_from) == (START, "walrus:2", "z1", Revision("s", "t"))
    live["metadata"]["annotations"] = {}  # type: ignore[index]  # it is a dictionary
    assert reading.pod(live).made_from is None


async def test_what_a_pod_said_is_nothing_about_the_pod_after_it() -> None:
    class Reader:
        silent = False

        async def info(self, address: str) -> NodeInfo:
            if self.silent:
                raise OSError("connection refused")
            return NodeInfo(node_id=None, epoch=1, status="Active", shards={})

        async def close(self) -> None:
            pass

    reader, pod = Reader(), PodView("demo-0-0", "old", ready=True, phase="Running", revision="r", ip="10.0.0.1")
    observer = NodeObserver(reader, AdminClient())
    assert (await observer.look("ns/demo", {"demo-0": pod}))["demo-0"].fresh is not None
    reader.silent = True
    same = (await observer.look("ns/demo", {"demo-0": pod}))["demo-0"]
    assert (same.value is not None, same.error) == (True, "connection refused")
    other = (await observer.look("ns/demo", {"demo-0": replace(pod, uid="new")}))["demo-0"]
    assert (other.value, other.error) == (None, "connection refused")


LONG = "t" * 32


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, 0),
        ("", 0),
        (LONG, 1),
        (f"\n {LONG} \n\n{LONG}x\n", 2),
        ("\n".join([LONG] * 4), 4),
        ("\n".join([LONG] * 5), 0),
        ("t" * 31, 0),
        ("t" * 512, 1),
        ("t" * 513, 0),
        (f"{LONG}\nshort", 0),
        (f"{LONG} and words", 0),
        (f"{LONG}\x00", 0),
    ],
)
def test_tokens_are_those_that_nodes_take(text: str | None, found: int) -> None:
    """The operator and the node read the file alike, wherever the operator does not want less."""
    assert len(reading.tokens(text)) == found
    try:
        taken = len(rules.digests((text or "").encode()))
    except rules.TokensError:
        taken = 0
    assert taken == found


def test_what_a_pod_with_an_admin_port_says() -> None:
    live = {"metadata": {"name": "demo-0-0", "uid": "u"}, "spec": {"containers": [{"ports": [{"name": "admin"}]}]}}
    assert reading.pod(live).admin
    live["spec"]["containers"][0]["ports"] = [{"containerPort": 9186}]  # type: ignore[index]  # it is a dictionary
    assert not reading.pod(live).admin
    live["spec"] = {"containers": []}
    assert not reading.pod(live).admin
