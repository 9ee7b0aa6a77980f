"""The client of one Walrus network: `ChainClient`. The only package that uses pysui, and only once one is built.

Life of a client: built in a running loop (the first one imports pysui, which takes about two seconds), shared by all
tasks of the process and by any number of keys, closed at the end. Reads may overlap; writes of one key follow each
other. A restarted endpoint is found again by itself.
"""

import random
from types import TracebackType
from typing import Self

from walrus_sui.client import wire
from walrus_sui.client.blob_changes import BlobChanges
from walrus_sui.client.blob_writes import BlobWrites
from walrus_sui.client.gas import GAS_CAP
from walrus_sui.client.governance_writes import GovernanceWrites
from walrus_sui.client.money_writes import MoneyWrites
from walrus_sui.client.node_writes import NodeWrites
from walrus_sui.client.pool_writes import PoolWrites
from walrus_sui.client.quorum_writes import QuorumWrites
from walrus_sui.client.stake_writes import StakeWrites
from walrus_sui.client.storage_writes import StorageWrites
from walrus_sui.client.subsidy_writes import SubsidyWrites
from walrus_sui.errors import NetworkConfigError
from walrus_sui.network_config import NetworkConfig

__all__ = ["ChainClient"]


class ChainClient(
    NodeWrites,
    GovernanceWrites,
    QuorumWrites,
    BlobWrites,
    BlobChanges,
    StorageWrites,
    PoolWrites,
    StakeWrites,
    SubsidyWrites,
    MoneyWrites,
):
    """Typed reads and writes of one network.

    Args:
        config: the network.
        timeout: seconds for each single request.
        patience: seconds for which a write goes on submitting the same bytes, and for which it waits for an index.
        gas_cap: MIST that no transaction may exceed.
        until_checkpoint: whether every write returns only once a checkpoint includes it.
        rng: source of jitter.
    """

    def __init__(
        self,
        config: NetworkConfig,
        *,
        timeout: float = 10.0,
        patience: float = 60.0,
        gas_cap: int = GAS_CAP,
        until_checkpoint: bool = False,
        rng: random.Random | None = None,
    ) -> None:
        from walrus_sui.client.transport import Transport  # noqa: PLC0415  (imports pysui: 2 s and 63 MB, only if used)

        transport = Transport(config.rpc_url, ca_pem=config.rpc_ca, timeout=timeout)
        jitter = rng or random.Random()  # noqa: S311  (jitter, no secret)
        super().__init__(
            config, transport, patience=patience, until_checkpoint=until_checkpoint, rng=jitter, gas_cap=gas_cap
        )

    async def close(self) -> None:
        """Close the connection; calls in flight fail with `ChainUnreachable`."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def check(self) -> wire.ServiceInfo:
        """Make sure that the endpoint serves the configured chain and that the objects are Walrus's.

        Raises:
            NetworkConfigError: another chain, or objects of another kind.
            ChainUnreachable: nobody answers.
        """
        info = await self.service_info()
        if self.config.chain_id is not None and info.chain_id != self.config.chain_id:
            raise NetworkConfigError(
                f"{self.config.rpc_url} serves chain {info.chain_id}, but the configuration is for {self.config.chain_id}"
            )
        await self.contract(fresh=True)
        return info
