"""The certificate is made once and reused as long as key and host stay."""

import datetime as dt

import pytest

from walrus_node.errors import StoreError
from walrus_node.rpc import certificate
from walrus_sui import tls
from walrus_sui.keys import NetworkKey

KEY = NetworkKey.generate()
NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tls" / "certificate.pem"


def test_it_carries_the_network_key_and_stays_after_restarts(path):
    first = certificate.obtain(path, KEY, "node.example", now=NOW)
    assert tls.public_key_of(first.certificate) == KEY.public_key
    assert certificate.obtain(path, KEY, "node.example", now=NOW + dt.timedelta(days=30)) == first
    assert path.read_bytes() == first.certificate
    assert b"PRIVATE" not in path.read_bytes()


@pytest.mark.parametrize("change", [{"key": NetworkKey.generate()}, {"host": "10.0.0.1"}])
def test_another_key_or_host_makes_another(path, change):
    first = certificate.obtain(path, KEY, "node.example", now=NOW)
    second = certificate.obtain(path, **({"key": KEY, "host": "node.example"} | change), now=NOW)
    assert second.certificate != first.certificate


def test_a_damaged_file_is_replaced(path):
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    found = certificate.obtain(path, KEY, "node.example", now=NOW)
    assert path.read_bytes() == found.certificate


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "tls").write_text("a file")
    with pytest.raises(StoreError, match="cannot write the TLS certificate"):
        certificate.obtain(tmp_path / "tls" / "certificate.pem", KEY, "h", now=NOW)


def test_the_following_key_is_shown_after_a_restart_only_if_it_was_before(path):
    following = NetworkKey.generate()
    assert certificate.last_shown(path, KEY, None) is KEY
    assert certificate.last_shown(path, KEY, following) is KEY
    certificate.obtain(path, KEY, "node.example", now=NOW)
    assert certificate.last_shown(path, KEY, following) is KEY
    certificate.obtain(path, following, "node.example", now=NOW)
    assert certificate.last_shown(path, KEY, following) is following
    path.write_bytes(b"damaged")
    assert certificate.last_shown(path, KEY, following) is KEY
