"""The three kinds of keys of a Walrus participant, in the official text and file form.

Life of a key: made once with `generate`, written once with `save` (never over an existing file), read at every start
with `load`. The text is base64 of `flag || secret`; Sui keys are also accepted as bech32 `suiprivkey1...`.

- `SuiKey`, Ed25519, flag 0x00: pays and signs transactions; its address is the hash of the public key.
- `NetworkKey`, secp256r1, flag 0x02: signs the node's TLS certificate; registered on chain as 33 compressed bytes.
- `BlsKey`, BLS12-381, flag 0x04: the protocol key; signs confirmations and proofs of possession.
"""

import base64
import binascii
import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol, Self

import pysui_fastcrypto
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from walrus_codec.types import SuiAddress
from walrus_sui import bls
from walrus_sui.errors import KeyFileError

SECRET_LENGTH = 32
_BECH32_PREFIX = "suiprivkey"
_INTENT_TRANSACTION = bytes([0, 0, 0])
_INTENT_PERSONAL_MESSAGE = bytes([3, 0, 0])


class Signer(Protocol):
    """Whatever signs protocol messages: one BLS key, or the choice that a node makes among several."""

    def sign(self, message: bytes) -> bytes:
        """Return the 96-byte signature of `message`."""
        ...


@dataclass(frozen=True)
class _Key:
    """A secret of 32 bytes with a scheme flag; equality is that of the secret, `repr` never shows it."""

    FLAG: ClassVar[int]
    KIND: ClassVar[str]

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_LENGTH:
            raise KeyFileError(f"a {self.KIND} secret has {SECRET_LENGTH} bytes, not {len(self.secret)}")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read base64 of `flag || secret`.

        Raises:
            KeyFileError: not such a text, or of another kind of key.
        """
        try:
            raw = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise KeyFileError(f"a {cls.KIND} key is base64 of its flag and secret; this text is not base64") from None
        if len(raw) != 1 + SECRET_LENGTH:
            raise KeyFileError(f"a {cls.KIND} key has {1 + SECRET_LENGTH} bytes with its flag, not {len(raw)}")
        if raw[0] != cls.FLAG:
            raise KeyFileError(f"a {cls.KIND} key has flag {cls.FLAG:#04x}; this one has {raw[0]:#04x}")
        return cls(raw[1:])

    def to_text(self) -> str:
        """Return base64 of `flag || secret`, the content of an official key file."""
        return base64.b64encode(bytes([self.FLAG]) + self.secret).decode()

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a key file.

        Raises:
            KeyFileError: no such file, not readable, or not a key of this kind; the message names the file.
        """
        try:
            text = Path(path).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyFileError(f"cannot read the {cls.KIND} key file {path}: {error}") from error
        try:
            return cls.from_text(text)
        except KeyFileError as error:
            raise KeyFileError(f"{path}: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write the key file with mode 0600, whole or not at all, never over an existing one.

        Raises:
            KeyFileError: the file exists already, or cannot be written.
        """
        path = Path(path)
        try:
            descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes mode 0600
            try:
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.write(self.to_text())
                    file.flush()
                    os.fsync(file.fileno())
                os.link(scratch, path)  # unlike a rename, a link never replaces
            finally:
                Path(scratch).unlink()
        except FileExistsError:
            raise KeyFileError(f"{path} exists already; keys are never overwritten, move it away first") from None
        except OSError as error:
            raise KeyFileError(f"cannot write the {self.KIND} key file {path}: {error}") from error


class SuiKey(_Key):
    """An Ed25519 key of a Sui address."""

    FLAG = 0x00
    KIND = "Sui (Ed25519)"

    @classmethod
    def generate(cls) -> Self:
        """Make a new key from the system's randomness."""
        return cls(secrets.token_bytes(SECRET_LENGTH))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read base64 of `flag || seed`, or bech32 `suiprivkey1...`.

        Raises:
            KeyFileError: neither of the two, or not Ed25519.
        """
        text = text.strip()
        if not text.lower().startswith(_BECH32_PREFIX):
            return super().from_text(text)
        try:
            flag, _public, secret = pysui_fastcrypto.decode_bech32(text, _BECH32_PREFIX)
        except ValueError as error:
            raise KeyFileError(f"this {_BECH32_PREFIX} text is damaged: {error}") from None
        if flag != cls.FLAG:
            raise KeyFileError(f"this {_BECH32_PREFIX} text holds no Ed25519 key, or is damaged")
        return cls(bytes(secret))

    def to_bech32(self) -> str:
        """Return the key as `suiprivkey1...`, the form that Sui wallets export."""
        return str(pysui_fastcrypto.encode_bech32(bytes([self.FLAG]) + self.secret, _BECH32_PREFIX))

    @cached_property
    def public_key(self) -> bytes:
        """The 32 bytes of the public key."""
        return self._private_key.public_key().public_bytes_raw()

    @cached_property
    def address(self) -> SuiAddress:
        """The address: blake2b-256 of flag and public key."""
        return SuiAddress("0x" + hashlib.blake2b(bytes([self.FLAG]) + self.public_key, digest_size=32).hexdigest())

    def sign(self, message: bytes) -> bytes:
        """Return the bare 64-byte signature of `message`."""
        return self._private_key.sign(message)

    def sign_transaction(self, transaction_bytes: bytes) -> bytes:
        """Return Sui's serialised signature (flag, signature, public key; 97 bytes) of BCS TransactionData."""
        return self._serialised(_INTENT_TRANSACTION + transaction_bytes)

    def sign_personal_message(self, message: bytes) -> bytes:
        """Return Sui's serialised signature (97 bytes) of a personal message, for proofs of ownership off chain."""
        length = bytearray()
        rest = len(message)
        while rest >= 0x80:
            length.append(rest & 0x7F | 0x80)
            rest >>= 7
        return self._serialised(_INTENT_PERSONAL_MESSAGE + bytes([*length, rest]) + message)

    def _serialised(self, intent_message: bytes) -> bytes:
        signature = self.sign(hashlib.blake2b(intent_message, digest_size=32).digest())
        return bytes([self.FLAG]) + signature + self.public_key

    @cached_property
    def _private_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.secret)


class BlsKey(_Key):
    """A BLS12-381 protocol key; the secret is a big-endian scalar."""

    FLAG = 0x04
    KIND = "protocol (BLS12-381)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self._scalar < bls.GROUP_ORDER:
            raise KeyFileError("a protocol (BLS12-381) secret lies in [1, group order)")

    @classmethod
    def generate(cls) -> Self:
        """Make a new key from the system's randomness."""
        return cls((1 + secrets.randbelow(bls.GROUP_ORDER - 1)).to_bytes(SECRET_LENGTH, "big"))

    @cached_property
    def public_key(self) -> bytes:
        """The 48 bytes of the compressed public key."""
        return bls.public_key(self._scalar)

    def sign(self, message: bytes) -> bytes:
        """Return the 96-byte signature of `message`."""
        return bls.sign(self._scalar, message)

    @property
    def _scalar(self) -> int:
        return int.from_bytes(self.secret, "big")


class NetworkKey(_Key):
    """A secp256r1 key for TLS; the secret is a big-endian scalar."""

    FLAG = 0x02
    KIND = "network (secp256r1)"

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            _ = self.private_key
        except ValueError:
            raise KeyFileError("a network (secp256r1) secret lies in [1, group order)") from None

    @classmethod
    def generate(cls) -> Self:
        """Make a new key from the system's randomness."""
        number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
        return cls(number.to_bytes(SECRET_LENGTH, "big"))

    @cached_property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """The key as an object of `cryptography`, for certificates."""
        return ec.derive_private_key(int.from_bytes(self.secret, "big"), ec.SECP256R1())

    @cached_property
    def public_key(self) -> bytes:
        """The 33 bytes of the compressed public key, as registered on chain."""
        point = self.private_key.public_key()
        return point.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)

    def to_pem(self) -> bytes:
        """Return the private key as unencrypted PKCS8 PEM, for a TLS server's memory (never for a file)."""
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
