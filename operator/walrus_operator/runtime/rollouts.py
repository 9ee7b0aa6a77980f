"""Metrics of rollouts: pods that are left, whether one is stuck, and what holds how many. As of each network's last pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Observation

from walrus_operator.api.decisions import RolloutNumbers
from walrus_sui.telemetry import meter, names


class RolloutMetrics:
    """Remembers the numbers of each network for whoever reads the metrics."""

    def __init__(self) -> None:
        self._last: dict[str, RolloutNumbers] = {}
        meter().create_observable_gauge(
            names.OPERATOR_ROLLOUT_OUTDATED,
            callbacks=[self._each(lambda found: found.outdated)],
            description="Pods that are still to be restarted.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_ROLLOUT_STUCK,
            callbacks=[self._each(lambda found: int(found.stuck))],
            description="1 while a node that was restarted does not come back.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_GATE_BLOCKED, callbacks=[self._gates], description="Pods that a gate holds."
        )

    def update(self, network: str, found: RolloutNumbers) -> None:
        """A pass has ended."""
        self._last[network] = found

    def forget(self, network: str) -> None:
        """The network is gone."""
        self._last.pop(network, None)

    def _each(self, read: Callable[[RolloutNumbers], int]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            for network, found in self._last.items():
                yield Observation(read(found), {names.ATTR_NETWORK: network})

        return observe

    def _gates(self, _options: CallbackOptions) -> Iterable[Observation]:
        for network, found in self._last.items():
            for gate, count in found.gates.items():
                yield Observation(count, {names.ATTR_NETWORK: network, names.ATTR_GATE: gate})
