"""Module `0x2::coin`: coins become balances, which some calls take in vectors."""

from collections.abc import Sequence

from walrus_codec.types import ObjectId
from walrus_sui.abi.ptb import Argument, MakeVector, MoveCall, Program, Result

_FRAMEWORK = ObjectId("0x" + "2".rjust(64, "0"))


def balances(program: Program, token: str, coins: Sequence[Argument]) -> Result:
    """Add the calls that make a vector of balances out of coins of one token; the coins are used up."""
    made = [program.add(MoveCall(_FRAMEWORK, "coin", "into_balance", (coin,), (token,))) for coin in coins]
    return program.add(MakeVector(tuple(made), f"0x2::balance::Balance<{token}>"))
