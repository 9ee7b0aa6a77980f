"""Storage objects of the devnet, read by the readers that clients use, which were written apart from it."""

from typing import Any

from tests.unit.sui.devnet_ledger.shop import ENCODED, Shop, blob_arguments

from walrus_codec.types import ObjectId
from walrus_sui.abi import dynamic_field, metadata, shared_blob, storage_pool, storage_resource, system
from walrus_sui.devnet.testing import Node

CAT = blob_arguments("cat")["blob_id"]
RAW = CAT.to_bytes(32, "little")


def contents(shop: Shop, object_id: ObjectId) -> bytes:
    obj = shop.chain.ledger.object(object_id)
    assert obj is not None
    return obj.contents


def test_a_pool_and_its_blob(shop: Shop) -> None:
    made = {"reserved_encoded_capacity_bytes": 2 * ENCODED, "epochs_ahead": 3, "payment": shop.coin}
    pool = shop.call("system::create_storage_pool", **made).id
    given: dict[str, Any] = blob_arguments("cat")
    given["unencoded_size"] = given.pop("size")
    shop.call("system::register_pooled_blob", storage_pool=pool, deletable=True, write_payment=shop.coin, **given)
    front = storage_pool.decode(contents(shop, pool))
    assert (front.object_id, front.version) == (pool, 1)
    inner = dynamic_field.decode_value(
        contents(shop, dynamic_field.versioned_id(pool, front.version)),
        key_length=8,
        read=lambda reader: storage_pool.read_inner(reader, object_id=pool, owner=None),
    )
    assert (inner.used, inner.blob_count, inner.available) == (ENCODED, 1, ENCODED)
    assert (inner.storage.start_epoch, inner.storage.end_epoch, inner.storage.size) == (1, 4, 2 * ENCODED)
    (entry,) = shop.chain.ledger.dynamic_fields(inner.blobs_id)
    assert entry.child_id is not None
    blob = storage_pool.decode_blob(contents(shop, entry.child_id))
    assert (blob.object_id, blob.registered_epoch, blob.blob_id, blob.size) == (entry.child_id, 1, RAW, 1_000)
    assert (blob.encoding_type, blob.certified_epoch, blob.pool_id, blob.deletable) == (1, None, pool, True)


def test_storage_attributes_and_a_shared_blob(shop: Shop) -> None:
    storage = storage_resource.decode(contents(shop, shop.buy(77, 2, 5)))
    assert (storage.start_epoch, storage.end_epoch, storage.size) == (2, 5, 77)
    blob = shop.certified()
    for key, value in (("é", "1"), ("b", "")):
        shop.call("blob::insert_or_update_metadata_pair", self=blob, key=key, value=value)
    # The field's key is b"metadata" with its length.
    data = contents(shop, metadata.field_id(blob))
    assert dynamic_field.decode_value(data, key_length=9, read=metadata.read) == {"é": "1", "b": ""}
    shop.call("shared_blob::new_funded", blob=blob, funds=shop.chain.coin(shop.alice, 7))
    (found,) = [obj for obj in shop.chain.ledger.objects() if obj.type.endswith("::SharedBlob")]
    shared = shared_blob.decode(found.contents)
    assert (shared.object_id, shared.funds) == (found.object_id, 7)
    assert (shared.blob.object_id, shared.blob.blob_id, shared.blob.certified_epoch) == (blob, RAW, 1)
    # Attributes stay with the blob inside.
    assert contents(shop, metadata.field_id(blob)) == data


def test_event_blobs_in_the_system(shop: Shop) -> None:
    def attest(node: Node, checkpoint: int) -> None:
        end = {"ending_checkpoint_sequence_num": checkpoint, "epoch": 1}
        arguments = {"cap": node.cap_id, **blob_arguments("cat"), **end}
        shop.chain.call("system::certify_event_blob", sender=node.account, **arguments)

    for node in shop.nodes[:3]:
        attest(node, 10)
    attest(shop.nodes[3], 12)
    data = contents(shop, dynamic_field.versioned_id(shop.chain.network.system, 4))
    view = dynamic_field.decode_value(data, key_length=8, read=system.read_inner).view
    assert view.latest_event_blob is not None
    assert (view.latest_event_blob.blob_id, view.latest_event_blob.ending_checkpoint) == (RAW, 10)
    ((candidate, weight),) = view.event_blob_votes
    assert (candidate.blob_id, candidate.ending_checkpoint, weight) == (RAW, 12, 25)
    assert [slot.used_capacity for slot in view.accounting] == [ENCODED] * 53
