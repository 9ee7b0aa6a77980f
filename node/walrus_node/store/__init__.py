"""What the node keeps on disk; the only place that knows RocksDB."""
