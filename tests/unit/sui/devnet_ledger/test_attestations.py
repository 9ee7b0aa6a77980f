"""What members attest by certificate: deny lists, which lessen rewards, deleted blobs, protocol versions."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.sui.devnet_ledger.shop import MIB, Shop, abort_of, blob_arguments

from walrus_codec.types import BlobId, Epoch, NodeId
from walrus_sui import messages
from walrus_sui.devnet.move.walrus.events import (
    DenyListBlobDeleted,
    DenyListUpdate,
    ProtocolVersionUpdated,
    RegisterDenyListUpdate,
)
from walrus_sui.devnet.testing import Chain, Node

Step = Callable[[Chain, list[Node]], None]
CAT = blob_arguments("cat")["blob_id"]
ROOT = bytes(range(32))
ROOT_NUMBER = int.from_bytes(ROOT, "little")


def certificate(shop: Shop, message: bytes, signers: list[Node] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = dict(shop.chain.certificate(message, signers or shop.nodes))
    made["members_bitmap"] = made.pop("signers_bitmap")
    return made


def deny(shop: Shop, node: Node, size: int, sequence: int = 1, **changes: Any) -> None:
    given = {"node_id": node.node_id, "epoch": shop.epoch, "signers": None, "sender": node} | changes
    message = messages.deny_list_update(
        NodeId(given["node_id"]), sequence=sequence, size=size, root=ROOT, epoch=Epoch(given["epoch"])
    )
    proof = certificate(shop, given.get("message", message), given["signers"])
    sender = given["sender"]
    shop.chain.call("system::update_deny_list", sender=sender.account, cap=sender.cap_id, **proof)


def announce(shop: Shop, node: Node, sequence: int) -> None:
    arguments = {"deny_list_root": ROOT_NUMBER, "deny_list_sequence": sequence}
    shop.chain.call("system::register_deny_list_update", sender=node.account, cap=node.cap_id, **arguments)


# Deny lists


def test_a_deny_list_is_announced_and_changed(shop: Shop) -> None:
    node = shop.nodes[0]
    announce(shop, node, 5)
    assert shop.events() == [RegisterDenyListUpdate(1, ROOT_NUMBER, 5, node.node_id)]
    assert shop.chain.value(node.cap_id).deny_list_sequence == 0  # nothing is stored
    deny(shop, node, size=100, sequence=3)  # so the certificate may carry a lower number
    assert shop.events() == [DenyListUpdate(1, ROOT_NUMBER, 3, node.node_id)]
    cap = shop.chain.value(node.cap_id)
    assert (cap.deny_list_root, cap.deny_list_sequence, cap.deny_list_size) == (ROOT_NUMBER, 3, 100)
    views = {"deny_list_root": ROOT_NUMBER, "deny_list_sequence": 3, "node_id": node.node_id}
    for view, expected in views.items():
        assert shop.chain.call(f"storage_node::{view}", sender=node.account, cap=node.cap_id) == expected
    assert sizes(shop) == {node.node_id: 100}


def sizes(shop: Shop) -> dict[str, int]:
    found: dict[str, int] = shop.chain.field(shop.chain.system().deny_list_sizes.id)
    return found


def test_later_lists_replace_earlier_ones_in_their_place(shop: Shop) -> None:
    first, second, *_ = shop.nodes
    deny(shop, first, size=100)
    deny(shop, second, size=50)
    deny(shop, first, size=7, sequence=2)
    assert list(sizes(shop).items()) == [(first.node_id, 7), (second.node_id, 50)]


def test_sequences_go_up(shop: Shop) -> None:
    node = shop.nodes[0]
    assert abort_of(lambda: announce(shop, node, 0)) == ("system_state_inner", 9)
    deny(shop, node, size=1, sequence=3)
    for sequence in (2, 3):
        assert abort_of(lambda sequence=sequence: announce(shop, node, sequence)) == ("system_state_inner", 9)
        refused = abort_of(lambda sequence=sequence: deny(shop, node, size=1, sequence=sequence))
        assert refused == ("system_state_inner", 9)
    announce(shop, node, 4)
    deny(shop, node, size=1, sequence=4)


def test_deny_lists_need_a_quorum_and_their_own_node(shop: Shop) -> None:
    first, second, *_ = shop.nodes
    stranger = shop.chain.add_node(shop.chain.account("bob"))
    before = shop.chain.system()
    cases: list[tuple[dict[str, Any], tuple[str, int]]] = [
        ({"sender": stranger, "signers": [first]}, ("system_state_inner", 8)),
        ({"signers": shop.nodes[:2]}, ("bls_aggregate", 2)),
        ({"epoch": 2, "node_id": second.node_id}, ("messages", 1)),
        ({"message": messages.deny_listed_blob_deleted(BlobId(ROOT), Epoch(1))}, ("messages", 2)),
        ({"message": messages.header(4, Epoch(1)) + bytes(79)}, ("bcs", 0)),
        ({"node_id": second.node_id}, ("system_state_inner", 10)),
        ({"node_id": second.node_id, "sequence": 0}, ("system_state_inner", 10)),  # the node before its number
    ]
    for changes, expected in cases:
        assert abort_of(lambda changes=changes: deny(shop, first, 1, **changes)) == expected, changes
    assert abort_of(lambda: announce(shop, stranger, 0)) == ("system_state_inner", 8)
    assert shop.chain.system() == before


# Rewards


@pytest.fixture
def priced(shop: Shop) -> Shop:
    """10 MiB are stored in epoch 1 for 10,000,000 FROST, of which 9,700,000 are paid out."""
    for node in shop.nodes:
        arguments = {"cap": node.cap_id, "storage_price": 10**6}
        shop.chain.call("staking::set_storage_price_vote", sender=node.account, **arguments)
    shop.call("staking::update_prices")
    shop.buy(10 * MIB, 1, 2)
    return shop


@pytest.mark.parametrize(
    ("denied", "paid", "left"),
    [
        # 25 * (5, 10, 10, 10) of 875 MiB times shards
        ([5 * MIB], [1_385_714, 2_771_428, 2_771_428, 2_771_428], 2),
        # more than what is stored counts as all of it
        ([11 * MIB], [0, 3_233_333, 3_233_333, 3_233_333], 1),
        ([10 * MIB, 10 * MIB, 10 * MIB], [0, 0, 0, 9_700_000], 0),
        # nobody stores anything: the next epoch gets it all
        ([10 * MIB] * 4, [0, 0, 0, 0], 9_700_000),
        ([1, 1, 1, 1], [2_425_000] * 4, 0),
    ],
)
def test_denied_bytes_earn_nothing(priced: Shop, step: Step, denied: list[int], paid: list[int], left: int) -> None:
    for node, size in zip(priced.nodes, denied, strict=False):
        deny(priced, node, size)
    step(priced.chain, priced.nodes)
    assert [priced.chain.pool(node.node_id).rewards_pool.value for node in priced.nodes] == paid
    assert priced.fund(1) == [left]


# Deleted blobs


def test_one_correct_node_suffices_to_delete(shop: Shop) -> None:
    message = messages.deny_listed_blob_deleted(BlobId(CAT.to_bytes(32, "little")), Epoch(1))

    def delete(message: bytes, signers: list[Node]) -> None:
        shop.call("system::delete_deny_listed_blob", **certificate(shop, message, signers))

    assert abort_of(lambda: delete(message, shop.nodes[:1])) == ("bls_aggregate", 2)
    delete(message, shop.nodes[:2])
    assert shop.events() == [DenyListBlobDeleted(1, CAT)]
    other = messages.invalid_blob(BlobId(CAT.to_bytes(32, "little")), Epoch(1))
    assert abort_of(lambda: delete(other, shop.nodes)) == ("messages", 2)


# Protocol versions


def agree(shop: Shop, start_epoch: int, signers: list[Node] | None = None, sender: Node | None = None) -> None:
    message = messages.protocol_version(9, start=Epoch(start_epoch), epoch=Epoch(1))
    node = sender or shop.nodes[0]
    proof = certificate(shop, message, signers)
    shop.chain.call("system::update_protocol_version", sender=node.account, cap=node.cap_id, **proof)


@pytest.mark.parametrize("start_epoch", [1, 2, 100])
def test_protocol_versions_are_announced(shop: Shop, start_epoch: int) -> None:
    agree(shop, start_epoch)
    assert shop.events() == [ProtocolVersionUpdated(1, start_epoch, 9)]


def test_protocol_versions_need_a_member_a_quorum_and_a_future(shop: Shop) -> None:
    stranger = shop.chain.add_node(shop.chain.account("bob"))
    assert abort_of(lambda: agree(shop, 0, shop.nodes[:1], stranger)) == ("system_state_inner", 8)
    assert abort_of(lambda: agree(shop, 0, shop.nodes[:2])) == ("bls_aggregate", 2)
    assert abort_of(lambda: agree(shop, 0)) == ("system_state_inner", 12)
    wrong = certificate(shop, messages.deny_listed_blob_deleted(BlobId(ROOT), Epoch(1)))
    node = shop.nodes[0]
    call = lambda: shop.chain.call(  # noqa: E731
        "system::update_protocol_version", sender=node.account, cap=node.cap_id, **wrong
    )
    assert abort_of(call) == ("messages", 2)
