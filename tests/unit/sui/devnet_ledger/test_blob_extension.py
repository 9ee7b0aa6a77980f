"""A blob is extended, by money or by storage, as far and at the price that the contract says."""

import pytest
from tests.unit.sui.devnet_ledger.blob_life import CAPACITY, CAT, Step, pass_epochs
from tests.unit.sui.devnet_ledger.shop import ENCODED, Shop

from walrus_sui.devnet.move.walrus.events import BlobCertified


def test_an_extension_is_paid_and_reserved_epoch_by_epoch(shop: Shop, step: Step) -> None:
    blob = shop.certified(epochs=2)
    pass_epochs(shop, step, 1)
    before, paid, used = shop.fund(6), shop.purse, shop.used(6)
    shop.call("system::extend_blob", blob=blob, extended_epochs=3, payment=shop.coin)
    # The event names the epoch of the first certification: that committee holds the data.
    assert shop.events() == [BlobCertified(1, CAT, 6, False, blob, True)]
    assert shop.chain.value(blob).storage.end_epoch == 6
    assert shop.purse == paid - 3 * 5
    assert [now - then for now, then in zip(shop.fund(6), before, strict=True)] == [0, 5, 5, 5, 0, 0]
    assert [now - then for now, then in zip(shop.used(6), used, strict=True)] == [0, ENCODED, ENCODED, ENCODED, 0, 0]


def test_extensions_have_the_price_of_today(shop: Shop) -> None:
    blob = shop.certified()
    for node in shop.nodes:
        call = "staking::set_storage_price_vote"
        shop.chain.call(call, sender=node.account, cap=node.cap_id, storage_price=70)
    shop.call("staking::update_prices")
    paid = shop.purse
    shop.call("system::extend_blob", blob=blob, extended_epochs=2, payment=shop.coin)
    assert shop.purse == paid - 2 * 70


def test_extensions_reach_exactly_as_far_as_storage_is_sold(shop: Shop) -> None:
    blob = shop.certified(epochs=3)
    extend = {"blob": blob, "payment": shop.coin}
    assert shop.refusal("system::extend_blob", extended_epochs=51, **extend) == ("system_state_inner", 2)
    assert shop.refusal("system::extend_blob", extended_epochs=0, **extend) == ("system_state_inner", 2)
    shop.call("system::extend_blob", extended_epochs=50, **extend)
    assert shop.chain.value(blob).storage.end_epoch == 54
    assert shop.refusal("system::extend_blob", extended_epochs=1, **extend) == ("system_state_inner", 2)


def test_only_living_certified_blobs_are_extended(shop: Shop, step: Step) -> None:
    uncertified, certified = shop.store(epochs=1), shop.certified(epochs=1)
    extension = shop.buy(ENCODED, 2, 4)
    extend = {"extended_epochs": 1, "payment": shop.coin}
    for blob, code in ((uncertified, 0), (certified, 2)):
        if blob == certified:
            pass_epochs(shop, step, 1)
        assert shop.refusal("system::extend_blob", blob=blob, **extend) == ("blob", code)
        arguments = {"blob": blob, "extension": extension}
        assert shop.refusal("system::extend_blob_with_resource", **arguments) == ("blob", code)
    # Not certified comes before expired, and both before the number of epochs.
    far = {"extended_epochs": 99, "payment": shop.coin}
    assert shop.refusal("system::extend_blob", blob=uncertified, **far) == ("blob", 0)
    assert shop.refusal("system::extend_blob", blob=certified, **far) == ("blob", 2)


def test_an_extension_fits_into_the_capacity_or_nothing_happens(shop: Shop) -> None:
    blob = shop.certified(epochs=1)
    for _ in range(2):  # leaves epoch 3 one byte less than the blob needs
        shop.buy((CAPACITY - ENCODED) // 2, 3, 4)
    shop.buy(1, 3, 4)
    before, paid = shop.chain.system(), shop.purse
    extend = {"blob": blob, "payment": shop.coin}
    assert shop.refusal("system::extend_blob", extended_epochs=2, **extend) == ("system_state_inner", 1)
    assert (shop.chain.system(), shop.purse) == (before, paid)
    shop.call("system::extend_blob", extended_epochs=1, **extend)
    poor = shop.chain.coin(shop.alice, 4)
    refused = shop.refusal("system::extend_blob", blob=blob, extended_epochs=1, payment=poor)
    assert refused == ("balance", 2)  # payment before capacity


def test_storage_that_follows_prolongs_a_blob(shop: Shop, step: Step) -> None:
    blob = shop.certified(epochs=2)
    pass_epochs(shop, step, 1)
    follows = shop.buy(ENCODED, 3, 7)
    shop.call("system::extend_blob_with_resource", blob=blob, extension=follows)
    assert shop.events() == [BlobCertified(1, CAT, 7, False, blob, True)]
    assert shop.chain.value(blob).storage.end_epoch == 7
    assert shop.chain.ledger.object(follows) is None


@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        ((ENCODED, 2, 4), ("blob", 2)),  # must end later
        ((ENCODED + 1, 2, 4), ("blob", 2)),  # that before the size
        ((ENCODED + 1, 4, 5), ("storage_resource", 2)),
        ((ENCODED, 5, 6), ("storage_resource", 1)),
        ((ENCODED, 3, 6), ("storage_resource", 1)),
    ],
)
def test_other_storage_does_not(shop: Shop, extension: tuple[int, int, int], expected: tuple[str, int]) -> None:
    blob, storage = shop.certified(epochs=3), shop.buy(*extension)
    refused = shop.refusal("system::extend_blob_with_resource", blob=blob, extension=storage)
    assert refused == expected
    assert shop.seen(storage) == extension
