"""What is around the operator, in a process of its own so that the operator alone is measured: API server and nodes.

    python bench/kube_server.py SHARDS FOLDER

It is the tests' Kubernetes API in memory as an HTTP server; it prints its port. Beside the API it answers discovery and
silent watches, which is what kopf needs to run, and `POST /controllers`, after which StatefulSets have their pods, and pods
of nodes an admin port that serves (`admin_ports`); the answer counts objects, and how often each node was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.unit.operator.fake_api import Cluster, parse
from tests.unit.operator.played import PlayedChain

from admin_ports import AdminPorts
from walrus_operator.api.markers import FIELD_MANAGER
from walrus_operator.observe.resources import RESOURCES

CLUSTER = Cluster(page=500)
PORTS = web.AppKey("ports", AdminPorts)


async def answer(request: web.Request) -> web.StreamResponse:
    """An API call, a watch, or a question about what there is."""
    path = request.path
    if path == "/controllers":
        CLUSTER.run_controllers()
        ports = request.app[PORTS]
        await ports.follow()
        return web.json_response({"objects": len(CLUSTER.store.objects), "asked": ports.asked})
    found = discovery(path)
    if found is not None:
        return web.json_response(found)
    if request.query.get("watch"):
        stream = web.StreamResponse()
        await stream.prepare(request)
        with contextlib.suppress(ConnectionError):
            await asyncio.sleep(3600)
        return stream
    text = await request.text()
    done = CLUSTER.store.handle(parse(request.method, request.path_qs, json.loads(text) if text else None))
    return web.json_response(with_managed_fields(done.body), status=done.status)


def with_managed_fields(answer: Any) -> Any:
    """An answer as a server gives it that keeps account of who has written which field: that is half of each object."""
    for item in answer.get("items", [answer] if "metadata" in answer and "uid" in answer["metadata"] else []):
        body = {key: value for key, value in item.items() if key not in {"apiVersion", "kind"}}
        account = {
            "manager": FIELD_MANAGER,
            "operation": "Apply",
            "fieldsType": "FieldsV1",
            "fieldsV1": fields_of(body),
        }
        item["metadata"]["managedFields"] = [account | {"apiVersion": "v1", "time": "2026-01-01T00:00:00Z"}]
    return answer


def fields_of(value: Any) -> Any:
    """The names in a value, in the form of that account."""
    if isinstance(value, dict):
        return {f"f:{key}": fields_of(inner) for key, inner in value.items()}
    if isinstance(value, list) and value and all(isinstance(entry, dict) and "name" in entry for entry in value):
        return {f'k:{{"name":"{entry["name"]}"}}': {".": {}, **fields_of(entry)} for entry in value}
    return {}


def discovery(path: str) -> object | None:
    """What kinds there are; None when that was not the question."""
    versions = sorted({resource.api_version for resource in RESOURCES.values()})
    groups = [version.split("/") for version in versions if "/" in version]
    if path == "/api":
        return {"versions": ["v1"]}
    if path == "/apis":
        return {
            "groups": [
                {"name": group, "versions": [{"version": version}], "preferredVersion": {"version": version}}
                for group, version in groups
            ]
        }
    version = path.removeprefix("/apis/" if path.startswith("/apis/") else "/api/")
    if version not in versions:
        return None
    verbs = ["get", "list", "watch", "patch"]
    kinds = [(found.plural, found.kind, True) for found in RESOURCES.values() if found.api_version == version]
    if version == "v1":
        kinds.append(("namespaces", "Namespace", False))  # kopf does not begin without it
    return {
        "resources": [
            {"name": plural, "kind": kind, "singularName": "", "namespaced": namespaced, "verbs": verbs}
            for plural, kind, namespaced in kinds
        ]
    }


async def serve(shards: int, folder: Path) -> None:
    """Until the process is ended.

    Args:
        shards: of the network.
        folder: for what kubelets would mount.
    """
    app = web.Application(client_max_size=1 << 24)
    app[PORTS] = AdminPorts(CLUSTER, folder, PlayedChain(shards))
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
