"""The checked-in subset of sui.rpc.v2 against the classes of the pinned pysui: the same on the wire."""

import dataclasses
import inspect
import re

import betterproto2
import pysui.sui.sui_grpc.suimsgs.sui.rpc.v2 as theirs
import pytest
from google.protobuf.descriptor import FieldDescriptor

from walrus_proto.sui.rpc.v2 import (
    ledger_service_pb2,
    move_package_service_pb2,
    state_service_pb2,
    subscription_service_pb2,
    transaction_execution_service_pb2,
)

SERVICES = {
    "LedgerService": ledger_service_pb2,
    "StateService": state_service_pb2,
    "MovePackageService": move_package_service_pb2,
    "TransactionExecutionService": transaction_execution_service_pb2,
    "SubscriptionService": subscription_service_pb2,
}
NOT_SERVED = {"ListCheckpoints", "ListTransactions", "ListEvents", "SubscribeTransactions", "SubscribeEvents"}
WELL_KNOWN = {"Timestamp": "datetime.datetime", "Duration": "datetime.timedelta"}


def our_messages():
    found, todo = {}, []
    for name, module in SERVICES.items():
        for method in module.DESCRIPTOR.services_by_name[name].methods:
            todo += [method.input_type, method.output_type]
    while todo:
        message = todo.pop()
        if message.full_name in found or message.file.package != "sui.rpc.v2":
            continue
        found[message.full_name] = message
        todo += [field.message_type for field in message.fields if field.message_type]
    return [message for _, message in sorted(found.items()) if not message.GetOptions().map_entry]


def flat_name(descriptor):
    """betterproto names nested types by joining the names."""
    return descriptor.full_name.removeprefix("sui.rpc.v2.").replace(".", "")


def our_type(field):
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        name = field.message_type.name
        foreign = field.message_type.file.package != "sui.rpc.v2"
        return WELL_KNOWN.get(name, name) if foreign else flat_name(field.message_type)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return flat_name(field.enum_type)
    return next(
        name.removeprefix("TYPE_").lower()
        for name, value in vars(FieldDescriptor).items()
        if name.startswith("TYPE_") and value == field.type
    )


def their_type(field, meta):
    if meta.proto_type not in {"message", "enum"}:
        return meta.proto_type
    text = re.sub(r"\s*\|\s*None$", "", field.type.strip().strip('"'))
    inner = re.match(r"list\[(.*)\]$", text)
    text = (inner.group(1) if inner else text).strip().strip('"')
    return text if text.startswith("datetime.") else text.split(".")[-1]


def our_fields(message):
    fields = {}
    for field in message.fields:
        oneof = field.containing_oneof
        real_oneof = oneof.name if oneof is not None and not oneof.name.startswith("_") else None
        label = "repeated" if field.is_repeated else "optional" if oneof is not None and real_oneof is None else "plain"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            kind = f"map<{our_type(key)}, {'message' if value.message_type else our_type(value)}>"
            label = "map"
        else:
            kind = our_type(field)
        fields[field.number] = (field.name, kind, label, real_oneof)
    return fields


def their_fields(cls):
    fields = {}
    for field in dataclasses.fields(cls):
        meta = betterproto2.FieldMetadata.get(field)
        label = "repeated" if meta.repeated else "optional" if meta.optional and not meta.group else "plain"
        if meta.proto_type == "map":
            key, value = meta.map_meta
            kind, label = f"map<{key.proto_type}, {value.proto_type}>", "map"
        else:
            kind = their_type(field, meta)
        fields[meta.number] = (field.name.rstrip("_"), kind, label, meta.group)
    return fields


MESSAGES = our_messages()


def test_the_whole_closure_is_compared():
    assert len(MESSAGES) > 150


@pytest.mark.parametrize("message", MESSAGES, ids=flat_name)
def test_messages_are_identical(message):
    assert our_fields(message) == their_fields(getattr(theirs, flat_name(message)))


def test_enums_are_identical():
    enums = {
        field.enum_type.full_name: field.enum_type
        for message in MESSAGES
        for field in message.fields
        if field.enum_type
    }
    assert len(enums) > 25
    for enum in enums.values():
        expected = {value.value for value in getattr(theirs, flat_name(enum))}
        assert {value.number for value in enum.values} == expected, enum.full_name


def test_services_are_identical():
    """Paths, requests, answers and the form of each call, from the source of pysui's stubs."""
    source = inspect.getsource(theirs)
    pattern = r'self\._(unary_unary|unary_stream)\(\s*"/([\w.]+)/(\w+)",\s*message,\s*(\w+)'
    calls = {(service, method): (form, answer) for form, service, method, answer in re.findall(pattern, source)}
    for name, module in SERVICES.items():
        service = module.DESCRIPTOR.services_by_name[name]
        offered = {method for owner, method in calls if owner == service.full_name}
        assert offered - NOT_SERVED == {method.name for method in service.methods}
        for method in service.methods:
            form = "unary_stream" if method.server_streaming else "unary_unary"
            assert calls[service.full_name, method.name] == (form, method.output_type.name)
