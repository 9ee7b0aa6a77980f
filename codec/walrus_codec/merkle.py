"""Merkle trees that commit to the symbols of a sliver and to the slivers of a blob.

    leaf  = Blake2b-256(0x00 | data)
    inner = Blake2b-256(0x01 | left | right)

A level with an odd number of nodes gets one all-zero node on its right; the root of no leaves is all zero. The prefixes
keep a leaf from passing as an inner node.

A proof that some data are leaf i is the path of siblings from the bottom up, 32 bytes each.

Nodes of a level lie in one byte string, 32 bytes each, so that a level is cut and hashed without lists of pairs. A blob
over 100 shards has 10,000 leaves and 20,000 inner nodes, so set-up counts: hash states that have taken the prefix already
are copied, which costs less than making new ones, and lets symbols be hashed where they lie.
"""

from collections.abc import Iterable, Sequence
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
    while len(level) > NODE_SIZE:
        level = _above(_even(level))
    return level


def raised(level: bytes, by: int) -> bytes:
    """The level so many above, in a tree that goes on to the right of these nodes or above them."""
    for _ in range(by):
        level = _above(_even(level))
    return level


def levels(leaf_level: bytes) -> list[bytes]:
    """All levels from the leaf hashes to the root, each filled up to an even number of nodes except the root."""
    found = []
    while len(leaf_level) > NODE_SIZE:
        found.append(_even(leaf_level))
        leaf_level = _above(found[-1])
    return [*found, leaf_level]


def path(tree: Sequence[bytes], index: int) -> bytes:
    """The siblings of leaf `index` and of the nodes above it, bottom up; `tree` is what `levels` gives."""
    found = []
    for level in tree[:-1]:
        at = (index ^ 1) * NODE_SIZE
        found.append(level[at : at + NODE_SIZE])
        index >>= 1
    return b"".join(found)


def root_of_path(data: Buffer, index: int, siblings: bytes) -> bytes | None:
    """The root of the tree in which `data` are leaf `index`; None when no tree of this height has such a leaf."""
    if index >> (len(siblings) // NODE_SIZE):
        return None
    node = leaf(data)
    for at in range(0, len(siblings), NODE_SIZE):
        sibling = siblings[at : at + NODE_SIZE]
        state = _INNER.copy()
        state.update(sibling + node if index & 1 else node + sibling)
        node = state.digest()
        index >>= 1
    return node


class KnownPaths:
    """Paths of one tree that were followed to its root, so that another path is hashed only until it meets one of them."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[bytes, bytes]] = {}

    def leads_to(self, root: bytes, data: Buffer, index: int, siblings: bytes) -> bool:
        """Whether `root_of_path(data, index, siblings) == root`; all calls must be for the same root."""
        if index >> (len(siblings) // NODE_SIZE):
            return False
        node, at, climbed = leaf(data), 0, []
        while at < len(siblings):
            # The rest of the path must be the known one too: what lies above is proved by it and by nothing else.
            if self._known.get((at, index)) == (node, siblings[at:]):
                break
            climbed.append(((at, index), (node, siblings[at:])))
            sibling = siblings[at : at + NODE_SIZE]
            state = _INNER.copy()
            state.update(sibling + node if index & 1 else node + sibling)
            node = state.digest()
            at, index = at + NODE_SIZE, index >> 1
        else:
            if node != root:
                return False
        self._known.update(climbed)
        return True


def height(n_leaves: int) -> int:
    """Siblings in a path of a tree over this many leaves, one or more."""
    return (n_leaves - 1).bit_length()


def _even(level: bytes) -> bytes:
    return level + EMPTY if len(level) % (2 * NODE_SIZE) else level


def _above(level: bytes) -> bytes:
    copy, nodes = _INNER.copy, []
    for at in range(0, len(level), 2 * NODE_SIZE):
        state = copy()
        state.update(level[at : at + 2 * NODE_SIZE])
        nodes.append(state.digest())
    return b"".join(nodes)
