"""Storing blobs."""

from walrus_client.store.store import BeforePaying, Store, StoreChain
from walrus_client.store.types import (
    AfterStore,
    AlreadyCertified,
    KeepObject,
    NewlyCreated,
    RegisterFromScratch,
    ResourceOperation,
    ReuseRegistration,
    ReuseStorage,
    SendObject,
    ShareObject,
    StoreOptions,
    StoreResult,
)

__all__ = [
    "AfterStore",
    "AlreadyCertified",
    "BeforePaying",
    "KeepObject",
    "NewlyCreated",
    "RegisterFromScratch",
    "ResourceOperation",
    "ReuseRegistration",
    "ReuseStorage",
    "SendObject",
    "ShareObject",
    "Store",
    "StoreChain",
    "StoreOptions",
    "StoreResult",
]
