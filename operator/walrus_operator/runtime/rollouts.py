"""Metrics of rollouts: pods that are left, whether one is stuck, and what holds how many. As of each network's last pass."""

from __future__ import annotations

from walrus_operator.api.decisions import RolloutNumbers
from walrus_operator.runtime.gauges import PerNetwork
from walrus_sui.telemetry import meter, names


class RolloutMetrics(PerNetwork[RolloutNumbers]):
    """Remembers the numbers of each network for whoever reads the metrics."""

    def __init__(self) -> None:
        super().__init__()
        meter().create_observable_gauge(
            names.OPERATOR_ROLLOUT_OUTDATED,
            callbacks=[self.one(lambda found: found.outdated)],
            description="Pods that are still to be restarted.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_ROLLOUT_STUCK,
            callbacks=[self.one(lambda found: int(found.stuck))],
            description="1 while a node that was restarted does not come back.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_GATE_BLOCKED,
            callbacks=[self.many(lambda found: found.gates.items(), names.ATTR_GATE)],
            description="Pods that a gate holds.",
        )
