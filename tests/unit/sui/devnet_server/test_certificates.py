import datetime as dt
import ssl

import pytest
from cryptography import x509

from walrus_sui.devnet.server import certificates

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOSTS = ["localhost", "127.0.0.1", "demo-devnet.ns.svc"]


def test_a_certificate_is_made_once_and_reused(tmp_path):
    first = certificates.load_or_make(tmp_path / "tls", HOSTS, now=NOW)
    again = certificates.load_or_make(tmp_path / "tls", list(reversed(HOSTS)), now=NOW + dt.timedelta(days=1000))
    assert first == again
    assert (tmp_path / "tls" / "server.key").stat().st_mode & 0o777 == 0o600


def test_the_authority_signs_the_wanted_names(tmp_path):
    made = certificates.load_or_make(tmp_path, HOSTS, now=NOW)
    leaf, root = (x509.load_pem_x509_certificate(pem) for pem in (made.certificate, made.authority))
    leaf.verify_directly_issued_by(root)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "demo-devnet.ns.svc"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    context = ssl.create_default_context(cadata=made.authority.decode())
    assert context.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("change", ["hosts", "expired", "mixed", "damaged", "missing"])
def test_a_certificate_that_does_not_serve_is_replaced(tmp_path, change):
    first = certificates.load_or_make(tmp_path, HOSTS, now=NOW)
    hosts, now = HOSTS, NOW
    if change == "hosts":
        hosts = [*HOSTS, "other"]
    elif change == "expired":
        now = NOW + dt.timedelta(days=3640)
    elif change == "mixed":  # a crash between two renames
        (tmp_path / "ca.pem").write_bytes(certificates.make(HOSTS, now=NOW).authority)
    elif change == "damaged":
        (tmp_path / "server.pem").write_text("x")
    else:
        (tmp_path / "server.key").unlink()
    second = certificates.load_or_make(tmp_path, hosts, now=now)
    assert second != first
    assert certificates.load_or_make(tmp_path, hosts, now=now) == second
