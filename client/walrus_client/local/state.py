"""What a local network is made of, and the file that remembers it.

    DIR/local.json                 this: parameters, ports, running processes; replaced as a whole
    DIR/devnet/genesis.yaml, data  the chain
    DIR/nodes/<name>/node.yaml, keys/, admin.tokens, data/
    DIR/gateway/gateway.yaml, sui.key
    DIR/treasury.key               pays for stake and gateway
    DIR/logs/<process>.log

Ports are chosen once and kept, because the nodes' addresses stand on chain.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from walrus_client.errors import LocalNetworkError

VERSION = 1
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Parameters:
    """What the user chose; fixed for the life of the directory.

    Attributes:
        nodes: number of storage nodes.
        n_shards: shards of the network, ≡ 1 mod 3.
        encoding: "isal" or "rs2".
        epoch_duration: for example "10m".
        stake_wal: WAL delegated to each node.
        challenges: what the network does about availability challenges: "Off", "Report" or "Vote"; may change between starts.
    """

    nodes: int = 4
    n_shards: int = 100
    encoding: str = "isal"
    epoch_duration: str = "10m"
    stake_wal: int = 1000
    challenges: str = "Vote"

    def __str__(self) -> str:
        """As the command line has them."""
        return (
            f"--nodes {self.nodes} --shards {self.n_shards} --encoding {self.encoding} "
            f"--epoch-duration {self.epoch_duration}"
        )

    @property
    def node_names(self) -> tuple[str, ...]:
        """Names of the nodes."""
        return tuple(f"local-{index}" for index in range(self.nodes))


@dataclass(frozen=True)
class NodePorts:
    """Ports of one node; nothing listens on `rest` yet, but it is registered. A network of an older release has no `admin`."""

    grpc: int
    rest: int
    http: int
    admin: int | None = None


@dataclass(frozen=True)
class Ports:
    """All ports of the network."""

    rpc: int
    tls: int
    faucet: int
    api: int
    metrics: int
    nodes: tuple[NodePorts, ...]


@dataclass(frozen=True)
class Running:
    """A process that was started: its id, and its start time in clock ticks, because ids are used again."""

    pid: int
    started: int


@dataclass(frozen=True)
class LocalState:
    """The content of local.json."""

    parameters: Parameters
    ports: Ports
    processes: dict[str, Running]

    @property
    def gateway_url(self) -> str:
        """Where the API is."""
        return f"http://{HOST}:{self.ports.api}"

    @property
    def network_config_url(self) -> str:
        """Where the network's configuration is."""
        return f"http://{HOST}:{self.ports.faucet}/v1/network-config"

    def with_process(self, name: str, running: Running) -> LocalState:
        """The state with this process."""
        return replace(self, processes={**self.processes, name: running})

    def with_only(self, names: Collection[str]) -> LocalState:
        """The state with none but these of its processes."""
        return replace(self, processes={name: running for name, running in self.processes.items() if name in names})

    def without_processes(self) -> LocalState:
        """The state with nothing running."""
        return replace(self, processes={})


@dataclass(frozen=True)
class Layout:
    """Paths below the directory."""

    root: Path

    @property
    def state_file(self) -> Path:
        """local.json."""
        return self.root / "local.json"

    @property
    def treasury_key(self) -> Path:
        """Key that pays."""
        return self.root / "treasury.key"

    @property
    def devnet(self) -> Path:
        """The chain's folder."""
        return self.root / "devnet"

    @property
    def gateway(self) -> Path:
        """The gateway's folder."""
        return self.root / "gateway"

    @property
    def logs(self) -> Path:
        """Log files."""
        return self.root / "logs"

    @property
    def parts(self) -> tuple[Path, ...]:
        """Everything that a network puts into the directory, the file that remembers it last."""
        nodes = self.root / "nodes"
        return (self.logs, self.gateway, nodes, self.devnet, self.treasury_key, self.state_file)

    def node(self, name: str) -> Path:
        """A node's folder."""
        return self.root / "nodes" / name

    def log(self, process: str) -> Path:
        """A process's log file."""
        return self.logs / f"{process}.log"


def load(layout: Layout) -> LocalState | None:
    """Reads the state; None when the directory holds no network.

    Raises:
        LocalNetworkError: The file is damaged, or of another version.
    """
    try:
        document = json.loads(layout.state_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LocalNetworkError(f"cannot read {layout.state_file}: {error}") from error
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise LocalNetworkError(f"{layout.state_file} is of another version; remove {layout.root} or use another --dir")
    try:
        return _from_json(document)
    except (KeyError, TypeError) as error:
        raise LocalNetworkError(f"{layout.state_file} is damaged ({error!r}); remove {layout.root}") from error


def save(layout: Layout, state: LocalState) -> None:
    """Writes the state, whole or not at all."""
    layout.root.mkdir(parents=True, exist_ok=True)
    scratch = layout.state_file.with_suffix(".tmp")
    scratch.write_text(json.dumps({"version": VERSION, **asdict(state)}, indent=2) + "\n", encoding="utf-8")
    os.replace(scratch, layout.state_file)  # noqa: PTH105 - the same call, one name for both platforms


def _from_json(document: dict[str, Any]) -> LocalState:
    ports = dict(document["ports"])
    nodes = tuple(NodePorts(**entry) for entry in ports.pop("nodes"))
    return LocalState(
        parameters=Parameters(**document["parameters"]),
        ports=Ports(**ports, nodes=nodes),
        processes={name: Running(**entry) for name, entry in document["processes"].items()},
    )
