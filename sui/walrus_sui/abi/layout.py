"""Pieces of BCS layout that many objects share (contract module sources; `walrus-sui` move_structs)."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

from walrus_codec import bcs
from walrus_codec.types import Epoch, NodeId, ObjectId
from walrus_sui import bls
from walrus_sui.abi import ptb
from walrus_sui.errors import MalformedChainData
from walrus_sui.types import SignedMessage

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

UNIT_STRUCT = b"\x00"
"""BCS of a struct without fields: Move gives it one hidden boolean."""


def decoder(what: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a decoder raise `MalformedChainData` that names `what` when the bytes do not fit."""

    def wrap(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except (bcs.BcsError, ValueError) as error:
                raise MalformedChainData(f"{what} does not have the known layout: {error}") from error

        return wrapped

    return wrap


def object_id(reader: bcs.Reader) -> ObjectId:
    """A UID, ID or address."""
    return ObjectId("0x" + reader.fixed(32).hex())


def node_id(reader: bcs.Reader) -> NodeId:
    """The id of a staking pool."""
    return NodeId("0x" + reader.fixed(32).hex())


def epoch(reader: bcs.Reader) -> Epoch:
    """A Walrus epoch."""
    return Epoch(reader.u32())


def vec_map(
    key: Callable[[bcs.Reader], K], value: Callable[[bcs.Reader], V]
) -> Callable[[bcs.Reader], list[tuple[K, V]]]:
    """A VecMap: its entries in their order."""

    def read(reader: bcs.Reader) -> list[tuple[K, V]]:
        return reader.vector(lambda r: (key(r), value(r)))

    return read


def signed(message: SignedMessage) -> tuple[ptb.Pure, ptb.Pure, ptb.Pure]:
    """The three arguments of every call that takes a certificate: signature, bitmap of signers, message."""
    return (
        ptb.byte_vector(message.signature),
        ptb.byte_vector(message.signers_bitmap),
        ptb.byte_vector(message.message),
    )


def table(reader: bcs.Reader) -> ObjectId:
    """A Table, ObjectTable or Bag: its id (the size follows and is dropped)."""
    found = object_id(reader)
    reader.u64()
    return found


def uncompressed_key(reader: bcs.Reader) -> bytes:
    """An Element<UncompressedG1>, returned as the 48 compressed bytes."""
    return _compressed(reader.bytes_())


# The same few keys come back with every look at the chain, and compressing checks the subgroup each time.
_compressed = lru_cache(maxsize=4096)(bls.compressed)
