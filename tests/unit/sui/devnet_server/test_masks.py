import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from walrus_proto.sui.rpc.v2 import effects_pb2, epoch_pb2, ledger_service_pb2, object_pb2
from walrus_sui.devnet.server import masks
from walrus_sui.devnet.server.faults import Fault

OBJECT = object_pb2.Object.DESCRIPTOR
EXECUTED = effects_pb2.ExecutedTransaction.DESCRIPTOR


def parse(*paths, descriptor=OBJECT):
    return masks.parse(FieldMask(paths=paths), descriptor, default="*")


def an_object():
    obj = object_pb2.Object(object_id="0x1", version=3, digest="d")
    obj.owner.kind, obj.owner.address = object_pb2.Owner.ADDRESS, "0x2"
    obj.contents.name, obj.contents.value = "T", b"abc"
    return obj


def test_star_and_absent_masks():
    assert masks.parse(None, OBJECT, default="*").everything
    assert parse("*").everything
    assert parse("version", "*").everything
    pruned = masks.parse(None, OBJECT, default="object_id,version").prune(an_object())
    assert [field.name for field, _ in pruned.ListFields()] == ["object_id", "version"]


def test_a_mask_that_is_set_but_empty_selects_nothing():
    request = ledger_service_pb2.GetObjectRequest(read_mask=FieldMask())
    mask = masks.of(request, OBJECT, default="object_id")
    assert not mask.has("object_id")
    assert mask.prune(an_object()).ListFields() == []


def test_dotted_paths_prune_inside_messages():
    pruned = parse("owner.kind", "contents").prune(an_object())
    assert pruned.owner == object_pb2.Owner(kind=object_pb2.Owner.ADDRESS)
    assert pruned.contents.value == b"abc"
    assert not pruned.object_id


def test_a_whole_field_wins_over_a_part_of_it():
    for paths in (("owner", "owner.kind"), ("owner.kind", "owner")):
        assert parse(*paths).prune(an_object()).owner.address == "0x2"


def test_paths_go_through_repeated_fields():
    message = effects_pb2.ExecutedTransaction(digest="x")
    message.effects.changed_objects.add(object_id="0x1", input_version=1)
    message.effects.changed_objects.add(object_id="0x2", input_version=2)
    pruned = parse("effects.changed_objects.object_id", descriptor=EXECUTED).prune(message)
    assert [item.object_id for item in pruned.effects.changed_objects] == ["0x1", "0x2"]
    assert not any(item.HasField("input_version") for item in pruned.effects.changed_objects)


def test_map_keys_may_be_named():
    epoch = epoch_pb2.Epoch()
    epoch.protocol_config.attributes["a"], epoch.protocol_config.attributes["b"] = "1", "2"
    mask = parse("protocol_config.attributes.b", descriptor=epoch_pb2.Epoch.DESCRIPTOR)
    assert dict(mask.prune(epoch).protocol_config.attributes) == {"b": "2"}


@pytest.mark.parametrize(
    "path", ["nothing", "owner.nothing", "version.x", "json.x", "owner.*", "", ".", "owner.", "OBJECT_ID"]
)
def test_unknown_paths_are_refused_with_the_documented_text(path):
    with pytest.raises(Fault) as caught:
        parse("object_id", path)
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message == f"invalid read_mask path: {path}"
    assert caught.value.violation.field == "read_mask"


def test_too_many_and_too_long_paths_are_refused():
    with pytest.raises(Fault, match="at most"):
        parse(*["version"] * (masks.MAX_PATHS + 1))
    with pytest.raises(Fault) as caught:
        parse("x" * 1_000_000)
    assert len(caught.value.message) < 1000, "what was sent is not echoed at length"


def test_equal_masks_are_the_same_object():
    assert parse("owner", "version") is parse("owner", "version")
