"""Slivers are put together from heads and chunks; every other order is refused."""

import pytest

from walrus_client.reasons import Reason, RequestRefused
from walrus_codec.types import Axis, PairIndex, SliverIndex
from walrus_node.rpc.assembly import MAX_CHUNK, SliverAssembler
from walrus_node.rpc.model import SliverHead


def head(size):
    return SliverHead(Axis.PRIMARY, PairIndex(0), SliverIndex(0), 2, size)


@pytest.fixture
def assembler():
    return SliverAssembler()


def refused(words, call, *arguments, **options):
    with pytest.raises(RequestRefused, match=words) as refusal:
        call(*arguments, **options)
    assert refusal.value.reason is Reason.MALFORMED_REQUEST


def test_chunks_become_slivers(assembler):
    assembler.begin(head(5), wanted=True)
    assert assembler.add(b"ab") is None
    assert assembler.add(b"cde") == (head(5), bytearray(b"abcde"))
    assembler.begin(head(1), wanted=True)
    assert assembler.add(b"x") == (head(1), bytearray(b"x"))
    assembler.finish()


def test_unwanted_data_are_counted_but_not_kept(assembler):
    assembler.begin(head(3), wanted=False)
    assert assembler._buffer is None
    assert assembler.add(b"abc") is None
    assembler.finish()


def test_data_without_a_head_are_refused(assembler):
    refused("without a sliver's head", assembler.add, b"x")


def test_a_head_inside_of_a_sliver_is_refused(assembler):
    assembler.begin(head(3), wanted=True)
    assembler.add(b"a")
    refused("2 bytes of the one before are missing", assembler.begin, head(3), wanted=True)


def test_more_data_than_announced_are_refused(assembler):
    assembler.begin(head(3), wanted=True)
    refused("1 bytes more", assembler.add, b"abcd")


@pytest.mark.parametrize("size", [0, MAX_CHUNK + 1])
def test_chunks_have_a_size(assembler, size):
    assembler.begin(head(2 * MAX_CHUNK), wanted=False)
    refused("a chunk has 1 to", assembler.add, bytes(size))


def test_a_stream_that_ends_early_is_refused(assembler):
    assembler.begin(head(3), wanted=False)
    refused("3 bytes of a sliver are missing", assembler.finish)
