"""Sets up the process's OpenTelemetry providers and closes them in order.

`setup` is called once per process. The API's global providers cannot be replaced, so a second call keeps the first
providers and only renews the log format: tests rely on that.
"""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry import metrics, trace
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from walrus_sui.release import DISTRIBUTION, release
from walrus_sui.telemetry import logs
from walrus_sui.telemetry.logs import LogFormat

SCOPE = DISTRIBUTION
DURATION_EDGES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Edges of the buckets of all durations. The SDK's own are for milliseconds: nearly all of ours would fall below its 5 s."""

_FROM_ENVIRONMENT = {
    "k8s.namespace.name": "POD_NAMESPACE",
    "k8s.pod.name": "POD_NAME",
    "k8s.pod.uid": "POD_UID",
    "k8s.node.name": "NODE_NAME",
}


@dataclass
class Telemetry:
    """Handle on the process's providers; `shutdown` sends what is still buffered."""

    tracer_provider: TracerProvider
    meter_provider: MeterProvider
    exports_spans: bool

    def shutdown(self) -> None:
        """Flushes and closes the exporters; each waits at most its own export time-out."""
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()


_current: list[Telemetry] = []


def setup(
    service: str,
    *,
    log_format: LogFormat = "json",
    log_level: str = "info",
    otlp_endpoint: str | None = None,
    attributes: Mapping[str, str] | None = None,
) -> Telemetry:
    """Configures logs, traces and metrics of this process.

    Args:
        service: `service.name`, one of `names.SERVICE_*`.
        log_format: "json" or "text".
        log_level: Name of a standard level, any case.
        otlp_endpoint: `http://host:4317` of an OpenTelemetry collector; None keeps spans inside the process and
            serves metrics on the Prometheus page alone. The standard OTEL_EXPORTER_OTLP_ENDPOINT is honoured too.
        attributes: Further resource attributes.
    """
    logs.configure(service, log_format=log_format, level=log_level)
    if _current:
        return _current[0]
    resource = Resource.create(_resource_attributes(service) | dict(attributes or {}))
    endpoint = otlp_endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    tracer_provider = TracerProvider(resource=resource)
    readers: list[MetricReader] = [PrometheusMetricReader(disable_target_info=False)]
    if endpoint:
        spans, measurements = _exporters(endpoint)
        tracer_provider.add_span_processor(BatchSpanProcessor(spans))
        readers.append(PeriodicExportingMetricReader(measurements))
    durations = View(
        instrument_type=Histogram,
        instrument_unit="s",
        aggregation=ExplicitBucketHistogramAggregation(DURATION_EDGES_S),
    )
    meter_provider = MeterProvider(resource=resource, metric_readers=readers, views=[durations])
    trace.set_tracer_provider(tracer_provider)
    metrics.set_meter_provider(meter_provider)
    _current.append(Telemetry(tracer_provider, meter_provider, bool(endpoint)))
    return _current[0]


@functools.cache
def tracer() -> trace.Tracer:
    """The project's tracer; usable before `setup` (then its spans go nowhere), and goes on after it."""
    return trace.get_tracer(SCOPE)


def exports_spans() -> bool:
    """Whether spans of this process go anywhere."""
    return bool(_current) and _current[0].exports_spans


def meter() -> metrics.Meter:
    """The project's meter; instruments made before `setup` start to count once it has run."""
    return metrics.get_meter(SCOPE)


def _exporters(endpoint: str) -> tuple[SpanExporter, MetricExporter]:
    # A tenth of a second of imports that only a process with a collector has to pay for.
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    insecure = not endpoint.startswith("https://")
    return OTLPSpanExporter(endpoint=endpoint, insecure=insecure), OTLPMetricExporter(
        endpoint=endpoint, insecure=insecure
    )


def _resource_attributes(service: str) -> dict[str, str]:
    found = {name: os.environ[variable] for name, variable in _FROM_ENVIRONMENT.items() if os.environ.get(variable)}
    return {
        "service.name": service,
        "service.version": release(),
        "service.instance.id": os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
        **found,
    }
