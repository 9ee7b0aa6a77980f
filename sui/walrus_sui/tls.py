"""TLS trust from the chain: a node's certificate is self-signed with its registered network key.

Life of a certificate: a node makes one for its public host with `make_certificate`, keeps it beside its key and serves
it for years. A client fetches it without trusting it (`fetch_certificate`), compares the key inside (`public_key_of`)
with the key on chain, and then uses this very certificate as the only root of its channel, with the host as target name.
"""

import asyncio
import datetime as dt
import functools
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from walrus_sui.errors import CertificateError
from walrus_sui.keys import NetworkKey

VALIDITY = dt.timedelta(days=365 * 20)
"""Long, because trust comes from the key on chain and ends when that key is replaced there."""

_TLS_RECORD = 1 << 14
_CLOCK_SKEW = dt.timedelta(days=1)


def make_certificate(
    key: NetworkKey, host: str, *, not_before: dt.datetime, validity: dt.timedelta = VALIDITY
) -> bytes:
    """Return a self-signed certificate as PEM.

    Args:
        key: the node's network key.
        host: the registered public host, a DNS name or an IP address; becomes the only subject alternative name.
        not_before: now, with time zone; the certificate is backdated by a day for clocks that are behind.
        validity: how long it lasts from then on.
    """
    try:
        name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        name = x509.DNSName(host)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "walrus storage node")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before - _CLOCK_SKEW)
        .not_valid_after(not_before + validity)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key.private_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def public_key_of(certificate_pem: bytes) -> bytes:
    """Return the compressed secp256r1 public key (33 bytes) of a PEM certificate.

    Raises:
        CertificateError: not a certificate, or it holds another kind of key.
    """
    try:
        key = x509.load_pem_x509_certificate(certificate_pem).public_key()
    except ValueError as error:
        raise CertificateError(f"not a PEM certificate: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError("the certificate's key is not secp256r1, so it cannot be a registered network key")
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)


def host_of(certificate_pem: bytes) -> str:
    """Return the host that a PEM certificate is for, its only subject alternative name.

    Raises:
        CertificateError: not a certificate, or it names none or several.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        (only,) = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as error:
        raise CertificateError(f"the certificate does not name one host: {error}") from None
    return str(only.value)


async def fetch_certificate(host: str, port: int, timeout: float) -> bytes:  # noqa: ASYNC109  (the whole of it is bounded)
    """Fetch the certificate that a server shows, without trusting it: the caller compares its key with the chain.

    Args:
        host: DNS name or IP address.
        port: TLS port.
        timeout: seconds for name look-up, connection and handshake together.

    Returns:
        The certificate as PEM.

    Raises:
        CertificateError: nobody answers, in time or with TLS.
    """
    try:
        async with asyncio.timeout(timeout):
            der = await _shown(host, port)
    except TimeoutError:
        raise CertificateError(f"{host}:{port} showed no certificate within {timeout} s") from None
    except OSError as error:  # ssl.SSLError is one, too
        raise CertificateError(f"{host}:{port} showed no certificate: {error}") from error
    if not der:
        raise CertificateError(f"{host}:{port} showed no certificate")
    return ssl.DER_cert_to_PEM_cert(der).encode()


@functools.cache
def _trusting_nobody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the comparison with the key on chain is the verification
    context.set_alpn_protocols(["h2"])
    return context


async def _shown(host: str, port: int) -> bytes | None:
    """The certificate (DER) of a handshake that is made by hand: asyncio's own would take a quarter of a MiB for each."""
    reader, writer = await asyncio.open_connection(host, port, limit=_TLS_RECORD)
    try:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = _trusting_nobody().wrap_bio(incoming, outgoing)
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                if not (data := await reader.read(_TLS_RECORD)):
                    raise ConnectionResetError("the connection was closed in the handshake") from None
                incoming.write(data)
        writer.write(outgoing.read())  # so that the other side has nothing to complain of
        return session.getpeercert(binary_form=True)
    finally:
        writer.transport.abort()  # nothing was sent, nothing needs flushing
