"""Metrics of rollouts: pods that are left, whether one is stuck, and what holds how many. As of each network's last pass."""

from __future__ import annotations

from walrus_operator.api.decisions import RolloutNumbers
from walrus_operator.runtime.gauges import PerNetwork
from walrus_sui.telemetry import names


class RolloutMetrics(PerNetwork[RolloutNumbers]):
    """Remembers the numbers of each network for whoever reads the metrics."""

    def __init__(self) -> None:
        super().__init__()
        self.gauge(
            names.OPERATOR_ROLLOUT_OUTDATED,
            lambda found: found.outdated,
            description="Pods that are still to be restarted.",
        )
        self.gauge(
            names.OPERATOR_ROLLOUT_STUCK,
            lambda found: int(found.stuck),
            description="1 while a node that was restarted does not come back.",
        )
        self.gauges(
            names.OPERATOR_GATE_BLOCKED,
            lambda found: found.gates,
            by=names.ATTR_GATE,
            description="Pods that a gate holds.",
        )
