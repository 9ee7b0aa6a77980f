"""Reading blobs from storage nodes."""

from walrus_client.read.reader import ConsistencyCheck, ReadBlob, Reader, range_footprint, with_members

__all__ = ["ConsistencyCheck", "ReadBlob", "Reader", "range_footprint", "with_members"]
