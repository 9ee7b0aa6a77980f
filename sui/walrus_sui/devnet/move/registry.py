"""All native modules of the devnet, by package; the one place where the list stands.

Everything that can be called or named in a transaction is looked up here.
"""

from functools import lru_cache

from walrus_sui.devnet.move.core import types
from walrus_sui.devnet.move.core.module import Function, Module
from walrus_sui.devnet.move.core.structs import StructDeclaration
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import MoveType
from walrus_sui.devnet.move.framework import bls12381, coin, collections, fields, objects, package, pay, std
from walrus_sui.devnet.move.wal import wal
from walrus_sui.devnet.move.wal_exchange import wal_exchange
from walrus_sui.devnet.move.walrus import (
    active_set,
    apportionment,
    auth,
    blob,
    bls_aggregate,
    committee,
    encoding,
    epoch_parameters,
    event_blob,
    events,
    exchange_rate,
    extended_field,
    init,
    messages,
    metadata,
    node_metadata,
    pending_values,
    shared_blob,
    slashing,
    staked_wal,
    staking_inner,
    staking_nodes,
    staking_pool,
    storage_accounting,
    storage_node,
    storage_pool,
    storage_resource,
    system,
    system_attestations,  # noqa: F401 - has functions of module system
    system_pools,  # noqa: F401 - has functions of module system
    system_state_inner,
    upgrade,
)
from walrus_sui.devnet.move.walrus_subsidies import epoch_balance, walrus_subsidies, walrus_subsidies_inner

MODULES: tuple[Module, ...] = (
    std.OPTION,
    std.STRINGS,
    std.ASCIIS,
    objects.OBJECT,
    objects.TRANSFER,
    objects.TX_CONTEXT,
    objects.CLOCK,
    coin.SUI_COIN,
    coin.URL,
    coin.BALANCE,
    coin.COIN,
    pay.PAY,
    collections.VEC_MAP,
    collections.VEC_SET,
    collections.PRIORITY_QUEUE,
    fields.DYNAMIC_FIELD,
    fields.DYNAMIC_OBJECT_FIELD,
    fields.TABLE,
    fields.OBJECT_TABLE,
    fields.BAG,
    package.PACKAGE,
    bls12381.BLS12381,
    bls12381.GROUP_OPS,
    messages.BCS,
    wal.MODULE,
    wal_exchange.MODULE,
    active_set.MODULE,
    apportionment.QUEUE,
    auth.MODULE,
    blob.MODULE,
    bls_aggregate.MODULE,
    committee.MODULE,
    encoding.MODULE,
    epoch_parameters.MODULE,
    event_blob.MODULE,
    events.MODULE,
    exchange_rate.MODULE,
    extended_field.MODULE,
    init.MODULE,
    messages.MODULE,
    metadata.MODULE,
    node_metadata.MODULE,
    pending_values.MODULE,
    shared_blob.MODULE,
    slashing.MODULE,
    staked_wal.MODULE,
    staking_nodes.MODULE,  # the whole of the contract's module staking
    staking_inner.MODULE,
    staking_pool.MODULE,
    storage_accounting.MODULE,
    storage_node.MODULE,
    storage_pool.MODULE,
    storage_resource.MODULE,
    system.MODULE,
    system_state_inner.MODULE,
    upgrade.MODULE,
    epoch_balance.MODULE,
    walrus_subsidies_inner.MODULE,
    walrus_subsidies.MODULE,
)

_BY_NAME = {(module.package, module.name): module for module in MODULES}

_SCALARS: dict[str, MoveType] = {
    move_type.tag.name: move_type
    for move_type in (
        types.BOOL,
        types.U8,
        types.U16,
        types.U32,
        types.U64,
        types.U128,
        types.U256,
        types.ADDRESS,
    )
}


class UnknownType(LookupError):  # noqa: N818 - read as a condition
    """No native module declares this type, or it has another number of type arguments."""


def module(package: str, name: str) -> Module | None:
    """A module by the alias or framework address of its package."""
    return _BY_NAME.get((package, name))


def modules_of(package: str) -> tuple[Module, ...]:
    """All modules of a package."""
    return tuple(item for item in MODULES if item.package == package)


def function(package: str, module_name: str, name: str) -> Function | None:
    """A callable function."""
    found = module(package, module_name)
    return None if found is None else found.functions.get(name)


def declaration(tag: TypeTag) -> StructDeclaration:
    """Declaration of a struct; raises `UnknownType`."""
    found = module(tag.address, tag.module)
    if found is None or tag.name not in found.structs:
        raise UnknownType(f"no type {tag}")
    return found.structs[tag.name]


@lru_cache(maxsize=4096)
def resolve(tag: TypeTag) -> MoveType:
    """The concrete type of a tag with package aliases.

    Raises:
        UnknownType: no native module declares it.
    """
    if tag.is_vector:
        return types.BYTES if tag.params[0].name == "u8" else types.Vector(resolve(tag.params[0]))
    if not tag.is_struct:
        if tag.name not in _SCALARS:
            raise UnknownType(f"no values of type {tag}")
        return _SCALARS[tag.name]
    declared = declaration(tag)
    if declared.type_parameters != len(tag.params):
        raise UnknownType(f"{tag.name} takes {declared.type_parameters} type arguments")
    return declared.build(tuple(resolve(param) for param in tag.params))


def type_of_struct(cls: type[object]) -> MoveType:
    """The Move type of a registered class; phantom type arguments do not matter for its layout."""
    return types.type_of(cls)
