"""The package ``wal_exchange``: SUI for WAL at a fixed rate, on test networks."""
