"""Names of everything that belongs to a network: the one place where they are put together.

For a network "demo": nodes demo-0, demo-1 ... with StatefulSet, Service, ConfigMap and Secret demo-0-keys; demo-devnet;
demo-gateway with its Secret demo-gateway-keys; demo-treasury; demo-admin with the tokens of the nodes' admin API; StorageEpochs demo-1, demo-2 ...
"""

from __future__ import annotations

PROTOCOL_KEY = "protocol.key"
NETWORK_KEY = "network.key"
SUI_KEY = "sui.key"
CHALLENGES_FILE = "challenges.json"
NEXT_PROTOCOL_KEY = "protocol-next.key"
NEXT_NETWORK_KEY = "network-next.key"
"""Keys that are to take over, beside those that they replace, while a rotation lasts."""

ADMIN_TOKENS = "tokens"
"""The file of the admin tokens, one a line; nodes accept each of them."""

GRPC_PORT = 9187
REST_PORT = 9185
HTTP_PORT = 9184
ADMIN_PORT = 9186
ADMIN_PORT_NAME = "admin"
"""By which the operator knows pods that have it."""
DEVNET_RPC_PORT = 9000
DEVNET_TLS_PORT = 9443
DEVNET_FAUCET_PORT = 9123
DEVNET_METRICS_PORT = 9184
GATEWAY_PORT = 31415
GATEWAY_METRICS_PORT = 27182


def node(network: str, ordinal: int) -> str:
    """A WalrusNode made from the template."""
    return f"{network}-{ordinal}"


def ordinal(network: str, name: str) -> int | None:
    """The ordinal of a template node; None for any other name."""
    prefix = f"{network}-"
    tail = name.removeprefix(prefix)
    if not name.startswith(prefix) or not tail.isascii() or not tail.isdigit() or (len(tail) > 1 and tail[0] == "0"):
        return None
    return int(tail)


def pod(workload: str) -> str:
    """The one pod of a StatefulSet with one replica."""
    return f"{workload}-0"


def claim(workload: str) -> str:
    """Volume claim of the one pod of a StatefulSet."""
    return f"data-{pod(workload)}"


def node_keys(node_name: str) -> str:
    """Secret with the keys of a node."""
    return f"{node_name}-keys"


def devnet(network: str) -> str:
    """StatefulSet, Service and ConfigMap of the devnet."""
    return f"{network}-devnet"


def gateway(network: str) -> str:
    """StatefulSet, Service and ConfigMap of the gateway."""
    return f"{network}-gateway"


def gateway_keys(network: str) -> str:
    """Secret with one key per gateway pod."""
    return f"{network}-gateway-keys"


def gateway_pod(network: str, index: int) -> str:
    """A gateway pod."""
    return f"{gateway(network)}-{index}"


def gateway_key_file(network: str, index: int) -> str:
    """Key file of a gateway pod."""
    return f"{gateway_pod(network, index)}.key"


def treasury(network: str) -> str:
    """Secret with the treasury's key."""
    return f"{network}-treasury"


def admin_tokens(network: str) -> str:
    """Secret with the tokens of the nodes' admin API."""
    return f"{network}-admin"


def challenges(network: str) -> str:
    """ConfigMap with the policies of challenges; no WalrusNode can have a name with a dot."""
    return f"{network}.challenges"


def epoch(network: str, number: int) -> str:
    """A StorageEpoch."""
    return f"{network}-{number}"


def nodes_budget(network: str) -> str:
    """The PodDisruptionBudget over all node pods."""
    return f"{network}-nodes"


def host(service: str, namespace: str, cluster_domain: str) -> str:
    """DNS name of a Service inside the cluster."""
    return f"{service}.{namespace}.svc.{cluster_domain}"


def devnet_config_url(network: str, namespace: str, cluster_domain: str) -> str:
    """Where the devnet serves its client configuration."""
    return f"http://{host(devnet(network), namespace, cluster_domain)}:{DEVNET_FAUCET_PORT}/v1/network-config"
