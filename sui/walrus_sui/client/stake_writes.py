"""Typed writes of stake: WAL is delegated to nodes, cut and put together, and comes back."""

from collections.abc import Sequence

from walrus_codec import bcs
from walrus_codec.types import Epoch, NodeId, ObjectId
from walrus_sui.abi import staked_wal, staking
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, MergeCoins, Owned, Program
from walrus_sui.client.writer import Writer, created
from walrus_sui.keys import SuiKey
from walrus_sui.types import StakedWal


class StakeWrites(Writer):
    """What the owner of StakedWal objects does."""

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

        executed = await self._run(key, build, wal=total)
        made = created(executed, await self._stake_type())
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

    async def request_withdrawal(self, key: SuiKey, stakes: Sequence[ObjectId]) -> list[StakedWal]:
        """Ask for stakes back; returns them with the epoch in which `withdraw_stakes` will pay.

        Raises:
            MoveAbort: staking_pool 13 when `withdraw_stakes` pays at once; staked_wal 6 when it was asked for before.
        """

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            for stake in stakes:
                staking.request_withdraw_stake(program, contract, Owned(stake))

        executed = await self._run(key, build)
        return [staked_wal.decode(await self._contents(executed, stake), owner=key.address) for stake in stakes]

    async def withdraw_stakes(self, key: SuiKey, stakes: Sequence[ObjectId]) -> int:
        """Take stakes back with their rewards, as one coin; returns its FROST.

        Stakes that never counted, and stakes with nodes outside the committee, need no request before.

        Raises:
            MoveAbort: staking_pool 10 (not asked for), 11 (its epoch has not come).
        """

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            coins = [staking.withdraw_stake(program, contract, Owned(stake)) for stake in stakes]
            if len(coins) > 1:
                program.add(MergeCoins(coins[0], tuple(coins[1:])))
            program.transfer([coins[0]], key.address)

        return await self._received_wal(await self._run(key, build))

    async def release_stakes(
        self,
        key: SuiKey,
        *,
        ask: Sequence[tuple[ObjectId, int | None]] = (),
        take: Sequence[tuple[ObjectId, int | None]] = (),
    ) -> int:
        """Ask some stakes back and take others back, in one transaction; returns the FROST that came.

        Args:
            key: who delegated.
            ask: stakes for `request_withdraw_stake`, and how much of each is split off for it; None for the whole.
            take: stakes for `withdraw_stake`, likewise.

        Raises:
            MoveAbort: staking_pool 10, 11 (cannot be taken yet), 13 (must be taken, not asked for).
        """

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            def part(stake: ObjectId, amount: int | None) -> Argument:
                return Owned(stake) if amount is None else staked_wal.split(program, contract, Owned(stake), amount)

            asked = [(part(stake, amount), amount) for stake, amount in ask]
            for stake, _amount in asked:
                staking.request_withdraw_stake(program, contract, stake)
            split_off = [stake for stake, amount in asked if amount is not None]
            coins = [staking.withdraw_stake(program, contract, part(stake, amount)) for stake, amount in take]
            if len(coins) > 1:
                program.add(MergeCoins(coins[0], tuple(coins[1:])))
            if split_off or coins:
                program.transfer([*split_off, *coins[:1]], key.address)

        executed = await self._run(key, build)
        return await self._received_wal(executed) if take else 0

    async def join_stakes(self, key: SuiKey, stakes: Sequence[ObjectId]) -> StakedWal:
        """Put stakes together into the first of them, and return it.

        Raises:
            MoveAbort: staked_wal 1 when node, activation epoch or state differ.
        """

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            for stake in stakes[1:]:
                staked_wal.join(program, contract, Owned(stakes[0]), Owned(stake))

        executed = await self._run(key, build)
        return staked_wal.decode(await self._contents(executed, stakes[0]), owner=key.address)

    async def split_stake(self, key: SuiKey, stake: ObjectId, amount: int) -> ObjectId:
        """Split FROST off a stake; returns the new StakedWal. Aborts staked_wal 2, 7 (a part below 1 WAL)."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            program.transfer([staked_wal.split(program, contract, Owned(stake), amount)], key.address)

        executed = await self._run(key, build)
        return created(executed, await self._stake_type())[0]

    async def rewards(self, stake: StakedWal, withdraw_epoch: Epoch) -> int:
        """Return the FROST that a stake would pay on top of its principal, were it withdrawn in an epoch."""

        def build(program: Program, contract: Contract) -> None:
            staking.calculate_rewards(
                program,
                contract,
                stake.node_id,
                principal=stake.principal,
                activation=stake.activation_epoch,
                withdraw=withdraw_epoch,
            )

        return bcs.Reader(await self._view(build)).u64()

    async def can_withdraw_at_once(self, stake: StakedWal) -> bool:
        """Whether a stake can still be taken back before it counts, with no request. The stake needs an owner."""

        def build(program: Program, contract: Contract) -> None:
            staking.can_withdraw_staked_wal_early(program, contract, Owned(stake.object_id))

        return bcs.Reader(await self._view(build, sender=stake.owner)).boolean()

    async def _stake_type(self) -> str:
        return (await self.contract()).type_name(staked_wal.MODULE, staked_wal.STAKED_WAL)
