"""Metrics of how networks stand: conditions, nodes, the fault budget. As of each network's last pass."""

from __future__ import annotations

from walrus_operator.api.decisions import StandingNumbers
from walrus_operator.runtime.gauges import PerNetwork
from walrus_sui.telemetry import names

_VALUES = {"True": 1, "False": 0}
UNKNOWN = -1


class NetworkMetrics(PerNetwork[StandingNumbers]):
    """Remembers the numbers of each network for whoever reads the metrics."""

    def __init__(self) -> None:
        super().__init__()
        self.gauges(
            names.OPERATOR_CONDITION,
            lambda found: {type_: _VALUES.get(status, UNKNOWN) for type_, status in found.conditions.items()},
            by=names.ATTR_CONDITION,
            description="Conditions of a network: 1 for True, 0 for False, -1 for Unknown.",
        )
        self.gauge(
            names.OPERATOR_SHARDS_UNAVAILABLE,
            lambda found: found.unavailable,
            description="Shards whose node does not serve.",
        )
        self.gauge(
            names.OPERATOR_SHARDS_TOLERATED,
            lambda found: found.tolerated,
            description="Shards that may be unavailable: f.",
        )
        self.gauges(
            names.OPERATOR_NODES,
            lambda found: found.nodes,
            by=names.ATTR_STATE,
            description="WalrusNodes by what they do: ready, down, fenced, asleep, leaving.",
        )
        self.gauge(
            names.OPERATOR_HIBERNATED,
            lambda found: int(found.hibernated),
            description="1 while a network sleeps because it should.",
        )
        self.gauge(
            names.OPERATOR_EPOCH,
            lambda found: found.epoch,
            description="Epoch of a network's chain.",
        )
