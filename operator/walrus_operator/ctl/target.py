"""Which network a command is about: namespace, name, or a gateway's URL.

The namespace is the one given, or that of the current kubeconfig context; the network is the one given, or the only one
in the namespace.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from walrus_client.cli.output import EXIT_NOT_FOUND, EXIT_USAGE, fail
from walrus_operator.api import names
from walrus_operator.ctl import forward


@dataclass
class Target:
    """What the global options say."""

    namespace: str | None = None
    network: str | None = None
    gateway: str | None = None
    context: str | None = None

    @contextmanager
    def gateway_url(self) -> Iterator[str]:
        """Opens the way to the gateway for the length of a command."""
        if self.gateway is not None:
            yield self.gateway
            return
        namespace, name = self.resolve()
        with forward.port_forward(
            namespace, f"service/{names.gateway(name)}", names.GATEWAY_PORT, context=self.context
        ) as port:
            yield f"http://127.0.0.1:{port}"

    def resolve(self) -> tuple[str, str]:
        """Namespace and name of the network; ends the program when there is no single answer."""
        namespace = self.namespace or current_namespace(self.context)
        if self.network is not None:
            return namespace, self.network
        from walrus_operator.ctl import cluster  # noqa: PLC0415  (the Kubernetes client takes a second to import)

        found = cluster.network_names(namespace, self.context)
        if not found:
            fail(
                f"there is no WalrusNetwork in namespace {namespace}: choose another with --namespace, or give --gateway URL",
                EXIT_NOT_FOUND,
            )
        if len(found) > 1:
            fail(f"namespace {namespace} has the networks {', '.join(found)}: choose one with --network", EXIT_USAGE)
        return namespace, found[0]


def current_namespace(context: str | None = None) -> str:
    """Namespace of a context of the kubeconfig file, of the current one by default."""
    # Slow to import.
    from walrus_operator.observe.kube_library import ConfigException, list_kube_config_contexts  # noqa: PLC0415

    try:
        known, active = list_kube_config_contexts(os.environ.get("KUBECONFIG") or None)
    except (ConfigException, OSError):
        return "default"
    if context is not None:
        active = next((entry for entry in known if entry.get("name") == context), None)
    return str((active or {}).get("context", {}).get("namespace") or "default")
