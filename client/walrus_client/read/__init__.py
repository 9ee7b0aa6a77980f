"""Reading blobs from storage nodes."""

from walrus_client.read.reader import (
    ConsistencyCheck,
    ReadBlob,
    Reader,
    range_footprint,
    read_footprint,
    with_members,
)
from walrus_client.read.streaming import BlobStream

__all__ = [
    "BlobStream",
    "ConsistencyCheck",
    "ReadBlob",
    "Reader",
    "range_footprint",
    "read_footprint",
    "with_members",
]
