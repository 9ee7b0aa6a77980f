"""Who may act for a pool (contract module auth).

A pool stores an `Authorized`: an address or an object. Whoever calls proves with an `Authenticated`, which lives only
within one transaction, that he is that address or holds that object.
"""

from dataclasses import dataclass
from typing import Annotated

from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, MoveType, address

MODULE = Module(WALRUS, "auth")


@dataclass(frozen=True, slots=True)
class Sender:
    """The transaction's sender."""

    pos0: address


@dataclass(frozen=True, slots=True)
class Object:
    """An object that the transaction holds."""

    pos0: ID


@dataclass(frozen=True, slots=True)
class Address:
    """An address may act."""

    pos0: address


@dataclass(frozen=True, slots=True)
class ObjectID:
    """Whoever holds the object may act."""

    pos0: ID


MODULE.enum("Authenticated", "drop", Sender, Object)
AUTHORIZED = MODULE.enum("Authorized", "copy, drop, store", Address, ObjectID)

Authenticated = Sender | Object
Authorized = Annotated[Address | ObjectID, AUTHORIZED]


def matches(authenticated: Authenticated, authorized: Authorized) -> bool:
    """Whether the proof is for the one who may act."""
    if isinstance(authenticated, Sender):
        return isinstance(authorized, Address) and authenticated.pos0 == authorized.pos0
    return isinstance(authorized, ObjectID) and authenticated.pos0 == authorized.pos0


@MODULE.public("(ctx: &TxContext): Authenticated")
def authenticate_sender(rt: Runtime) -> Sender:
    """Proof that one is the sender."""
    return Sender(rt.sender)


@MODULE.public("<T: key>(obj: &T): Authenticated")
def authenticate_with_object(_rt: Runtime, _types: tuple[MoveType, ...], obj: "HasId") -> Object:
    """Proof that one holds an object."""
    return Object(obj.id)


@MODULE.public("(addr: address): Authorized")
def authorized_address(_rt: Runtime, addr: address) -> Address:
    """Lets an address act."""
    return Address(addr)


@MODULE.public("(id: ID): Authorized")
def authorized_object(_rt: Runtime, id: ID) -> ObjectID:  # noqa: A002 - the parameter's name in Move
    """Lets the holder of an object act."""
    return ObjectID(id)


class HasId:
    """Any object."""

    id: ID
