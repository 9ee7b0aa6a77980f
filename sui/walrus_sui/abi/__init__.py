"""The official Walrus Move ABI as pure functions: calls out, objects in.

One module per Move module. Builders turn typed arguments into commands of a `ptb.Program`; decoders turn BCS of the
official object layouts into `walrus_sui.types`. Nothing here knows how transactions travel: `walrus_sui.client` does.

Framework functions that the programs use beside Walrus's own: `0x2::vec_map::empty` and `insert` (node metadata).
Splitting, merging and transferring coins are commands of Sui itself.
"""
