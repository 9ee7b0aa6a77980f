"""Labels, annotations and the finalizer by which the operator knows what is its own; users see them, so they are API."""

from __future__ import annotations

PAUSE_ANNOTATION = "walrus-operator.dev/reconcile"
PAUSED = "paused"

SPEC_DIGEST_ANNOTATION = "walrus-operator.dev/spec-digest"
"""On pod templates: digest of what the user asked for, which is the same whatever an operator makes of it."""
TEMPLATE_DIGEST_ANNOTATION = "walrus-operator.dev/template-digest"
"""On pod templates: digest of what this operator makes of it."""
APPROVED_ANNOTATION = "walrus-operator.dev/approved-rollout"
"""On a WalrusNetwork with `rollout.mode: Supervised`: the target that may be rolled out."""
OVERRIDE_ANNOTATION = "walrus-operator.dev/exceed-budget-once"
"""On a WalrusNode that is heavier than the budget: UID of the pod that may be restarted all the same."""
REPLACE_VOLUME_ANNOTATION = "walrus-operator.dev/replace-volume"
"""On a WalrusNode: UID of the volume claim that is to be replaced by an empty one."""

NETWORK_LABEL = "walrus-operator.dev/network"
NODE_LABEL = "walrus-operator.dev/node"
EPOCH_LABEL = "walrus-operator.dev/epoch"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "walrus-operator"
FIELD_MANAGER = "walrus-operator"
DRAIN_FINALIZER = "walrus-operator.dev/drain"
"""Keeps a deleted WalrusNode until its shards have moved; set with `deletionPolicy: Drain` only."""
