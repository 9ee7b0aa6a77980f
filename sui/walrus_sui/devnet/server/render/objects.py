"""Objects, their owners and references as messages."""

from collections.abc import Callable
from typing import Any

from walrus_proto.sui.rpc.v2 import object_pb2
from walrus_sui.devnet.ledger.records import (
    AddressOwner,
    ImmutableOwner,
    Object,
    ObjectOwner,
    ObjectRef,
    Owner,
    Package,
    SharedOwner,
)
from walrus_sui.devnet.server.masks import EVERYTHING, Mask
from walrus_sui.devnet.server.render.values import json_value

AsJson = Callable[[str, bytes], Any]
"""Renders a Move value, given its type and BCS; None when the type is unknown."""


def owner(value: Owner) -> object_pb2.Owner:
    """An owner."""
    match value:
        case AddressOwner(address):
            return object_pb2.Owner(kind=object_pb2.Owner.ADDRESS, address=address)
        case ObjectOwner(object_id):
            return object_pb2.Owner(kind=object_pb2.Owner.OBJECT, address=object_id)
        case SharedOwner(initial_version):
            return object_pb2.Owner(kind=object_pb2.Owner.SHARED, version=initial_version)
        case ImmutableOwner():
            return object_pb2.Owner(kind=object_pb2.Owner.IMMUTABLE)


def reference(value: ObjectRef) -> object_pb2.ObjectReference:
    """An object reference."""
    return object_pb2.ObjectReference(object_id=value.object_id, version=value.version, digest=value.digest)


def package(value: Package) -> object_pb2.Package:
    """A package with its modules' names and code (native modules have none), type origins and dependencies."""
    return object_pb2.Package(
        storage_id=value.object_id,
        original_id=value.type_origins[0].package if value.type_origins else value.object_id,
        version=value.version,
        modules=[object_pb2.Module(name=name, contents=code) for name, code in value.modules],
        type_origins=[
            object_pb2.TypeOrigin(module_name=item.module, datatype_name=item.name, package_id=item.package)
            for item in value.type_origins
        ],
        linkage=[
            object_pb2.Linkage(
                original_id=item.original_id, upgraded_id=item.upgraded_id, upgraded_version=item.version
            )
            for item in value.linkage
        ],
    )


def obj(value: Object, as_json: AsJson, mask: Mask = EVERYTHING) -> object_pb2.Object:
    """An object, with what the mask wants of it."""
    message = object_pb2.Object(
        object_id=value.object_id,
        version=value.version,
        owner=owner(value.owner),
        object_type=value.type,
        previous_transaction=value.previous_transaction,
        storage_rebate=value.storage_rebate,
    )
    if mask.has("digest"):
        message.digest = value.digest
    if mask.has("bcs"):
        message.bcs.name, message.bcs.value = "Object", value.to_bcs()
    if value.is_package:
        if mask.has("package"):
            message.package.CopyFrom(package(Package.from_bcs(value.contents)))
    else:
        message.has_public_transfer = value.has_public_transfer
        message.contents.name, message.contents.value = value.type, value.contents
        if mask.has("json") and (rendered := as_json(value.type, value.contents)) is not None:
            message.json.CopyFrom(json_value(rendered))
        if (balance := value.coin_balance) is not None:
            message.balance = balance
    return mask.prune(message)
