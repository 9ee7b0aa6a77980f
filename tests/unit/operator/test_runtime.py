"""The pieces around the passes: events, settings, configuration, probes, sentences."""

from __future__ import annotations

import asyncio
import gc
import inspect
import subprocess
import sys
import time
from typing import Any

import aiohttp
import kopf
import pytest
from kopf._core.reactor import queueing
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.unit.operator import fake_api

from walrus_operator.api.decisions import RolloutNumbers
from walrus_operator.apply import carry_out
from walrus_operator.handlers import watching
from walrus_operator.observe.kube import KubeError
from walrus_operator.observe.resources import RESOURCES
from walrus_operator.runtime import config, engine, gauges, main, queue, reconciler, rollouts
from walrus_operator.runtime.health import Health
from walrus_sui.errors import ChainUnreachable


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"kind": "WalrusNetwork", "metadata": {"namespace": "a", "name": "net"}}, "a/net"),
        (
            {
                "kind": "WalrusNode",
                "metadata": {"namespace": "a", "name": "net-0"},
                "spec": {"networkRef": {"name": "net"}},
            },
            "a/net",
        ),
        (
            {
                "kind": "Pod",
                "metadata": {"namespace": "a", "name": "net-0-0", "labels": {"walrus-operator.dev/network": "net"}},
            },
            "a/net",
        ),
        ({"kind": "Pod", "metadata": {"namespace": "a", "name": "other"}}, None),
        ({"kind": "WalrusNode", "metadata": {"namespace": "a", "name": "x"}}, None),
    ],
)
def test_every_object_finds_its_network(body: dict[str, Any], key: str | None) -> None:
    assert watching.network_of(body) == key


def test_kopf_watches_only_what_is_ours_and_stores_nothing_under_its_own_name() -> None:
    settings = watching.settings()
    assert settings.persistence.finalizer == "walrus-operator.dev/operator"
    assert settings.peering.standalone
    assert not settings.posting.enabled
    assert settings.scanning.disabled
    assert settings.watching.label_selectors["", "v1", "pods"] == "app.kubernetes.io/managed-by=walrus-operator"


def test_kopf_logs_in_without_loading_another_kubernetes_client() -> None:
    registry = watching.registry(lambda _key: None)
    logins = [handler.fn.__name__ for handler in registry._activities.get_all_handlers()]  # type: ignore[attr-defined]
    assert logins == ["login_with_service_account", "login_with_kubeconfig"]


def test_flags_go_before_environment_and_environment_before_defaults() -> None:
    environment = {
        "WALRUS_IMAGE": "from-environment:1",
        "WATCH_NAMESPACES": "b, a,,b",
        "POD_NAME": "operator-1",
        "POD_NAMESPACE": "system",
        "CLUSTER_DOMAIN": "example.org",
    }
    found = config.read(["run"], environment)
    assert found.settings.image == "from-environment:1"
    assert found.namespaces == ("a", "b")
    assert found.identity == "operator-1"
    assert found.settings.operator_namespace == "system"
    assert found.settings.cluster_domain == "example.org"
    assert (found.listen_host, found.listen_port) == ("0.0.0.0", 8080)
    flagged = config.read(["run", "--image", "flag:2", "--namespaces", "", "--listen", "127.0.0.1:1"], environment)
    assert flagged.settings.image == "flag:2"
    assert flagged.namespaces == ()
    assert (flagged.listen_host, flagged.listen_port) == ("127.0.0.1", 1)
    assert config.read(["run"], {}).settings.image.startswith("walrus-on-kubernetes:")


@pytest.mark.parametrize("wrong", ["8080x", "0.0.0.0:", "0.0.0.0:65536", "0.0.0.0"])
def test_an_address_that_is_none_is_wrong_usage(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        config.read(["run", "--listen", wrong], {})
    assert "is not host:port" in capsys.readouterr().err


async def test_probes_answer_with_a_sentence(unused_tcp_port: int) -> None:
    problem: list[str | None] = ["the service account may not: get pods"]
    health = Health(alive=lambda: None, ready=lambda: problem[0])
    await health.start("127.0.0.1", unused_tcp_port)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as session:

            async def get(path: str) -> tuple[int, str]:
                async with session.get(path) as answer:
                    return answer.status, await answer.text()

            assert await get("/livez") == (200, "ok")
            assert await get("/readyz") == (503, "the service account may not: get pods")
            problem[0] = None
            assert await get("/readyz") == (200, "ok")
            status, text = await get("/metrics")
            assert status == 200
            assert "python_info" in text
    finally:
        await health.stop()


@pytest.mark.parametrize("how", ["an error", "by itself"])
async def test_watches_that_end_are_noticed_and_end_the_process(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes starts it again; an operator that is deaf and lives would lead for ever."""

    async def watching_ends(**_: Any) -> None:
        if how == "an error":
            raise RuntimeError("the credentials are no longer good")

    monkeypatch.setattr(kopf, "operator", watching_ends)
    watches = engine.Engine(lambda _key: None, namespaces=["a"], identity="test")
    operator = main.Operator(config.read(["run"], {}))
    operator._engine, operator._worker = watches, queue.Worker(lambda _key: asyncio.sleep(0, None))
    assert operator._not_alive() is None
    watches.start()
    async with asyncio.timeout(30):
        await watches.ended.wait()
    assert not watches.watching
    assert operator._not_alive() == "the watches have ended"
    assert await watches.stop()


def test_a_queue_that_no_longer_turns_is_told_by_the_probe() -> None:
    now = [1000.0]
    operator = main.Operator(config.read(["run"], {}))
    assert operator._not_alive() is None, "a standby has no queue"
    operator._worker = queue.Worker(lambda _key: asyncio.sleep(0, None), clock=lambda: now[0])
    operator._worker.last_turn = time.monotonic() - 59
    assert operator._not_alive() is None
    operator._worker.last_turn = time.monotonic() - 62
    assert str(operator._not_alive()).startswith("the queue has not turned for 6")


async def test_calls_that_never_had_their_turn_are_dropped_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    async def refused() -> None:
        await asyncio.sleep(0)
        raise KubeError("forbidden", status=403)

    async def waiting() -> None:
        await asyncio.sleep(3600)

    calls = [refused(), *(waiting() for _ in range(3 * carry_out.PARALLEL_WRITES))]
    with pytest.raises(KubeError, match="forbidden"):
        await carry_out._together(calls)
    assert all(inspect.getcoroutinestate(call) == inspect.CORO_CLOSED for call in calls)
    del calls
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


def test_errors_become_sentences_without_surprises() -> None:
    sentence = reconciler._sentence
    assert sentence(KubeError("GET /x: 403 forbidden", status=403)) == "GET /x: 403 forbidden"
    assert sentence(ChainUnreachable("nobody answers")) == "nobody answers"
    assert sentence(ExceptionGroup("two", [KubeError("first"), ValueError("second")])) == "first"
    assert sentence(TimeoutError()) == "TimeoutError"
    assert sentence(ValueError("odd")) == "ValueError: odd"


def test_paths_of_the_api() -> None:
    assert RESOURCES["Pod"].path("ns", "x") == "/api/v1/namespaces/ns/pods/x"
    assert (
        RESOURCES["WalrusNode"].path("ns", "x", "status")
        == "/apis/walrus-operator.dev/v1alpha1/namespaces/ns/walrusnodes/x/status"
    )
    assert RESOURCES["SelfSubjectAccessReview"].path(None) == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert RESOURCES["Pod"].path("a/b", "c?d") == "/api/v1/namespaces/a%2Fb/pods/c%3Fd"


def test_rollouts_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    monkeypatch.setattr(gauges, "meter", lambda: meter)
    metrics = rollouts.RolloutMetrics()
    metrics.update("ns/demo", RolloutNumbers(outdated=7, stuck=True, gates={"FaultBudgetExceeded": 6}))
    metrics.update("ns/gone", RolloutNumbers(outdated=1))
    metrics.forget("ns/gone")
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        metric.name: [(point.value, dict(point.attributes)) for point in metric.data.data_points]
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    network = {"walrus.network": "ns/demo"}
    assert found == {
        "walrus.operator.rollout.outdated": [(7, network)],
        "walrus.operator.rollout.stuck": [(1, network)],
        "walrus.operator.gate.blocked": [(6, {**network, "walrus.gate": "FaultBudgetExceeded"})],
    }


def test_a_leading_operator_loads_no_second_kubernetes_client_and_no_terminal() -> None:
    program = (
        "import sys, walrus_operator.runtime.main, walrus_sui.client.transport\n"
        "found = {'requests', 'oauthlib', 'kubernetes.dynamic', 'rich', 'click'} & set(sys.modules)\n"
        "assert not found, found\n"
        "import kubernetes\n"
        "assert kubernetes.config.load_incluster_config and kubernetes.aio.client and kubernetes.__version__"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


async def test_lists_come_without_the_account_of_who_wrote_what() -> None:
    cluster = fake_api.Cluster()
    written = {"name": "a", "managedFields": [{"manager": "kubectl"}], "annotations": {"b": "c"}}
    cluster.store.put(("ConfigMap", "n", "a"), {"metadata": written, "data": {"d": "e"}})
    (found,) = await cluster.client().list("ConfigMap", "n")
    assert "managedFields" not in found["metadata"]
    assert (found["metadata"]["annotations"], found["data"]) == ({"b": "c"}, {"d": "e"})
    assert (found["kind"], found["apiVersion"]) == ("ConfigMap", "v1")


async def test_kopf_delivers_each_event_and_forgets_the_object_soon() -> None:
    seen: list[str] = []
    settings, streams = watching.settings(), {}
    backlog: asyncio.Queue[Any] = asyncio.Queue()
    streams["pod"] = queueing.Stream(backlog=backlog, pressure=asyncio.Event())
    for version in "123":
        backlog.put_nowait({"type": "MODIFIED", "object": {"metadata": {"resourceVersion": version}}})

    async def process(*, raw_event: Any, **_: Any) -> None:
        seen.append(raw_event["object"]["metadata"]["resourceVersion"])

    async with asyncio.timeout(3):  # its own patience would be 5 s
        await queueing.worker(
            signaller=asyncio.Condition(), settings=settings, processor=process, streams=streams, key="pod"
        )
    assert seen == ["1", "2", "3"]
    assert streams == {}
