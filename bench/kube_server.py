"""The tests' Kubernetes API in memory as an HTTP server of its own, so that the operator alone is measured.

    python bench/kube_server.py

It prints its port. Beside the API it answers discovery and silent watches, which is what kopf needs to run, and
`POST /controllers`, after which StatefulSets have their pods.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.unit.operator.fake_api import Cluster, parse

from walrus_operator.observe.resources import RESOURCES

CLUSTER = Cluster(page=500)


async def answer(request: web.Request) -> web.StreamResponse:
    """An API call, a watch, or a question about what there is."""
    path = request.path
    if path == "/controllers":
        CLUSTER.run_controllers()
        return web.json_response({"objects": len(CLUSTER.store.objects)})
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
    return web.json_response(done.body, status=done.status)


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


async def serve() -> None:
    """Until the process is ended."""
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
