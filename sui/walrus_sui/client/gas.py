"""What a transaction may cost: learnt by simulation, then from what its like has cost, never more than a cap.

Life of an estimate: the first transaction of a shape (the same calls, as often) is simulated with an invented gas coin,
so that the sender's funds play no part; the next ones go by what was really charged. A budget leaves room above that,
because objects grow; the room costs nothing, as only what is used is charged. Simulation advises on gas only: when it
fails, or its abort says nothing about gas, the transaction is sent with all that the cap allows, and the chain decides.
"""

from collections import OrderedDict
from dataclasses import dataclass

from walrus_codec.types import SuiAddress
from walrus_sui.abi import ptb
from walrus_sui.abi.ptb import Program
from walrus_sui.client import wire
from walrus_sui.client.submission import Endpoint
from walrus_sui.errors import ChainError, TransactionRejected

GAS_CAP = 5_000_000_000
"""MIST that a transaction may cost at most, unless the client is made with another cap."""

MIN_GAS_BUDGET = 20_000_000
"""MIST below which trying is pointless when the cost is not known."""

MARK = 1 << 16
"""Budgets differ by up to so many MIST from call to call. Two processes with one key that want the same thing at the
same time would otherwise sign identical bytes, which are one transaction, and both would take it for theirs."""

_ROOM_UNITS = 1000
_MAX_SHAPES = 512


@dataclass(frozen=True)
class Budget:
    """MIST that a transaction should be allowed, and the least that makes sense when the sender has not so much."""

    wanted: int
    least: int


class GasEstimates:
    """Budgets of one executor.

    Args:
        endpoint: the transport.
        cap: MIST that no transaction may exceed.
    """

    def __init__(self, endpoint: Endpoint, *, cap: int = GAS_CAP) -> None:
        self._endpoint = endpoint
        self._cap = cap
        self._used: OrderedDict[str, int] = OrderedDict()

    @property
    def unknown(self) -> Budget:
        """What to allow when nothing is known."""
        return Budget(self._cap, min(self._cap, MIN_GAS_BUDGET))

    async def budget(self, program: Program, kind: bytes, *, sender: SuiAddress, price: int) -> Budget:
        """Return the budget of a program.

        Args:
            program: what is to be executed.
            kind: its BCS TransactionKind.
            sender: who signs.
            price: gas price in MIST per unit.

        Raises:
            TransactionRejected: it would cost more than the cap; nothing was sent.
        """
        used = self._used.get(_shape(program))
        if used is None:
            used = await self._simulated(kind, sender, price)
            if used is None:
                return self.unknown
        if used > self._cap:
            raise TransactionRejected(
                f"the transaction would cost {used} MIST of gas, more than the {self._cap} allowed; do less in one call"
            )
        room = used // 2 + _ROOM_UNITS * price
        return Budget(min(used + room + MARK, self._cap), min(used + MARK, self._cap))

    def learn(self, program: Program, executed: wire.Executed) -> None:
        """Remember what a program has cost; what ran out of gas tells that the estimate was wrong."""
        shape = _shape(program)
        if executed.failure is None:
            self._used[shape] = max(executed.gas_used, self._used.get(shape, 0))
            self._used.move_to_end(shape)
            if len(self._used) > _MAX_SHAPES:
                self._used.popitem(last=False)
        elif executed.failure.out_of_gas:
            self._used.pop(shape, None)

    async def _simulated(self, kind: bytes, sender: SuiAddress, price: int) -> int | None:
        data = ptb.transaction_data(kind, sender=sender, payment=[], gas_price=price, gas_budget=self._cap)
        try:
            simulated = await self._endpoint.simulate(data)
        except ChainError:
            return None
        return simulated.gas_used if simulated.failure is None else None


def _shape(program: Program) -> str:
    return f"{len(program.commands)} {program.description}"
