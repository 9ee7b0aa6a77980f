"""Blob ids of RS2 equal the official ones: the official vector, the table computed beside it, and the WebAssembly ones."""

import json
from pathlib import Path

import pytest

from walrus_codec import blob_id, mapping, redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType

WASM = json.loads((Path(__file__).parent / "data" / "rs2-blob-ids.json").read_text())["vectors"]

BYTES = bytes(range(256))
TABLE = [
    (4, b"", 2, "669f802f68a03496", "CmzciFdWJP1IIM-rD3cqXlVBXYM0fpAfHahZBvkaZUI", 2),
    (4, b"\0", 2, "669f802f68a03496", "rUbODN7fr7gy5snG6ZksDykbIy1aQ9C7DmaAl59hofk", 1),
    (4, b"hello walrus", 2, "756895978c9ad3d6", "LH_55j5IRQS_rgD3ll96oEbsfbyNIXpdqDcFnez8SWM", 3),
    (4, BYTES, 44, "f72043d5188e26b3", "ncwtwgzv3eTECMQU6aW-7SzKZ8E4J4WxVyC7of8QXww", 0),
    (7, b"", 2, "14247ba97b9ba615", "MLmg-XjRbksCtNo63_AoaVrlezO27Rb9Zns8EUOn3E8", 2),
    (7, BYTES, 18, "f1d7a52ee1de9991", "lsujGSsIBpo3FKMRvuINSyxBzoDLtHVg0IxgVAXLi8s", 3),
    (10, BYTES, 10, "92279c4f123e726f", "LwPG6N_w-fGDndIRJlEa2ZgGm9ej1M8dg6uUwKwcAGE", 3),
    (10, b"\xab" * 1000, 36, "0cc197410c823f57", "9IBeohYUQVWEzuRD9p4byabPLA8J69hxnJZyLei3W-k", 9),
    (13, BYTES, 6, "b436c56ef7f3790e", "evL7N-ciM6wB5NOFybcu2o8KpQE8DlS9HiaOYalqYl8", 6),
    (13, b"\xab" * 1000, 24, "db523af15d9d1941", "jH46odyBSOtlIP4YEqnEqIjs1mWvNKm-vKKfQsRtwBM", 4),
    (10, b"walrus blob id v1 regression test", 2, "dc3457c94140737f", "RcU82Mwf-CFkv1LaI_2qcpANwpGUuG3TMwnVzZxD2kY", 8),
]


@pytest.mark.parametrize("row", TABLE)
def test_table(row: tuple[int, bytes, int, str, str, int]) -> None:
    n, data, symbol_size, root, text, offset = row
    params = CodeParams(n, EncodingType.RS2)
    encoded = redstuff.encode(data, params)
    assert params.symbol_size(len(data)) == encoded.pairs[0].primary.symbol_size == symbol_size
    assert encoded.metadata.root().hex()[:16] == root
    assert blob_id.to_text(encoded.blob_id) == text
    assert mapping.rotation_offset(encoded.blob_id, n) == offset


@pytest.mark.parametrize("vector", WASM, ids=lambda vector: f"{vector['n_shards']}-{vector['length']}")
def test_webassembly_vectors(vector: dict[str, object]) -> None:
    n, length = int(str(vector["n_shards"])), int(str(vector["length"]))
    data = bytes((i * 31 + 7 * (i >> 8)) & 255 for i in range(length))
    encoded = redstuff.encode(data, CodeParams(n, EncodingType.RS2))
    assert blob_id.to_text(encoded.blob_id) == vector["blob_id"]
    assert encoded.metadata.blob_id() == encoded.blob_id
    assert encoded.metadata.unencoded_length == length
