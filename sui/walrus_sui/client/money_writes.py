"""Typed writes of money: payments, and the exchange of SUI for WAL and back."""

from collections.abc import Sequence

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.abi import wal_exchange
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Program
from walrus_sui.client.writer import Writer
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
        exchange, package = await self._exchange_ids()

        def build(program: Program, _contract: Contract, _wal: Sequence[ObjectId]) -> None:
            coin = program.split_gas([sui])[0]
            got = wal_exchange.exchange_all_for_wal(program, package_id=package, exchange=exchange, coin=coin)
            program.transfer([got], key.address)

        return await self._received_wal(await self._run(key, build))

    async def exchange_for_sui(self, key: SuiKey, wal: int) -> None:
        """Swap FROST for MIST at the network's exchange.

        Raises:
            NetworkConfigError: the network has no exchange.
            MoveAbort: wal_exchange 0 when the exchange has too little SUI.
        """
        exchange, package = await self._exchange_ids()

        def build(program: Program, _contract: Contract, coins: Sequence[ObjectId]) -> None:
            coin = program.split(program.merged(coins), [wal])[0]
            got = wal_exchange.exchange_all_for_sui(program, package_id=package, exchange=exchange, coin=coin)
            program.transfer([got], key.address)

        await self._run(key, build, wal=wal)

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
            await self._run(key, build, wal=total if in_wal else None)

    async def _exchange_ids(self) -> tuple[ObjectId, ObjectId]:
        """Return the exchange and its package."""
        exchange = self.config.exchange_objects[0] if self.config.exchange_objects else None
        if exchange is None or exchange not in self._exchange_package:
            exchange = (await self._exchange()).ref.object_id
        return exchange, self._exchange_package[exchange]
