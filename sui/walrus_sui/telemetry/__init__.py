"""OpenTelemetry for every process of the project: one set-up, one list of names.

Life of a signal: a process calls `setup` once at its start. Spans are made through `tracer()`, measurements through
`meter()`; both do nothing costly until `setup` has run, so that libraries and tests may use them freely. Spans leave
by OTLP when an endpoint is configured; measurements are always readable on the Prometheus page (`metrics_handler`)
and leave by OTLP too when an endpoint is configured. Logs go to standard error, as JSON lines with the ids of the
current span, or as text for people. The `traceparent` travels over gRPC (`grpc_client_interceptors`,
`grpc_server_interceptors`) and HTTP (`aiohttp_middleware`, `http_trace_headers`).
"""

from walrus_sui.telemetry import names
from walrus_sui.telemetry.grpc_interceptors import grpc_client_interceptors, grpc_server_interceptors
from walrus_sui.telemetry.http import aiohttp_middleware, http_trace_headers, metrics_handler
from walrus_sui.telemetry.provider import Telemetry, meter, setup, tracer

__all__ = [
    "Telemetry",
    "aiohttp_middleware",
    "grpc_client_interceptors",
    "grpc_server_interceptors",
    "http_trace_headers",
    "meter",
    "metrics_handler",
    "names",
    "setup",
    "tracer",
]
