"""A devnet in one object, for tests and tools: no server, no disk, a clock that is set by hand.

`Chain.call` runs one public function by its Move name with arguments named as in the Move signature, as a real signed
transaction; `Chain.program` puts several commands into one. Accounts are made from names and have money. What a call
returns comes back as Python values; objects go to the sender and come back as handles with their id.

    chain = Chain()
    alice = chain.account("alice")
    stake = chain.call("staking::stake_with_pool", sender=alice, to_stake=chain.coin(alice, 10**9), node_id=node)
    chain.advance(ms=600_000)
"""

from walrus_sui.devnet.testing.accounts import Account, Node, bls_secret
from walrus_sui.devnet.testing.chain import START_MS, Chain
from walrus_sui.devnet.testing.outcome import TransactionFailed
from walrus_sui.devnet.testing.program import BUDGET, Program, Returned

__all__ = [
    "BUDGET",
    "START_MS",
    "Account",
    "Chain",
    "Node",
    "Program",
    "Returned",
    "TransactionFailed",
    "bls_secret",
]
