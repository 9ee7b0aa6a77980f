"""A devnet in one object, for tests and tools: no server, no disk, a clock that is set by hand.

`Chain.call` runs one public function by its Move name with arguments named as in the Move signature, as a real signed
transaction; `Chain.program` puts several commands into one. Accounts are made from names and have money. What a call
returns comes back as Python values; objects go to the sender and come back as handles. What the contract refuses raises
`MoveAbort` and leaves no trace. `internals` has the contract's own functions that no transaction can call.

    chain = Chain()
    node = chain.add_node("n0")
    stake = chain.call("staking::stake_with_pool", sender="alice", to_stake=10**9, node_id=node)
    chain.next_epoch()

The page ``docs/reference/devnet-testing.md`` tells all of it with examples.
"""

from walrus_sui.devnet.ledger.errors import Rejected
from walrus_sui.devnet.move.core.aborts import ArithmeticFailure, MoveAbort
from walrus_sui.devnet.testing.accounts import Account, Node, bls_secret
from walrus_sui.devnet.testing.chain import START_MS, Chain
from walrus_sui.devnet.testing.handles import Handle, ObjectGone
from walrus_sui.devnet.testing.outcome import Receipt, TransactionFailed
from walrus_sui.devnet.testing.program import BUDGET, Program, Returned
from walrus_sui.devnet.testing.values import ArgumentError

__all__ = [
    "BUDGET",
    "START_MS",
    "Account",
    "ArgumentError",
    "ArithmeticFailure",
    "Chain",
    "Handle",
    "MoveAbort",
    "Node",
    "ObjectGone",
    "Program",
    "Receipt",
    "Rejected",
    "Returned",
    "TransactionFailed",
    "bls_secret",
]
