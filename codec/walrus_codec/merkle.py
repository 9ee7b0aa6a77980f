"""Merkle trees that commit to the symbols of a sliver and to the slivers of a blob.

    leaf  = Blake2b-256(0x00 | data)
    inner = Blake2b-256(0x01 | left | right)

A level with an odd number of nodes gets one all-zero node on its right; the root of no leaves is all zero. The prefixes
keep a leaf from passing as an inner node.

Nodes of a level lie in one byte string, 32 bytes each, so that a level is cut and hashed without lists of pairs. A blob
over 100 shards has 10,000 leaves and 20,000 inner nodes, so set-up counts: hash states that have taken the prefix already
are copied, which costs less than making new ones, and lets symbols be hashed where they lie.
"""

from collections.abc import Iterable
from hashlib import blake2b

from walrus_codec.types import Buffer

NODE_SIZE = 32
EMPTY = bytes(NODE_SIZE)

_LEAF = blake2b(b"\x00", digest_size=NODE_SIZE)
_INNER = blake2b(b"\x01", digest_size=NODE_SIZE)

LeafState = blake2b
"""A leaf hash in progress, for data that come in parts: `update`, then `digest`."""


def start_leaf() -> LeafState:
    """A leaf hash that has taken nothing but its prefix."""
    return _LEAF.copy()


def leaf(data: Buffer) -> bytes:
    """The hash of one leaf."""
    state = _LEAF.copy()
    state.update(data)
    return state.digest()


def leaves(parts: Iterable[Buffer]) -> bytes:
    """The hashes of leaves from left to right, as `root` takes them."""
    copy, digests = _LEAF.copy, []
    for part in parts:
        state = copy()
        state.update(part)
        digests.append(state.digest())
    return b"".join(digests)


def root(level: bytes) -> bytes:
    """The root, 32 bytes, over leaf hashes given as one byte string of 32-byte nodes."""
    if not level:
        return EMPTY
    copy = _INNER.copy
    while len(level) > NODE_SIZE:
        if len(level) % (2 * NODE_SIZE):
            level += EMPTY
        nodes = []
        for at in range(0, len(level), 2 * NODE_SIZE):
            state = copy()
            state.update(level[at : at + 2 * NODE_SIZE])
            nodes.append(state.digest())
        level = b"".join(nodes)
    return level
