"""The package ``wal``: the WAL coin."""
