"""Native versions of the Move packages that the devnet publishes at genesis.

``core`` is the language: type tags, BCS layouts, abilities, aborts, function tables, the run-time that a function sees.
``framework``, ``wal``, ``wal_exchange`` and ``walrus`` hold one Python module per Move module.
"""
