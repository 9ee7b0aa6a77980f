"""New code for the contract, the votes for it, and the upgrade that they allow."""

from collections.abc import Callable
from typing import Any

import pytest

from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger.failures import (
    Failure,
)
from walrus_sui.devnet.ledger.upgrades import package_digest
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.core.packages import STD, SUI
from walrus_sui.devnet.testing import Chain, Node, TransactionFailed

CODE = (b"new code", b"more of it")
DEPENDENCIES = (ObjectId(STD), ObjectId(SUI))
DIGEST = package_digest(CODE, DEPENDENCIES)
Network = tuple[Chain, list[Node]]
Step = Callable[[Chain, list[Node]], None]


def abort_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


def vote(chain: Chain, voter: Node, digest: bytes = DIGEST, **options: Any) -> list[str]:
    chain.call(
        "upgrade::vote_for_upgrade",
        sender=options.pop("sender", voter.account),
        node_id=voter.node_id,
        digest=digest,
        **options,
    )
    return [type(event).__name__ for event in chain.last.events]


def upgrade(chain: Chain, *, digest: bytes = DIGEST, code: tuple[bytes, ...] = CODE, **options: Any) -> ObjectId:
    """Makes the upgrade that was voted for; gives the new package's id."""
    current = chain.package("walrus")
    program = chain.program("bob")
    ticket = program.call("upgrade::authorize_upgrade", digest=digest, at=options.get("at"))
    package = options.get("package", chain.value(chain.network.upgrade_manager).cap.package)
    receipt = program.upgrade(ticket, code, options.get("dependencies", DEPENDENCIES), package=package)
    program.call("upgrade::commit_upgrade", receipt=receipt)
    executed = program.run()
    (made,) = [obj for obj in executed.output_objects if obj.is_package]
    assert chain.package("walrus") == current
    return made.object_id


def carried(chain: Chain, nodes: list[Node]) -> ObjectId:
    """A whole upgrade, not migrated yet."""
    for node in nodes[:3]:
        vote(chain, node)
    return upgrade(chain)


def refusal(call: Callable[[], Any]) -> Failure:
    with pytest.raises(TransactionFailed) as caught:
        call()
    return caught.value.failure
