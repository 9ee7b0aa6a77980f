"""The package ``walrus``: staking, committees, epochs, storage, blobs.

One Python module per Move module, of the same name, with Move's names for structs, functions and abort codes. The order
of checks is the contract's. Facts: contracts of the Walrus repository, version 4.
"""
