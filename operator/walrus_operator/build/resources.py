"""Objects of the network as a whole: WalrusNodes from the template, StorageEpochs, the policies of challenges.

Of a WalrusNode it owns the fields that the template has, so that a user may still set others (`desiredState`, an image) on
a single node. Of a StorageEpoch it owns labels and owner reference, never the spec.
"""

from __future__ import annotations

from walrus_operator.api import names
from walrus_operator.api.base import API_VERSION
from walrus_operator.api.decisions import EpochRecord
from walrus_operator.api.markers import EPOCH_LABEL
from walrus_operator.api.world import Manifest, NetworkObject
from walrus_operator.build import common


def walrus_node(network: NetworkObject, name: str) -> Manifest:
    """A WalrusNode with the template's fields."""
    if network.spec is None:
        raise ValueError("a WalrusNode from the template needs a readable spec")
    template = network.spec.nodes.template.model_dump(by_alias=True, exclude_none=True)
    return {
        "apiVersion": API_VERSION,
        "kind": "WalrusNode",
        "metadata": common.metadata(network, name, "node"),
        "spec": {"networkRef": {"name": network.name}, **template},
    }


def storage_epoch(network: NetworkObject, record: EpochRecord) -> Manifest:
    """A StorageEpoch without a spec."""
    return {
        "apiVersion": API_VERSION,
        "kind": "StorageEpoch",
        "metadata": common.metadata(network, record.name, "epoch", extra_labels={EPOCH_LABEL: str(record.epoch)}),
    }


def challenges(network: NetworkObject, schedule: str) -> Manifest:
    """The ConfigMap that all nodes read at the beginning of each epoch."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": common.metadata(network, names.challenges(network.name), "node"),
        "data": {names.CHALLENGES_FILE: schedule},
    }
