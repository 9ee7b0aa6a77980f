"""Metrics of challenges: verdicts, votes, slashings, and which nodes fail. As of each network's last pass, newest epoch."""

from __future__ import annotations

from walrus_operator.api.decisions import ChallengeNumbers
from walrus_operator.runtime.gauges import PerNetwork
from walrus_sui.telemetry import meter, names


class ChallengeMetrics(PerNetwork[ChallengeNumbers]):
    """Remembers the numbers of each network for whoever reads the metrics."""

    def __init__(self) -> None:
        super().__init__()
        meter().create_observable_gauge(
            names.OPERATOR_CHALLENGES_SILENT,
            callbacks=[self.one(lambda found: found.silent)],
            description="Members that tell of no challenges.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_CHALLENGES_VOTES,
            callbacks=[self.one(lambda found: found.votes)],
            description="Votes to slash.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_CHALLENGES_SLASHED,
            callbacks=[self.one(lambda found: found.slashed)],
            description="Members whose commission was burned.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_CHALLENGES_BURNED,
            callbacks=[self.one(lambda found: found.burned)],
            description="FROST of commission that were burned.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_CHALLENGES_VERDICTS,
            callbacks=[self.many(lambda found: found.counts.items(), names.ATTR_OUTCOME)],
            description="Verdicts of members over others.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_CHALLENGES_FAILING,
            callbacks=[self.many(lambda found: found.failing.items(), names.ATTR_NODE_NAME)],
            description="Shards of the members that saw a node fail, for nodes that more than f shards saw fail.",
        )
