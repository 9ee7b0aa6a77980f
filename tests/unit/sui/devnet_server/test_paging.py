from functools import partial
from itertools import chain

import pytest

from walrus_proto.sui.rpc.v2 import object_pb2
from walrus_sui.devnet.server.faults import Fault
from walrus_sui.devnet.server.paging import MAX_PAGE_BYTES, Listing, page_size


def numbered(count, *, size=1, start=b""):
    def render(number):
        return object_pb2.Object(version=number, object_id="x" * size)

    keys = ((number.to_bytes(4, "big"), number) for number in range(count))
    return ((key, partial(render, number)) for key, number in keys if key > start)


def read_all(count, *, size, page_bytes=1):
    listing, token, pages = Listing("a", "b"), None, []
    while True:
        start = listing.start(token)
        page, token = listing.page(numbered(count, size=page_bytes, start=start), size=size)
        pages.append([item.version for item in page])
        if token is None:
            return pages


@pytest.mark.parametrize(
    ("asked", "given"), [(None, 50), (0, 1), (1, 1), (1000, 1000), (1001, 1000), (2**32 - 1, 1000)]
)
def test_page_sizes_are_held_between_the_limits(asked, given):
    assert page_size(asked) == given


@pytest.mark.parametrize(("count", "size", "pages"), [(0, 5, 1), (5, 5, 1), (6, 5, 2), (11, 5, 3)])
def test_pages_are_complete_and_the_last_has_no_token(count, size, pages):
    found = read_all(count, size=size)
    assert list(chain.from_iterable(found)) == list(range(count))
    assert len(found) == pages


def test_pages_are_bounded_in_bytes():
    found = read_all(40, size=1000, page_bytes=100_000)
    assert list(chain.from_iterable(found)) == list(range(40))
    assert all(len(page) * 100_000 < MAX_PAGE_BYTES + 200_000 for page in found)


def test_items_that_render_to_nothing_are_left_out():
    page, token = Listing("a").page([(b"1", lambda: None), (b"2", lambda: object_pb2.Object(version=2))], size=5)
    assert [item.version for item in page] == [2]
    assert token is None


@pytest.mark.parametrize("token", [b"x", b"\x00" * 16, b"\x00" * 48])
def test_foreign_tokens_are_refused(token):
    with pytest.raises(Fault, match="invalid page_token"):
        Listing("owned", "0x1").start(token)


def test_a_token_of_another_listing_is_refused():
    _, token = Listing("owned", "0x1").page(numbered(3), size=1)
    assert Listing("owned", "0x1").start(token) == (0).to_bytes(4, "big")
    with pytest.raises(Fault, match="invalid page_token"):
        Listing("owned", "0x2").start(token)
