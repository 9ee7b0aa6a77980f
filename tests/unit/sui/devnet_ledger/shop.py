"""A user of storage on a devnet: buys, registers, certifies, and sees what is refused and what is emitted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from walrus_codec import blob_id as blob_ids
from walrus_codec.params import CodeParams
from walrus_codec.types import BlobId, EncodingType, Epoch, ObjectId
from walrus_sui import messages
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.testing import Account, Chain, Node

WAL = 10**9
MIB = 1024**2
SIZE = 1_000
ENCODED = CodeParams(100, EncodingType.RS2).encoded_length(SIZE)


def number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def abort_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


def blob_arguments(label: str = "cat", size: int = SIZE) -> dict[str, Any]:
    """What registering takes of a blob: its id, root, size and encoding."""
    root = label.encode().ljust(32, b"\0")
    blob_id = number(blob_ids.compute(root, EncodingType.RS2, size))
    return {"blob_id": blob_id, "root_hash": number(root), "size": size, "encoding_type": 1}


@dataclass
class Shop:
    """Alice and her purse, in epoch 1 of a network with four nodes of 25 shards."""

    chain: Chain
    nodes: list[Node]
    coin: ObjectId = field(init=False)

    def __post_init__(self) -> None:
        self.coin = self.chain.coin(self.alice, 100 * WAL)

    @property
    def alice(self) -> Account:
        return self.chain.account("alice")

    @property
    def epoch(self) -> int:
        return self.chain.system().epoch

    @property
    def purse(self) -> int:
        value: int = self.chain.value(self.coin).balance.value
        return value

    def call(self, function: str, /, **arguments: Any) -> Any:
        return self.chain.call(function, sender=self.alice, **arguments)

    def refusal(self, function: str, /, **arguments: Any) -> tuple[str, int]:
        return abort_of(lambda: self.call(function, **arguments))

    def fund(self, epochs: int) -> list[int]:
        ring = self.chain.system().future_accounting
        return [ring.ring_lookup(offset).rewards_to_distribute.value for offset in range(epochs)]

    def used(self, epochs: int) -> list[int]:
        ring = self.chain.system().future_accounting
        return [ring.ring_lookup(offset).used_capacity for offset in range(epochs)]

    def events(self) -> list[Any]:
        """Events of the last transaction, decoded."""
        found = self.chain.ledger.pending()[-1].events
        return [self.chain.type_of(event.type).from_bcs(event.contents) for event in found]

    # Storage and blobs

    def buy(self, size: int, start: int, end: int) -> ObjectId:
        arguments = {"storage_amount": size, "start_epoch": start, "end_epoch": end, "payment": self.coin}
        made: ObjectId = self.call("system::reserve_space_for_epochs", **arguments).id
        return made

    def seen(self, storage: ObjectId) -> tuple[int, int, int]:
        value = self.chain.value(storage)
        return value.storage_size, value.start_epoch, value.end_epoch

    def store(self, *, epochs: int = 3, deletable: bool = False, storage: ObjectId | None = None) -> ObjectId:
        if storage is None:
            storage = self.buy(ENCODED, self.epoch, self.epoch + epochs)
        arguments = {**blob_arguments(), "deletable": deletable, "write_payment": self.coin}
        made: ObjectId = self.call("system::register_blob", storage=storage, **arguments).id
        return made

    def certify(self, blob: ObjectId, signers: Sequence[Node] | None = None) -> None:
        value = self.chain.value(blob)
        persistence = messages.Deletable(blob) if value.deletable else messages.Permanent()
        message = messages.confirmation(BlobId(value.blob_id.to_bytes(32, "little")), Epoch(self.epoch), persistence)
        certificate = self.chain.certificate(message, signers or self.nodes)
        self.call("system::certify_blob", blob=blob, **certificate)

    def certified(self, **options: Any) -> ObjectId:
        blob = self.store(**options)
        self.certify(blob)
        return blob
