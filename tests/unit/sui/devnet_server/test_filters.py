"""Transaction filters: every predicate, negation, terms, and what is refused."""

import pytest
from google.protobuf import json_format

from walrus_proto.sui.rpc.v2 import filter_pb2
from walrus_sui.devnet.ledger.objects import SUI_TYPE
from walrus_sui.devnet.server import filters
from walrus_sui.devnet.server.faults import Fault
from walrus_sui.devnet.testing import Chain

ALICE_ONLY = {"sender": {"address": "ALICE"}}


@pytest.fixture(scope="module")
def seen():
    """A transaction of alice with a call, an event and a new coin for bob, and the names that filters use."""
    chain = Chain({"n_shards": 10, "epoch_zero_duration": "0s"})
    node = chain.add_node("n0")
    chain.stake("alice", node, 1_000 * 10**9)
    known = chain.ledger.well_known
    program = chain.program("alice")
    program.call("staking::voting_end")
    program.transfer([program.call("coin::zero", types=["SUI"])], "bob")
    program.run()
    executed = chain.ledger.transaction(chain.last.effects.transaction_digest)
    package = known.walrus_package
    names = {"ALICE": chain.account("alice").address, "BOB": chain.account("bob").address, "PKG": package}
    return executed, names | {"STAKING": known.staking, "SYSTEM": known.system}


def literal(names, predicate, *, negated=False):
    text = json_format.MessageToJson(json_format.ParseDict(predicate, filter_pb2.TransactionLiteral()))
    for name, value in names.items():
        text = text.replace(name, value)
    found = json_format.Parse(text, filter_pb2.TransactionLiteral())
    found.negated = negated
    return found


def matches(seen, *terms):
    executed, names = seen
    made = [filter_pb2.TransactionTerm(literals=[literal(names, item) for item in term]) for term in terms]
    return filters.compiled(filter_pb2.TransactionFilter(terms=made))(executed)


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (ALICE_ONLY, True),
        ({"sender": {"address": "BOB"}}, False),
        ({"affected_address": {"address": "BOB"}}, True),
        ({"affected_address": {"address": "0x7"}}, False),
        ({"affected_address": {"address": "ALICE"}}, False),  # her gas coin changed, not its owner
        ({"affected_object": {"object_id": "STAKING"}}, True),
        ({"affected_object": {"object_id": "SYSTEM"}}, False),
        ({"move_call": {"function": "PKG"}}, True),
        ({"move_call": {"function": "PKG::staking"}}, True),
        ({"move_call": {"function": "PKG::staking::voting_end"}}, True),
        ({"move_call": {"function": "PKG::staking::voting"}}, False),
        ({"move_call": {"function": "0x3"}}, False),
        ({"emit_module": {"module": "PKG"}}, True),
        ({"emit_module": {"module": "PKG::staking"}}, True),
        ({"emit_module": {"module": "PKG::events"}}, False),
        ({"event_type": {"event_type": "PKG::events"}}, True),
        ({"event_type": {"event_type": "PKG::events::EpochParametersSelected"}}, True),
        ({"event_type": {"event_type": "PKG::events::EpochChangeStart"}}, False),
        ({"event_type": {"event_type": "PKG::events::EpochParametersSelected<u8>"}}, False),
        ({"event_stream_head": {"stream_id": "0x1"}}, False),
        ({"package_write": {}}, False),
    ],
)
def test_a_literal_and_its_negation(seen, predicate, expected) -> None:
    assert matches(seen, [predicate]) is expected
    executed, names = seen
    term = filter_pb2.TransactionTerm(literals=[literal(names, predicate, negated=True)])
    assert filters.compiled(filter_pb2.TransactionFilter(terms=[term]))(executed) is not expected


def test_one_term_must_hold_with_all_its_literals(seen) -> None:
    no = {"package_write": {}}
    assert not matches(seen, [ALICE_ONLY, no])
    assert matches(seen, [ALICE_ONLY, no], [ALICE_ONLY])
    assert not matches(seen, [no], [no, ALICE_ONLY])


@pytest.mark.parametrize(
    "predicate",
    [
        {},
        {"sender": {}},
        {"sender": {"address": "alice"}},
        {"move_call": {"function": ""}},
        {"move_call": {"function": "0x2::a::b::c"}},
        {"move_call": {"function": "0x2::"}},
        {"emit_module": {"module": "0x2::a::b"}},
        {"event_type": {"event_type": "0x2::a::B<"}},
        {"event_type": {"event_type": f"0x2::coin::Coin<{SUI_TYPE}"}},
        {"affected_object": {"object_id": "0x" + "1" * 65}},
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_field(seen, predicate) -> None:
    with pytest.raises(Fault) as caught:
        matches(seen, [predicate])
    assert caught.value.violation.field.startswith("filter.terms[0].literals[0]")


@pytest.mark.parametrize("count", [0, filters.MAX_TERMS + 1])
def test_terms_and_literals_are_counted(seen, count) -> None:
    with pytest.raises(Fault):
        matches(seen, *[[ALICE_ONLY]] * count)
    with pytest.raises(Fault):
        matches(seen, [ALICE_ONLY] * count)
    assert matches(seen, *[[ALICE_ONLY] * filters.MAX_LITERALS] * filters.MAX_TERMS)
