"""One trace across processes, statuses on both ends, and the metrics page: over real sockets."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import aiohttp
import grpc
import grpc.aio
import pytest
from aiohttp import web
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from prometheus_client import exposition
from prometheus_client.core import REGISTRY

from walrus_proto.node.v1 import node_pb2, node_pb2_grpc
from walrus_sui import telemetry
from walrus_sui.telemetry import grpc_interceptors, logs, names


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    handlers = list(logging.getLogger().handlers)
    exporter = InMemorySpanExporter()
    current = telemetry.setup("walrus-test", log_format="text")
    processor = SimpleSpanProcessor(exporter)
    current.tracer_provider.add_span_processor(processor)
    yield exporter
    exporter.shutdown()
    logging.getLogger().handlers[:] = handlers


class Node(node_pb2_grpc.StorageNodeServicer):
    async def GetInfo(self, request, context):
        return node_pb2.GetInfoResponse(name="n")

    async def GetMetadata(self, request, context):
        await context.abort(grpc.StatusCode.NOT_FOUND, "no")

    async def GetSlivers(self, request, context):
        for _ in range(3):
            yield node_pb2.GetSliversResponse(data=b"x")


@pytest.fixture
async def stub() -> AsyncIterator[node_pb2_grpc.StorageNodeStub]:
    server = grpc.aio.server(interceptors=telemetry.grpc_server_interceptors())
    node_pb2_grpc.add_StorageNodeServicer_to_server(Node(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{port}", interceptors=telemetry.grpc_client_interceptors()
    ) as channel:
        found = node_pb2_grpc.StorageNodeStub(channel)
        found.port = port
        yield found
    await server.stop(None)


def pair(exporter: InMemorySpanExporter, method: str):
    found = {span.kind: span for span in exporter.get_finished_spans() if span.name.endswith(method)}
    return found[SpanKind.CLIENT], found[SpanKind.SERVER]


async def test_a_unary_call_is_one_trace_from_caller_to_handler(spans, stub) -> None:
    with telemetry.tracer().start_as_current_span("outer") as outer:
        await stub.GetInfo(node_pb2.GetInfoRequest(), timeout=5)
    client, server = pair(spans, "GetInfo")
    assert client.parent.span_id == outer.get_span_context().span_id
    assert server.parent.span_id == client.context.span_id
    assert server.attributes[names.RPC_STATUS_CODE] == client.attributes[names.RPC_STATUS_CODE] == "OK"


@pytest.mark.parametrize("collected", [False, True], ids=["no collector", "collector"])
async def test_a_call_from_outside_of_any_trace_has_a_span_only_where_spans_are_collected(
    spans, stub, monkeypatch, collected
) -> None:
    monkeypatch.setattr(grpc_interceptors, "exports_spans", lambda: collected)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{stub.port}") as channel:  # without our interceptors
        await node_pb2_grpc.StorageNodeStub(channel).GetInfo(node_pb2.GetInfoRequest(), timeout=5)
    assert [span.kind for span in spans.get_finished_spans()] == ([SpanKind.SERVER] if collected else [])
    page = exposition.generate_latest(REGISTRY).decode()
    assert 'rpc_method="walrus.node.v1.StorageNode/GetInfo"' in page  # measured in both cases


async def test_a_refused_call_has_its_status_on_both_ends(spans, stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.GetMetadata(node_pb2.GetMetadataRequest(), timeout=5)
    client, server = pair(spans, "GetMetadata")
    assert client.attributes[names.RPC_STATUS_CODE] == "NOT_FOUND"
    assert server.attributes[names.RPC_STATUS_CODE] == "NOT_FOUND"


async def test_a_stream_reaches_the_caller_whole_and_is_recorded(spans, stub) -> None:
    call = stub.GetSlivers(node_pb2.GetSliversRequest(), timeout=5)
    assert [part.data async for part in call] == [b"x"] * 3
    assert await call.code() == grpc.StatusCode.OK
    server = next(s for s in spans.get_finished_spans() if s.kind is SpanKind.SERVER)
    assert server.attributes[names.RPC_STATUS_CODE] == "OK"


async def test_http_joins_the_callers_trace_and_shows_on_the_metrics_page(spans) -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=trace.format_trace_id(trace.get_current_span().get_span_context().trace_id))

    app = web.Application(middlewares=[telemetry.aiohttp_middleware()])
    app.router.add_get("/hello/{name}", hello)
    app.router.add_get("/metrics", telemetry.metrics_handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        with telemetry.tracer().start_as_current_span("outer") as outer:
            headers = telemetry.http_trace_headers()
            async with session.get(f"http://127.0.0.1:{port}/hello/you", headers=headers) as answer:
                assert await answer.text() == trace.format_trace_id(outer.get_span_context().trace_id)
        async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            page = await answer.text()
    await runner.cleanup()
    assert 'http_server_request_duration_seconds_count{http_request_method="GET"' in page
    assert 'http_route="/hello/{name}"' in page


async def test_the_buckets_of_durations_tell_milliseconds_from_seconds(spans, stub) -> None:
    """Quantiles are read between the edges of buckets: a call of some milliseconds must not share one with 5 s."""
    await stub.GetInfo(node_pb2.GetInfoRequest(), timeout=5)
    page = exposition.generate_latest(REGISTRY).decode()
    buckets = re.findall(r'rpc_server_call_duration_seconds_bucket\{le="([^"]+)".*StorageNode/GetInfo"', page)
    edges = [float(edge) for edge in dict.fromkeys(buckets)]
    assert (edges[0], edges[-2]) == (0.001, 60)
    assert all(low < high <= 3 * low for low, high in itertools.pairwise(edges[:-1]))


def test_a_json_line_holds_message_extras_and_the_trace(spans) -> None:
    stream = io.StringIO()
    logs.configure("walrus-test", log_format="json", stream=stream)
    with telemetry.tracer().start_as_current_span("outer") as outer:
        logging.getLogger("a.b").warning("hello %s", "you", extra={"epoch": 3})
    line = json.loads(stream.getvalue())
    assert (line["message"], line["epoch"], line["level"]) == ("hello you", 3, "WARNING")
    assert line["trace_id"] == trace.format_trace_id(outer.get_span_context().trace_id)


async def test_senders_that_speak_no_http_do_not_fill_the_log(spans) -> None:
    stream = io.StringIO()
    logs.configure("walrus-test", log_format="text", stream=stream)

    async def broken(_request: web.Request) -> web.Response:
        raise RuntimeError("a fault of ours")

    app = web.Application()
    app.router.add_get("/broken", broken)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    for request, status in (
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b" 400 "),
        (b"GET /broken HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b" 500 "),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writer.write(request)
        assert status in await reader.readline()
        writer.close()
        await writer.wait_closed()
    await runner.cleanup()
    assert "a fault of ours" in stream.getvalue()
    assert stream.getvalue().count("Traceback") == 1


_SETUP = """
import sys
from walrus_sui import telemetry
current = telemetry.setup("walrus-test", otlp_endpoint={endpoint!r})
print(any(name.startswith("opentelemetry.exporter.otlp") for name in sys.modules))
print(len(current.tracer_provider._active_span_processor._span_processors))
import os
os._exit(0)
"""


@pytest.mark.parametrize(
    ("endpoint", "variable", "exported"),
    [
        (None, None, ["False", "0"]),
        ("http://127.0.0.1:1", None, ["True", "1"]),
        (None, "http://127.0.0.1:1", ["True", "1"]),
    ],
)
def test_only_a_configured_collector_costs_the_time_of_its_exporter(
    endpoint: str | None, variable: str | None, exported: list[str]
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    if variable is not None:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = variable
    command = [sys.executable, "-u", "-c", _SETUP.format(endpoint=endpoint)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == exported
