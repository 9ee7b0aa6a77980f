"""A blob of the shop, and how epochs pass for it."""

from collections.abc import Callable

from tests.unit.sui.devnet_ledger.shop import Shop, blob_arguments

from walrus_sui.devnet.testing import Chain, Node

Step = Callable[[Chain, list[Node]], None]
CAT = blob_arguments()["blob_id"]
CAPACITY = 4 * 10**12


def pass_epochs(shop: Shop, step: Step, count: int) -> None:
    for _ in range(count):
        step(shop.chain, shop.nodes)
