"""TLS of the devnet: a certificate authority of its own, made once, and a server certificate signed by it.

Life of the files: the first start makes ``ca.pem``, ``server.pem`` and ``server.key`` in the data directory and throws
the authority's private key away; later starts reuse them, so that clients may keep the authority. Only when the wanted
host names change, or the certificate has run out, all three are made anew and clients must fetch ``ca.pem`` again (it
also stands in the network configuration).
"""

import contextlib
import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALIDITY: Final = dt.timedelta(days=3650)
_CLOCK_SKEW: Final = dt.timedelta(days=1)
_RENEW_BEFORE: Final = dt.timedelta(days=30)


@dataclass(frozen=True)
class ServerCertificate:
    """What the server shows (certificate and key) and what clients trust (the authority), all PEM."""

    authority: bytes
    certificate: bytes
    private_key: bytes


def load_or_make(folder: Path, hosts: Sequence[str], *, now: dt.datetime) -> ServerCertificate:
    """Reads the folder's certificate when it still serves, otherwise makes a new one and writes it.

    Args:
        folder: made when absent; the key file gets mode 0600.
        hosts: DNS names and IP addresses that clients use, at least one.
        now: with time zone.

    Raises:
        OSError: the folder cannot be read or written.
        ValueError: a host is neither a DNS name nor an address.
    """
    files = folder / "ca.pem", folder / "server.pem", folder / "server.key"
    with contextlib.suppress(FileNotFoundError, ValueError):
        found = ServerCertificate(*(file.read_bytes() for file in files))
        if _serves(found, hosts, now):
            return found
    made = make(hosts, now=now)
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in zip(files, (made.authority, made.certificate, made.private_key), strict=True):
        _write(file, content, mode=0o600 if file.suffix == ".key" else 0o644)
    return made


def make(hosts: Sequence[str], *, now: dt.datetime) -> ServerCertificate:
    """Makes an authority and a certificate for the given hosts."""
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name, server_name = _name("walrus devnet authority"), _name("walrus devnet")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _builder(server_name, authority_name, server_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return ServerCertificate(authority.public_bytes(pem), certificate.public_bytes(pem), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _VALIDITY)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _serves(found: ServerCertificate, hosts: Sequence[str], now: dt.datetime) -> bool:
    """Whether the three files belong together (a crash may have mixed them), are in time and have the wanted names."""
    certificate = x509.load_pem_x509_certificate(found.certificate)
    key = serialization.load_pem_private_key(found.private_key, None)
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(found.authority))
    except InvalidSignature:
        return False
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    in_time = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc - _RENEW_BEFORE
    wanted = set(names) == {_general_name(host) for host in hosts}
    return in_time and wanted and certificate.public_key() == key.public_key()


def _write(file: Path, content: bytes, *, mode: int) -> None:
    """Writes beside the target and renames, so that a crash leaves the old file or the new one."""
    draft = file.with_name(file.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
