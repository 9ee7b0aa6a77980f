"""Pure parts of the gateway: queries, ranges, envelopes, answers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from walrus_client.errors import ClientError, ConfigError, InsufficientConfirmationsError, NodeOutcome
from walrus_client.gateway import answers, config, envelope, query, ranges
from walrus_client.gateway.envelope import GatewayError, GatewayReason
from walrus_client.read import ConsistencyCheck
from walrus_client.store import (
    AlreadyCertified,
    KeepObject,
    NewlyCreated,
    RegisterFromScratch,
    ReuseRegistration,
    SendObject,
    ShareObject,
    StoreOptions,
)
from walrus_codec.types import BlobId, Digest, EncodingType, Epoch, ObjectId, SuiAddress
from walrus_sui.events import EventId
from walrus_sui.types import BlobObject, StorageObject

ADDRESS = "0x" + "0" * 62 + "ab"
OBJECT = ObjectId("0x" + "12" * 32)
BLOB = BlobObject(
    object_id=OBJECT,
    registered_epoch=Epoch(3),
    blob_id=BlobId(bytes(range(32))),
    size=444,
    encoding_type=EncodingType.ISAL,
    certified_epoch=Epoch(3),
    storage=StorageObject(ObjectId("0x" + "34" * 32), Epoch(3), Epoch(5), 66_000),
    deletable=True,
)


def parse(text: str) -> StoreOptions:
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in text.split("&") if part)]
    return query.parse_store(pairs, default_encoding=EncodingType.ISAL, max_epochs_ahead=53)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", StoreOptions(encoding=EncodingType.ISAL)),
        ("epochs=53", StoreOptions(epochs=53, encoding=EncodingType.ISAL)),
        ("permanent=true", StoreOptions(deletable=False, encoding=EncodingType.ISAL)),
        ("deletable=true", StoreOptions(encoding=EncodingType.ISAL)),
        ("permanent=false&deletable=false", StoreOptions(encoding=EncodingType.ISAL)),
        ("force=true", StoreOptions(force=True, encoding=EncodingType.ISAL)),
        ("reuse_resources=true", StoreOptions(reuse_resources=True, encoding=EncodingType.ISAL)),
        ("encoding_type=RS2", StoreOptions(encoding=EncodingType.RS2)),
        ("encoding_type=isal&quilt_version=v1", StoreOptions(encoding=EncodingType.ISAL)),
        ("send_object_to=0xAB", StoreOptions(encoding=EncodingType.ISAL, after=SendObject(SuiAddress(ADDRESS)))),
        ("share=true", StoreOptions(encoding=EncodingType.ISAL, after=ShareObject())),
        ("share=false", StoreOptions(encoding=EncodingType.ISAL, after=KeepObject())),
    ],
)
def test_store_parameters_mean_what_the_official_daemon_means(text: str, expected: StoreOptions) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("permanant=true", "unknown query parameter 'permanant'"),
        ("epochs=1&epochs=2", "given twice"),
        ("epochs=0", "1 to 53"),
        ("epochs=54", "1 to 53"),
        ("epochs=-1", "whole number"),
        ("epochs=+1", "whole number"),
        ("epochs=4294967296", "whole number"),
        ("epochs=", "whole number"),
        ("permanent=1", "true or false"),
        ("permanent=True", "true or false"),
        ("encoding_type=RaptorQ", "known encoding"),
        ("quilt_version=v2", "not v1"),
        ("send_object_to=12", "Sui address"),
        ("send_object_to=0x" + "1" * 65, "Sui address"),
        ("send_object_to=0x1&share=true", "exclude each other"),
    ],
)
def test_malformed_store_parameters_are_refused_with_a_sentence(text: str, complaint: str) -> None:
    with pytest.raises(GatewayError, match=complaint) as caught:
        parse(text)
    assert caught.value.reason is GatewayReason.MALFORMED_REQUEST


def test_a_blob_is_either_deletable_or_permanent() -> None:
    with pytest.raises(GatewayError) as caught:
        parse("deletable=true&permanent=true")
    assert caught.value.reason is GatewayReason.INVALID_BLOB_PERSISTENCE


def test_read_parameters() -> None:
    assert query.parse_read([]) is ConsistencyCheck.DEFAULT
    assert query.parse_read([("strict_consistency_check", "true")]) is ConsistencyCheck.STRICT
    assert query.parse_read([("skip_consistency_check", "true")]) is ConsistencyCheck.SKIP
    for bad in (
        [("strict_consistency_check", "true"), ("skip_consistency_check", "true")],
        [("strict", "true")],
        [("skip_consistency_check", "yes")],
    ):
        with pytest.raises(GatewayError):
            query.parse_read(bad)
    with pytest.raises(GatewayError):
        query.parse_nothing([("x", "")])


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 10, None),
        ("bytes=0-0", 10, (0, 0)),
        ("bytes=0-9", 10, (0, 9)),
        ("bytes=3-7", 10, (3, 7)),
        ("bytes=9-100", 10, (9, 9)),
        (" bytes=1-2 ", 10, (1, 2)),
    ],
)
def test_ranges_with_both_ends_are_served(header: str | None, size: int, expected: tuple[int, int] | None) -> None:
    found = ranges.parse_range(header, size)
    assert (None if found is None else (found.first, found.last)) == expected


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("bytes=0-", 10),
        ("bytes=-5", 10),
        ("bytes=5-4", 10),
        ("bytes=10-10", 10),
        ("bytes=0-0", 0),
        ("bytes=0-1,3-4", 10),
        ("items=0-1", 10),
        ("bytes=a-b", 10),
        ("bytes=0-99999999999999999999", 10),
        ("", 10),
    ],
)
def test_other_ranges_are_not_satisfiable(header: str, size: int) -> None:
    with pytest.raises(GatewayError) as caught:
        ranges.parse_range(header, size)
    assert caught.value.reason is GatewayReason.RANGE_NOT_SATISFIABLE
    assert caught.value.metadata == {"size": str(size)}


@pytest.mark.parametrize(("start", "length", "size"), [(0, 1, 1), (0, 10, 10), (9, 1, 10), (3, 4, 10)])
def test_a_span_lies_inside(start: int, length: int, size: int) -> None:
    assert ranges.span(start, length, size) == ranges.ByteRange(start, start + length - 1)


@pytest.mark.parametrize(
    ("start", "length", "size"),
    [(0, 0, 10), (0, 11, 10), (10, 1, 10), (9, 2, 10), (0, 1, 0), (2**63 - 1, 2**63 - 1, 10)],
)
def test_other_spans_are_refused_and_never_cut_short(start: int, length: int, size: int) -> None:
    with pytest.raises(GatewayError) as caught:
        ranges.span(start, length, size)
    assert caught.value.reason is GatewayReason.INVALID_BYTE_RANGE
    assert caught.value.metadata == {"size": str(size)}


def test_start_and_length_are_both_needed_and_numbers() -> None:
    assert query.parse_span([("start", "0"), ("length", "9223372036854775807")]) == (0, 2**63 - 1)
    for pairs in (
        [("start", "0")],
        [("length", "1")],
        [("start", "-1"), ("length", "1")],
        [("start", "0"), ("length", "9223372036854775808")],
        [("start", "0"), ("length", "1e3")],
        [("start", "0"), ("length", "1"), ("end", "2")],
    ):
        with pytest.raises(GatewayError) as caught:
            query.parse_span(pairs)
        assert caught.value.reason is GatewayReason.MALFORMED_REQUEST


def test_entity_tags_are_compared_weakly() -> None:
    tag = '"abc"'
    for header in ('"abc"', 'W/"abc"', "abc", '"x", "abc"', "*"):
        assert ranges.matches(header, tag), header
    for header in (None, '"abcd"', "", '"x"'):
        assert not ranges.matches(header, tag), header


def test_every_reason_has_its_own_row_and_every_client_error_a_reason() -> None:
    assert {reason.name for reason in GatewayReason} == {reason.value for reason in GatewayReason}
    assert all(reason.http >= 400 and reason.status for reason in GatewayReason)

    def descendants(kind: type[ClientError]) -> set[type[ClientError]]:
        return {kind}.union(*(descendants(child) for child in kind.__subclasses__()))

    internal = {"INTERNAL_ERROR", "NODE_FAILED"}
    unknown = {kind.reason for kind in descendants(ClientError)} - set(GatewayReason.__members__) - internal
    assert unknown == set()


def test_the_envelope_is_the_official_one() -> None:
    error = InsufficientConfirmationsError(
        weight=3, needed=7, n_shards=10, outcomes=[NodeOutcome("node-1", 4, "it is away")]
    )
    described = envelope.describe(error)
    assert described is not None
    document = envelope.envelope(described.reason, described.message, described.metadata)
    assert document["error"]["code"] == 504
    assert document["error"]["status"] == "DEADLINE_EXCEEDED"
    assert document["error"]["details"] == [
        {
            "@type": "ErrorInfo",
            "reason": "INSUFFICIENT_CONFIRMATIONS",
            "domain": "daemon.walrus.space",
            "metadata": {"confirmedShards": "3", "neededShards": "7"},
        }
    ]
    assert "node-1 (4 shards): it is away" in document["error"]["message"]
    jsonschema.validate(document, official("Status"))


def official(name: str) -> dict[str, Any]:
    """The official schema, corrected where the wire is known to differ: nested names are camelCase, event digests are
    text, and ISAL is our own second encoding."""
    document = yaml.safe_load((Path(__file__).parent / "data" / "daemon_openapi.yaml").read_text(encoding="utf-8"))
    schemas = _camel(document["components"]["schemas"])
    schemas["EncodingType"]["enum"].append("ISAL")
    schemas["EventID"]["properties"]["txDigest"] = {"type": "string"}
    return {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}


def _camel(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            _camel_name(key) if key not in node or not key.startswith("$") else key: (
                [_camel_name(item) for item in value] if key == "required" else _camel(value)
            )
            for key, value in node.items()
        }
    return [_camel(item) for item in node] if isinstance(node, list) else node


def _camel_name(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest) if head else name


@pytest.mark.parametrize(
    "result",
    [
        NewlyCreated(BLOB, RegisterFromScratch(66_000, 2), 1234),
        NewlyCreated(replace(BLOB, certified_epoch=None, encoding_type=1), ReuseRegistration(66_000), 0, OBJECT),
        AlreadyCertified(BLOB.blob_id, EventId(Digest("4Nd1mYQ"), 7), Epoch(9)),
        AlreadyCertified(BLOB.blob_id, OBJECT, Epoch(9)),
    ],
)
def test_answers_have_the_official_shape(result: NewlyCreated | AlreadyCertified) -> None:
    document = answers.store_answer(result)
    jsonschema.validate(document, official("BlobStoreResult"))
    ours = yaml.safe_load(Path(answers.__file__).with_name("openapi.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(document, {"$ref": "#/components/schemas/BlobStoreResult", "components": ours["components"]})


def test_an_answer_in_full() -> None:
    assert answers.store_answer(NewlyCreated(BLOB, RegisterFromScratch(66_000, 2), 1234)) == {
        "newlyCreated": {
            "blobObject": {
                "id": OBJECT,
                "registeredEpoch": 3,
                "blobId": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
                "size": 444,
                "encodingType": "ISAL",
                "certifiedEpoch": 3,
                "storage": {"id": "0x" + "34" * 32, "startEpoch": 3, "endEpoch": 5, "storageSize": 66_000},
                "deletable": True,
            },
            "resourceOperation": {"registerFromScratch": {"encodedLength": 66_000, "epochsAhead": 2}},
            "cost": 1234,
        }
    }


def test_our_parameters_are_those_of_the_official_description() -> None:
    official_document = yaml.safe_load(
        (Path(__file__).parent / "data" / "daemon_openapi.yaml").read_text(encoding="utf-8")
    )
    ours = yaml.safe_load(Path(answers.__file__).with_name("openapi.yaml").read_text(encoding="utf-8"))
    for path, method in (("/v1/blobs", "put"), ("/v1/blobs/{blob_id}", "get")):
        theirs = {entry["name"] for entry in official_document["paths"][path][method]["parameters"]}
        names = {entry["name"] for entry in ours["paths"][path][method]["parameters"] if entry["in"] != "header"}
        assert names == {name for name in theirs if name != "send_or_share"} | (
            {"send_object_to", "share"} if method == "put" else set()
        )


def test_the_configuration_names_every_wrong_place(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("key_file: /keys/${POD_NAME}.key\nchain: {network_config: 'http://x'}\n", encoding="utf-8")
    loaded = config.load(file, {"POD_NAME": "demo-gateway-0"})
    assert loaded.key_file == Path("/keys/demo-gateway-0.key")
    assert (loaded.listen.port, loaded.listen.metrics_port) == (31415, 27182)
    with pytest.raises(ConfigError, match="POD_NAME"):
        config.load(file, {})
    file.write_text("key_file: /k\nchain: {}\nlisten: {prot: 1}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"chain\.network_config.*listen\.prot"):
        config.load(file, {})
    file.write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigError, match="mapping"):
        config.load(file, {})
    with pytest.raises(ConfigError, match="cannot read"):
        config.load(tmp_path / "absent.yaml", {})
