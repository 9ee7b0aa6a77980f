"""The embedded devnet: a Sui-compatible ledger that runs native versions of the Walrus contracts.

A transaction arrives at ``server`` as protobuf, is decided and executed by ``ledger`` (pure), which calls the Move
modules written down in ``move`` (pure), and reaches disk when the checkpoint that holds it is closed.
"""
