"""JSON answers of the API in the official shape (walrus-sdk `BlobStoreResult`). Pure."""

from __future__ import annotations

from typing import Any

from walrus_client import store
from walrus_client.statuses import event_json
from walrus_codec import blob_id as blob_ids
from walrus_codec.types import EncodingType
from walrus_sui.events import EventId
from walrus_sui.types import BlobObject


def store_answer(result: store.StoreResult) -> dict[str, Any]:
    """`newlyCreated` or `alreadyCertified`."""
    match result:
        case store.NewlyCreated():
            created: dict[str, Any] = {
                "blobObject": blob_object(result.blob),
                "resourceOperation": _operation(result.operation),
                "cost": result.cost,
            }
            if result.shared_object is not None:
                created["sharedBlobObject"] = result.shared_object
            return {"newlyCreated": created}
        case store.AlreadyCertified():
            proof = (
                {"event": event_json(result.proof)} if isinstance(result.proof, EventId) else {"object": result.proof}
            )
            return {
                "alreadyCertified": {
                    "blobId": blob_ids.to_text(result.blob_id),
                    **proof,
                    "endEpoch": result.end_epoch,
                }
            }


def blob_object(blob: BlobObject) -> dict[str, Any]:
    """A Blob object."""
    return {
        "id": blob.object_id,
        "registeredEpoch": blob.registered_epoch,
        "blobId": blob_ids.to_text(blob.blob_id),
        "size": blob.size,
        "encodingType": EncodingType(blob.encoding_type).label,
        "certifiedEpoch": blob.certified_epoch,
        "storage": {
            "id": blob.storage.object_id,
            "startEpoch": blob.storage.start_epoch,
            "endEpoch": blob.storage.end_epoch,
            "storageSize": blob.storage.size,
        },
        "deletable": blob.deletable,
    }


def _operation(operation: store.ResourceOperation) -> dict[str, Any]:
    match operation:
        case store.RegisterFromScratch(encoded_length, epochs_ahead):
            return {"registerFromScratch": {"encodedLength": encoded_length, "epochsAhead": epochs_ahead}}
        case store.ReuseRegistration(encoded_length):
            return {"reuseRegistration": {"encodedLength": encoded_length}}
        case store.ReuseStorage(encoded_length):
            return {"reuseStorage": {"encodedLength": encoded_length}}
