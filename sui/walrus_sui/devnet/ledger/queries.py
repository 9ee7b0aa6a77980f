"""Questions about the state: balances, dynamic fields, coin kinds, function signatures, JSON.

Pure functions over `State`; `Ledger` offers them with its own state filled in.
"""

from collections.abc import Callable, Iterable

from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.objects import AddressOwner, Object
from walrus_sui.devnet.ledger.state import State
from walrus_sui.devnet.ledger.views import CoinInfo, DynamicField, FunctionSignature, SignatureType, TypedValue
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.packages import SUI, Packages
from walrus_sui.devnet.move.core.signatures import Parameter
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import JSON
from walrus_sui.devnet.move.framework.coin import CoinMetadata, TreasuryCap
from walrus_sui.devnet.move.framework.fields import FieldType, WrapperType

_FIELD_HEAD = (SUI, "dynamic_field", "Field")
_METADATA_HEAD = (SUI, "coin", "CoinMetadata")
_TREASURY_HEAD = (SUI, "coin", "TreasuryCap")
_TOTAL_SUI = 10_000_000_000 * 10**9


def owned_objects(state: State, owner: str, type_filter: str | None) -> list[Object]:
    """Objects of an address, sorted by id.

    Args:
        state: live objects.
        owner: canonical address.
        type_filter: a type in any spelling; without type arguments it matches every instance.

    Raises:
        tags.TypeTagError: the filter is not a type.
    """
    return [obj for obj in state.owned_by(owner, _type_filter(type_filter)) if isinstance(obj.owner, AddressOwner)]


def _type_filter(text: str | None) -> Callable[[str], bool] | None:
    if text is None:
        return None
    wanted = tags.parse(text)
    if wanted.params or not wanted.is_struct:
        return str(wanted).__eq__
    head = str(wanted)
    return lambda kind: kind == head or kind.startswith(head + "<")


def balances(state: State, owner: str) -> dict[str, int]:
    """Sum of an address's coins, by coin type."""
    found: dict[str, int] = {}
    for obj in owned_objects(state, owner, f"{SUI}::coin::Coin"):
        if obj.coin_type is not None:
            found[obj.coin_type] = found.get(obj.coin_type, 0) + (obj.coin_balance or 0)
    return found


def canonical_type(text: str) -> str:
    """Canonical spelling of a type; raises `tags.TypeTagError`."""
    return str(tags.parse(text))


def dynamic_fields(state: State, packages: Packages, parent: ObjectId) -> list[DynamicField]:
    """Dynamic fields of an object, sorted by the id of the field."""
    found: list[DynamicField] = []
    for obj in state.owned_by(parent):
        tag = tags.parse(obj.type)
        if tag.head == _FIELD_HEAD and not isinstance(obj.owner, AddressOwner):
            found.append(_field(state, packages, parent, obj))
    return found


def _field(state: State, packages: Packages, parent: ObjectId, obj: Object) -> DynamicField:
    field_type = registry.resolve(packages.aliased(tags.parse(obj.type)))
    if not isinstance(field_type, FieldType):
        raise TypeError(f"{obj.type} is no field")
    field = field_type.from_bcs(obj.contents)
    key, value = field_type.key, field_type.value
    is_object = isinstance(key, WrapperType)
    name_type = key.key if isinstance(key, WrapperType) else key
    child = state.get(field.value) if is_object else None

    def published(tag: TypeTag) -> str:
        return str(packages.published(tag))

    return DynamicField(
        parent=parent,
        field_id=obj.object_id,
        name=TypedValue(published(name_type.tag), name_type.to_bcs(field.name)),
        value=TypedValue(published(value.tag), value.to_bcs(field.value)),
        value_type=child.type if child is not None else published(value.tag),
        child_id=field.value if is_object else None,
    )


def coin_info(state: State, coin_type: str) -> CoinInfo | None:
    """What is known of a coin type; None if it has no metadata.

    Raises:
        tags.TypeTagError: not a type.
    """
    wanted = tags.parse(coin_type)
    metadata = _find(state, TypeTag(_METADATA_HEAD[2], (wanted,), *_METADATA_HEAD[:2]))
    if metadata is None:
        return None
    value: CoinMetadata = registry.type_of_struct(CoinMetadata).from_bcs(metadata.contents)
    treasury = _find(state, TypeTag(_TREASURY_HEAD[2], (wanted,), *_TREASURY_HEAD[:2]))
    supply = _TOTAL_SUI
    if treasury is not None:
        cap: TreasuryCap = registry.type_of_struct(TreasuryCap).from_bcs(treasury.contents)
        supply = cap.total_supply.value
    return CoinInfo(
        coin_type=str(wanted),
        decimals=value.decimals,
        symbol=value.symbol,
        name=value.name,
        description=value.description,
        icon_url="" if value.icon_url is None else value.icon_url.url,
        metadata_id=metadata.object_id,
        treasury_id=None if treasury is None else treasury.object_id,
        total_supply=supply,
    )


def _find(state: State, tag: TypeTag) -> Object | None:
    text = str(tag)
    return next(state.of_type(text), None)


def function_signature(packages: Packages, package: str, module: str, name: str) -> FunctionSignature | None:
    """Signature of a function, given its package's id; None if there is none.

    Raises:
        tags.TypeTagError: the package is no address.
    """
    object_id = tags.normalize_address(package)
    function = registry.function(packages.alias_of(object_id), module, name)
    if function is None:
        return None
    signature = function.signature
    return FunctionSignature(
        package=object_id,
        module=module,
        name=name,
        visibility="PUBLIC" if function.is_public else "PRIVATE",
        is_entry=function.is_entry,
        type_parameters=tuple(
            tuple(sorted(ability.upper() for ability in abilities)) for abilities in signature.type_parameters
        ),
        parameters=tuple(_parameter(packages, parameter) for parameter in signature.parameters),
        parameter_names=tuple(parameter.name for parameter in signature.parameters),
        returns=tuple(_parameter(packages, result) for result in signature.returns),
    )


def _parameter(packages: Packages, parameter: Parameter) -> SignatureType:
    reference = {"": None, "&": "IMMUTABLE", "&mut": "MUTABLE"}[parameter.reference]
    return signature_type(packages, parameter.tag, reference)


def signature_type(packages: Packages, tag: TypeTag, reference: str | None = None) -> SignatureType:
    """A type as it stands in signatures and fields."""
    arguments = tuple(signature_type(packages, param) for param in tag.params)
    if tag.name.startswith("$"):
        return SignatureType("TYPE_PARAMETER", reference, type_parameter=int(tag.name[1:]))
    if tag.is_struct:
        name = f"{packages.id_of(tag.address)}::{tag.module}::{tag.name}"
        return SignatureType("DATATYPE", reference, name, arguments)
    return SignatureType(tag.name.upper(), reference, arguments=arguments)


def as_json(packages: Packages, type_text: str, contents: bytes) -> JSON:
    """A Move value as Sui renders it; None for types that no native module declares.

    Raises:
        tags.TypeTagError: not a type.
        bcs.BcsError: the contents are not of this type.
    """
    try:
        move_type = registry.resolve(packages.aliased(tags.parse(type_text)))
    except registry.UnknownType:
        return None
    return move_type.to_json(move_type.from_bcs(contents))


def balance_changes(executed: Executed) -> list[tuple[str, str, int]]:
    """What a transaction moved: owner, coin type and amount (negative when it left), sorted, without zeros."""
    changed: dict[tuple[str, str], int] = {}
    written = {obj.object_id for obj in executed.output_objects}
    replaced = [obj for obj in executed.input_objects if obj.object_id in written or _is_gone(executed, obj.object_id)]
    for sign, objects in ((-1, replaced), (1, executed.output_objects)):
        _add_coins(changed, objects, sign)
    return [(owner, coin, amount) for (owner, coin), amount in sorted(changed.items()) if amount]


def _is_gone(executed: Executed, object_id: ObjectId) -> bool:
    return any(change.object_id == object_id and change.after is None for change in executed.effects.changed_objects)


def _add_coins(changed: dict[tuple[str, str], int], objects: Iterable[Object], sign: int) -> None:
    for obj in objects:
        if obj.coin_type is not None and isinstance(obj.owner, AddressOwner):
            key = (obj.owner.address, obj.coin_type)
            changed[key] = changed.get(key, 0) + sign * (obj.coin_balance or 0)
