import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pysui.sui.sui_crypto import keypair_from_keystring

from walrus_sui.errors import KeyFileError
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey

SEED = bytes(range(1, 33))
KINDS = [SuiKey, BlsKey, NetworkKey]


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_comes_back_from_its_text_and_its_file(kind: type[SuiKey], tmp_path: Path) -> None:
    key = kind.generate()
    assert kind.from_text(key.to_text()) == key
    key.save(tmp_path / "a.key")
    assert kind.load(tmp_path / "a.key") == key
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]


@pytest.mark.parametrize(("kind", "flag"), list(zip(KINDS, [0x00, 0x04, 0x02], strict=True)))
def test_the_text_is_base64_of_flag_and_secret(kind: type[SuiKey], flag: int) -> None:
    assert base64.b64decode(kind(SEED).to_text()) == bytes([flag]) + SEED


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    first, second = SuiKey.generate(), SuiKey.generate()
    first.save(tmp_path / "sui.key")
    with pytest.raises(KeyFileError, match="never overwritten"):
        second.save(tmp_path / "sui.key")
    assert SuiKey.load(tmp_path / "sui.key") == first


def test_a_key_file_may_end_with_a_newline(tmp_path: Path) -> None:
    (tmp_path / "sui.key").write_text(SuiKey(SEED).to_text() + "\n")
    assert SuiKey.load(tmp_path / "sui.key") == SuiKey(SEED)


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"none\.key"):
        SuiKey.load(tmp_path / "none.key")
    (tmp_path / "bad.key").write_text("garbage!")
    with pytest.raises(KeyFileError, match=r"bad\.key.*base64"):
        SuiKey.load(tmp_path / "bad.key")
    (tmp_path / "empty.key").write_text("")
    with pytest.raises(KeyFileError, match=r"empty\.key.*33 bytes.*not 0"):
        NetworkKey.load(tmp_path / "empty.key")


def test_a_key_of_another_kind_is_refused() -> None:
    with pytest.raises(KeyFileError, match=r"flag 0x04; this one has 0x02"):
        BlsKey.from_text(NetworkKey(SEED).to_text())


@pytest.mark.parametrize("kind", [BlsKey, NetworkKey])
@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32])
def test_secrets_outside_the_group_are_refused(kind: type[SuiKey], secret: bytes) -> None:
    with pytest.raises(KeyFileError, match="group order"):
        kind(secret)


def test_repr_hides_the_secret() -> None:
    for kind in KINDS:
        assert SEED.hex() not in repr(kind(SEED))
        assert str(SEED) not in repr(kind(SEED))


def test_sui_keys_agree_with_pysui() -> None:
    key = SuiKey(SEED)
    other = keypair_from_keystring(key.to_text())
    assert other.public_key.key_bytes == key.public_key
    assert other.to_bech32() == key.to_bech32()
    transaction = bytes(range(100))
    theirs = base64.b64decode(other.new_sign_secure(base64.b64encode(transaction).decode()))
    assert theirs == key.sign_transaction(transaction)
    message = base64.b64encode(b"hello" * 40).decode()
    assert base64.b64decode(other.sign_personal_message(message)) == key.sign_personal_message(b"hello" * 40)


def test_an_address_is_the_hash_of_flag_and_public_key() -> None:
    key = SuiKey(SEED)
    assert key.address == "0x" + hashlib.blake2b(b"\0" + key.public_key, digest_size=32).hexdigest()


def test_a_transaction_signature_carries_flag_signature_and_key() -> None:
    key = SuiKey(SEED)
    serialised = key.sign_transaction(b"data")
    assert (len(serialised), serialised[0], serialised[65:]) == (97, 0, key.public_key)
    digest = hashlib.blake2b(b"\0\0\0data", digest_size=32).digest()
    Ed25519PublicKey.from_public_bytes(key.public_key).verify(serialised[1:65], digest)


def test_bech32_text_is_read_and_damaged_text_refused() -> None:
    key = SuiKey(SEED)
    assert SuiKey.from_text("  " + key.to_bech32() + "\n") == key
    with pytest.raises(KeyFileError, match="damaged"):
        SuiKey.from_text(key.to_bech32()[:-1] + "q")


def test_a_network_key_has_a_compressed_point() -> None:
    key = NetworkKey(SEED)
    assert len(key.public_key) == 33
    assert key.public_key[0] in {2, 3}
    assert b"BEGIN PRIVATE KEY" in key.to_pem()
