"""CPU-bound work of nodes and clients, off the event loop."""

from walrus_client.compute.compute import Compute
from walrus_client.compute.segments import Segment

__all__ = ["Compute", "Segment"]
