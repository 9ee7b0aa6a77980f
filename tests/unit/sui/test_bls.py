import pysui_fastcrypto
import pytest
from py_arkworks_bls12381 import G2Point

from walrus_sui import bls
from walrus_sui.keys import BlsKey

MESSAGE = b"\x01\x00\x03" + bytes(37)
KEYS = [BlsKey(bytes(31) + bytes([number])) for number in range(1, 6)]


def test_a_signature_verifies_under_its_key_only() -> None:
    signature = KEYS[0].sign(MESSAGE)
    assert len(signature) == 96
    assert bls.verify(KEYS[0].public_key, MESSAGE, signature)
    assert not bls.verify(KEYS[1].public_key, MESSAGE, signature)
    assert not bls.verify(KEYS[0].public_key, MESSAGE + b"\0", signature)


def test_secret_one_has_the_generator_as_public_key() -> None:
    generator = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
    assert KEYS[0].public_key.hex() == generator


def test_an_aggregate_is_the_sum_of_points_and_verifies_against_the_sum_of_keys() -> None:
    signatures = [key.sign(MESSAGE) for key in KEYS]
    total = bls.aggregate(signatures)
    point = G2Point.identity()
    for signature in signatures:
        point = point + G2Point.from_compressed_bytes(signature)
    assert total == bytes(point.to_compressed_bytes())
    publics = [key.public_key for key in KEYS]
    assert bls.aggregate_verify(publics, MESSAGE, total)
    assert pysui_fastcrypto.bls_aggregate_verify(total, publics, MESSAGE)
    assert not bls.aggregate_verify(publics[1:], MESSAGE, total)
    assert not bls.aggregate_verify([], MESSAGE, total)


def test_total_minus_absent_keys_is_the_sum_of_the_signers() -> None:
    publics = [key.public_key for key in KEYS]
    total = bls.sum_public_keys(publics)
    assert bls.subtract_public_keys(total, publics[3:]) == bls.sum_public_keys(publics[:3])
    assert bls.subtract_public_keys(total, publics) == bls.G1_IDENTITY
    assert bls.sum_public_keys([]) == bls.G1_IDENTITY


@pytest.mark.parametrize("identity", [bls.G1_IDENTITY, b"\xff" * 48, b"\xc0" + b"\x01" * 47, b"\xe0" + bytes(47)])
def test_identity_keys_are_refused_in_every_spelling(identity: bytes) -> None:
    empty_signature = b"\xc0" + bytes(95)
    assert not bls.verify(identity, MESSAGE, empty_signature)
    assert not bls.aggregate_verify([identity], MESSAGE, empty_signature)
    assert not bls.is_public_key(identity)
    with pytest.raises(ValueError, match="identity"):
        bls.sum_public_keys([identity])
    with pytest.raises(ValueError, match="identity"):
        bls.uncompressed(identity)


def test_keys_that_cancel_out_verify_nothing() -> None:
    negative = BlsKey((bls.GROUP_ORDER - 1).to_bytes(32, "big")).public_key
    assert not bls.aggregate_verify([KEYS[0].public_key, negative], MESSAGE, b"\xc0" + bytes(95))


@pytest.mark.parametrize("key", [b"", bytes(48), bytes(47), bytes(96), b"\x80" + b"\x11" * 47])
def test_malformed_keys_never_verify_and_are_no_keys(key: bytes) -> None:
    assert not bls.verify(key, MESSAGE, KEYS[0].sign(MESSAGE))
    assert not bls.is_public_key(key)


def test_malformed_signatures_do_not_verify_and_do_not_aggregate() -> None:
    for broken in (b"", bytes(96), b"\xff" * 96, KEYS[0].sign(MESSAGE)[:95]):
        assert not bls.verify(KEYS[0].public_key, MESSAGE, broken)
        with pytest.raises(ValueError, match="aggregated"):
            bls.aggregate([broken])
    with pytest.raises(ValueError, match="no signatures"):
        bls.aggregate([])


def test_the_two_forms_of_a_key_are_each_other() -> None:
    wide = bls.uncompressed(KEYS[2].public_key)
    assert len(wide) == 96
    assert bls.compressed(wide) == KEYS[2].public_key
    with pytest.raises(ValueError, match="96 bytes"):
        bls.compressed(KEYS[2].public_key)
    with pytest.raises(ValueError, match="not a BLS public key"):
        bls.compressed(bytes(95) + b"\x01")


@pytest.mark.parametrize("secret", [0, bls.GROUP_ORDER, -1])
def test_secrets_outside_the_group_are_refused(secret: int) -> None:
    with pytest.raises(ValueError, match="group order"):
        bls.public_key(secret)
