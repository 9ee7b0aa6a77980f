"""Typed writes of money: payments, the exchange of SUI for WAL, and stake."""

from collections.abc import Sequence

from walrus_codec.types import NodeId, ObjectId, SuiAddress
from walrus_sui.abi import move_types, staked_wal, staking, wal_exchange
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Program
from walrus_sui.client.purse import balance_of
from walrus_sui.client.writer import Writer, budget, created
from walrus_sui.keys import SuiKey
from walrus_sui.types import Payment


class MoneyWrites(Writer):
    """What the owner of coins does."""

    async def exchange_for_wal(self, key: SuiKey, sui: int) -> int:
        """Swap MIST for FROST at the network's exchange; returns the FROST received.

        Raises:
            NetworkConfigError: the network has no exchange.
            MoveAbort: wal_exchange 0 when the exchange has too little WAL.
        """
        exchange = self.config.exchange_objects[0] if self.config.exchange_objects else None
        if exchange is None or exchange not in self._exchange_package:
            exchange = (await self._exchange()).ref.object_id
        package = self._exchange_package[exchange]

        def build(program: Program, _contract: Contract, _wal: Sequence[ObjectId]) -> None:
            coin = program.split_gas([sui])[0]
            got = wal_exchange.exchange_all_for_wal(program, package_id=package, exchange=exchange, coin=coin)
            program.transfer([got], key.address)

        executed = await self._run(key, build)
        wal_coin = move_types.canonical(move_types.coin_type(self.config.wal_type))
        contents = await self._contents(executed, created(executed, wal_coin)[0])
        return balance_of(contents) or 0

    async def transfer_sui(self, key: SuiKey, to: SuiAddress, amount: int) -> None:
        """Send MIST to an address."""
        await self.pay(key, [Payment(to, sui=amount)])

    async def transfer_wal(self, key: SuiKey, to: SuiAddress, amount: int) -> None:
        """Send FROST to an address."""
        await self.pay(key, [Payment(to, wal=amount)])

    async def pay(self, key: SuiKey, payments: Sequence[Payment]) -> None:
        """Send SUI and WAL to several addresses in one transaction; amounts of 0 send no coin.

        Raises:
            InsufficientFunds: nothing was sent.
        """
        in_sui = [payment for payment in payments if payment.sui]
        in_wal = [payment for payment in payments if payment.wal]

        def build(program: Program, _contract: Contract, wal: Sequence[ObjectId]) -> None:
            if in_sui:
                for coin, payment in zip(program.split_gas([payment.sui for payment in in_sui]), in_sui, strict=True):
                    program.transfer([coin], payment.address)
            if in_wal:
                coins = program.split(program.merged(wal), [payment.wal for payment in in_wal])
                for coin, payment in zip(coins, in_wal, strict=True):
                    program.transfer([coin], payment.address)

        if in_sui or in_wal:
            total = sum(payment.wal for payment in in_wal)
            await self._run(key, build, wal=total if in_wal else None, gas_budget=budget(len(payments)))

    async def stake(self, key: SuiKey, node_id: NodeId, amount: int) -> ObjectId:
        """Delegate FROST to a node; returns the StakedWal, which belongs to `key`."""
        return (await self.stake_many(key, [(node_id, amount)]))[0]

    async def stake_many(self, key: SuiKey, stakes: Sequence[tuple[NodeId, int]]) -> list[ObjectId]:
        """Delegate FROST to several nodes in one transaction; returns the StakedWals in the order of `stakes`."""
        total = sum(amount for _node_id, amount in stakes)

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            coins = program.split(program.merged(wal), [amount for _node_id, amount in stakes])
            made = [
                staking.stake_with_pool(program, contract, coin, node_id)
                for coin, (node_id, _amount) in zip(coins, stakes, strict=True)
            ]
            program.transfer(made, key.address)

        executed = await self._run(key, build, wal=total, gas_budget=budget(len(stakes)))
        contract = await self.contract()
        made = created(executed, contract.type_name(staked_wal.MODULE, staked_wal.STAKED_WAL))
        if len(made) == 1:
            return made
        decoded = [staked_wal.decode(await self._contents(executed, object_id)) for object_id in made]
        left = {item.object_id: (item.node_id, item.principal) for item in decoded}
        ordered: list[ObjectId] = []
        for wanted in stakes:
            found = next(object_id for object_id, held in left.items() if held == wanted)
            del left[found]
            ordered.append(found)
        return ordered
