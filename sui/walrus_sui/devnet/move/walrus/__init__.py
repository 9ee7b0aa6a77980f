"""The package ``walrus``: staking, committees, epochs, storage, blobs.

One Python module per Move module, of the same name, with Move's names for structs, functions and abort codes (module
`system` also has the functions of `system_pools` and `system_attestations`). The order
of checks is the contract's. Facts: contracts of the Walrus repository, version 4.
"""
