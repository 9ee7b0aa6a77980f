"""Metrics of challenges: verdicts, votes, slashings, and which nodes fail. As of each network's last pass, newest epoch."""

from __future__ import annotations

from walrus_operator.api.decisions import ChallengeNumbers
from walrus_operator.runtime.gauges import PerNetwork
from walrus_sui.telemetry import names


class ChallengeMetrics(PerNetwork[ChallengeNumbers]):
    """Remembers the numbers of each network for whoever reads the metrics."""

    def __init__(self) -> None:
        super().__init__()
        self.gauge(
            names.OPERATOR_CHALLENGES_SILENT,
            lambda found: found.silent,
            description="Members that tell of no challenges.",
        )
        self.gauge(
            names.OPERATOR_CHALLENGES_VOTES,
            lambda found: found.votes,
            description="Votes to slash.",
        )
        self.gauge(
            names.OPERATOR_CHALLENGES_SLASHED,
            lambda found: found.slashed,
            description="Members whose commission was burned.",
        )
        self.gauge(
            names.OPERATOR_CHALLENGES_BURNED,
            lambda found: found.burned,
            description="FROST of commission that were burned.",
        )
        self.gauges(
            names.OPERATOR_CHALLENGES_VERDICTS,
            lambda found: found.counts,
            by=names.ATTR_OUTCOME,
            description="Verdicts of members over others.",
        )
        self.gauges(
            names.OPERATOR_CHALLENGES_FAILING,
            lambda found: found.failing,
            by=names.ATTR_NODE_NAME,
            description="Shards of the members that saw a node fail, for nodes that more than f shards saw fail.",
        )
