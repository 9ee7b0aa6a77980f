"""Metrics of how networks stand: conditions, nodes, the fault budget. As of each network's last pass."""

from __future__ import annotations

from walrus_operator.api.decisions import StandingNumbers
from walrus_operator.runtime.gauges import PerNetwork
from walrus_sui.telemetry import meter, names

_VALUES = {"True": 1, "False": 0}
UNKNOWN = -1


class NetworkMetrics(PerNetwork[StandingNumbers]):
    """Remembers the numbers of each network for whoever reads the metrics."""

    def __init__(self) -> None:
        super().__init__()
        meter().create_observable_gauge(
            names.OPERATOR_CONDITION,
            callbacks=[
                self.many(
                    lambda found: [(type_, _VALUES.get(status, UNKNOWN)) for type_, status in found.conditions.items()],
                    names.ATTR_CONDITION,
                )
            ],
            description="Conditions of a network: 1 for True, 0 for False, -1 for Unknown.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_SHARDS_UNAVAILABLE,
            callbacks=[self.one(lambda found: found.unavailable)],
            description="Shards whose node does not serve.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_SHARDS_TOLERATED,
            callbacks=[self.one(lambda found: found.tolerated)],
            description="Shards that may be unavailable: f.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_NODES,
            callbacks=[self.many(lambda found: found.nodes.items(), names.ATTR_STATE)],
            description="WalrusNodes by what they do: ready, down, fenced, asleep, leaving.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_HIBERNATED,
            callbacks=[self.one(lambda found: int(found.hibernated))],
            description="1 while a network sleeps because it should.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_EPOCH,
            callbacks=[self.one(lambda found: found.epoch)],
            description="Epoch of a network's chain.",
        )
