"""Module `wal_exchange::wal_exchange`: test networks swap SUI for WAL at a fixed rate. A package of its own."""

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.abi import layout
from walrus_sui.abi.ptb import Argument, MoveCall, Program, Result, Shared
from walrus_sui.types import ExchangeView

MODULE = "wal_exchange"


def exchange_all_for_wal(program: Program, *, package_id: ObjectId, exchange: ObjectId, coin: Argument) -> Result:
    """Add `exchange_all_for_wal`; returns the WAL coin. Aborts: wal_exchange 0 when the exchange has too little."""
    arguments = (Shared(exchange, mutable=True), coin)
    return program.add(MoveCall(package_id, MODULE, "exchange_all_for_wal", arguments))


def exchange_all_for_sui(program: Program, *, package_id: ObjectId, exchange: ObjectId, coin: Argument) -> Result:
    """Add `exchange_all_for_sui`; returns the SUI coin. Aborts: wal_exchange 0 when the exchange has too little."""
    arguments = (Shared(exchange, mutable=True), coin)
    return program.add(MoveCall(package_id, MODULE, "exchange_all_for_sui", arguments))


@layout.decoder("a WAL Exchange")
def decode(contents: bytes) -> ExchangeView:
    """Decode an Exchange object."""
    reader = bcs.Reader(contents)
    view = ExchangeView(layout.object_id(reader), reader.u64(), reader.u64(), reader.u64(), reader.u64())
    layout.object_id(reader)  # admin
    reader.finish()
    return view
