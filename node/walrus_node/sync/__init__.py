"""Shards that this node has gained: their slivers come from the previous owners."""
