"""One operator and one ten-node testnet for the whole run, a gateway to it, and a reader that must never fail."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import pytest
import requests
from tests.e2e import recording
from tests.e2e.support import ROOT, BackgroundReader, Gateway, Kubectl, environment, port_forward, run

from walrus_sui import network_config
from walrus_sui.client import ChainClient

OPERATOR_NAMESPACE = "walrus-system"
NAMESPACE = "walrus-e2e"
NETWORK = "net"
EPOCH = "1m"
TARGET = "0.001"
"""A third of the questions that challenges ask by default: in such short epochs those would take half of two processors."""
EPOCHS = "50"
"""For how many epochs blobs are stored: longer than the slowest run."""

CONDITIONS = (
    "{range .items[*]}{.kind} {.metadata.name}{'\\n'}"
    "{range .status.conditions[*]}  {.type}={.status} {.reason}: {.message}{'\\n'}{end}{end}"
)
OPERATOR_LABEL = "app.kubernetes.io/name=walrus-operator"
NODE_LABEL = "app.kubernetes.io/component=node"
MANY = ("--max-log-requests", "20")
LOOKS = (
    ("kubectl", "--namespace", NAMESPACE, "get", "wnet,wn,se,pods", "--output", "wide"),
    ("kubectl", "--namespace", NAMESPACE, "get", "wnet,wn", "--output", f"jsonpath={CONDITIONS}"),
    ("kubectl", "--namespace", NAMESPACE, "get", "events", "--sort-by", ".lastTimestamp"),
    ("kubectl", "--namespace", OPERATOR_NAMESPACE, "logs", "--selector", OPERATOR_LABEL, "--tail", "60", "--prefix"),
    ("kubectl", "--namespace", NAMESPACE, "logs", "--selector", NODE_LABEL, "--tail", "25", "--prefix", *MANY),
)
"""What is asked when a test has failed."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", action="store_true", help="leave the network running after the tests")
    parser.addoption("--record", action="store_true", help="write what status pages print to docs/recorded")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.path).parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(1500))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows the cluster as it was when a test failed; afterwards it is gone."""
    report = yield
    if report.failed and report.when == "call":
        report.sections += [(f"cluster: {' '.join(look)}", words(*look)) for look in LOOKS]
    return report


def words(*command: str) -> str:
    """What a command says, whatever comes of it."""
    try:
        done = run(*command, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        return "no answer within 60 s"
    return done.stdout + done.stderr


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    kubeconfig = environment()["KUBECONFIG"]
    if not Path(kubeconfig.split(os.pathsep)[0]).exists():
        pytest.fail(f"No cluster: {kubeconfig} does not exist. Run `make cluster-up images`, or set KUBECONFIG.")
    run("kubectl", "get", "nodes")


def install(release: str, chart: str, namespace: str, *arguments: str, timeout: float = 180) -> None:
    """Installs or upgrades a release, also when an earlier run was killed while Helm worked on it."""
    interrupted = "owner=helm,status in (pending-install,pending-upgrade,pending-rollback)"
    run("kubectl", "-n", namespace, "delete", "secret", "-l", f"name={release},{interrupted}", "--ignore-not-found")
    run(
        *("helm", "upgrade", "--install", release, str(ROOT / "charts" / chart), "--namespace", namespace),
        *("--create-namespace", *arguments),
        timeout=timeout,
    )


REPOSITORY = os.environ.get("WALRUS_REPOSITORY", "walrus-on-kubernetes")
"""Where `make images` pushed the image for a cluster that is not kind's."""


def deploy_operator(**image: str) -> None:
    """Installs the operator; `image` names its image in another way, by fields of the chart's value."""
    tag = run(str(ROOT / "scripts" / "image-tag")).stdout.strip()
    values = {"repository": REPOSITORY, "tag": tag, **image}
    options = ("--set", ",".join(f"image.{key}={value}" for key, value in values.items()), "--wait", "--timeout", "5m")
    install("walrus-operator", "walrus-operator", OPERATOR_NAMESPACE, *options, timeout=330)


@pytest.fixture(scope="session")
def operator(cluster: None, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    # Helm refuses definitions that it does not own; killed integration tests leave some.
    run("kubectl", "delete", "crd", "--selector", "walrus-operator.dev/made-by=integration-tests")
    was_there = bool(json.loads(run("helm", "list", "-n", OPERATOR_NAMESPACE, "-o", "json").stdout))
    deploy_operator()
    yield Kubectl(OPERATOR_NAMESPACE)
    if not was_there and not request.config.getoption("--keep"):
        run("helm", "uninstall", "walrus-operator", "--namespace", OPERATOR_NAMESPACE, "--wait", timeout=330)


@pytest.fixture(scope="session")
def kubectl(operator: Kubectl, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """The network's namespace with the network Ready in it; restricted pod security is enforced there.

    What an earlier run left (killed, or with `--keep`) is removed first: its nodes may sleep, its keys may be lost.
    """
    here = Kubectl(NAMESPACE)
    remove_network()
    run("kubectl", "create", "namespace", NAMESPACE)
    run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    values = ("--set", f"network.epochDuration={EPOCH}", "--set-string", f"network.challenges.target={TARGET}")
    install(NETWORK, "walrus-testnet", NAMESPACE, *values)
    here.wait("wnet", NETWORK, "Ready", "True", seconds=600)
    yield here
    if not request.config.getoption("--keep"):
        remove_network()


def remove_network() -> None:
    run("helm", "uninstall", NETWORK, "--namespace", NAMESPACE, "--ignore-not-found", "--wait", timeout=330)
    run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=240s", timeout=300)


@pytest.fixture(scope="session")
def gateway(kubectl: Kubectl) -> Iterator[Gateway]:
    face = Gateway(NAMESPACE, f"{NETWORK}-gateway")
    yield face
    face.close()


@pytest.fixture(scope="session")
def reader(gateway: Gateway) -> Iterator[BackgroundReader]:
    background = BackgroundReader(gateway)
    yield background
    background.stop()
    assert background.failures == []
    assert background.reads > 0


@pytest.fixture(autouse=True)
def reads_never_fail(request: pytest.FixtureRequest) -> Iterator[None]:
    """Blames the test that was running when a background read failed."""
    yield
    if "reader" in request.fixturenames:
        background = request.getfixturevalue("reader")
        failures, background.failures = background.failures, []
        assert failures == []


@contextlib.asynccontextmanager
async def chain_client() -> AsyncIterator[ChainClient]:
    """A chain client of our own, outside of the cluster: what it says does not come through the gateway."""
    service = f"svc/{NETWORK}-devnet"
    with port_forward(NAMESPACE, service, 9000) as rpc, port_forward(NAMESPACE, service, 9123) as faucet:
        config = await network_config.load(f"http://127.0.0.1:{faucet}/v1/network-config")
        config = dataclasses.replace(config, rpc_url=f"http://localhost:{rpc}", faucet_url=f"http://127.0.0.1:{faucet}")
        async with ChainClient(config) as client:
            yield client


@pytest.fixture
async def chain(kubectl: Kubectl) -> AsyncIterator[ChainClient]:
    async with chain_client() as client:
        yield client


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., str]:
    """Runs a program, keeps what it prints for the documentation when asked to, and returns it."""

    def keep(name: str, *command: str) -> str:
        printed = run(*command, check=False).stdout
        if request.config.getoption("--record"):
            recording.write(name, command, printed)
        return printed

    return keep


@pytest.fixture
def operator_metrics(operator: Kubectl) -> Callable[[str], float]:
    """Reads a metric's sum over the operator's pods."""

    def read(name: str) -> float:
        total = 0.0
        for pod in operator.items("pods", "--selector", "app.kubernetes.io/name=walrus-operator"):
            with port_forward(OPERATOR_NAMESPACE, f"pod/{pod['metadata']['name']}", 8080) as port:
                page = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
            total += sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name))
        return total

    return read
