"""What nodes on Kubernetes found of each other: who they are from the cluster's objects, what they say through port-forwards.

The committee stands in the epoch's StorageEpoch, with the keys that held then. Any node gives the reports of all, so a few
are asked, until no report is missing; signatures are checked by whoever shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from walrus_client.challenges.results import Results, ResultsError
from walrus_client.cli.challenge_matrix import Party
from walrus_client.cli.challenges import Found, ask
from walrus_client.cli.gateway_api import ApiError
from walrus_client.cli.output import EXIT_NOT_FOUND, EXIT_UNAVAILABLE, CommandError, fail, note
from walrus_codec.types import Epoch, NodeId
from walrus_operator.api import names
from walrus_operator.api.world import Manifest
from walrus_operator.ctl import forward
from walrus_operator.ctl.target import Target

_KEY = re.compile("[0-9a-f]{96}")
_ASKED = 4
"""Nodes that are asked at most, one after the other."""


def find(target: Target, epoch: int | None) -> Found:
    """An epoch of the network, or the newest with verdicts; ends the program when it cannot be found."""
    from walrus_operator.ctl import cluster  # noqa: PLC0415  (the Kubernetes client takes a second to import)

    namespace, name = target.resolve()
    _, nodes, epochs = cluster.network_objects(namespace, name)
    status = chosen(epochs, epoch)
    if status is None:
        known = f"epoch {epoch} of it is not known" if epoch is not None else "it has no epoch yet"
        fail(f"network {name}: {known}; see `kubectl get se`", EXIT_NOT_FOUND)
    parties, number = members(status, nodes), int(status["epoch"])
    answers = list(_answers(namespace, parties, nodes, number))
    if not answers:
        fail(f"no node of network {name} answers; see `walrusctl network status`", EXIT_UNAVAILABLE)
    return Found(Epoch(number), parties, answers, status.get("challenges"))


def chosen(epochs: Sequence[Manifest], epoch: int | None) -> Mapping[str, Any] | None:
    """Status of the wanted epoch; of the newest with results, or the newest at all, when none is wanted."""
    found = sorted(
        (status for live in epochs if (status := live.get("status") or {}).get("epoch") is not None),
        key=lambda status: -int(status["epoch"]),
    )
    if epoch is not None:
        return next((status for status in found if status["epoch"] == epoch), None)
    return next((status for status in found if status.get("challenges")), found[0] if found else None)


def members(status: Mapping[str, Any], nodes: Sequence[Manifest]) -> list[Party]:
    """The committee of an epoch with the keys that are known; those of today for an epoch that an older operator recorded."""
    keys = {
        live["metadata"]["name"]: ((live.get("status") or {}).get("publicKeys") or {}).get("protocol") for live in nodes
    }
    return [
        Party(
            NodeId(member["nodeId"]),
            member["node"],
            member["weight"],
            _key(member.get("protocolKey") or keys.get(member["node"])),
        )
        for member in status.get("committee") or ()
    ]


def _answers(namespace: str, parties: Sequence[Party], nodes: Sequence[Manifest], epoch: int) -> Iterator[Results]:
    serving = {live["metadata"]["name"] for live in nodes if _is_ready(live)}
    expected, seen = len(parties) * (len(parties) - 1), set[bytes]()
    for party in [party for party in parties if party.name in serving][:_ASKED]:
        try:
            with forward.port_forward(namespace, f"pod/{names.pod(party.name)}", names.HTTP_PORT) as port:
                answer = ask(f"http://127.0.0.1:{port}", epoch, own=False)
        except (ApiError, CommandError, ResultsError) as error:
            note(f"{party.name}: {error}")
            continue
        yield answer
        seen |= {report.body for report in answer.reports}
        if len(seen) >= expected:
            return


def _key(text: Any) -> bytes | None:
    """A BLS public key as a status has it; None when there is none."""
    return bytes.fromhex(text) if isinstance(text, str) and _KEY.fullmatch(text) else None


def _is_ready(live: Manifest) -> bool:
    conditions = (live.get("status") or {}).get("conditions") or []
    return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)
