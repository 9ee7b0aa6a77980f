"""Small trees, spelled out."""

from hashlib import blake2b

from walrus_codec import merkle


def h(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).digest()


def test_trees_of_few_leaves() -> None:
    a, b, c = (h(b"\0" + name) for name in (b"a", b"b", b"c"))
    assert merkle.leaf(b"a") == a
    assert merkle.leaves([b"a", memoryview(b"b"), bytearray(b"c")]) == a + b + c
    assert merkle.root(b"") == bytes(32)
    assert merkle.root(a) == a
    assert merkle.root(a + b) == h(b"\x01" + a + b)
    assert merkle.root(a + b + c) == h(b"\x01" + h(b"\x01" + a + b) + h(b"\x01" + c + bytes(32)))


def test_a_leaf_may_come_in_parts() -> None:
    state = merkle.start_leaf()
    state.update(b"wal")
    state.update(b"rus")
    assert state.digest() == merkle.leaf(b"walrus")
    assert merkle.start_leaf().digest() == merkle.leaf(b"")
