"""Module `walrus_subsidies::walrus_subsidies`: who wants to pay for others. A package of its own."""

from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.abi import layout
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.move_types import CLOCK_ID
from walrus_sui.abi.ptb import Argument, MoveCall, Program, Result, Shared
from walrus_sui.types import SubsidiesView

MODULE = "walrus_subsidies"
KEY = "SubsidiesInnerKey"


def add_coin(program: Program, package: ObjectId, subsidies: ObjectId, coin: Argument) -> Result:
    """Add `add_coin`: fill the purse with a WAL coin."""
    return program.add(MoveCall(package, MODULE, "add_coin", (Shared(subsidies, mutable=True), coin)))


def process_subsidies(program: Program, contract: Contract, package: ObjectId, subsidies: ObjectId) -> Result:
    """Add `process_subsidies`: pay what is due by now; anyone may."""
    arguments = (
        Shared(subsidies, mutable=True),
        contract.staking(mutable=True),
        contract.system(mutable=True),
        Shared(CLOCK_ID, mutable=False),
    )
    return program.add(MoveCall(package, MODULE, "process_subsidies", arguments))


@dataclass(frozen=True)
class SubsidiesObject:
    """The small object in front of the state."""

    object_id: ObjectId
    version: int
    package_id: ObjectId


@layout.decoder("a WalrusSubsidies")
def decode(contents: bytes) -> SubsidiesObject:
    """Decode a WalrusSubsidies object."""
    reader = bcs.Reader(contents)
    found = SubsidiesObject(layout.object_id(reader), reader.u64(), layout.object_id(reader))
    reader.finish()
    return found


def read_inner(reader: bcs.Reader, front: SubsidiesObject) -> SubsidiesView:
    """Read WalrusSubsidiesInnerV1."""
    rate, pool, base, per_shard, latest = reader.u32(), reader.u64(), reader.u64(), reader.u64(), layout.epoch(reader)
    reader.u32()  # index of the current slot
    reader.vector(lambda r: (r.u32(), r.u64()))  # rewards by epoch that were topped up already
    processed = reader.u64()
    layout.table(reader)  # extra fields
    return SubsidiesView(front.object_id, front.package_id, rate, pool, base, per_shard, latest, processed)
