"""The node's keys while it runs: which of them signs, and which the certificate carries.

Life of a rotation: the next key's file appears beside the present one; a pass here reads it, and registration announces it
on chain (`rotation`). The committee of each epoch names the key that its messages are checked with, so every signature is
made with the key that the committee of the message's own epoch names, whatever the files say meanwhile. When the next key
has taken over, the files are exchanged. Keys that were read once are remembered until the process ends: files may go
before the last message of an epoch is signed.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from walrus_codec.types import Epoch
from walrus_node import key_files
from walrus_node.chain import ChainView
from walrus_node.config import KeysConfig
from walrus_node.errors import ConfigError
from walrus_node.key_files import NodeKeys
from walrus_sui import messages
from walrus_sui.keys import BlsKey, NetworkKey
from walrus_sui.types import StakingView

_log = logging.getLogger(__name__)

_EPOCHS_KEPT = 4


class KeyRing:
    """Signs in the node's name.

    Args:
        files: where the keys lie.
        keys: what was read from there at the start.
        view: whose committees say which key signs.
    """

    def __init__(self, files: KeysConfig, keys: NodeKeys, view: ChainView) -> None:
        self._files = files
        self._view = view
        self._protocol: dict[bytes, BlsKey] = {}
        self._network: dict[bytes, NetworkKey] = {}
        self._of_epoch: dict[Epoch, BlsKey] = {}
        self._looked_at: StakingView | None = None
        self._problem = ""
        self.keys = keys
        self._remember(keys)

    async def run_once(self) -> bool:
        """Reads the files again; True when they hold other keys than before. What cannot be read changes nothing."""
        try:
            found = await asyncio.to_thread(key_files.load_keys, self._files)
        except ConfigError as error:
            if str(error) != self._problem:
                _log.warning(
                    "the key files cannot be read; the keys that were read stay in use", extra={"why": str(error)}
                )
            self._problem = str(error)
            return False
        self._problem = ""
        # The address owns the registration: another one would be another node.
        found = replace(found, sui=self.keys.sui)
        changed = found != self.keys
        if changed:
            _log.info("the key files have changed", extra={"next": _names(found)})
        self.keys = found
        self._remember(found)
        return changed

    def sign(self, message: bytes) -> bytes:
        """The signature that the committee of the message's epoch checks."""
        return self.at(messages.epoch_of(message)).sign(message)

    def at(self, epoch: Epoch) -> BlsKey:
        """The protocol key of an epoch: the one that its committee names, else that of the newest committee with one of ours."""
        staking = self._view.staking
        if staking is not None and staking is not self._looked_at:
            self._look(staking)
        if (key := self._of_epoch.get(epoch)) is not None:
            return key
        known = self._of_epoch
        return known[max(known)] if known else self.keys.protocol

    @property
    def protocol_keys(self) -> frozenset[bytes]:
        """Public halves of all protocol keys that were read."""
        return frozenset(self._protocol)

    @property
    def network_keys(self) -> frozenset[bytes]:
        """Public halves of all network keys that were read."""
        return frozenset(self._network)

    def network_key(self, public: bytes) -> NetworkKey:
        """The network key with this public half; raises `KeyError` for one that was never read."""
        return self._network[public]

    def _remember(self, keys: NodeKeys) -> None:
        for protocol in (keys.protocol, keys.next_protocol):
            if protocol is not None:
                self._protocol[protocol.public_key] = protocol
                self._looked_at = None
        for network in (keys.network, keys.next_network):
            if network is not None:
                self._network[network.public_key] = network

    def _look(self, staking: StakingView) -> None:
        """Notes which of our keys the committees name; the next one is known from the middle of an epoch on."""
        found = dict(self._of_epoch)
        for committee in (staking.committee, staking.next_committee):
            for member in committee.members if committee is not None else ():
                if committee is not None and (key := self._protocol.get(member.bls_public_key)) is not None:
                    found[committee.epoch] = key
        self._of_epoch = {epoch: found[epoch] for epoch in sorted(found)[-_EPOCHS_KEPT:]}
        self._looked_at = staking


def _names(keys: NodeKeys) -> list[str]:
    return [name for name, key in (("protocol", keys.next_protocol), ("network", keys.next_network)) if key is not None]
