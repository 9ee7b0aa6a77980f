"""What the ledger answers to questions: frozen views over its state, ready to be rendered by a server."""

from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.programs import Argument


@dataclass(frozen=True, slots=True)
class TypedValue:
    """A Move value as its canonical type text and its BCS."""

    type: str
    bcs: bytes


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """What one command of a simulated transaction gave.

    Attributes:
        return_values: its results in order.
        mutated_by_ref: arguments it took by ``&mut``, with their value afterwards.
    """

    return_values: tuple[TypedValue, ...]
    mutated_by_ref: tuple[tuple[Argument, TypedValue], ...]


@dataclass(frozen=True)
class Simulated:
    """A transaction that was run without taking effect.

    Attributes:
        executed: as if it had run, gas payment chosen and filled in; signatures are empty.
        outputs: of each command that ran, up to a failing one.
        mock_gas: whether the payer had no coin and an invented one paid.
    """

    executed: Executed
    outputs: tuple[CommandOutput, ...]
    mock_gas: bool


@dataclass(frozen=True, slots=True)
class DynamicField:
    """One dynamic field of an object.

    Attributes:
        parent: the object that has the field.
        field_id: id of the ``0x2::dynamic_field::Field`` object.
        name: the field's name; for object fields without its ``Wrapper``.
        value: the field's value; for object fields the id of the child.
        value_type: type of the value; for object fields of the child object.
        child_id: for object fields the child's id, otherwise None.
    """

    parent: ObjectId
    field_id: ObjectId
    name: TypedValue
    value: TypedValue
    value_type: str
    child_id: ObjectId | None


@dataclass(frozen=True, slots=True)
class CoinInfo:
    """A kind of coin; supply in the smallest unit."""

    coin_type: str
    decimals: int
    symbol: str
    name: str
    description: str
    icon_url: str
    metadata_id: ObjectId
    treasury_id: ObjectId | None
    total_supply: int


@dataclass(frozen=True, slots=True)
class EpochInfo:
    """The Sui epoch, of which a devnet has only the first."""

    epoch: int
    start_ms: int
    reference_gas_price: int
    protocol_version: int
    chain_id: str


@dataclass(frozen=True, slots=True)
class SignatureType:
    """A type in a function signature.

    Attributes:
        kind: ``ADDRESS``, ``BOOL``, ``U8`` ... ``U256``, ``VECTOR``, ``DATATYPE`` or ``TYPE_PARAMETER``.
        reference: None, ``IMMUTABLE`` or ``MUTABLE``; only at the top of a parameter.
        type_name: for datatypes ``address::module::Name``, canonical.
        arguments: element of a vector, type arguments of a datatype.
        type_parameter: for type parameters which one.
    """

    kind: str
    reference: str | None = None
    type_name: str = ""
    arguments: tuple["SignatureType", ...] = ()
    type_parameter: int | None = None


@dataclass(frozen=True, slots=True)
class Datatype:
    """A struct or enum, as ``GetDatatype`` serves it.

    Attributes:
        package: where it was first defined.
        abilities: in capitals.
        type_parameters: how many.
        fields: name and type of each field of a struct; phantom type arguments of the types are left out.
        variants: name and fields of each variant; None for a struct.
    """

    package: ObjectId
    module: str
    name: str
    abilities: tuple[str, ...]
    type_parameters: int
    fields: tuple[tuple[str, SignatureType], ...]
    variants: tuple[tuple[str, tuple[tuple[str, SignatureType], ...]], ...] | None


@dataclass(frozen=True, slots=True)
class FunctionSignature:
    """Signature of a callable function, as ``GetFunction`` serves it.

    Attributes:
        visibility: ``PUBLIC`` or ``PRIVATE``.
        is_entry: whether it may be called although private.
        type_parameters: abilities that each type parameter must have, e.g. ``("KEY", "STORE")``.
        parameters: all of them, the ``TxContext`` included.
        parameter_names: in the same order.
        returns: result types.
    """

    package: ObjectId
    module: str
    name: str
    visibility: str
    is_entry: bool
    type_parameters: tuple[tuple[str, ...], ...]
    parameters: tuple[SignatureType, ...]
    parameter_names: tuple[str, ...]
    returns: tuple[SignatureType, ...]
