"""Module `walrus::shared_blob`: a blob that anyone may fund, and extend from its funds."""

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.abi import blob, layout, ptb
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, Program, Result, Shared
from walrus_sui.types import SharedBlobObject

MODULE = "shared_blob"
SHARED_BLOB = "SharedBlob"


def new(program: Program, contract: Contract, blob_object: Argument) -> Result:
    """Add `new`: wrap a blob; the SharedBlob is shared at once."""
    return contract.call(program, MODULE, "new", blob_object)


def new_funded(program: Program, contract: Contract, blob_object: Argument, funds: Argument) -> Result:
    """Add `new_funded`: wrap a blob with a WAL coin."""
    return contract.call(program, MODULE, "new_funded", blob_object, funds)


def fund(program: Program, contract: Contract, shared: ObjectId, coin: Argument) -> Result:
    """Add `fund`: add a WAL coin."""
    return contract.call(program, MODULE, "fund", Shared(shared, mutable=True), coin)


def extend(program: Program, contract: Contract, shared: ObjectId, epochs: int) -> Result:
    """Add `extend`, paid from the funds. Aborts balance 2 when they do not suffice; else as `system.extend_blob`."""
    arguments = (Shared(shared, mutable=True), contract.system(mutable=True), ptb.u32(epochs))
    return contract.call(program, MODULE, "extend", *arguments)


@layout.decoder("a SharedBlob")
def decode(contents: bytes) -> SharedBlobObject:
    """Decode a SharedBlob object."""
    reader = bcs.Reader(contents)
    shared = SharedBlobObject(layout.object_id(reader), blob.read(reader), reader.u64())
    reader.finish()
    return shared
