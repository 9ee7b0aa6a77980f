import asyncio
import socket
from contextlib import ExitStack

import pytest
from tests.integration.chain.conftest import Devnet
from tests.integration.node.world import N_SHARDS, Network, NodeProcess, until

GENESIS = {"seed": "nodes", "encoding": "isal", "epoch_duration": "12s", "checkpoint_interval_ms": 100}


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="module")
def make_network(tmp_path_factory):
    """Brings up a devnet with storage nodes; all processes end with the module."""
    networks = []

    def make(n_nodes, *, spares=0, manual_ms=0, changes=None, faults=False, **genesis):
        """Besides its nodes, `spares` that are not started; `changes` to the nodes' configurations; `faults` on demand."""
        if manual_ms:
            genesis |= {"clock": "manual", "epoch_duration": f"{manual_ms // 1000}s"}
        folder = tmp_path_factory.mktemp("network")
        devnet = Devnet(folder, **(GENESIS | genesis)).start()
        ports = free_ports(2 * (n_nodes + spares))
        made = [
            NodeProcess(
                folder,
                f"node-{number}",
                devnet.network_config,
                ports=ports[2 * number : 2 * number + 2],
                **(changes or {}),
            )
            for number in range(n_nodes + spares)
        ]
        for node in made if faults else ():
            node.arguments = ["--enable-faults", str(node.faults)]
        nodes, n_shards = made[:n_nodes], genesis.get("n_shards", N_SHARDS)
        network = Network(devnet, nodes, spares=made[n_nodes:], manual_ms=manual_ms, n_shards=n_shards)
        networks.append(network)
        for node in nodes:
            node.start()
        asyncio.run(network.bring_up())
        for node in nodes:
            until(f"{node.name} is ready", node.is_ready)
        return network

    yield make
    for network in networks:
        for process in (*network.nodes, network.devnet):
            if process.process is not None and process.process.poll() is None:
                process.kill()
