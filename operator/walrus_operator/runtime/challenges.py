"""Metrics of challenges: verdicts, votes, slashings, and which nodes fail. As of each network's last pass, newest epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Observation

from walrus_operator.api.decisions import ChallengeNumbers
from walrus_sui.telemetry import meter, names


class ChallengeMetrics:
    """Remembers the numbers of each network for whoever reads the metrics."""

    def __init__(self) -> None:
        self._last: dict[str, ChallengeNumbers] = {}
        meter().create_observable_gauge(
            names.OPERATOR_CHALLENGES_SILENT,
            callbacks=[self._each(lambda found: found.silent)],
            description="Members that tell of no challenges.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_CHALLENGES_VOTES,
            callbacks=[self._each(lambda found: found.votes)],
            description="Votes to slash.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_CHALLENGES_SLASHED,
            callbacks=[self._each(lambda found: found.slashed)],
            description="Members whose commission was burned.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_CHALLENGES_BURNED,
            callbacks=[self._each(lambda found: found.burned)],
            description="FROST of commission that were burned.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_CHALLENGES_VERDICTS,
            callbacks=[self._verdicts],
            description="Verdicts of members over others.",
        )
        meter().create_observable_gauge(
            names.OPERATOR_CHALLENGES_FAILING,
            callbacks=[self._failing],
            description="Shards of the members that saw a node fail, for nodes that more than f shards saw fail.",
        )

    def update(self, network: str, found: ChallengeNumbers) -> None:
        """A pass has ended."""
        self._last[network] = found

    def forget(self, network: str) -> None:
        """The network is gone."""
        self._last.pop(network, None)

    def _each(self, read: Callable[[ChallengeNumbers], int]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            for network, found in self._last.items():
                yield Observation(read(found), {names.ATTR_NETWORK: network})

        return observe

    def _verdicts(self, _options: CallbackOptions) -> Iterable[Observation]:
        for network, found in self._last.items():
            for verdict, count in found.counts.items():
                yield Observation(count, {names.ATTR_NETWORK: network, names.ATTR_OUTCOME: verdict})

    def _failing(self, _options: CallbackOptions) -> Iterable[Observation]:
        for network, found in self._last.items():
            for node, shards in found.failing.items():
                yield Observation(shards, {names.ATTR_NETWORK: network, names.ATTR_NODE_NAME: node})
