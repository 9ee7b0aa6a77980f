"""The demo: both charts on the cluster, a ten-node network, one real file in and out again.

Run by `make demo` after the cluster is up and the image is loaded. Life of a run: install the operator, install the
testnet, watch the network's conditions until it is Ready (a live view says what is still missing), store a file
through `walrusctl`, read it back, compare byte for byte, print the status and the next commands. It changes nothing
but what its two Helm releases own, can be run again, and ends with the network running.

Exit codes: 0 all went well; 1 a step failed (the last lines say which and what to look at); 2 a tool is missing;
130 interrupted.
Variables: KUBECONFIG; WALRUS_REPOSITORY, where `make images` pushed the image for a cluster that is not kind's.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
OPERATOR_NAMESPACE = "walrus-system"
NAMESPACE = "walrus"
NETWORK = "demo"
NODE_PORT = 31415
READY_SECONDS = 600
CRD_SUFFIX = ".walrus-operator.dev"
console = Console(highlight=False)


class DemoError(Exception):
    """A step failed; the text says which one and what to look at."""


def main() -> int:
    """Runs the demo, or removes what it made (`--down`)."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--down", action="store_true", help="remove the demo's releases, namespaces and volumes")
    parser.add_argument("--tag", help="image tag; default: the output of scripts/image-tag")
    arguments = parser.parse_args()
    os.environ.setdefault("KUBECONFIG", str(ROOT / ".kube" / "config"))
    os.environ["PATH"] = f"{ROOT / '.tools' / 'bin'}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    kubeconfig = Path(os.environ["KUBECONFIG"].split(os.pathsep)[0])
    if arguments.down and not kubeconfig.exists():
        console.print(f"{kubeconfig} does not exist: no cluster, so nothing to remove.", markup=False)
        return 0
    missing = [tool for tool in ("kubectl", "helm", "walrusctl") if shutil.which(tool) is None]
    if missing:
        console.print(f"Missing on the path: {', '.join(missing)}. Run `make setup cluster-up` first.", style="red")
        return 2
    try:
        if arguments.down:
            down()
        else:
            up(arguments.tag or run([str(ROOT / "scripts" / "image-tag")]).strip())
    except DemoError as error:
        console.print(f"\n{error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print(
            "\nInterrupted. `make demo` goes on from here; `make demo-down` removes what is there.", style="red"
        )
        return 130
    return 0


def up(tag: str) -> None:
    """Installs, waits, stores, reads, compares, reports."""
    image = f"image.tag={tag}"
    if "WALRUS_REPOSITORY" in os.environ:
        image += f",image.repository={os.environ['WALRUS_REPOSITORY']}"
    with Step("Operator chart"):
        helm("walrus-operator", OPERATOR_NAMESPACE, "--set", image, "--wait", "--timeout", "5m")
    with Step("Testnet chart: 10 nodes, 100 shards"):
        # The cluster of `make cluster-up` leads this port to the same one on loopback.
        port = ("network.gateway.service.type=NodePort", f"network.gateway.service.nodePort={NODE_PORT}")
        helm(NETWORK, NAMESPACE, "--set", ",".join(port), chart="walrus-testnet")
    with Step("Network ready"):
        wait_until_ready()
    original = sample_file()
    with tempfile.TemporaryDirectory() as folder:
        with Step(f"Store {original.name} ({original.stat().st_size / 2**20:.1f} MiB)"):
            answer = json.loads(walrusctl("blob", "store", str(original), "-o", "json"))
            result = answer.get("newlyCreated", {}).get("blobObject") or answer.get("alreadyCertified")
            if result is None:
                raise DemoError(f"The gateway did not store the file; it answered: {json.dumps(answer)}")
            blob_id = result["blobId"]
            console.print(f"    blob id {blob_id}")
        copy = Path(folder) / original.name
        with Step("Read it back"):
            walrusctl("blob", "read", blob_id, "--out", str(copy))
        if not filecmp.cmp(original, copy, shallow=False):
            raise DemoError(f"The file that came back differs from {original}. This is a bug: please report it.")
        console.print("    byte for byte the same", style="green")
    console.print()
    subprocess.run([*WALRUSCTL, "network", "status"], check=False)
    console.print()
    subprocess.run(["kubectl", "--namespace", NAMESPACE, "get", "wnet,wn,se"], check=False)
    console.print(next_commands(os.environ["KUBECONFIG"], blob_id), soft_wrap=True, markup=False)


def down() -> None:
    """Removes the demo's release, volumes and namespace; the operator too, unless other networks live from it."""
    with Step("Remove the network"):
        run(["helm", "uninstall", NETWORK, "--namespace", NAMESPACE, "--ignore-not-found", "--wait"])
        run(["kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s"])
    crds = [name for name in run(["kubectl", "get", "crd", "--output", "name"]).split() if name.endswith(CRD_SUFFIX)]
    # Deleting the definitions would delete every network in the cluster.
    if any("walrusnetworks" in name for name in crds) and (others := foreign_networks()):
        console.print(f"The operator and its definitions stay, for other networks need them: {', '.join(others)}")
        return
    with Step("Remove the operator"):
        run(["helm", "uninstall", "walrus-operator", "--namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "--wait"])
        for crd in crds:
            run(["kubectl", "delete", crd, "--ignore-not-found", "--timeout=120s"])
        run(["kubectl", "delete", "namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "--timeout=180s"])
    if os.environ["KUBECONFIG"] == str(ROOT / ".kube" / "config"):
        console.print("The cluster stays for the next time; `make cluster-down` removes it.")


def foreign_networks() -> list[str]:
    """Networks that the demo did not make, as namespace/name."""
    found = json.loads(run(["kubectl", "get", "wnet", "--all-namespaces", "--output", "json"]))["items"]
    return [f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in found]


def wait_until_ready() -> None:
    """Follows the network's conditions until Ready is True; shows what is missing meanwhile."""
    deadline = time.monotonic() + READY_SECONDS
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        while True:
            try:
                network = get("wnet", NETWORK)
                conditions = {entry["type"]: entry for entry in network.get("status", {}).get("conditions", [])}
                if conditions.get("Ready", {}).get("status") == "True":
                    return
                if time.monotonic() > deadline:
                    raise DemoError(explain(conditions))
                live.update(view(network, conditions))
            except DemoError as error:
                # An API server under load may miss a question.
                if time.monotonic() > deadline:
                    raise
                live.update(Text(str(error), style="yellow"))
            time.sleep(1)  # the watch interval of a view, not a wait for luck: the loop ends on the condition


def view(network: dict[str, Any], conditions: dict[str, dict[str, str]]) -> Table:
    """One line per condition and per node that is not ready yet."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    if not conditions:
        table.add_row("", Text("waiting for the operator's first pass", style="yellow"))
    for name, condition in conditions.items():
        good = condition["status"] == "True"
        table.add_row(
            Text("ok" if good else "..", style="green" if good else "yellow"),
            name,
            Text("" if good else f"{condition.get('reason', '')}: {condition.get('message', '')}", style="dim"),
        )
    waiting = [node["metadata"]["name"] for node in items("wn") if not is_ready(node)]
    if waiting:
        table.add_row("", "nodes not ready", Text(" ".join(waiting), style="yellow"))
    pods = [line for line in pod_lines() if line]
    for line in pods[:12]:
        table.add_row("", "pod", Text(line, style="dim"))
    table.add_row("", f"epoch {network.get('status', {}).get('epoch', '-')}")
    return table


def is_ready(resource: dict[str, Any]) -> bool:
    """Whether a custom resource's Ready condition is True."""
    entries = resource.get("status", {}).get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in entries)


def pod_lines() -> list[str]:
    """Name and state of each pod that is not ready."""
    lines = []
    for pod in items("pods"):
        statuses = pod.get("status", {}).get("containerStatuses", [])
        if statuses and all(status["ready"] for status in statuses):
            continue
        waiting = [status["state"]["waiting"].get("reason", "") for status in statuses if "waiting" in status["state"]]
        lines.append(f"{pod['metadata']['name']} {pod.get('status', {}).get('phase', '')} {' '.join(waiting)}".strip())
    return lines


def explain(conditions: dict[str, dict[str, str]]) -> str:
    """The message for a network that did not become ready."""
    lines = [f"The network was not Ready after {READY_SECONDS} s."]
    lines += [
        f"  {name}: {entry.get('reason')}: {entry.get('message')}"
        for name, entry in conditions.items()
        if entry["status"] != "True"
    ]
    lines += [f"  pod {line}" for line in pod_lines()]
    lines.append(
        f"Look at: kubectl -n {NAMESPACE} get pods,events; kubectl -n {OPERATOR_NAMESPACE} logs -l app.kubernetes.io/name=walrus-operator"
    )
    return "\n".join(lines)


def sample_file() -> Path:
    """A real file of some MiB that every installation has: the storage engine that the nodes run on."""
    folder = next((ROOT / ".venv" / "lib").glob("python3*"), None)
    found = sorted(folder.glob("site-packages/rocksdict/*.so")) if folder else []
    if not found:
        raise DemoError("No file to store was found in .venv; run `make setup`.")
    return found[0]


WALRUSCTL = ["walrusctl", "--namespace", NAMESPACE, "--network", NETWORK]


def walrusctl(*arguments: str) -> str:
    """Runs walrusctl against the demo's network; its progress goes to the terminal."""
    done = subprocess.run([*WALRUSCTL, *arguments], check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise DemoError(f"`{' '.join([*WALRUSCTL, *arguments])}` ended with exit code {done.returncode}.")
    return done.stdout


def helm(release: str, namespace: str, *arguments: str, chart: str | None = None) -> None:
    """Installs or upgrades a release, also after a run that was killed while Helm worked on it."""
    interrupted = f"owner=helm,name={release},status in (pending-install,pending-upgrade,pending-rollback)"
    run(["kubectl", "--namespace", namespace, "delete", "secret", "--selector", interrupted])
    path = str(ROOT / "charts" / (chart or release))
    run(["helm", "upgrade", "--install", release, path, "--namespace", namespace, "--create-namespace", *arguments])


def get(kind: str, name: str) -> dict[str, Any]:
    """One object as JSON; an empty one while it is not there."""
    command = ["kubectl", "--namespace", NAMESPACE, "get", kind, name, "--ignore-not-found", "--output", "json"]
    text = run(command)
    return json.loads(text) if text.strip() else {}


def items(kind: str) -> list[dict[str, Any]]:
    """All objects of a kind in the demo's namespace."""
    text = run(["kubectl", "--namespace", NAMESPACE, "get", kind, "--output", "json"])
    return list(json.loads(text)["items"])


def run(command: list[str]) -> str:
    """Runs a command; its output is shown only when it fails."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise DemoError(f"`{' '.join(command)}` failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


class Step:
    """Says which step runs and, at its end, how long it took."""

    def __init__(self, title: str) -> None:
        self._title = title

    def __enter__(self) -> None:
        console.print(f"==> {self._title}", style="bold")
        self._started = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        state = "done" if kind is None else "FAILED"
        console.print(
            f"    {state} in {time.monotonic() - self._started:.1f} s", style="dim" if kind is None else "red"
        )


NEXT = """
The network goes on running. Next:

  export KUBECONFIG={kubeconfig}
  kubectl -n {namespace} get wnet,wn,se                      the story at a glance
  .venv/bin/walrusctl -n {namespace} --network demo network status
  .venv/bin/walrusctl -n {namespace} --network demo blob status {blob_id}
  .venv/bin/walrusctl -n {namespace} --network demo blob store FILE
  {curl}
  kubectl -n {namespace} patch wn demo-9 --type merge -p '{{"spec":{{"desiredState":"Hibernated"}}}}'
  helm test demo -n {namespace}                              stores and reads a blob from inside
  make demo-down                                         removes all that the demo made
"""


def next_commands(kubeconfig: str, blob_id: str) -> str:
    """What to try now. Only our own cluster leads a port of this machine to the gateway."""
    if kubeconfig == str(ROOT / ".kube" / "config"):
        port = os.environ.get("WALRUS_GATEWAY_PORT", "31415")
        curl = f"curl http://127.0.0.1:{port}/v1/blobs/{blob_id} -o copy      straight from the gateway"
    else:
        curl = f"kubectl -n {NAMESPACE} port-forward svc/{NETWORK}-gateway 31415     then curl http://127.0.0.1:31415"
    return NEXT.format(kubeconfig=kubeconfig, namespace=NAMESPACE, blob_id=blob_id, curl=curl)


if __name__ == "__main__":
    sys.exit(main())
