"""Move values that only a call can make, made from Python values: proofs of identity, who may act, descriptions.

The contract's ``Authenticated``, ``Authorized``, ``NodeMetadata`` and ``Metadata`` and the framework's ``Balance`` cannot
come in as bytes. When an argument has one of these types, the call that makes it is put into the same transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from walrus_sui.devnet.ledger.programs import Argument
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import MoveType
from walrus_sui.devnet.move.framework.coin import BALANCE, COIN
from walrus_sui.devnet.move.walrus import auth
from walrus_sui.devnet.move.walrus.metadata import Metadata
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata
from walrus_sui.devnet.testing import values
from walrus_sui.devnet.testing.accounts import Account, Node
from walrus_sui.devnet.testing.values import ArgumentError


class MakesCalls(Protocol):
    """What constructors need of a program."""

    sender: Account

    def call(self, function: str, /, *, types: Sequence[str] = (), **arguments: Any) -> Any:
        """Adds a call."""

    def argument(self, value: Any, move_type: MoveType | None, *, mutable: bool) -> Argument:
        """Makes an argument of a value."""

    def named(self, value: Any) -> Any:
        """The account, if the value is the name of one; otherwise the value."""

    def published(self, tag: TypeTag) -> str:
        """A type as text, as this chain writes it."""

    def owns_object(self, address: str) -> bool:
        """Whether an address is the id of a live object."""


def construct(program: MakesCalls, move_type: MoveType, value: Any) -> Argument | None:
    """The call that makes the value, None if its type needs none.

    Raises:
        ArgumentError: the value stands for nothing of this type.
    """
    if move_type.tag.head == BALANCE.tag("Balance").head:
        return _balance(program, move_type.tag.params[0], value)
    make = _CONSTRUCTORS.get(move_type.tag.head)
    return None if make is None else make(program, program.named(value))


def default(program: MakesCalls, move_type: MoveType) -> Argument | None:
    """What an argument of this type is when it is left out, None if it must be given."""
    match move_type.tag.head:
        case (_, "auth", "Authenticated"):
            return _authenticated(program, program.sender)
        case (_, "node_metadata", "NodeMetadata"):
            return _metadata(program, {})
    return None


def _balance(program: MakesCalls, coin_type: TypeTag, value: Any) -> Argument:
    coin = program.argument(value, COIN.concrete("Coin", registry.resolve(coin_type)), mutable=True)
    made: Argument = program.call("coin::into_balance", types=[program.published(coin_type)], coin=coin)[0]
    return made


def _authenticated(program: MakesCalls, value: Any) -> Argument:
    match value:
        case auth.Sender(pos0=address) | Account(address=address):
            if address != program.sender.address:
                raise ArgumentError(
                    f"only {address} can prove to be it, and {program.sender.name} sends: change sender"
                )
            made: Argument = program.call("auth::authenticate_sender")[0]
        case auth.Object(pos0=object_id):
            made = program.call("auth::authenticate_with_object", obj=object_id)[0]
        case _:
            made = program.call("auth::authenticate_with_object", obj=value)[0]
    return made


def _authorized(program: MakesCalls, value: Any) -> Argument:
    match value:
        case auth.Address(pos0=address) | Account(address=address):
            made: Argument = program.call("auth::authorized_address", addr=address)[0]
        case auth.ObjectID(pos0=object_id) | Node(cap_id=object_id):
            made = program.call("auth::authorized_object", id=object_id)[0]
        case _:
            found = values.address_of(value)
            if program.owns_object(found):
                return _authorized(program, auth.ObjectID(found))
            return _authorized(program, auth.Address(found))  # type: ignore[arg-type]  # an address here
    return made


def _attributes(program: MakesCalls, value: Any) -> Argument:
    pairs = value.metadata if isinstance(value, Metadata) else value
    if not isinstance(pairs, Mapping):
        raise ArgumentError(f"{value!r} is no Metadata: give a dictionary")
    made = program.call("metadata::new")
    for key, text in pairs.items():
        program.call("metadata::insert_or_update", self=made, key=key, value=text)
    first: Argument = made[0]
    return first


def _metadata(program: MakesCalls, value: Any) -> Argument:
    match value:
        case NodeMetadata(image_url=image, project_url=project, description=text, extra_fields=extra):
            pass
        case Mapping():
            fields: dict[str, Any] = {"image_url": "", "project_url": "", "description": "", "extra_fields": {}}
            if unknown := set(value) - set(fields):
                raise ArgumentError(f"a NodeMetadata has {', '.join(fields)}, but no {', '.join(sorted(unknown))}")
            image, project, text, extra = (fields | dict(value)).values()
        case _:
            raise ArgumentError(f"{value!r} is no NodeMetadata: give one, or a dictionary of its fields")
    made = program.call("node_metadata::new", image_url=image, project_url=project, description=text)
    if extra:
        program.call("node_metadata::set_extra_fields", metadata=made, extra_fields=extra)
    first: Argument = made[0]
    return first


_CONSTRUCTORS: dict[tuple[str, str, str], Callable[[MakesCalls, Any], Argument]] = {
    (WALRUS, "auth", "Authenticated"): _authenticated,
    (WALRUS, "auth", "Authorized"): _authorized,
    (WALRUS, "metadata", "Metadata"): _attributes,
    (WALRUS, "node_metadata", "NodeMetadata"): _metadata,
}
