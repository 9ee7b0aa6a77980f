"""Which key signs for which epoch, and what happens when the files change."""

from dataclasses import replace

import pytest
from tests.unit.node.worlds import US, ChainTwin, committee, member, staking

from walrus_codec.types import Epoch
from walrus_node.chain import ChainView
from walrus_node.config import KeysConfig
from walrus_node.errors import ConfigError
from walrus_node.key_files import load_keys
from walrus_node.keyring import KeyRing
from walrus_sui import bls, messages
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey

OLD, NEW = BlsKey.generate(), BlsKey.generate()


@pytest.fixture
def files(tmp_path):
    OLD.save(tmp_path / "protocol")
    NetworkKey.generate().save(tmp_path / "network")
    SuiKey.generate().save(tmp_path / "sui")
    return KeysConfig(
        protocol=tmp_path / "protocol",
        network=tmp_path / "network",
        sui=tmp_path / "sui",
        next_protocol=tmp_path / "next",
        next_network=tmp_path / "next-network",
    )


def view(epoch, key, following=None):
    """The chain in an epoch whose committee names `key`, and the next one `following` once it is chosen."""
    found = staking(epoch)
    seat = replace(member(US, [0]), bls_public_key=key.public_key)
    chosen = None
    if following is not None:
        chosen = committee(epoch + 1, replace(seat, bls_public_key=following.public_key))
    return replace(found, committee=committee(epoch, seat), next_committee=chosen)


def signer(ring, epoch):
    """The key that a message of an epoch is signed with."""
    message = messages.invalid_blob(bytes(32), Epoch(epoch))
    signature = ring.sign(message)
    (key,) = [key for key in (OLD, NEW) if bls.verify(key.public_key, message, signature)]
    return key


async def test_each_message_is_signed_with_the_key_that_its_epochs_committee_names(files):
    twin = ChainTwin()
    chain = ChainView(twin)
    ring = KeyRing(files, load_keys(files), chain)
    assert signer(ring, 1) is OLD  # nobody knows a committee yet
    NEW.save(files.next_protocol)
    assert await ring.run_once()
    assert not await ring.run_once()

    twin.view = view(1, OLD)
    await chain.refresh()
    assert [signer(ring, epoch) for epoch in (1, 2)] == [OLD, OLD]
    twin.view = view(1, OLD, NEW)  # voting has ended
    await chain.refresh()
    assert [signer(ring, epoch) for epoch in (1, 2, 3)] == [OLD, NEW, NEW]

    files.protocol.unlink()
    files.next_protocol.rename(files.protocol)
    assert await ring.run_once()
    assert ring.keys.protocol == NEW
    assert ring.keys.next_protocol is None
    # The old file has gone, and the epoch goes on.
    assert [signer(ring, epoch) for epoch in (1, 2)] == [OLD, NEW]
    twin.view = view(2, NEW)
    await chain.refresh()
    assert [signer(ring, epoch) for epoch in (1, 2)] == [OLD, NEW]


async def test_a_key_that_is_read_late_signs_in_the_epoch_that_names_it_already(files):
    chain = ChainView(ChainTwin(view=view(4, NEW)))
    ring = KeyRing(files, load_keys(files), chain)
    await chain.refresh()
    assert signer(ring, 4) is OLD  # it has no other
    NEW.save(files.next_protocol)
    await ring.run_once()
    assert signer(ring, 4) is NEW


@pytest.mark.parametrize("harm", ["gone", "not a key", "another kind"])
async def test_files_that_cannot_be_read_change_nothing(files, harm, caplog):
    ring = KeyRing(files, load_keys(files), ChainView())
    before = ring.keys
    files.protocol.unlink()
    if harm != "gone":
        files.protocol.write_text(harm if harm == "not a key" else NetworkKey.generate().to_text())
    for _ in range(3):
        assert not await ring.run_once()
    assert ring.keys == before
    assert len([record for record in caplog.records if "cannot be read" in record.message]) == 1
    files.protocol.unlink(missing_ok=True)
    NEW.save(files.protocol)
    assert await ring.run_once()


async def test_another_address_is_not_taken_over(files):
    ring = KeyRing(files, load_keys(files), ChainView())
    address = ring.keys.sui.address
    files.sui.unlink()
    SuiKey.generate().save(files.sui)
    assert not await ring.run_once()
    assert ring.keys.sui.address == address


def test_a_next_key_is_read_at_the_start_when_it_is_there(files):
    assert load_keys(files).next_protocol is None
    NEW.save(files.next_protocol)
    following = NetworkKey.generate()
    following.save(files.next_network)
    keys = load_keys(files)
    assert (keys.next_protocol, keys.next_network) == (NEW, following)
    files.next_network.unlink()
    files.next_network.write_text("?")
    with pytest.raises(ConfigError, match="next-network"):
        load_keys(files)


def test_a_message_without_a_header_is_refused(files):
    with pytest.raises(messages.MessageError, match="7 bytes of header"):
        KeyRing(files, load_keys(files), ChainView()).sign(b"short")
