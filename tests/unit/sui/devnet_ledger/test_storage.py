from typing import Any

import pytest

from walrus_codec import blob_id as blob_ids
from walrus_codec.params import CodeParams
from walrus_codec.types import BlobId, EncodingType, Epoch, ObjectId
from walrus_sui import messages
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.testing import Chain, Node, TransactionFailed

WAL = 10**9
MIB = 1024**2
SIZE = 1_000
ROOT = bytes(range(32))
BLOB = blob_ids.compute(ROOT, EncodingType.RS2, SIZE)
ENCODED = CodeParams(100, EncodingType.RS2).encoded_length(SIZE)
Network = tuple[Chain, list[Node]]


def number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def abort_of(call: Any) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


def store(chain: Chain, coin: ObjectId, **changes: Any) -> ObjectId:
    """Reserves and registers in one transaction; gives the blob object."""
    alice = chain.account("alice")
    given: dict[str, Any] = {
        "storage_amount": ENCODED,
        "epochs_ahead": 3,
        "blob_id": number(BLOB),
        "root_hash": number(ROOT),
        "size": SIZE,
        "encoding_type": 1,
        "deletable": False,
    }
    given |= changes
    program = chain.program(alice)
    amount, epochs = given.pop("storage_amount"), given.pop("epochs_ahead")
    storage = program.call("system::reserve_space", storage_amount=amount, epochs_ahead=epochs, payment=coin)
    blob = program.call("system::register_blob", storage=storage, write_payment=coin, **given)
    program.transfer([blob], alice.address)
    executed = program.run()
    (made,) = [obj for obj in executed.output_objects if obj.type.endswith("::blob::Blob")]
    return made.object_id


def certify(chain: Chain, blob: ObjectId, message: bytes, signers: list[Node]) -> Any:
    arguments = chain.certificate(message, signers)
    return chain.call("system::certify_blob", sender=chain.account("alice"), blob=blob, **arguments)


def confirmation(epoch: int = 1, blob_id: BlobId = BLOB, object_id: ObjectId | None = None) -> bytes:
    persistence = messages.Permanent() if object_id is None else messages.Deletable(object_id)
    return messages.confirmation(blob_id, Epoch(epoch), persistence)


def test_a_blob_lives(network: Network) -> None:
    chain, nodes = network
    alice = chain.account("alice")
    coin = chain.coin(alice, WAL)
    blob_object = store(chain, coin)
    blob = chain.value(blob_object)
    assert (blob.blob_id, blob.size, blob.encoding_type, blob.deletable) == (number(BLOB), SIZE, 1, False)
    assert (blob.registered_epoch, blob.certified_epoch) == (1, None)
    assert (blob.storage.start_epoch, blob.storage.end_epoch, blob.storage.storage_size) == (1, 4, ENCODED)
    # 1 MiB at 5 per epoch for 3 epochs, and 1 for writing.
    assert chain.value(coin).balance.value == WAL - 3 * 5 - 1
    ring = chain.system().future_accounting
    assert [ring.ring_lookup(offset).rewards_to_distribute.value for offset in range(4)] == [6, 5, 5, 0]
    assert [ring.ring_lookup(offset).used_capacity for offset in range(4)] == [ENCODED] * 3 + [0]
    assert chain.system().used_capacity_size == ENCODED
    certify(chain, blob_object, confirmation(), nodes[:3])
    assert chain.value(blob_object).certified_epoch == 1
    types = [event.type.rsplit("::", 1)[1] for item in chain.ledger.pending() for event in item.events]
    assert types[-2:] == ["BlobRegistered", "BlobCertified"]
    for view, expected in (
        ("blob_id", number(BLOB)),
        ("size", SIZE),
        ("end_epoch", 4),
        ("is_deletable", False),
        ("encoding_type", 1),
        ("registered_epoch", 1),
        ("object_id", blob_object),
    ):
        assert chain.call(f"blob::{view}", sender=alice, self=blob_object) == expected
    assert chain.call("blob::encoded_size", sender=alice, self=blob_object, n_shards=100) == ENCODED


@pytest.mark.parametrize(("deletable", "epochs"), [(False, 1), (True, 53)])
def test_events_carry_the_blob(network: Network, deletable: bool, epochs: int) -> None:
    chain, nodes = network
    blob_object = store(chain, chain.coin(chain.account("alice"), WAL), deletable=deletable, epochs_ahead=epochs)
    certify(chain, blob_object, confirmation(object_id=blob_object if deletable else None), nodes)
    found = [event for item in chain.ledger.pending() for event in item.events]
    registered, certified = (chain.type_of(event.type).from_bcs(event.contents) for event in found[-2:])
    assert (registered.epoch, registered.blob_id, registered.size) == (1, number(BLOB), SIZE)
    assert (registered.encoding_type, registered.end_epoch, registered.deletable) == (1, 1 + epochs, deletable)
    assert registered.object_id == certified.object_id == blob_object
    assert (certified.epoch, certified.end_epoch, certified.is_extension) == (1, 1 + epochs, False)
    assert (found[-1].package, found[-1].module) == (chain.network.walrus_package, "system")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"epochs_ahead": 0}, ("system_state_inner", 2)),
        ({"epochs_ahead": 54}, ("system_state_inner", 2)),
        ({"storage_amount": 0}, ("system_state_inner", 11)),
        ({"storage_amount": 4 * 10**12 + 1}, ("system_state_inner", 1)),
        ({"storage_amount": ENCODED - 1}, ("blob", 3)),
        ({"blob_id": number(BLOB) + 1}, ("blob", 6)),
        ({"root_hash": number(ROOT) + 1}, ("blob", 6)),
        ({"size": SIZE - 1}, ("blob", 6)),
        ({"encoding_type": 0}, ("encoding", 0)),
        ({"encoding_type": 128}, ("blob", 6)),
        # Size of the storage before the blob id.
        ({"storage_amount": ENCODED - 1, "blob_id": 0}, ("blob", 3)),
    ],
)
def test_bad_registrations_are_refused(network: Network, changes: dict[str, Any], expected: tuple[str, int]) -> None:
    chain, _ = network
    coin = chain.coin(chain.account("alice"), 10**6 * WAL // 2)
    before = chain.system()
    assert abort_of(lambda: store(chain, coin, **changes)) == expected
    assert chain.system() == before
    assert chain.value(coin).balance.value == 10**6 * WAL // 2


def test_payment_must_suffice(network: Network) -> None:
    chain, _ = network
    alice = chain.account("alice")
    assert abort_of(lambda: store(chain, chain.coin(alice, 14))) == ("balance", 2)  # storage
    assert abort_of(lambda: store(chain, chain.coin(alice, 15))) == ("balance", 2)  # writing
    store(chain, chain.coin(alice, 16))


def test_payment_comes_before_capacity(network: Network) -> None:
    chain, _ = network
    coin = chain.coin(chain.account("alice"), 1)
    assert abort_of(lambda: store(chain, coin, storage_amount=4 * 10**12 + 1)) == ("balance", 2)


def test_capacity_is_used_up_exactly(network: Network) -> None:
    chain, _ = network
    alice = chain.account("alice")
    coin = chain.coin(alice, 10**5 * WAL)

    def reserve(amount: int, epochs: int) -> Any:
        return chain.call(
            "system::reserve_space", sender=alice, storage_amount=amount, epochs_ahead=epochs, payment=coin
        )

    reserve(4 * 10**12 - 10, 2)
    assert abort_of(lambda: reserve(11, 1)) == ("system_state_inner", 1)
    reserve(10, 1)
    assert abort_of(lambda: reserve(11, 2)) == ("system_state_inner", 1)
    assert chain.call("system::used_capacity_size", sender=alice) == 4 * 10**12


def test_storage_for_a_period(network: Network) -> None:
    chain, _ = network
    alice = chain.account("alice")
    coin = chain.coin(alice, WAL)

    def reserve(start: int, end: int) -> Any:
        arguments = {"storage_amount": MIB + 1, "start_epoch": start, "end_epoch": end, "payment": coin}
        return chain.call("system::reserve_space_for_epochs", sender=alice, **arguments)

    storage = reserve(3, 5)
    assert (storage.start_epoch, storage.end_epoch, storage.storage_size) == (3, 5, MIB + 1)
    assert chain.value(coin).balance.value == WAL - 2 * 2 * 5
    assert chain.system().used_capacity_size == 0
    early = reserve(0, 2)  # the past is not sold
    assert (early.start_epoch, early.end_epoch) == (1, 2)
    assert chain.system().used_capacity_size == MIB + 1
    for start, end in ((3, 3), (5, 3), (0, 1), (1, 55)):
        assert abort_of(lambda start=start, end=end: reserve(start, end)) == ("system_state_inner", 2)
    reserve(53, 54)
    views = {"start_epoch": 3, "end_epoch": 5, "size": MIB + 1}
    for view, expected in views.items():
        assert chain.call(f"storage_resource::{view}", sender=alice, self=storage) == expected


def test_storage_must_cover_the_present(network: Network) -> None:
    chain, _ = network
    alice = chain.account("alice")
    coin = chain.coin(alice, WAL)
    program = chain.program(alice)
    storage = program.call(
        "system::reserve_space_for_epochs", storage_amount=ENCODED, start_epoch=2, end_epoch=5, payment=coin
    )
    blob = program.call(
        "system::register_blob",
        storage=storage,
        blob_id=number(BLOB),
        root_hash=number(ROOT),
        size=SIZE,
        encoding_type=1,
        deletable=False,
        write_payment=coin,
    )
    program.transfer([blob], alice.address)
    assert abort_of(program.run) == ("blob", 2)


def test_stored_storage_is_used_later_and_wrapped(network: Network) -> None:
    chain, _ = network
    alice = chain.account("alice")
    coin = chain.coin(alice, WAL)
    storage = chain.call("system::reserve_space", sender=alice, storage_amount=MIB, epochs_ahead=2, payment=coin)
    assert chain.ledger.object(storage.id) is not None
    blob = chain.call(
        "system::register_blob",
        sender=alice,
        storage=storage,
        blob_id=number(BLOB),
        root_hash=number(ROOT),
        size=SIZE,
        encoding_type=1,
        deletable=True,
        write_payment=coin,
    )
    assert chain.ledger.object(storage.id) is None
    assert chain.value(blob.id).storage.id == storage.id
    change = {c.object_id: c for c in chain.ledger.pending()[-1].effects.changed_objects}[storage.id]
    assert change.before is not None
    assert (change.after, change.operation.name) == (None, "NONE")  # wrapped, not deleted


def test_certificates_are_checked(network: Network) -> None:
    chain, nodes = network
    blob = store(chain, chain.coin(chain.account("alice"), WAL))
    other = blob_ids.compute(bytes(32), EncodingType.RS2, SIZE)
    cases = [
        (confirmation(), nodes[:2], ("bls_aggregate", 2)),
        (confirmation(epoch=2), nodes, ("messages", 1)),
        (confirmation(epoch=0), nodes, ("messages", 1)),
        (confirmation(blob_id=other), nodes, ("blob", 6)),
        (confirmation(object_id=blob), nodes, ("blob", 9)),
        (messages.invalid_blob(BLOB, Epoch(1)), nodes, ("messages", 2)),
    ]
    for message, signers, expected in cases:
        assert abort_of(lambda message=message, signers=signers: certify(chain, blob, message, signers)) == expected
    wrong = chain.certificate(confirmation(), nodes[:3]) | {"signers_bitmap": b"\x0f"}
    call = lambda: chain.call("system::certify_blob", sender=chain.account("alice"), blob=blob, **wrong)  # noqa: E731
    assert abort_of(call) == ("bls_aggregate", 1)
    assert chain.value(blob).certified_epoch is None
    certify(chain, blob, confirmation(), nodes[1:])
    assert abort_of(lambda: certify(chain, blob, confirmation(), nodes)) == ("blob", 5)


def test_deletable_certificates_name_their_object(network: Network) -> None:
    chain, nodes = network
    coin = chain.coin(chain.account("alice"), WAL)
    first, second = store(chain, coin, deletable=True), store(chain, coin, deletable=True)
    assert first != second
    assert abort_of(lambda: certify(chain, first, confirmation(object_id=second), nodes)) == ("blob", 10)
    assert abort_of(lambda: certify(chain, first, confirmation(), nodes)) == ("blob", 9)
    certify(chain, first, confirmation(object_id=first), nodes)


def test_a_confirmation_is_useless_after_the_change(network: Network, step: Any) -> None:
    chain, nodes = network
    blob = store(chain, chain.coin(chain.account("alice"), WAL))
    step(chain, nodes)
    assert abort_of(lambda: certify(chain, blob, confirmation(epoch=1), nodes)) == ("messages", 1)
    certify(chain, blob, confirmation(epoch=2), nodes)
    assert chain.value(blob).certified_epoch == 2


def test_an_expired_blob_cannot_be_certified(network: Network, step: Any) -> None:
    chain, nodes = network
    blob = store(chain, chain.coin(chain.account("alice"), WAL), epochs_ahead=1)
    step(chain, nodes)
    assert abort_of(lambda: certify(chain, blob, confirmation(epoch=2), nodes)) == ("blob", 2)


@pytest.mark.parametrize("encoding", list(EncodingType))
def test_only_listed_encodings_are_accepted(encoding: EncodingType) -> None:
    chain = Chain(GenesisConfig(encoding_types=(encoding,)), accounts=("alice",))
    alice = chain.account("alice")
    arguments = {"unencoded_length": SIZE, "n_shards": 100}
    for known in (0, 1, 128, 255):
        call = lambda known=known: chain.call(  # noqa: E731
            "encoding::encoded_blob_length", sender=alice, encoding_type=known, **arguments
        )
        if known == encoding:
            assert call() == ENCODED
        else:
            assert abort_of(call) == ("encoding", 0)


def test_isal_blobs_are_registered(network: Network) -> None:
    chain, nodes = network
    blob_id = blob_ids.compute(ROOT, EncodingType.ISAL, SIZE)
    coin = chain.coin(chain.account("alice"), WAL)
    blob = store(chain, coin, blob_id=number(blob_id), encoding_type=128)
    certify(chain, blob, confirmation(blob_id=blob_id), nodes)
    assert chain.value(blob).encoding_type == 128


def test_a_blob_too_large_for_its_symbols_fails_in_arithmetic(network: Network) -> None:
    chain, _ = network
    too_large = CodeParams(100, EncodingType.RS2).max_blob_size + 1
    coin = chain.coin(chain.account("alice"), WAL)
    with pytest.raises(TransactionFailed, match="MOVE_PRIMITIVE_RUNTIME_ERROR"):
        store(chain, coin, size=too_large)


def test_blobs_can_be_shared_and_funded(network: Network) -> None:
    chain, nodes = network
    alice, bob = chain.account("alice"), chain.account("bob")
    blob = store(chain, chain.coin(alice, WAL))
    chain.call("shared_blob::new", sender=alice, blob=blob)
    assert chain.ledger.object(blob) is None
    (shared,) = [obj for obj in chain.ledger.objects() if obj.type.endswith("::shared_blob::SharedBlob")]
    assert chain.value(shared.object_id).blob.id == blob
    chain.call("shared_blob::fund", sender=bob, self=shared.object_id, added_funds=chain.coin(bob, 77))
    assert chain.value(shared.object_id).funds.value == 77
    second = store(chain, chain.coin(alice, WAL))
    certify(chain, second, confirmation(), nodes)
    chain.call("shared_blob::new_funded", sender=alice, blob=second, funds=chain.coin(alice, 5))
    funds = [
        chain.value(obj.object_id).funds.value
        for obj in chain.ledger.objects()
        if obj.type.endswith("::shared_blob::SharedBlob")
    ]
    assert sorted(funds) == [5, 77]
