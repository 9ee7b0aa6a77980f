"""Module `walrus::staked_wal`: WAL delegated to a node, cut and put together."""

from walrus_codec import bcs
from walrus_codec.types import Epoch, SuiAddress
from walrus_sui.abi import layout, ptb
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, Program, Result
from walrus_sui.types import StakedWal

MODULE = "staked_wal"
STAKED_WAL = "StakedWal"


def join(program: Program, contract: Contract, first: Argument, second: Argument) -> Result:
    """Add `join`: the second becomes part of the first. Aborts staked_wal 1 when node, state or epochs differ."""
    return contract.call(program, MODULE, "join", first, second)


def split(program: Program, contract: Contract, stake: Argument, amount: int) -> Result:
    """Add `split`; returns a StakedWal of `amount`. Aborts staked_wal 2, 7 (a part below 1 WAL)."""
    return contract.call(program, MODULE, "split", stake, ptb.u64(amount))


@layout.decoder("a StakedWal")
def decode(contents: bytes, *, owner: SuiAddress | None = None) -> StakedWal:
    """Decode a StakedWal object."""
    reader = bcs.Reader(contents)
    stake_id = layout.object_id(reader)
    withdraw_epoch = _withdraw_epoch(reader)
    node_id, principal, activation = layout.node_id(reader), reader.u64(), layout.epoch(reader)
    reader.finish()
    return StakedWal(stake_id, node_id, principal, activation, withdraw_epoch, owner)


def _withdraw_epoch(reader: bcs.Reader) -> Epoch | None:
    match reader.uleb():
        case 0:
            return None
        case 1:
            return layout.epoch(reader)
        case other:
            raise bcs.BcsError(f"stake state {other}: known are 0 and 1")
