"""Labels, annotations and the finalizer by which the operator knows what is its own; users see them, so they are API."""

from __future__ import annotations

PAUSE_ANNOTATION = "walrus-operator.dev/reconcile"
PAUSED = "paused"

NETWORK_LABEL = "walrus-operator.dev/network"
NODE_LABEL = "walrus-operator.dev/node"
EPOCH_LABEL = "walrus-operator.dev/epoch"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "walrus-operator"
FIELD_MANAGER = "walrus-operator"
DRAIN_FINALIZER = "walrus-operator.dev/drain"
"""Keeps a deleted WalrusNode until its shards have moved; set with `deletionPolicy: Drain` only."""
