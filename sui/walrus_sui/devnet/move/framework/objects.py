"""Objects, their transfer, the transaction context and the clock (modules object, transfer, tx_context, clock)."""

from dataclasses import dataclass
from typing import Any

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.devnet.move.core.aborts import require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import SUI
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, ID_TYPE, UID, UID_TYPE, MoveType, address, u64

OBJECT = Module(SUI, "object")
TRANSFER = Module(SUI, "transfer")
TX_CONTEXT = Module(SUI, "tx_context")
CLOCK = Module(SUI, "clock")

OBJECT.native(ID_TYPE)
OBJECT.native(UID_TYPE)


@TX_CONTEXT.struct("drop", name="TxContext")
@dataclass(slots=True)
class TxContext:
    """Declared so that signatures can name it; native functions use the `Runtime` instead."""


@CLOCK.struct("key")
@dataclass(slots=True)
class Clock:
    """The shared clock, object 0x6.

    Attributes:
        id: 0x6.
        timestamp_ms: time of the last closed checkpoint.
    """

    id: UID
    timestamp_ms: u64


@CLOCK.public("(clock: &Clock): u64")
def timestamp_ms(_rt: Runtime, clock: Clock) -> int:
    """The time in milliseconds since 1970."""
    return clock.timestamp_ms


@OBJECT.public("(bytes: address): ID")
def id_from_address(_rt: Runtime, bytes: address) -> ID:  # noqa: A002 - the parameter's name in Move
    """An id from an address."""
    return ID_TYPE.copy(bytes)  # type: ignore[no-any-return]


@OBJECT.public("<T: key>(obj: &T): ID", name="id")
def id_of(_rt: Runtime, _types: tuple[MoveType, ...], obj: Any) -> ObjectId:
    """Id of an object."""
    object_id: ObjectId = obj.id
    return object_id


@OBJECT.public("<T: key>(obj: &T): address")
def id_address(_rt: Runtime, _types: tuple[MoveType, ...], obj: Any) -> ObjectId:
    """Id of an object, as an address."""
    object_id: ObjectId = obj.id
    return object_id


@OBJECT.public("(id: &ID): address")
def id_to_address(_rt: Runtime, id: ObjectId) -> ObjectId:  # noqa: A002 - the parameter's name in Move
    """An address from an id."""
    return id


@TX_CONTEXT.public("(self: &TxContext): address")
def sender(rt: Runtime) -> SuiAddress:
    """Who signed the transaction."""
    return rt.sender


E_SHARED_NON_NEW_OBJECT = TRANSFER.error(0, "ESharedNonNewObject")


@TRANSFER.public("<T: key + store>(obj: T, recipient: address)")
def public_transfer(rt: Runtime, types: tuple[MoveType, ...], obj: Any, recipient: SuiAddress) -> None:
    """Sends an object to an address."""
    rt.transfer(types[0], obj, recipient)


@TRANSFER.public("<T: key + store>(obj: T)")
def public_share_object(rt: Runtime, types: tuple[MoveType, ...], obj: Any) -> None:
    """Shares an object for good; aborts unless this transaction made it."""
    require(obj.id in rt.created, E_SHARED_NON_NEW_OBJECT)
    rt.share(types[0], obj)


@TRANSFER.public("<T: key + store>(obj: T)")
def public_freeze_object(rt: Runtime, types: tuple[MoveType, ...], obj: Any) -> None:
    """Makes an object immutable for good."""
    rt.freeze(types[0], obj)
