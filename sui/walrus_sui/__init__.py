"""The chain side: keys, types, the Walrus ABI, the client of a Sui network, and the embedded devnet."""
