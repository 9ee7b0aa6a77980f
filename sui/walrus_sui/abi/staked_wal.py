"""Module `walrus::staked_wal`: WAL delegated to a node."""

from walrus_codec import bcs
from walrus_codec.types import Epoch, SuiAddress
from walrus_sui.abi import layout
from walrus_sui.types import StakedWal

MODULE = "staked_wal"
STAKED_WAL = "StakedWal"


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
