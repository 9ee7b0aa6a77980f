"""Gauges that are read when somebody looks at the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from opentelemetry.metrics import CallbackOptions, Observation

from walrus_sui.telemetry import meter, names

T = TypeVar("T")


def gauge(name: str, read: Callable[[], float], *, description: str) -> None:
    """Registers a gauge whose value `read` gives."""

    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(read())

    meter().create_observable_gauge(name, callbacks=[observe], description=description)


class PerNetwork(Generic[T]):
    """Numbers of each network as of its last pass, for whoever reads the metrics."""

    def __init__(self) -> None:
        self.last: dict[str, T] = {}

    def update(self, network: str, found: T) -> None:
        """A pass has ended."""
        self.last[network] = found

    def forget(self, network: str) -> None:
        """The network is gone."""
        self.last.pop(network, None)

    def gauge(self, name: str, read: Callable[[T], float | None], *, description: str) -> None:
        """Registers a gauge with one number of each network; None is no number."""

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            for network, found in self.last.items():
                value = read(found)
                if value is not None:
                    yield Observation(value, {names.ATTR_NETWORK: network})

        meter().create_observable_gauge(name, callbacks=[observe], description=description)

    def gauges(self, name: str, read: Callable[[T], Mapping[str, float]], *, by: str, description: str) -> None:
        """Registers a gauge with several numbers of each network, which the attribute `by` tells apart."""

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            for network, found in self.last.items():
                for value, number in read(found).items():
                    yield Observation(number, {names.ATTR_NETWORK: network, by: value})

        meter().create_observable_gauge(name, callbacks=[observe], description=description)
