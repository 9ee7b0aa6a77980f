"""The shell of a key Secret: everything but the keys, which randomness makes where it is applied."""

from __future__ import annotations

from walrus_operator.api import names
from walrus_operator.api.decisions import CreateKeys
from walrus_operator.api.markers import NODE_LABEL
from walrus_operator.api.world import Manifest, NetworkObject
from walrus_operator.build import common


def key_secret(network: NetworkObject, action: CreateKeys) -> Manifest:
    """A Secret without data.

    With volumes that outlive the network the keys must outlive it too, because the data is worth nothing without them;
    then the Secret has no owner. Tokens always go with the network.
    """
    if action.secret == names.admin_tokens(network.name):
        metadata = common.metadata(network, action.secret, "admin")
        return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata}
    node = action.secret.removesuffix("-keys")
    component = "treasury" if action.secret == names.treasury(network.name) else "node"
    extra = {NODE_LABEL: node}
    if action.secret == names.gateway_keys(network.name):
        component = "gateway"
    if component != "node":
        extra = {}
    metadata = common.metadata(network, action.secret, component, extra_labels=extra)
    if network.spec is None or network.spec.persistent_volume_claim_policy == "Retain":
        metadata.pop("ownerReferences")
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata}
