"""Typed writes of those who pay for others: into the storage fund, into nodes' commission, into the subsidies' purse."""

from collections.abc import Sequence

from walrus_codec.types import NodeId, ObjectId
from walrus_sui.abi import coin, staking, system, walrus_subsidies
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Program
from walrus_sui.client.writer import Writer
from walrus_sui.keys import SuiKey


class SubsidyWrites(Writer):
    """What donors do."""

    async def add_subsidy(self, key: SuiKey, amount: int, *, epochs_ahead: int) -> None:
        """Spread FROST evenly over the rewards of the coming epochs. Aborts system_state_inner 2."""

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            given = program.split(program.merged(wal), [amount])[0]
            system.add_subsidy(program, contract, given, epochs_ahead)

        await self._run(key, build, wal=amount)

    async def add_per_epoch_subsidies(self, key: SuiKey, amounts: Sequence[int]) -> None:
        """Add FROST to the rewards of each coming epoch, the current one first. Aborts system_state_inner 2."""

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            coins = program.split(program.merged(wal), amounts)
            system.add_per_epoch_subsidies(program, contract, coin.balances(program, contract.wal_type, coins))

        await self._run(key, build, wal=sum(amounts))

    async def add_commission(self, key: SuiKey, gifts: Sequence[tuple[NodeId, int]]) -> None:
        """Give nodes FROST as commission; it is blocked like what they earn."""

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            coins = program.split(program.merged(wal), [amount for _node_id, amount in gifts])
            given = coin.balances(program, contract.wal_type, coins)
            staking.add_commission_to_pools(program, contract, [node_id for node_id, _amount in gifts], given)

        await self._run(key, build, wal=sum(amount for _node_id, amount in gifts))

    async def fund_subsidies(self, key: SuiKey, amount: int) -> None:
        """Fill the purse of the network's WalrusSubsidies; raises `NetworkConfigError` when there is none."""
        view = await self.subsidies()

        def build(program: Program, _contract: Contract, wal: Sequence[ObjectId]) -> None:
            given = program.split(program.merged(wal), [amount])[0]
            walrus_subsidies.add_coin(program, view.package_id, view.object_id, given)

        await self._run(key, build, wal=amount)

    async def process_subsidies(self, key: SuiKey) -> None:
        """Pay out what subsidies are due by now; anyone may. Raises `NetworkConfigError` when there are none."""
        view = await self.subsidies()

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            walrus_subsidies.process_subsidies(program, contract, view.package_id, view.object_id)

        await self._run(key, build)
