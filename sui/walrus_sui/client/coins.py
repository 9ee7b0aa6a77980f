"""Which coins a transaction uses: gas coins for a budget, WAL coins for a price.

Life of a choice: the known coins of a purse are tried first; when they do not suffice they are listed anew; when even
all of them do not, the error says what is missing. The largest coins are taken first, as few as possible.
"""

from walrus_codec.types import ObjectId
from walrus_sui.abi import move_types
from walrus_sui.abi.ptb import Program
from walrus_sui.client import wire
from walrus_sui.client.gas import Budget
from walrus_sui.client.purse import MAX_PAYMENT, Coin, Purse, balance_of, choose
from walrus_sui.client.submission import Endpoint
from walrus_sui.client.versions import Versions
from walrus_sui.errors import InsufficientFunds

SUI = move_types.canonical(move_types.SUI_TYPE)


class ScatteredError(Exception):
    """The money is there, in more coins than one transaction can take. Remedy: merge some and try again.

    Attributes:
        coins: all of them, largest first.
        insufficient: what to raise when merging is no way out.
    """

    def __init__(self, coins: list[Coin], insufficient: InsufficientFunds) -> None:
        super().__init__(str(insufficient))
        self.coins = coins
        self.insufficient = insufficient


class CoinChooser:
    """Chooses coins for one executor.

    Args:
        endpoint: the transport.
        versions: what is known of objects.
        wal_type: Move type of WAL.
    """

    def __init__(self, endpoint: Endpoint, versions: Versions, *, wal_type: str) -> None:
        self._endpoint = endpoint
        self._versions = versions
        self._wal = move_types.canonical(wal_type)

    async def payment(self, purse: Purse, program: Program, budget: Budget) -> tuple[list[Coin], int]:
        """Choose gas coins for a budget on top of what the program splits off; shrink the budget when funds are low.

        Raises:
            InsufficientFunds: not even the least budget is there.
            ScatteredError: it is, in too many coins.
        """
        used = set(program.owned_objects)
        needed = budget.wanted + program.gas_coin_spent
        for fresh in (False, True):
            coins = [coin for coin in await self._listed(purse, SUI, fresh=fresh) if coin.ref.object_id not in used]
            chosen = choose(coins, needed)
            total = sum(coin.balance for coin in chosen)
            if total >= needed:
                return chosen, budget.wanted
        needed = budget.least + program.gas_coin_spent
        if total < needed:
            raise _too_little(purse, coins, coin="SUI", needed=needed)
        return chosen, total - program.gas_coin_spent

    async def wal(self, purse: Purse, wanted: int) -> list[ObjectId]:
        """Choose WAL coins that hold `wanted` FROST; all coins when it is 0.

        Raises:
            InsufficientFunds: there are none, or they hold too little.
            ScatteredError: they hold enough, in too many coins.
        """
        for fresh in (False, True):
            coins = await self._listed(purse, self._wal, fresh=fresh)
            held = sum(coin.balance for coin in coins)
            chosen = choose(coins, wanted or held)
            if chosen and sum(coin.balance for coin in chosen) >= (wanted or held):
                return [coin.ref.object_id for coin in chosen]
        raise _too_little(purse, coins, coin="WAL", needed=max(wanted or held, 1))

    async def _listed(self, purse: Purse, token: str, *, fresh: bool) -> list[Coin]:
        known = None if fresh else purse.known(token)
        if known is not None:
            return known

        async def listing() -> list[wire.RawObject]:
            return await self._endpoint.owned(purse.address, move_types.coin_type(token))

        objects = await self._versions.caught_up(listing)
        found = [Coin(item.ref, balance_of(item.contents) or 0) for item in objects]
        purse.replace(token, found)
        for coin in found:
            self._versions.saw(coin.ref)
        return purse.known(token) or []


def _too_little(purse: Purse, coins: list[Coin], *, coin: str, needed: int) -> InsufficientFunds | ScatteredError:
    """Return the error for coins of which no choice suffices: they hold too little, or are too many."""
    total = sum(item.balance for item in coins)
    insufficient = InsufficientFunds(purse.address, coin=coin, needed=needed, available=total)
    return ScatteredError(coins, insufficient) if total >= needed and len(coins) > MAX_PAYMENT else insufficient
