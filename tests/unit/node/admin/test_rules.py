"""Rules of the admin port and of the door: tokens, what a drain lets in, what is checked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walrus_client.reasons import Reason, RequestRefused, Status
from walrus_node.rpc.admin import rules
from walrus_node.rpc.admin.rules import TokensError, digests, is_known, token_in
from walrus_node.rpc.door.rules import Drain, Fence, OpenCalls, Work, refusal, work_of
from walrus_proto.node.v1 import node_pb2

A, B = b"a" * 32, b"b" * 512
METHODS = [method.name for method in node_pb2.DESCRIPTOR.services_by_name["StorageNode"].methods]
BEGIN_WORK = {"StoreBlob", "StoreMetadata", "StoreSliver", "SyncShard", "ListRecords", "Challenge"}


@pytest.mark.parametrize("content", [A, A + b"\n", b"\n\n" + A + b"\r\n" + B + b"\n", b"\n".join([A, B, A, B])])
def test_a_file_has_up_to_four_tokens(content):
    known = digests(content)
    assert 1 <= len(known) <= 4
    assert is_known(A, known)
    assert is_known(B, known) is (B in content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        (A[:31], "31 characters"),
        (B + b"b", "513 characters"),
        (A + b"\nshort", "token 2 has 5"),
        (b"\n".join([A] * 5), "5 tokens"),
        (A + b" " + A, "space"),
        (A + b"\x00", "printable"),
        ("ä".encode() * 32, "printable"),
        (b"a" * 2057, "bytes"),
    ],
)
def test_a_file_that_is_half_right_is_not_half_trusted(content, words):
    with pytest.raises(TokensError, match=words) as raised:
        digests(content)
    assert "aaaa" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Basic abc", None),
        ("abc", None),
        ("Bearer abc", b"abc"),
        ("bearer abc", b"abc"),
        (b"BEARER  abc ", b"abc"),
        ("Bearer ", b""),
        ("Bearer \udcff", b"\xff"),
    ],
)
def test_the_token_stands_behind_its_scheme(value, token):
    assert token_in(value) == token


@given(st.lists(st.binary(max_size=40), max_size=4), st.binary(max_size=40))
def test_a_token_is_known_when_it_is_one_of_them(tokens, asked):
    assert is_known(asked, [rules._digest(token) for token in tokens]) is (asked in tokens)


def test_a_drain_turns_away_what_begins_long_work_and_nothing_else():
    drain = Drain(1, 2)
    turned_away = {name for name in METHODS if refusal(name, drain=drain, fence=None) is not None}
    assert turned_away == BEGIN_WORK
    for name in BEGIN_WORK:
        assert refusal(name, drain=drain, fence=None).reason is Reason.NODE_DRAINING
    assert {name for name in METHODS if work_of(name) is not Work.READ} == BEGIN_WORK | {"GetConfirmation"}


@pytest.mark.parametrize("drain", [None, Drain(1, 2)])
def test_a_fence_turns_everything_away_and_hides_a_drain(drain):
    for name in METHODS:
        found = refusal(name, drain=drain, fence=Fence(7, "because"))
        assert found.reason is Reason.NODE_FENCED
        assert "because" in found.message
        assert found.metadata == {"since_ms": "7"}
    assert refusal("StoreBlob", drain=None, fence=None) is None


@pytest.mark.parametrize("reason", [Reason.NODE_DRAINING, Reason.NODE_FENCED])
def test_clients_come_back_to_a_node_that_is_shut(reason):
    assert reason.status is Status.UNAVAILABLE
    assert reason.retryable


@pytest.mark.parametrize("name", ["stores", "transfers", "challenges", "own_challenges", "reads"])
def test_one_open_call_of_any_kind_is_not_quiet(name):
    assert OpenCalls().quiet
    assert not OpenCalls(**{name: 1}).quiet


@pytest.mark.parametrize(("given_s", "taken"), [(None, 30.0), (0.0, 0.0), (5.5, 5.5), (60.0, 60.0)])
def test_times_within_the_bounds_are_taken(given_s, taken):
    assert rules.checked_seconds("grace", given_s, default=30.0, least=0, most=60) == taken


@pytest.mark.parametrize("given_s", [-0.001, 60.001, float("inf"), float("nan")])
def test_times_beyond_the_bounds_are_refused(given_s):
    with pytest.raises(RequestRefused, match="grace is 0 to 60 seconds"):
        rules.checked_seconds("grace", given_s, default=30.0, least=0, most=60)


@pytest.mark.parametrize("why", ["x", "x" * 500, "  the disk is being copied  ", "Übung"])
def test_words_about_a_fence_are_kept(why):
    assert rules.checked_why(why) == why.strip()
