"""The Byzantine arithmetic over shards, in the form of the contract.

With n shards at most f = (n − 1) // 3 of them may belong to faulty nodes. The contract counts with `3w ≥ 2n + 1` and
`3w ≥ n + 1` (contract module bls_aggregate); other forms in use agree with it only when n ≡ 1 (mod 3), so this module is
the only place where weights are compared.

* Two sets of quorum weight share at least f + 1 shards: one of them is honest.
* A set of one-honest weight cannot consist of faulty nodes only.
"""


def max_faulty(n_shards: int) -> int:
    """f, the number of shards that may be faulty."""
    return (n_shards - 1) // 3


def is_quorum(weight: int, n_shards: int) -> bool:
    """Whether shards of this total weight may decide for the network."""
    return 3 * weight >= 2 * n_shards + 1


def is_one_honest(weight: int, n_shards: int) -> bool:
    """Whether shards of this total weight hold at least one honest shard."""
    return 3 * weight >= n_shards + 1


def quorum_weight(n_shards: int) -> int:
    """The least weight for which `is_quorum` holds."""
    return (2 * n_shards + 3) // 3


def one_honest_weight(n_shards: int) -> int:
    """The least weight for which `is_one_honest` holds."""
    return (n_shards + 3) // 3
