"""A whole network as processes of one machine, without Kubernetes."""

from walrus_client.local.configs import check
from walrus_client.local.network import LocalNetwork, Progress
from walrus_client.local.state import LocalState, Parameters

__all__ = ["LocalNetwork", "LocalState", "Parameters", "Progress", "check"]
