"""The package ``walrus``: staking, committees, epochs, storage, blobs.

One Python module per Move module, of the same name, with Move's names for structs, functions and abort codes; only the
functions of ``system`` stand in three (`system`, `system_pools`, `system_attestations`). The order of checks is the
contract's. Facts: contracts of the Walrus repository, version 4.
"""
