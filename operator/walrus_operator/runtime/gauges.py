"""Gauges that are read when somebody looks at the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Observation

from walrus_sui.telemetry import meter


def gauge(name: str, read: Callable[[], float], *, description: str) -> None:
    """Registers a gauge whose value `read` gives."""

    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(read())

    meter().create_observable_gauge(name, callbacks=[observe], description=description)
